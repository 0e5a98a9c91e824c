"""Real towers as the hybrid's CLIP view: random weights, the real classes, the whole forward."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.cnn import build_cnn
from hybridlab.encoders.gemma import build_gemma_tower
from hybridlab.model import HybridClassifier
from tests.encoders.test_gemma import tiny_config

LABELS = 5


@pytest.fixture(scope="module")
def cnn():
    return build_cnn("efficientnet_lite0", stage="stage4", image_size=64, pretrained=False)


def hybrid(cnn, tower, text_dim: int, fusion: str) -> HybridClassifier:
    torch.manual_seed(0)
    decoder = LabelDecoder(cnn.channels, LABELS, dim=16, max_steps=4)
    texts = F.normalize(torch.randn(LABELS, text_dim), dim=-1)
    return HybridClassifier(cnn, decoder, tower, texts, dim=16, fusion=fusion, tokens="map")


def check_it_sees_and_learns(model: HybridClassifier, side: int) -> None:
    images = [torch.randint(0, 256, (3, side, side), dtype=torch.uint8) for _ in range(3)]
    out = model.eval()(torch.randn(3, 3, 64, 64), model.clip.preprocessing(images))
    assert out.logits.shape == out.contrastive_logits.shape == (3, LABELS)
    assert out.logits.isfinite().all() and out.h_clip.shape == (3, model.clip.dim)
    (out.logits.sum() + out.contrastive_logits.sum()).backward()
    assert all(p.grad is not None for p in model.fusion.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.clip.parameters())


@pytest.mark.parametrize("fusion", ["concat", "cross_attention", "class_attention", "label_query"])
def test_siglip_is_a_view(cnn, siglip, fusion):
    model = hybrid(cnn, siglip, siglip.dim, fusion)
    check_it_sees_and_learns(model, siglip.preprocessing.image_size)


@pytest.mark.parametrize("fusion", ["concat", "cross_attention", "class_attention", "label_query"])
def test_gemmas_tower_is_a_view_beside_texts_of_another_width(cnn, fusion):
    """It has no texts of its own: those of a SigLIP, say, lie in a space that the head learns."""
    tower = build_gemma_tower(tiny_config())
    check_it_sees_and_learns(hybrid(cnn, tower, 24, fusion), 56)


def test_a_tower_without_one_embedding_of_all_gives_the_mean_of_its_tokens(cnn):
    tower = build_gemma_tower(tiny_config())
    model = hybrid(cnn, tower, 24, "concat").eval()
    images = [torch.randint(0, 256, (3, 56, 56), dtype=torch.uint8) for _ in range(2)]
    with torch.no_grad():
        seen = tower.encode_image(tower.preprocessing(images))
        assert torch.allclose(model.clip_view(seen).pooled, seen.tokens.mean(dim=1), atol=1e-6)
        assert not torch.allclose(seen.tokens.mean(dim=1), seen.tokens[:, 0], atol=1e-3)
