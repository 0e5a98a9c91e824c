"""CNN encoders against torchvision's own networks, and what they refuse."""

import time
import warnings

import pytest
import torch
from torch import nn
from torchvision import models

from hybridlab.encoders.base import MissingWeightsError, freeze
from hybridlab.encoders.cnn import build_cnn, cnn_names, stage_names

TORCHVISION = ["resnet50", "resnet101", "resnet152", "vgg16", "inception_v3"]
RESNET50_FILE = "resnet50-0676ba61.pth"


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def noise(size, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, size, size, generator=generator)


def random_encoder(name, **options):
    """With running statistics that are not 0 and 1, so that a lost BatchNorm is seen."""
    encoder = build_cnn(name, pretrained=False, **options)
    generator = torch.Generator().manual_seed(1)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return encoder


def torchvision_twin(encoder):
    """torchvision's network with the encoder's weights, paired in order; no classifier."""
    with torch.device("meta"):
        options = {"init_weights": False} if encoder.name == "inception_v3" else {}
        twin = models.get_model(encoder.name, weights=None, **options).eval()
    left_out = ("fc.", "classifier.", "AuxLogits.")
    names = [name for name in twin.state_dict() if not name.startswith(left_out)]
    state = dict(zip(names, encoder.state_dict().values(), strict=True))
    twin.load_state_dict(state, strict=False, assign=True)
    twin.fc = nn.Identity()
    return twin


@pytest.mark.parametrize("name", TORCHVISION)
def test_penultimate_features_are_torchvisions(name):
    encoder = random_encoder(name)
    twin = torchvision_twin(encoder)
    pixels = noise(107 if name == "inception_v3" else 70)
    out = encoder(pixels)
    if name == "vgg16":
        expected_map = twin.features(pixels)
        torch.testing.assert_close(out.feature_map, expected_map, atol=1e-4, rtol=1e-4)
        expected = expected_map.mean(dim=(2, 3))
    else:
        expected = twin(pixels)
    assert expected.std() > 1e-3
    torch.testing.assert_close(out.pooled, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "layers"), [
    ("resnet50", ["relu", "layer1", "layer2", "layer3", "layer4"]),
    ("vgg16", ["features.3", "features.8", "features.15", "features.22", "features.29",
               "features.30"]),
    ("inception_v3", ["Conv2d_2b_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"]),
])
def test_stages_are_torchvisions_layers(name, layers):
    whole = random_encoder(name)
    twin = torchvision_twin(whole)
    seen = {}
    for layer in layers:
        # the first call only: torchvision's resnet has one relu for its stem
        twin.get_submodule(layer).register_forward_hook(
            lambda _, __, out, layer=layer: seen.setdefault(layer, out.clone())
        )
    pixels = noise(96, batch=1)
    (twin.features if name == "vgg16" else twin)(pixels)
    for stage, layer in zip(stage_names(name), layers, strict=True):
        encoder = random_encoder(name, stage=stage)
        assert list(encoder.trunk._modules) == list(stage_names(name))[: layers.index(layer) + 1]
        out = encoder(pixels)
        torch.testing.assert_close(out.feature_map, seen[layer], atol=1e-4, rtol=1e-4)
        assert encoder.channels == encoder.dim == seen[layer].shape[1]
    assert encoder.stage == whole.stage == stage_names(name)[-1]


