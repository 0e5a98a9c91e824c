"""Models by name, from files and from folders; what cannot be right is refused in few words."""

from __future__ import annotations

import json
import shutil
import sys
import time

import pytest
import torch
from open_clip import factory, pretrained
from open_clip.transformer import QuickGELU
from safetensors.torch import save_file, save_model

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.checkpoints import misfit
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.clip_hub import build_clip, recorded_preprocessing
from hybridlab.encoders.preprocessing import Preprocessing

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
SMALL = Preprocessing(64, (0.1, 0.2, 0.3))


@pytest.fixture
def no_network(monkeypatch):
    """A closed port stands for "no network"."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_weights_that_cannot_be_had_are_named_quickly(no_network, tmp_path):
    """Never a silent random initialisation."""
    started = time.perf_counter()
    with pytest.raises(MissingWeightsError, match="ViT-B-32:laion2b_s34b_b79k") as caught:
        build_clip("ViT-B-32:laion2b_s34b_b79k")
    assert time.perf_counter() - started < 20
    assert "open_clip_model.safetensors" in str(caught.value) and "'tiny'" in str(caught.value)
    with pytest.raises(MissingWeightsError, match="pretrain-clip"):
        build_tiny_clip(folder=tmp_path)


def test_names_and_arguments_that_cannot_be_right_are_refused(tmp_path):
    for name, says in [
        ("ViT-B-33", "ViT-B-32"),
        ("ViT-B-16-SigLIP3", "ViT-B-16-SigLIP2"),
        ("ViT-B-32:laion2b", "laion"),
        ("ViT-B-32", r"name a tag, as in MODEL:TAG; .*openai.*datacomp_xl"),
        ("coca_base", "no weights of coca_base; pass weights_path="),
    ]:
        with pytest.raises(ValueError, match=says):
            build_clip(name)
    weights = tmp_path / "mine.safetensors"
    with pytest.raises(ValueError, match="preprocessing="):
        build_clip("ViT-B-32", weights_path=weights)
    with pytest.raises(MissingWeightsError, match=r"mine\.safetensors"):
        build_clip("ViT-B-32", weights_path=weights, preprocessing=Preprocessing())
    with pytest.raises(ValueError, match="one of the two"):
        build_clip("ViT-B-32", weights_path=weights, pretrained=False)
    for option in ({"weights_path": weights}, {"preprocessing": SMALL}):
        with pytest.raises(ValueError, match="its own weights and preprocessing"):
            build_clip("tiny", **option)


def test_what_is_recorded_of_a_tag_serves_for_a_local_file_of_its_weights():
    clip = recorded_preprocessing("ViT-B-32:openai")
    assert clip.mean == OPENAI_MEAN and (clip.image_size, clip.resize_mode) == (224, "crop")
    siglip = recorded_preprocessing("ViT-SO400M-14-SigLIP-384:webli")
    assert siglip == Preprocessing(384, (0.5,) * 3, (0.5,) * 3, "bicubic", "squash")
    for name, says in [
        ("ViT-B-33:openai", "ViT-B-32"), ("ViT-B-32", "name a tag"), ("ViT-B-32:laion2b", "laion"),
    ]:
        with pytest.raises(ValueError, match=says):
            recorded_preprocessing(name)


def test_random_weights_are_repeatable_and_leave_the_global_generator(small_names):
    before = torch.get_rng_state()
    one, same, other = (
        build_clip("small-RN50", pretrained=False, seed=seed).weights_hash() for seed in (3, 3, 4)
    )
    tiny = [build_clip("tiny", pretrained=False, seed=seed).weights_hash() for seed in (3, 3, 4)]
    assert torch.equal(torch.get_rng_state(), before)
    assert one == same != other and tiny[0] == tiny[1] != tiny[2]


def test_a_local_checkpoint_keeps_the_preprocessing_it_was_given(resnet, tmp_path):
    save_model(resnet.model, tmp_path / "rn.safetensors")
    loaded = build_clip("small-RN50", weights_path=tmp_path / "rn.safetensors", preprocessing=SMALL)
    assert loaded.preprocessing == SMALL and loaded.weights_hash() == resnet.weights_hash()
    with pytest.raises(ValueError, match="224 x 224 pixels, but small-RN50 reads 64 x 64"):
        build_clip(
            "small-RN50", weights_path=tmp_path / "rn.safetensors", preprocessing=Preprocessing()
        )


def test_a_checkpoint_of_another_architecture_is_told_in_few_words(
    resnet, siglip, small_names, tmp_path, monkeypatch
):
    save_model(resnet.model, tmp_path / "rn.safetensors")
    with pytest.raises(ValueError) as caught:
        build_clip("small-SigLIP", weights_path=tmp_path / "rn.safetensors", preprocessing=SMALL)
    told = str(caught.value)
    assert len(told) < 500 and "\n" not in told
    names, given = siglip.model.state_dict(), resnet.model.state_dict()
    missing = len(names.keys() - given.keys())
    assert f"{missing} of the model's {len(names)} tensors are missing" in told
    assert f"of its {len(given)} are unexpected" in told
    for part in ("rn.safetensors does not fit small-SigLIP", "Build the architecture"):
        assert part in told
    # the same names in another width
    wide = json.loads(json.dumps(factory._MODEL_CONFIGS["small-RN50"]))
    wide["embed_dim"] = 32
    monkeypatch.setitem(factory._MODEL_CONFIGS, "wide-RN50", wide)
    with pytest.raises(ValueError, match=r"\d+ have another shape \('\S+' is \(.*24.*32"):
        build_clip("wide-RN50", weights_path=tmp_path / "rn.safetensors", preprocessing=SMALL)
    (tmp_path / "cut.safetensors").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"cut\.safetensors is not a readable weights file"):
        build_clip("small-RN50", weights_path=tmp_path / "cut.safetensors", preprocessing=SMALL)


def test_positions_of_another_image_size_are_refused_and_not_stretched(small_names, tmp_path):
    """open_clip would stretch them without a word."""
    plan = {"embed_dim": 8, "vision_cfg": {"image_size": 32, "layers": 1, "width": 64,
                                           "patch_size": 16},
            "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2,
                         "layers": 1}}
    larger = {**plan, "vision_cfg": {**plan["vision_cfg"], "image_size": 64}}
    for name, config in (("small-ViT-32", plan), ("small-ViT-64", larger)):
        factory._MODEL_CONFIGS[name] = config
    try:
        save_model(build_clip("small-ViT-32", pretrained=False).model, tmp_path / "vit.safetensors")
        with pytest.raises(ValueError, match=r"trained at another size or context"):
            build_clip("small-ViT-64", weights_path=tmp_path / "vit.safetensors",
                       preprocessing=Preprocessing(64))
        fine = build_clip("small-ViT-32", weights_path=tmp_path / "vit.safetensors",
                          preprocessing=Preprocessing(32))
        assert fine.preprocessing.image_size == 32
    finally:
        for name in ("small-ViT-32", "small-ViT-64"):
            del factory._MODEL_CONFIGS[name]


def test_weights_that_are_no_numbers_are_refused(resnet, tmp_path):
    path = tmp_path / "nan.safetensors"
    state = {name: value.clone() for name, value in resnet.model.state_dict().items()}
    state["visual.conv1.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, path)
    with pytest.raises(ValueError, match=r"NaN or infinity in 'visual\.conv1\.weight'"):
        build_clip("small-RN50", weights_path=path, preprocessing=SMALL)


def test_a_text_tower_of_the_hub_is_asked_for_quickly(no_network):
    started = time.perf_counter()
    with pytest.raises(MissingWeightsError, match=r"text tower of roberta-ViT-B-32 .*config\.json"):
        build_clip("roberta-ViT-B-32", pretrained=False)
    assert time.perf_counter() - started < 20


def test_a_file_that_is_not_there_is_not_sought_in_itself():
    with pytest.raises(MissingWeightsError, match=r"there is no file .*nope\.pt; look at"):
        build_clip("ViT-B-32", weights_path="/nope.pt", preprocessing=Preprocessing())


def test_misfit_counts_and_names_the_first():
    a, b = torch.zeros(2, 3), torch.zeros(3)
    assert misfit({"a": a}, {"a": a}) == "nothing differs in names and shapes"
    told = misfit({"a": a, "b": b, "c": b}, {"a": b, "d": b})
    assert told == (
        "2 of the model's 3 tensors are missing in it ('b' first); 1 of its 2 are unexpected "
        "('d' first); 1 have another shape ('a' is (3,), expected (2, 3))"
    )


def test_a_tag_brings_its_activation_and_preprocessing(resnet, small_names, tmp_path, monkeypatch):
    """OpenAI's weights were trained with another GELU, which open_clip records by tag only."""
    import huggingface_hub

    recorded = {
        "hf_hub": "who/what/", "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6),
        "interpolation": "bilinear", "resize_mode": "squash",
    }
    tags = {"quick": {**recorded, "quick_gelu": True}, "usual": recorded}
    monkeypatch.setitem(pretrained._PRETRAINED, "small-RN50", tags)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(sys.modules[huggingface_hub.try_to_load_from_cache.__module__].constants,
                        "HF_HUB_CACHE", str(tmp_path))
    place = tmp_path / "models--who--what"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    (place / "snapshots" / "abc").mkdir(parents=True)
    save_model(resnet.model, place / "snapshots" / "abc" / "open_clip_model.safetensors")
    kinds = {}
    for tag in tags:
        clip = build_clip(f"small-RN50:{tag}")
        assert clip.weights_hash() == resnet.weights_hash()
        assert clip.preprocessing == Preprocessing(
            64, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bilinear", "squash"
        )
        kinds[tag] = type(clip.model.transformer.resblocks[0].mlp.gelu)
    assert kinds == {"quick": QuickGELU, "usual": torch.nn.GELU}


