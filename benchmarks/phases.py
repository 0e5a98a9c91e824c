"""The hybrid in its joint phases, at the sizes of the course, for benchmarks of training."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import SceneConfig
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.fusion.view import View
from hybridlab.model import HybridClassifier
from hybridlab.training.augmentation import object_boxes
from hybridlab.training.features import scene_images
from hybridlab.training.hybrid_data import HybridData
from hybridlab.training.hybrid_task import HybridTask
from hybridlab.training.speed import with_channels_last
from hybridlab.training.stage import Part, Stage

LABELS, BATCH = 80, 64
JOINT = ("fusion", "label_head", "contrastive_head")
WEIGHTS = {"classification": 1.0, "contrastive": 0.1}


def hybrid(fusion: str = "class_attention", labels: int = LABELS) -> HybridClassifier:
    """With the encoders of the course, and weights drawn at random: none are needed for speed."""
    torch.manual_seed(0)
    cnn = build_cnn("efficientnet_lite0", stage="stage5", image_size=192, pretrained=False)
    decoder = LabelDecoder(cnn.channels, labels)
    texts = F.normalize(torch.randn(labels, 256), dim=-1)
    model = HybridClassifier(cnn, decoder, build_tiny_clip(pretrained=False), texts, fusion=fusion,
                             view="map", tokens="map")
    return with_channels_last(model.eval())  # type: ignore[return-value]


def views(rows: int) -> tuple[View, View]:
    """Of the shapes that the encoders give: 36 places of the CNN's map, 16 patches of CLIP's."""
    draw = torch.Generator().manual_seed(0)
    rnn = torch.randn(rows, 36, 320, generator=draw)
    clip = torch.randn(rows, 16, 256, generator=draw)
    return View(rnn.mean(dim=1), rnn), View(clip.mean(dim=1), clip)


def data(rows: int, pictures: bool = False) -> HybridData:
    """Drawn scenes where pictures are asked for; else views alone."""
    rnn, clip = views(rows)
    if not pictures:
        draw = torch.Generator().manual_seed(1)
        targets = (torch.rand(rows, LABELS, generator=draw) < 0.04).float()
        return HybridData(targets, rnn, clip)
    scenes = SceneDataset(rows, "train", SceneConfig())
    images, targets = scene_images(scenes)
    return HybridData(targets, rnn, clip, images, object_boxes(scenes))


def task(rows: int, pictures: bool = False) -> HybridTask:
    """Nothing is held: validation is no part of a step."""
    train = data(rows, pictures)
    none = View(train.rnn.pooled[:0], None), View(train.clip.pooled[:0], None)
    return HybridTask(train, HybridData(train.targets[:0], *none))


def phase_1(epochs: int) -> Stage:
    """Fusion and heads on kept views."""
    return Stage("phase 1", tuple(Part(name, 1e-3) for name in JOINT), epochs=epochs,
                 batch_size=BATCH, weights=WEIGHTS)


def phase_2(epochs: int, augment: str = "") -> Stage:
    """CLIP's tower learns, too."""
    parts = (*phase_1(1).parts, Part("clip.vision", 1e-4, 0.7))
    return Stage("phase 2", parts, epochs=epochs, batch_size=BATCH, weights=WEIGHTS,
                 augment=augment)