def test_inception_takes_the_pixels_its_weights_expect():
    """torchvision re-normalises inside (`transform_input`); here the preprocessing does it."""
    encoder = random_encoder("inception_v3", image_size=80)
    twin = torchvision_twin(encoder)
    twin.transform_input = True  # as torchvision sets it for its weights
    images = torch.randint(
        0, 256, (2, 3, 80, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    expected = twin((images / 255 - mean) / std)
    got = encoder(encoder.preprocessing(images)).pooled
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", cnn_names())
def test_every_stage_at_its_smallest_size(name):
    """One place at least, one pixel less refused, and a batch of none."""
    names = stage_names(name)
    if name not in ("efficientnet_lite0", "resnet50", "vgg16", "inception_v3"):
        names = names[-1:]  # of resnet101, resnet152, lite1 and lite2: their kin are tested whole
    sizes, hashes = [], set()
    for stage in names:
        encoder = build_cnn(name, pretrained=False, stage=stage)
        size = encoder.min_size
        sizes.append(size)
        for batch in (0, 1):
            out = encoder(noise(size, batch))
            height, width = out.feature_map.shape[2:]
            assert height >= 1 and width >= 1
            assert out.feature_map.shape == (batch, encoder.channels, height, width)
            assert out.tokens.shape == (batch, height * width, encoder.dim)
            assert out.pooled.shape == (batch, encoder.dim)
            assert out.pooled.isfinite().all()
        if size > 1:
            with pytest.raises(ValueError, match=f"at least {size} x {size}"):
                encoder(noise(size - 1))
        hashes.add(encoder.weights_hash())
    assert sizes == sorted(sizes)
    assert len(hashes) == len(names)  # "pool5" has the weights of "stage5" and is another encoder


def test_inception_below_its_smallest_size_cannot_be_computed():
    """The table of sizes is torchvision's own limit, not a guess."""
    for stage in stage_names("inception_v3"):
        encoder = build_cnn("inception_v3", pretrained=False, stage=stage)
        with pytest.raises(RuntimeError):
            encoder.trunk(noise(encoder.min_size - 1))


def test_tokens_are_the_map_row_by_row():
    out = build_cnn("efficientnet_lite0", image_size=96)(noise(128))
    assert out.feature_map.shape == (2, 1280, 4, 4)
    assert torch.equal(out.tokens[1, 4 * 2 + 3], out.feature_map[1, :, 2, 3])
    torch.testing.assert_close(out.pooled, out.feature_map.mean(dim=(2, 3)))


def test_a_map_of_many_places_is_averaged_down_for_the_tokens_alone():
    whole = build_cnn("efficientnet_lite0", stage="stage4", pretrained=False)
    few = build_cnn("efficientnet_lite0", stage="stage4", pretrained=False, places=4)
    one, other = whole(noise(128)), few(noise(128))
    assert one.tokens.shape == (2, 64, whole.dim) and other.tokens.shape == (2, 16, whole.dim)
    assert torch.equal(one.feature_map, other.feature_map) and torch.equal(one.pooled, other.pooled)
    quarters = one.tokens.unflatten(1, (4, 2, 4, 2)).mean((2, 4)).flatten(1, 2)
    torch.testing.assert_close(other.tokens, quarters)
    assert whole.weights_hash() != few.weights_hash()
    wide = build_cnn("efficientnet_lite0", stage="stage4", pretrained=False, places=64)
    assert torch.equal(wide(noise(128)).tokens, one.tokens)
    with pytest.raises(ValueError, match="places is 0; give 1 or more"):
        build_cnn("efficientnet_lite0", pretrained=False, places=0)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50", "vgg16"])
def test_channels_last_gives_the_same(name):
    pixels = noise(64)
    encoder = random_encoder(name)
    expected = encoder(pixels)
    before = encoder.weights_hash()
    encoder.to(memory_format=torch.channels_last)
    got = encoder(pixels.contiguous(memory_format=torch.channels_last))
    for field in ("feature_map", "tokens", "pooled"):
        one, other = getattr(got, field), getattr(expected, field)
        assert (one - other).abs().max() < 1e-4 * max(1, other.abs().max())
    assert encoder.weights_hash() == before


def test_random_weights_are_asked_for_repeatable_and_alive():
    before = torch.get_rng_state()
    one, same, other = (build_cnn("resnet50", pretrained=False, seed=s) for s in (3, 3, 4))
    build_cnn("efficientnet_lite0")
    assert torch.equal(torch.get_rng_state(), before)
    assert one.weights_hash() == same.weights_hash() != other.weights_hash()
    part = build_cnn("resnet50", pretrained=False, seed=3, stage="stage2")
    assert torch.equal(part.trunk.stage2[1][0].conv1.weight, one.trunk.stage2[1][0].conv1.weight)
    lite = build_cnn("efficientnet_lite0", pretrained=False)
    depthwise = next(m for m in lite.modules() if isinstance(m, nn.Conv2d) and m.groups > 1)
    assert depthwise.weight.std() == pytest.approx((2 / 9) ** 0.5, rel=0.2)  # 3 x 3
    for name in ("efficientnet_lite0", "resnet50", "vgg16", "inception_v3"):
        encoder = build_cnn(name, pretrained=False)
        pooled = encoder.train()(noise(80)).pooled
        assert 1e-3 < pooled.std() < 1e3, name  # neither vanished nor exploded


def test_an_encoder_is_ready_for_use_and_can_be_frozen():
    encoder = build_cnn("efficientnet_lite0")
    assert not encoder.training
    assert all(p.requires_grad and p.device.type == "cpu" for p in encoder.parameters())
    model = nn.ModuleDict({"cnn": freeze(encoder)}).train()
    before = encoder.weights_hash()
    model["cnn"](noise(64))
    assert encoder.weights_hash() == before


def test_weights_from_torch_hubs_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    given = random_encoder("resnet50")
    state = torchvision_twin(given).state_dict()
    # an old file: it lacks these counters, has a classifier, and is in half precision
    state = {k: v.half() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    state["fc.weight"] = torch.zeros(1000, 2048)
    torch.save(state, folder / RESNET50_FILE)
    got = build_cnn("resnet50")
    assert got.trunk.stage1[0].weight.dtype == torch.float32
    assert not got.trunk.stage1[0].weight.is_meta
    expected = given.half().float()(noise(64))
    torch.testing.assert_close(got(noise(64)).pooled, expected.pooled)
    assert got.preprocessing.mean == (0.485, 0.456, 0.406)

    with pytest.raises(ValueError, match=r"do not fit resnet101.*layer3\.6"):
        build_cnn("resnet101", weights_path=folder / RESNET50_FILE)
    (folder / RESNET50_FILE).write_bytes(b"half a file")
    with pytest.raises(ValueError, match=RESNET50_FILE):
        build_cnn("resnet50")


@pytest.mark.parametrize("name", TORCHVISION)
def test_no_weights_no_network_no_silent_random_ones(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for variable in ("https_proxy", "HTTPS_PROXY"):  # a proxy that nobody runs: no way out
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "hub" / "checkpoints"
    start = time.monotonic()
    with pytest.raises(MissingWeightsError) as caught:
        build_cnn(name)
    assert time.monotonic() - start < 8
    for part in (name.split("_")[0], ".pth", str(folder), "efficientnet_lite0", "weights_path"):
        assert part in str(caught.value)
    assert "://" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_inception_is_built_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder = build_cnn("inception_v3", pretrained=False)
    assert not any("Aux" in name for name, _ in encoder.named_modules())


def test_bad_pixels():
    encoder = build_cnn("efficientnet_lite0", pretrained=False, stage="stage1")
    for pixels, error, says in [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), TypeError, "preprocessing"),
        ([[1.0]], TypeError, "got list"),
        (torch.zeros(3, 64, 64), ValueError, "batch axis"),
        (torch.zeros(1, 64, 64, 3), ValueError, r"\(B, 3, H, W\), got \(1, 64, 64, 3\)"),
        (torch.zeros(1, 1, 64, 64), ValueError, r"\(B, 3, H, W\)"),
        (torch.zeros(0, 3, 0, 0), ValueError, "at least 2 x 2"),
    ]:
        with pytest.raises(error, match=says):
            encoder(pixels)


def test_bad_arguments():
    with pytest.raises(ValueError) as caught:
        build_cnn("resnet5")
    assert all(name in str(caught.value) for name in cnn_names())
    with pytest.raises(ValueError, match="efficientnet_lite0"):
        stage_names("alexnet")
    with pytest.raises(ValueError, match=r"layer4.*stage1.*stage5"):
        build_cnn("resnet50", pretrained=False, stage="layer4")
    with pytest.raises(ValueError, match=r"image_size is 64.*at least 75"):
        build_cnn("inception_v3", pretrained=False, image_size=64)
    assert build_cnn("inception_v3", pretrained=False, image_size=64, stage="stage3").min_size == 27
    with pytest.raises(ValueError, match="one of the two"):
        build_cnn("resnet50", pretrained=False, weights_path="x.pth")
    with pytest.raises(MissingWeightsError, match=r"x\.pth"):
        build_cnn("resnet50", weights_path="x.pth")
