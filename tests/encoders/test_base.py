"""Preprocessing, the weights' name, and what frozen means."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torchvision.transforms.v2 import functional as reference

from hybridlab.encoders.base import Preprocessing, freeze, is_frozen, unfreeze, weights_hash

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height, width):
    small = Image.fromarray(noise(6, 7))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def levels(pixels, pre):
    """Back to 0..255."""
    mean, std = torch.tensor(pre.mean).view(3, 1, 1), torch.tensor(pre.std).view(3, 1, 1)
    return (pixels * std + mean) * 255


def test_right_size_is_only_normalised_as_torchvision_does():
    images = torch.from_numpy(np.stack([noise(20, 20, s) for s in range(3)])).permute(0, 3, 1, 2)
    before = images.clone()
    got = Preprocessing(20, MEAN, STD)(images)
    expected = reference.normalize(images.float() / 255, MEAN, STD)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert torch.equal(images, before)
    assert got.is_contiguous(memory_format=torch.channels_last)  # the layout came in, and is kept


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_squash_is_pil_resize(interpolation):
    pre = Preprocessing(32, MEAN, STD, interpolation)
    picture = Image.fromarray(smooth(70, 90))
    expected = picture.resize((32, 32), getattr(Image.Resampling, interpolation.upper()))
    got = levels(pre([picture])[0], pre)
    wanted = torch.from_numpy(np.array(expected)).permute(2, 0, 1)
    assert (got - wanted).abs().max() < 1.6  # rounding of two passes


def test_crop_takes_the_middle_square():
    pre = Preprocessing(30, resize_mode="crop")
    picture = noise(30, 50)
    middle = np.ascontiguousarray(picture[:, 10:40])
    assert torch.equal(pre([picture]), pre([middle]))
    tall = np.ascontiguousarray(picture.transpose(1, 0, 2))
    assert torch.equal(pre([tall])[0], pre([middle])[0].transpose(1, 2))


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [
    (40, 20, slice(0, 32), slice(8, 24)),
    (20, 40, slice(8, 24), slice(0, 32)),
    (1, 1000, slice(15, 16), slice(0, 32)),
])
def test_pad_keeps_the_aspect_and_fills_with_the_mean(height, width, rows, columns):
    pre = Preprocessing(32, MEAN, STD, "bilinear", "pad")
    got = pre([np.full((height, width, 3), 200, np.uint8)])[0]
    assert (levels(got[:, rows, columns], pre) - 200).abs().max() < 1e-3
    outside = got.clone()
    outside[:, rows, columns] = 0
    assert outside.abs().max() == 0


@pytest.mark.parametrize("mode", ["squash", "pad", "crop"])
def test_one_pixel_wide_results_are_right(mode):
    """torch's uint8 kernel reads other memory there; see `Preprocessing._resize`."""
    size = 9 if mode == "pad" else 1
    pre = Preprocessing(size, interpolation="bilinear", resize_mode=mode)
    picture = np.full((90, 2, 3), 0, np.uint8)
    picture[:, 0], picture[:, 1] = 40, 60
    got = levels(pre([picture])[0], pre)
    # in either memory layout
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()
    assert torch.equal(pre(tensor), pre([picture]))
    middle = got[:, :, size // 2]
    torch.testing.assert_close(middle, torch.full_like(middle, 50.0), atol=1e-3, rtol=0)


@given(
    sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=3),
    mode=st.sampled_from(["squash", "pad", "crop"]),
    size=st.integers(1, 40),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_sizes_give_squares(sizes, mode, size):
    pre = Preprocessing(size, resize_mode=mode)
    arrays = [noise(h, w) for h, w in sizes]
    pixels = pre(arrays)
    assert pixels.shape == (len(sizes), 3, size, size)
    assert pixels.dtype == torch.float32
    assert pixels.abs().max() <= 1 + 1e-6
    # each image by itself gives the same, whatever it is batched with and however it comes
    for row, array in zip(pixels, arrays, strict=True):
        assert torch.equal(row, pre([Image.fromarray(array)])[0])
        tensor = torch.from_numpy(array).permute(2, 0, 1)
        assert torch.equal(row, pre([tensor])[0])
        assert torch.equal(row, pre(tensor[None].contiguous())[0])


def test_empty_grey_flipped_and_read_only_images():
    pre = Preprocessing(8)
    assert pre([]).shape == pre(torch.zeros(0, 3, 5, 9, dtype=torch.uint8)).shape == (0, 3, 8, 8)
    grey = Image.fromarray(noise(8, 8)[:, :, 0])
    assert torch.equal(pre([grey])[0, 0], pre([grey])[0, 2])
    picture = noise(8, 8)
    flipped = picture[:, ::-1]
    assert torch.equal(pre([flipped]), pre([picture]).flip(-1))
    picture.flags.writeable = False
    assert torch.equal(pre([flipped]), pre([picture]).flip(-1))
    assert torch.equal(pre(np.stack([picture])), pre([picture]))


@pytest.mark.parametrize(("images", "error", "says"), [
    (Image.new("RGB", (8, 8)), TypeError, r"\[image\]"),
    ("cat.png", TypeError, "list of images"),
    (["cat.png"], TypeError, "PIL images"),
    ([Image.new("RGBA", (8, 8))], ValueError, "load_image"),
    ([Image.new("I;16", (8, 8))], ValueError, "load_image"),
    ([np.zeros((8, 8), np.uint8)], ValueError, r"\(H, W, 3\)"),
    ([np.zeros((3, 8, 8), np.uint8)], ValueError, r"\(H, W, 3\)"),
    ([np.zeros((8, 8, 3))], TypeError, "uint8"),
    ([np.zeros((0, 8, 3), np.uint8)], ValueError, "without pixels"),
    (torch.zeros(1, 3, 8, 8), TypeError, "twice"),
    (torch.zeros(3, 8, 8, dtype=torch.uint8), ValueError, r"\(B, 3, H, W\)"),
    (torch.zeros(1, 4, 8, 8, dtype=torch.uint8), ValueError, r"\(B, 3, H, W\)"),
])
def test_what_is_no_image_is_refused(images, error, says):
    with pytest.raises(error, match=says):
        Preprocessing(8)(images)


def test_preprocessing_survives_json():
    pre = Preprocessing(96, MEAN, STD, "bilinear", "pad")
    assert Preprocessing.from_dict(json.loads(json.dumps(pre.to_dict()))) == pre
    assert hash(pre) == hash(Preprocessing(96, list(MEAN), list(STD), "bilinear", "pad"))


@pytest.mark.parametrize("change", [
    {"image_size": 0}, {"image_size": 8.0}, {"image_size": True}, {"std": (0.5, 0.0, 0.5)},
    {"mean": (0.5, 0.5)}, {"mean": (0.5, float("nan"), 0.5)}, {"interpolation": "nearest"},
    {"resize_mode": "shortest"}, {"crop": 1}, {"mean": 0.5},
])
def test_senseless_preprocessing_is_refused(change):
    values = {**Preprocessing().to_dict(), **change}
    with pytest.raises(ValueError, match=next(iter(change))):
        Preprocessing.from_dict(values)


def test_missing_field_is_not_filled_with_a_default():
    values = Preprocessing(mean=MEAN).to_dict()
    del values["mean"]
    with pytest.raises(ValueError, match="mean"):
        Preprocessing.from_dict(values)


def small_net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))


