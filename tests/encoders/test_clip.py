"""The tiny CLIP and open_clip models through one interface. Random weights are enough here."""

from __future__ import annotations

import time

import pytest
import torch
import torch.nn.functional as F

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.clip_hub import build_clip
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.encoders.zero_shot import global_scores, label_embeddings, patch_scores


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return build_tiny_clip(pretrained=False).eval()


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return build_clip("ViT-B-32", pretrained=False)


def pixels(size: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_embedding_is_open_clips_own(tiny, vit):
    for clip, size in ((tiny, 128), (tiny, 96), (vit, 224)):
        features = clip.encode_image(pixels(size))
        own = clip.model.encode_image(pixels(size), normalize=True)
        assert torch.allclose(features.image_emb, own, atol=1e-6)


@torch.no_grad()
def test_tokens_lie_in_the_space_of_the_texts(tiny, vit):
    features = tiny.encode_image(pixels(128))
    assert features.grid == (4, 4) and features.tokens.shape == (2, 16, 256)
    mean = F.normalize(features.tokens.mean(1), dim=-1)
    assert torch.allclose(mean, features.image_emb, atol=1e-6)
    features = vit.encode_image(pixels(224))
    assert features.grid == (7, 7) and features.tokens.shape == (2, 49, 512)


@torch.no_grad()
def test_texts_are_unit_vectors_and_equal_open_clips(tiny):
    texts = ["a cow", "an owl in the snow"]
    ours = tiny.encode_text(texts)
    own = tiny.model.encode_text(tiny.tokenizer(texts), normalize=True)
    assert torch.equal(ours, own) and ours.shape == (2, tiny.dim)
    assert torch.allclose(ours.norm(dim=-1), torch.ones(2), atol=1e-5)
    with pytest.raises(ValueError, match="no texts"):
        tiny.encode_text([])


def test_preprocessing_is_the_models_own(tiny, vit):
    assert tiny.preprocessing.mean == (0.5, 0.5, 0.5) and tiny.preprocessing.image_size == 128
    assert vit.preprocessing.image_size == 224
    assert vit.preprocessing.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert vit.preprocessing.resize_mode == "crop"


def test_open_clip_preprocesses_the_tiny_model_as_we_do(tiny):
    """The same picture through open_clip's own transform, built from the same folder."""
    import numpy as np
    import open_clip
    from PIL import Image

    from hybridlab.data.scenes import SceneDataset
    from hybridlab.encoders.clip import TINY_FOLDER

    image = SceneDataset(1)[0].image
    _, _, transform = open_clip.create_model_and_transforms(
        f"local-dir:{TINY_FOLDER}", load_weights=False
    )
    theirs = transform(Image.fromarray(image))
    ours = tiny.preprocessing([np.asarray(image)])[0]
    assert float((ours - theirs).abs().mean()) < 0.01


def test_a_changed_weight_changes_the_hash(tiny):
    before = tiny.weights_hash()
    with torch.no_grad():
        tiny.model.logit_scale += 1e-3
    after = tiny.weights_hash()
    with torch.no_grad():
        tiny.model.logit_scale -= 1e-3
    assert before != after


@torch.no_grad()
def test_label_embeddings_average_unit_vectors(tiny):
    labels, prompts = ["a cow", "an owl", "a car"], ["a photo of {}", "{}"]
    each = [tiny.encode_text([p.format(label) for label in labels]) for p in prompts]
    expected = F.normalize(sum(each) / 2, dim=-1)
    assert torch.allclose(label_embeddings(tiny, labels, prompts), expected, atol=1e-5)


@torch.no_grad()
def test_scores_are_cosines_of_the_whole_and_of_the_best_patch(tiny):
    text_emb = label_embeddings(tiny, ["a cow", "an owl", "a car"])
    features = tiny.encode_image(pixels(96, batch=3))
    whole, best = global_scores(features, text_emb), patch_scores(features, text_emb)
    for b in range(3):
        for at, text in enumerate(text_emb):
            each = [float(F.cosine_similarity(t, text, dim=0)) for t in features.tokens[b]]
            assert float(best[b, at]) == pytest.approx(max(each), abs=1e-5)
            assert float(whole[b, at]) == pytest.approx(
                float(F.cosine_similarity(features.tokens[b].mean(0), text, dim=0)), abs=1e-5
            )


@pytest.mark.parametrize(
    ("labels", "prompts", "words"),
    [([], ["{}"], "0 labels"), (["a cow"], [], "0 prompts"), (["a cow"], ["a photo"], "no place")],
)
def test_prompts_that_cannot_work_are_named(tiny, labels, prompts, words):
    with pytest.raises(ValueError, match=words):
        label_embeddings(tiny, labels, prompts)


def test_weights_that_cannot_be_had_are_named_quickly(monkeypatch, tmp_path):
    """Never a silent random initialisation; a closed port stands for "no network"."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    started = time.perf_counter()
    with pytest.raises(MissingWeightsError, match="ViT-B-32:laion2b_s34b_b79k") as caught:
        build_clip("ViT-B-32:laion2b_s34b_b79k")
    assert time.perf_counter() - started < 20
    assert "open_clip_model.safetensors" in str(caught.value) and "'tiny'" in str(caught.value)
    with pytest.raises(MissingWeightsError, match="pretrain-clip"):
        build_tiny_clip(folder=tmp_path)


def test_names_and_files_that_cannot_be_right_are_refused(tmp_path):
    with pytest.raises(ValueError, match="ViT-B-32"):
        build_clip("ViT-B-33")
    with pytest.raises(ValueError, match="laion"):
        build_clip("ViT-B-32:laion2b")
    with pytest.raises(ValueError, match=r"name a tag, as in MODEL:TAG; .*openai.*datacomp_xl"):
        build_clip("ViT-B-32")
    with pytest.raises(ValueError, match="no weights of coca_base; pass weights_path="):
        build_clip("coca_base")
    weights = tmp_path / "mine.safetensors"
    with pytest.raises(ValueError, match="preprocessing="):
        build_clip("ViT-B-32", weights_path=weights)
    with pytest.raises(MissingWeightsError, match=r"mine\.safetensors"):
        build_clip("ViT-B-32", weights_path=weights, preprocessing=Preprocessing())


def test_a_local_checkpoint_keeps_the_preprocessing_it_was_given(tmp_path):
    from safetensors.torch import save_model

    name = "RN50"
    random = build_clip(name, pretrained=False)
    save_model(random.model, tmp_path / "rn50.safetensors")
    mine = Preprocessing(image_size=224, mean=(0.1, 0.2, 0.3))
    loaded = build_clip(name, weights_path=tmp_path / "rn50.safetensors", preprocessing=mine)
    assert loaded.preprocessing == mine and loaded.weights_hash() == random.weights_hash()
    with pytest.raises(NotImplementedError, match="patch tokens"):
        loaded.encode_image(pixels(224))


def test_random_weights_that_were_asked_for_raise_no_warning(caplog):
    build_tiny_clip(pretrained=False)
    assert "No pretrained weights" not in caplog.text
