"""Gemma 3's vision tower: transformers' real classes in a tiny size, with random weights."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.gemma import VISION, build_gemma_tower, gemma_config, siglip_head
from hybridlab.encoders.preprocessing import Preprocessing

HALF = (0.5, 0.5, 0.5)
TINY = {
    "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "image_size": 56, "patch_size": 7,
}
LANGUAGE = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 20,
}


def tiny_config() -> Gemma3Config:
    return gemma_config(language_dim=32, tokens=4, **TINY)


def noise(size: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def whole():
    """A whole Gemma 3, the language model too."""
    config = Gemma3Config(
        text_config=LANGUAGE, vision_config={**TINY, "vision_use_head": False},
        mm_tokens_per_image=4, image_token_index=19, boi_token_index=17, eoi_token_index=18,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Gemma3ForConditionalGeneration(config).eval()
    projector = model.model.multi_modal_projector  # zeros as it is made
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(projector.mm_input_projection_weight, generator=generator)
    torch.nn.init.normal_(projector.mm_soft_emb_norm.weight, std=0.1, generator=generator)
    return model


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory):
    """As transformers writes it, in several files."""
    place = tmp_path_factory.mktemp("gemma")
    whole.save_pretrained(place, max_shard_size="20KB")
    Gemma3ImageProcessor(size={"height": 56, "width": 56}).save_pretrained(place)
    assert len(list(place.glob("*.safetensors"))) > 2
    return place


def test_a_folder_gives_what_the_whole_model_sees(whole, folder):
    tower = build_gemma_tower(folder)
    seen = tower.encode_image(noise(56))
    expected = whole.get_image_features(noise(56))
    torch.testing.assert_close(seen.projected, expected.pooler_output, atol=1e-5, rtol=0)
    assert seen.projected.std() > 1e-2
    assert (tower.dim, tower.language_dim) == (48, 32) and seen.grid == (2, 2)
    states = expected.last_hidden_state.view(2, 8, 8, 48)
    for place, (row, column) in enumerate(np.ndindex(2, 2)):
        square = states[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        torch.testing.assert_close(seen.tokens[:, place], square.mean((1, 2)), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        seen.pooled, expected.last_hidden_state.mean(dim=1), atol=1e-5, rtol=0
    )
    assert seen.image_emb is None
    assert tower.preprocessing == Preprocessing(56, HALF, HALF, "bilinear", "squash")
    assert not any("language" in name or "embed_tokens" in name for name in tower.state_dict())


def test_older_names_and_half_precision_in_one_file(folder, tmp_path):
    """The published files nest the tower in "vision_model." and are in bfloat16."""
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        for key, value in load_file(file).items():
            at = key.find("vision_tower.")
            name = key if at < 0 else f"vision_tower.vision_model.{key[at + 13 :]}"
            name = name.replace("vision_model.vision_model.", "vision_model.")
            if "projector" in key:
                name = key[key.index("multi_modal_projector") :]
            tensors[name] = value.bfloat16()
    save_file(tensors, tmp_path / "model.safetensors")
    for name in ("config.json", "processor_config.json", "preprocessor_config.json"):
        if (folder / name).exists():
            (tmp_path / name).write_text((folder / name).read_text())
    old = build_gemma_tower(tmp_path)
    assert all(value.dtype == torch.float32 for value in old.parameters())
    one, other = (build.encode_image(noise(56)) for build in (old, build_gemma_tower(folder)))
    torch.testing.assert_close(one.projected, other.projected, atol=0.1, rtol=0.05)


def test_the_published_size_gives_256_tokens():
    """All that decides the shapes is Gemma's own; only widths and depth are small."""
    assert (VISION["image_size"], VISION["patch_size"]) == (896, 14)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    tower = build_gemma_tower(gemma_config(language_dim=16, **small, num_attention_heads=1))
    seen = tower.encode_image(noise(896, 1))
    assert seen.tokens.shape == (1, 256, 8) and seen.projected.shape == (1, 256, 16)
    assert seen.grid == (16, 16)
    assert tower.preprocessing == Preprocessing(896, HALF, HALF, "bilinear", "squash")
    vision = gemma_config().vision_config
    assert (vision.hidden_size, vision.num_hidden_layers) == (1152, 27)
    assert gemma_config().text_config.hidden_size == 2560


def test_preprocessing_is_transformers_own():
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    theirs = Gemma3ImageProcessor(size={"height": 56, "width": 56})([image], return_tensors="pt")
    ours = build_gemma_tower(tiny_config()).preprocessing([image])
    torch.testing.assert_close(ours, theirs["pixel_values"], atol=0.02, rtol=0)