def test_hash_names_the_weights_and_nothing_else():
    net = small_net()
    name = weights_hash(net)
    assert len(name) == 32
    assert name == weights_hash(copy.deepcopy(net).to(memory_format=torch.channels_last))
    assert name == weights_hash(copy.deepcopy(net).train().requires_grad_(False))
    swapped = nn.Module()
    for key in reversed(list(net._modules)):
        swapped.add_module(key, net._modules[key])
    assert name == weights_hash(swapped)


@pytest.mark.parametrize("change", [
    lambda net: net[0].weight.data.view(-1)[7:8].view(torch.int32).bitwise_xor_(1),  # one bit
    lambda net: net[1].running_var.mul_(2),
    lambda net: net.half(),
    lambda net: setattr(net[1], "running_var", net[1].running_var.view(torch.int32)),
    lambda net: setattr(net[0], "weight", nn.Parameter(net[0].weight.data.view(4, 3, 9, 1))),
    lambda net: net.add_module("late", nn.Linear(1, 1)),
])
def test_hash_sees_every_change(change):
    net = small_net()
    before = weights_hash(net)
    change(net)
    assert weights_hash(net) != before


def test_frozen_stays_in_eval_and_out_of_training():
    inner = small_net()
    inner(torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))).sum().backward()
    parent = nn.Sequential(inner, nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2))
    assert freeze(inner) is inner
    assert is_frozen(inner) and not is_frozen(parent)
    before = weights_hash(inner)
    optimiser = torch.optim.AdamW(parent.parameters(), lr=0.1, weight_decay=0.1)
    parent.train()
    assert parent.training and parent[1].training and parent[2].training
    assert not any(part.training for part in inner.modules())
    inner.train()
    assert not any(part.training for part in inner.modules())
    parent(torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))).sum().backward()
    optimiser.step()
    assert weights_hash(inner) == before  # neither weights nor running statistics moved
    assert parent[1].weight.grad is not None


def test_frozen_survives_copies_and_is_undone():
    net = freeze(small_net())
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert is_frozen(other)
        assert other.train() is other
        assert not any(part.training for part in other.modules())
        unfreeze(other)
        other.train()
        assert all(part.training for part in other.modules())
        assert all(p.requires_grad for p in other.parameters())
    assert is_frozen(net) and not any(p.requires_grad for p in net.parameters())
