"""The tiny CLIP and open_clip models through one interface. Random weights are enough here."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.clip_preprocessing import of_tag
from hybridlab.encoders.zero_shot import global_scores, patch_scores
from hybridlab.zeroshot.text_bank import label_embeddings


def pixels(size: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_embedding_is_open_clips_own(tiny, vit, siglip, resnet):
    for clip, size in ((tiny, 128), (tiny, 96), (vit, 224), (siglip, 64), (resnet, 64)):
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
    assert torch.allclose(ours, tiny.encode_text(tuple(texts)), atol=1e-6)


def test_what_is_no_list_of_texts_is_refused(tiny, siglip):
    for clip in (tiny, siglip):
        with pytest.raises(ValueError, match="no texts"):
            clip.encode_text([])
        with pytest.raises(TypeError, match=r"'a cow'; expected a list of texts"):
            clip.encode_text("a cow")  # a letter each
        with pytest.raises(TypeError, match="expected a list of texts"):
            clip.encode_text(["a cow", 3])


def test_the_width_and_the_numbers_of_the_loss(tiny, vit, siglip, resnet):
    assert [clip.dim for clip in (tiny, vit, siglip, resnet)] == [256, 512, 48, 24]
    for clip in (tiny, vit, resnet):
        assert clip.logit_bias is None
    assert float(siglip.logit_bias.detach()) == -10
    assert float(vit.logit_scale.detach()) == pytest.approx(1 / 0.07, rel=1e-5)


@torch.no_grad()
def test_siglips_scale_and_bias_give_open_clips_logits(siglip):
    words = torch.randint(0, 40, (3, 12), generator=torch.Generator().manual_seed(0))
    expected, _ = siglip.model.get_logits(pixels(64), words)
    text_emb = siglip.model.encode_text(words, normalize=True)
    cosines = siglip.encode_image(pixels(64)).image_emb @ text_emb.T
    got = siglip.logit_scale * cosines + siglip.logit_bias
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_images_of_another_size_are_refused_where_positions_fix_it(tiny, vit, siglip, resnet):
    for clip, size in ((vit, 224), (siglip, 64), (resnet, 64)):
        for height, width in ((size + 32, size + 32), (size // 2, size * 2), (size, size + 1)):
            says = rf"reads images of {size} x {size} pixels.*got {height} x {width}"
            with pytest.raises(ValueError, match=says):
                clip.encode_image(torch.zeros(1, 3, height, width))
        assert clip.encode_image(torch.zeros(0, 3, size, size)).image_emb.shape == (0, clip.dim)
    features = tiny.encode_image(torch.zeros(1, 3, 64, 192))  # convolutions take any
    assert features.grid == (2, 6) and features.tokens.shape == (1, 12, 256)


def test_what_is_no_batch_of_pixels_is_refused(tiny, vit):
    for clip in (tiny, vit):
        with pytest.raises(TypeError, match="preprocessing"):
            clip.encode_image(torch.zeros(1, 3, 224, 224, dtype=torch.uint8))
        with pytest.raises(ValueError, match=r"\(B, 3, H, W\), got \(3, 224, 224\)"):
            clip.encode_image(torch.zeros(3, 224, 224))


def test_preprocessing_is_the_models_own(tiny, vit):
    assert tiny.preprocessing.mean == (0.5, 0.5, 0.5) and tiny.preprocessing.image_size == 128
    assert vit.preprocessing.image_size == 224
    assert vit.preprocessing.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert vit.preprocessing.resize_mode == "crop"
    # random weights of SigLIP too take SigLIP's
    for name in ("ViT-B-16-SigLIP", "ViT-B-32-SigLIP2-256"):
        told = of_tag(name, "")
        assert told["mean"] == told["std"] == (0.5, 0.5, 0.5) and told["resize_mode"] == "squash"


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


def test_random_weights_that_were_asked_for_raise_no_warning(caplog):
    build_tiny_clip(pretrained=False)
    assert "No pretrained weights" not in caplog.text