def test_random_weights_are_repeatable_and_alive():
    before = torch.get_rng_state()
    config = tiny_config()
    config.vision_config.vision_use_head = True
    one, same, other = (build_gemma_tower(config, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert config.vision_config.vision_use_head  # the caller's is left as it is
    assert one.weights_hash() == same.weights_hash() != other.weights_hash()
    assert not any("head" in name for name in one.state_dict()) and not one.training
    seen = one.encode_image(noise(56))
    assert seen.projected.std() > 1e-2 and seen.tokens.std(dim=1).mean() > 1e-3


def test_a_siglip_head_gives_embeddings(siglip, folder):
    whole = SiglipVisionModel(SiglipVisionConfig(**TINY)).eval()
    tower = build_gemma_tower(tiny_config(), with_head=whole.head)
    tower.tower.load_state_dict(
        {key: value for key, value in whole.state_dict().items() if not key.startswith("head.")}
    )
    seen = tower.encode_image(noise(56))
    expected = F.normalize(whole(noise(56)).pooler_output, dim=-1)
    torch.testing.assert_close(seen.image_emb, expected, atol=1e-5, rtol=0)
    # open_clip's SigLIP has the same head in another class
    head = siglip_head(siglip)
    tower = build_gemma_tower(folder, with_head=head)
    bare = build_gemma_tower(folder)
    states = bare.tower(noise(56)).last_hidden_state
    torch.testing.assert_close(
        tower.encode_image(noise(56)).image_emb, F.normalize(head(states), dim=-1)
    )
    assert tower.weights_hash() != bare.weights_hash()


def test_heads_that_do_not_fit(siglip, tiny):
    wide = gemma_config(language_dim=32, tokens=4, **{**TINY, "hidden_size": 64})
    with pytest.raises(ValueError, match="does not take the tower's states of width 64"):
        build_gemma_tower(wide, with_head=siglip_head(siglip))
    with pytest.raises(ValueError, match=r"gives \(1, 2, 48\).*expected \(1, 48\)"):
        build_gemma_tower(tiny_config(), with_head=torch.nn.Linear(48, 48))
    with pytest.raises(ValueError, match="tiny has no attention-pooling head"):
        siglip_head(tiny)


def test_bad_images_and_sources(tmp_path):
    tower = build_gemma_tower(tiny_config())
    with pytest.raises(ValueError, match=r"56 x 56 pixels.*got 64 x 56"):
        tower.encode_image(torch.zeros(1, 3, 64, 56))
    with pytest.raises(TypeError, match="preprocessing"):
        tower.encode_image(torch.zeros(1, 3, 56, 56, dtype=torch.uint8))
    with pytest.raises(TypeError, match="source is a dict"):
        build_gemma_tower({"hidden_size": 8})
    with pytest.raises(ValueError, match="8 x 8 places, which cannot be averaged to 9 tokens"):
        build_gemma_tower(gemma_config(tokens=9, language_dim=32, **TINY))
    with pytest.raises(ValueError, match="to 5 tokens"):
        build_gemma_tower(gemma_config(tokens=5, language_dim=32, **TINY))
    with pytest.raises(MissingWeightsError, match=r"'who/what' is no folder.*licence"):
        build_gemma_tower("who/what")
    with pytest.raises(MissingWeightsError, match="is no folder"):
        build_gemma_tower(tmp_path / "nowhere")
    with pytest.raises(MissingWeightsError, match=r"no config\.json"):
        build_gemma_tower(tmp_path)


def test_folders_that_are_damaged_or_of_another_model(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "model_type": "gemma3_text"}))
    with pytest.raises(ValueError, match="type 'gemma3_text', expected 'gemma3'"):
        build_gemma_tower(tmp_path)
    wide = {**config, "vision_config": {**config["vision_config"], "intermediate_size": 72}}
    path.write_text(json.dumps(wide))
    with pytest.raises(ValueError, match=r"do not fit Gemma 3's vision_tower: .*another shape"):
        build_gemma_tower(tmp_path)
    path.write_text(json.dumps(config))
    processors = [tmp_path / name for name in ("preprocessor_config.json", "processor_config.json")]
    for processor in processors:
        processor.unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"does not tell how images are prepared \(image_mean"):
        build_gemma_tower(tmp_path)
    mine = Preprocessing(56, HALF, HALF, "bicubic")
    assert build_gemma_tower(tmp_path, preprocessing=mine).preprocessing == mine
    crop = {"image_mean": HALF, "image_std": HALF, "resample": 2, "size": {"shortest_edge": 56}}
    processors[0].write_text(json.dumps(crop))
    with pytest.raises(ValueError, match=r"\(size of"):
        build_gemma_tower(tmp_path)
    places = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    for file in {file for key, file in places.items() if "projector" in key}:
        (tmp_path / file).unlink()
    with pytest.raises(MissingWeightsError, match=r"there is no model-\S+ in"):
        build_gemma_tower(tmp_path, preprocessing=mine)


def test_preprocessing_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"makes images of 896 x 896 pixels.*reads 56 x 56"):
        build_gemma_tower(tiny_config(), preprocessing=Preprocessing(896))


def test_an_absent_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if not installed
    for call in (gemma_config, lambda: build_gemma_tower("google/gemma-3-4b-it")):
        with pytest.raises(ImportError, match=r"pip install 'hybridlab\[gemma\]'"):
            call()