def test_random_weights_take_what_all_tags_of_the_model_agree_on(small_names, monkeypatch):
    half = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic",
            "resize_mode": "squash"}
    tags = {"one": half, "two": dict(half)}
    monkeypatch.setitem(pretrained._PRETRAINED, "small-RN50", tags)
    assert build_clip("small-RN50", pretrained=False).preprocessing == Preprocessing(64)
    tags["three"] = {**half, "mean": (0.1,) * 3}
    got = build_clip("small-RN50", pretrained=False).preprocessing
    assert got.mean == pytest.approx(OPENAI_MEAN) and got.resize_mode == "crop"


def test_a_folder_brings_weights_and_preprocessing(resnet, tmp_path, small_names):
    config = {
        "model_cfg": factory._MODEL_CONFIGS["small-RN50"],
        "preprocess_cfg": {
            "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
            "interpolation": "bilinear", "resize_mode": "longest",
        },
    }
    name = f"local-dir:{tmp_path}"
    with pytest.raises(MissingWeightsError, match=r"no open_clip_config\.json in"):
        build_clip(name)
    path = tmp_path / "open_clip_config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(MissingWeightsError, match=r"no weights in .*open_clip_model\.safetensors"):
        build_clip(name)
    save_model(resnet.model, tmp_path / "open_clip_model.safetensors")
    clip = build_clip(name)
    assert clip.name == name and clip.weights_hash() == resnet.weights_hash()
    assert clip.preprocessing == Preprocessing(
        64, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bilinear", "pad"
    )
    assert torch.equal(clip.encode_text(["a cow"]), resnet.encode_text(["a cow"]))
    assert build_clip(name, pretrained=False).weights_hash() != clip.weights_hash()
    with pytest.raises(ValueError, match="leave weights_path out"):
        build_clip(name, weights_path=path)


