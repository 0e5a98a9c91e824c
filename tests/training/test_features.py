"""The feature cache: right, keyed by everything that matters, and never in the way."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
import torch

from hybridlab.configs import DemoConfig
from hybridlab.data.folder import folder_photos
from hybridlab.data.layouts import read_splits
from hybridlab.data.sample_files import write_sample
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import SceneConfig
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.training.feature_cache import cached, feature_key
from hybridlab.training.features import clip_features, cnn_features, scene_images
from hybridlab.training.held import Held
from hybridlab.training.probe import train_linear


@pytest.fixture(scope="module")
def cnn():
    return build_cnn("efficientnet_lite0").eval()


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return build_tiny_clip(pretrained=False).eval()


def test_images_and_targets_are_those_of_the_scenes():
    data = SceneDataset(5, "val")
    images, targets = scene_images(data)
    assert images.shape == (5, 3, 96, 96) and images.dtype == torch.uint8
    assert torch.equal(images[3].permute(1, 2, 0), torch.from_numpy(data[3].image))
    assert torch.equal(targets[3], torch.from_numpy(data[3].targets))


def test_pictures_in_files_go_the_same_way_as_scenes(tmp_path, clip):
    """Files -> features -> a probe, with a fifth of the labels not annotated (-1)."""
    folder = write_sample(tmp_path / "set", SceneConfig(missing=0.2), count=24, test=12)
    train = read_splits(folder)[""].resized(96)
    val = folder_photos(folder / "test_images", folder / "test_annotations.json",
                        vocabulary=train.vocabulary, image_size=96)
    images, targets = scene_images(train)
    assert images.shape == (24, 3, 96, 96) and torch.equal(
        images[3].permute(1, 2, 0), torch.from_numpy(train[3].image))
    assert torch.equal(targets, torch.from_numpy(train.label_matrix()))
    assert set(targets.unique().tolist()) == {-1, 0, 1}
    assert feature_key(clip, train) != feature_key(clip, val)
    found, held = (clip_features(clip, scene_images(data)[0])["image_emb"]
                   for data in (train, val))
    truth = torch.from_numpy(val.label_matrix())
    config = replace(DemoConfig.quick(), linear_epochs=60, batch_size=8)
    probe = train_linear("p", found, targets, Held((held,), truth), config)
    learnt = mean_ap(probe(found).detach().numpy(), targets.numpy()).value
    assert learnt > 0.6, "of the pictures that it learnt from"
    # what is not annotated is not taken for absent
    absent = train_linear("p", found, targets.clamp(min=0), Held((held,), truth), config)
    assert not torch.equal(absent(held), probe(held))


def test_pictures_of_several_sizes_are_not_stacked(tmp_path):
    folder = write_sample(tmp_path / "set", SceneConfig(image_size=64), count=2, test=1)
    with pytest.raises(ValueError, match=r"the 2 pictures have sizes .* `resized\(224\)`"):
        scene_images(read_splits(folder)[""])


@torch.no_grad()
def test_features_are_those_of_the_encoders_whatever_the_chunks(cnn, clip, monkeypatch):
    from hybridlab.training import features

    monkeypatch.setattr(features, "CHUNK", 2)
    images, _ = scene_images(SceneDataset(5))
    tokens = cnn_features(cnn, images)["tokens"]
    whole = cnn(cnn.preprocessing(images)).tokens
    assert torch.allclose(tokens.float(), whole, atol=2e-2, rtol=2e-3)
    found, own = clip_features(clip, images), clip.encode_image(clip.preprocessing(images))
    assert torch.allclose(found["image_emb"], own.image_emb, atol=1e-5)
    none, _ = scene_images(SceneDataset(0))
    assert len(cnn_features(cnn, none)["tokens"]) == len(clip_features(clip, none)["tokens"]) == 0


def test_a_key_tells_apart_weights_preprocessing_and_data(cnn, clip):
    from dataclasses import replace

    data = SceneDataset(5)
    keys = {
        feature_key(cnn, data),
        feature_key(clip, data),
        feature_key(cnn, SceneDataset(6)),
        feature_key(cnn, SceneDataset(5, config=SceneConfig(clutter=0.4))),
        feature_key(build_cnn("efficientnet_lite0", pretrained=False), data),
    }
    original = cnn.preprocessing
    cnn.preprocessing = replace(original, image_size=128)
    keys.add(feature_key(cnn, data))
    cnn.preprocessing = original
    assert len(keys) == 6
    assert feature_key(cnn, data) == feature_key(build_cnn("efficientnet_lite0"), SceneDataset(5))


def test_the_second_call_reads_and_a_damaged_file_is_made_anew(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"x": torch.arange(6.0)}

    folder = tmp_path / "cache"
    first = cached(folder, "key", compute)
    assert torch.equal(cached(folder, "key", compute)["x"], first["x"]) and len(calls) == 1
    file = folder / "key.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    assert torch.equal(cached(folder, "key", compute)["x"], first["x"]) and len(calls) == 2
    assert torch.equal(cached(folder, "key", compute)["x"], first["x"]) and len(calls) == 2
    cached(folder, "other", compute)
    cached(None, "key", compute)
    assert len(calls) == 4 and len(list(folder.glob("*.safetensors"))) == 2


def test_of_several_processes_one_computes_and_the_others_wait(tmp_path):
    """Threads stand for processes here: each takes the file's lock anew."""
    calls, found = [], []

    def compute():
        calls.append(1)
        time.sleep(0.2)
        return {"x": torch.ones(3)}

    threads = [
        threading.Thread(target=lambda: found.append(cached(tmp_path, "key", compute)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and len(found) == 4
    assert all(torch.equal(each["x"], torch.ones(3)) for each in found)


def test_pooled_features_are_those_of_the_whole_network():
    images = scene_images(SceneDataset(3))[0]
    whole, cut = (build_cnn("efficientnet_lite0", stage=stage) for stage in (None, "stage5"))
    rest = torch.nn.Sequential(*list(whole.trunk)[len(cut.trunk) :])
    made, plain = cnn_features(cut, images, rest), cnn_features(whole, images)
    assert made["tokens"].shape == (3, 49, 320) and made["pooled"].shape == (3, 1280)
    assert torch.allclose(made["pooled"], plain["pooled"], atol=1e-5)
    assert torch.allclose(plain["tokens"].float().mean(1), plain["pooled"], atol=1e-2)


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    made = cached(blocker / "in", "k", lambda: {"x": torch.ones(2)})
    assert torch.equal(made["x"], torch.ones(2))
    assert blocker.read_text() == "not a folder"
