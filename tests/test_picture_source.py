"""Scenes as a source of training: the same pictures, and the same names of cached features, as the
studies have."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric

from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SPLITS, SceneDataset, label_matrix
from hybridlab.data.world import WORLD, SceneConfig
from hybridlab.frozen import clip_key, cnn_key, drawn
from hybridlab.picture_source import SceneSource
from hybridlab.staged import MOST_STEPS, StagedRun
from hybridlab.training.augmentation import object_boxes
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.plans import TrainPlan

SIZES = (5, 3, 4)
TINY = DemoConfig(train=5, val=3, test=4, batch_size=4, cnn_size=64, dim=16, seed=3)


@pytest.fixture(scope="module")
def source():
    return SceneSource(SIZES, SceneConfig(seed=3))


def test_it_is_the_scenes(source):
    assert source.vocabulary == WORLD and source.texts[:2] == ("a cow", "a glass of milk")
    assert list(source.splits) == list(SPLITS) and source.facts() == {} and source.scenes
    for size, split in zip(SIZES, SPLITS, strict=True):
        data = SceneDataset(size, split, SceneConfig(seed=3))
        assert source.splits[split].fingerprint() == data.fingerprint()
        assert torch.equal(source.targets[split], torch.from_numpy(label_matrix(data)))
        assert torch.equal(source.pictures(split), drawn(data))
        (all_of_them,) = source.chunks(split, 1, 3, None)
        assert torch.equal(all_of_them, drawn(data)[1:3])
    there = source.boxes("train")
    assert torch.equal(there.labels, object_boxes(source.splits["train"]).labels)
    assert len(source.clutter("train")) == 5


def test_a_training_keeps_features_under_the_names_that_studies_know(tmp_path):
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    run = StagedRun(TINY, TrainPlan(), DeviceConfig(), fabric, None, tmp_path)
    cnn, clip = run.encoders.cnn(), run.encoders.clip()
    for split in SPLITS:
        run.views.cnn_tokens(cnn, split)
        run.views.clip_view(clip, split)
    scenes = [SceneDataset(size, split, SceneConfig(seed=3))
              for size, split in zip(SIZES, SPLITS, strict=True)]
    expected = {key for each in scenes for key in (cnn_key(64, "stage5", each), clip_key(each))}
    assert {each.stem for each in tmp_path.glob("*.safetensors")} == expected
    assert run.n_labels == 80 and run.most_steps == MOST_STEPS == 9