@pytest.mark.parametrize("lost", ["mean", "std", "interpolation", "resize_mode", "preprocess_cfg"])
def test_a_folder_that_does_not_tell_its_preprocessing_is_asked(lost, siglip_folder, tmp_path):
    """open_clip would fill the gap with OpenAI's."""
    folder = shutil.copytree(siglip_folder, tmp_path / "model")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    (config if lost in config else config["preprocess_cfg"]).pop(lost)
    path.write_text(json.dumps(config))
    wanted = "mean, std" if lost == "preprocess_cfg" else f"no {lost};"
    with pytest.raises(ValueError, match=rf"{wanted}.*pass preprocessing="):
        build_clip(f"local-dir:{folder}", pretrained=False)
    given = build_clip(f"local-dir:{folder}", pretrained=False, preprocessing=SMALL)
    assert given.preprocessing == SMALL


@pytest.mark.parametrize("text", ["{", "[1]", '{"model": 1}', '{"model_cfg": {"vision_cfg": 3}}'])
def test_a_damaged_configuration_is_refused(text, tmp_path):
    (tmp_path / "open_clip_config.json").write_text(text)
    with pytest.raises(ValueError, match="is not a configuration of open_clip"):
        build_clip(f"local-dir:{tmp_path}")


def test_siglips_tokenizer_names_what_it_lacks(siglip_folder, small_names, monkeypatch, tmp_path):
    """Random weights and images need no tokenizer; texts do."""
    clip = build_clip("small-SigLIP", pretrained=False)
    assert clip.encode_image(torch.zeros(1, 3, 64, 64)).grid == (4, 4)
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if not installed
    extra = r"tokenizer of small-SigLIP needs .*transformers.*'hybridlab\[gemma\]'"
    with pytest.raises(ImportError, match=extra):
        clip.encode_text(["a cow"])
    with pytest.raises(ImportError, match=r"'hybridlab\[gemma\]'"):
        build_clip(f"local-dir:{siglip_folder}")


def test_a_configuration_without_a_text_tower_is_refused(tmp_path):
    told = {"model_cfg": {"embed_dim": 8, "vision_cfg": {"image_size": 32, "layers": 1,
                                                         "width": 64, "patch_size": 16}},
            "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "size": 32,
                               "interpolation": "bicubic", "resize_mode": "squash"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"open_clip_config\.json.* text_cfg"):
        build_clip(f"local-dir:{tmp_path}", pretrained=False)
