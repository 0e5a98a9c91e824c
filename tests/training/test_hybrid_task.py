"""The hybrid's joint phases: the loss is the hybrid's, and only what learns looks anew."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.fusion.view import View
from hybridlab.model import HybridClassifier
from hybridlab.total_loss import HybridLoss
from hybridlab.training.hybrid_task import HybridData, HybridTask, tower_learns
from hybridlab.training.sampling import batches, epoch_rows
from hybridlab.training.stage import Part, Stage
from hybridlab.training.trainer import EpochReport, StepReport, train_stages

LABELS, ROWS, HELD = 5, 13, 7
JOINT = tuple(Part(name, 1e-2) for name in ("fusion", "label_head", "contrastive_head"))
WEIGHTS = {"classification": 1.0, "contrastive": 0.3}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def fabric():
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


def hybrid(fusion: str = "concat", **options) -> HybridClassifier:
    torch.manual_seed(0)
    cnn = build_cnn("efficientnet_lite0", stage="stage4", image_size=64, pretrained=False)
    decoder = LabelDecoder(cnn.channels, LABELS, dim=16, max_steps=4)
    texts = F.normalize(torch.randn(LABELS, 256), dim=-1)
    clip = build_tiny_clip(pretrained=False)
    return HybridClassifier(cnn, decoder, clip, texts, dim=16, fusion=fusion, dropout=0.0,
                            tokens="map", **options).eval()


def data(model: HybridClassifier, count: int, seed: int) -> HybridData:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=draw)
    targets = (torch.rand(count, LABELS, generator=draw) < 0.4).float()
    targets[torch.rand(count, LABELS, generator=draw) < 0.1] = -1
    with torch.no_grad():
        tokens = model.cnn(F.interpolate(images.float() / 255, size=64)).tokens
        rnn = model.decoder_view(model.decoder.decode(tokens), tokens)
        clip = model.clip_view(model.clip.encode_image(model.clip.preprocessing(images)))
    return HybridData(targets, rnn, clip, images)


def task_of(model: HybridClassifier, **options) -> HybridTask:
    train, held = data(model, ROWS, 1), data(model, HELD, 2)
    model.fit_views(train.rnn, train.clip)
    return HybridTask(train, held, **options)


@pytest.mark.parametrize("names", [
    {}, {"classification": "asl", "alignment": "supcon"}, {"alignment": "sigmoid"},
])
@pytest.mark.parametrize("fusion", ["concat", "class_attention"])
def test_the_loss_of_a_step_is_the_hybrids(fabric, fusion, names):
    model = hybrid(fusion)
    task, reports = task_of(model, **names), []
    loss = HybridLoss(1.0, 0.3, **names)
    first = batches(epoch_rows(ROWS, 4, 0), 6)[0]
    with torch.no_grad():
        out = model.fuse(task.train.rnn.rows(first), task.train.clip.rows(first))
        expected = float(loss(out.logits, out.contrastive_logits, task.train.targets[first]))
    stage = Stage("phase 1", JOINT, epochs=1, batch_size=6, weights=WEIGHTS, accumulate=2)
    train_stages(model, task, [stage], fabric, seed=4, report=reports.append)
    assert reports[0].loss == pytest.approx(expected, rel=1e-5)
    assert set(reports[0].terms) == {"classification", "contrastive"}
    ends = [each for each in reports if isinstance(each, EpochReport)]
    with torch.no_grad():
        again = model.fuse(task.held.rnn, task.held.clip).logits
    assert task.score(again) == pytest.approx(ends[0].score)


def test_in_phase_2_the_tower_sees_pictures_and_the_rest_rests(fabric):
    model = hybrid()
    task = task_of(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stages = [
        Stage("phase 1", JOINT, epochs=1, batch_size=5, weights=WEIGHTS),
        Stage("phase 2", (*JOINT, Part("clip.vision", 1e-3, layer_decay=0.7)), epochs=1,
              batch_size=5, weights=WEIGHTS),
    ]
    reports = []
    train_stages(model, task, stages, fabric, report=reports.append)
    changed = {name for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])}
    assert any(name.startswith("clip.") and "weight" in name for name in changed)
    assert not any(name.startswith(("cnn.", "decoder.", "view_", "text_emb")) for name in changed)
    assert not any("running_" in name for name in changed)  # BatchNorm keeps its statistics
    assert not any("text" in name for name in changed if name.startswith("clip."))
    end = [each for each in reports if isinstance(each, EpochReport)][-1]
    with torch.no_grad():
        seen = model.clip_view(model.clip.encode_image(
            model.clip.preprocessing(task.held.images)))
        now = model.fuse(task.held.rnn, seen).logits
        stale = model.fuse(task.held.rnn, task.held.clip).logits
    assert task.score(now) == pytest.approx(end.score) and not torch.allclose(now, stale)


def train(fabric, folder):
    torch.set_num_threads(1)
    model, reports = hybrid(), []
    stages = [
        Stage("phase 1", JOINT, epochs=1, batch_size=6, weights=WEIGHTS),
        Stage("phase 2", (*JOINT, Part("clip.vision", 1e-3)), epochs=1, batch_size=6,
              weights=WEIGHTS),
    ]
    train_stages(model, task_of(model), stages, fabric, report=reports.append)
    told = [each.loss if isinstance(each, StepReport) else each.score for each in reports]
    (folder / f"{fabric.world_size}-{fabric.global_rank}.json").write_text(json.dumps(told))


def test_two_processes_follow_one_with_the_contrastive_term_and_an_empty_share(tmp_path):
    """13 rows in batches of 6: of the last one, the second process has none."""
    for world in (1, 2):
        strategy = "auto" if world == 1 else DDPStrategy(
            start_method="fork", find_unused_parameters=True
        )
        Fabric(accelerator="cpu", devices=world, strategy=strategy).launch(train, tmp_path)
    one, two = (json.loads((tmp_path / f"{world}-0.json").read_text()) for world in (1, 2))
    assert two == pytest.approx(one, abs=1e-4)


def test_parts_of_a_batch_add_up(fabric):
    model = hybrid()
    task = task_of(model)
    stage = Stage("phase 1", JOINT, epochs=1, weights=WEIGHTS)
    rows = torch.arange(ROWS)
    with torch.no_grad():
        whole = task.sums(model, task.batch(rows, stage, 0), stage)
        parts = [task.sums(model, task.batch(few, stage, 0), stage)
                 for few in (rows[:4], rows[4:4], rows[4:])]
    for name, value in whole.items():
        assert torch.allclose(sum(part[name] for part in parts), value, rtol=1e-5)


def test_mistakes_are_named():
    model = hybrid()
    task = task_of(model)
    for part in ("", "cnn", "cnn.trunk", "decoder"):
        with pytest.raises(ValueError, match="train CNN and decoder before the joint phases"):
            tower_learns(Stage("s", (Part(part, 0.1),), epochs=1))
    rows = torch.arange(2)
    for weights, words in (({"volume": 1.0}, "weighs volume"),
                           ({"contrastive": 0.0}, "nothing would be learnt")):
        with pytest.raises(ValueError, match=words):
            task.counts(rows, Stage("s", JOINT, epochs=1, weights=weights))
    with pytest.raises(ValueError, match="curriculum is 'clutter'; this task knows 'labels'"):
        task.difficulty("clutter")
    blind = HybridTask(HybridData(task.train.targets, task.train.rnn, task.train.clip), task.held)
    with pytest.raises(ValueError, match="tower learns, but the data holds no images"):
        blind.batch(rows, Stage("s", (Part("clip.vision", 0.1),), epochs=1), 0)
    other = HybridData(torch.zeros(2, 3), View(torch.zeros(2, 3)), View(torch.zeros(2, 256)))
    with pytest.raises(ValueError, match="train has 5 labels and held 3"):
        HybridTask(task.train, other)
