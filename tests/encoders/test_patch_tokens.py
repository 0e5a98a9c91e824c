"""Patch tokens of every kind of tower, against the tower's own head on one place."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.timm_model import TimmModel
from torch import nn

from hybridlab.encoders.patch_tokens import fixed_size, look


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def noise(size: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def timm_tower(name: str, pool: str, proj: str, size: int, **options) -> TimmModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TimmModel(name, 24, image_size=size, pool=pool, proj=proj, **options).eval()


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_siglips_token_is_the_whole_head_on_a_sequence_of_one(siglip):
    visual, pixels = siglip.vision, noise(64)
    seen = look(visual, pixels)
    assert seen.grid == (4, 4) and seen.tokens.shape == (2, 16, 48)
    close(seen.image_emb, visual(pixels))
    states = visual.trunk.forward_features(pixels)
    for place in range(16):
        close(seen.tokens[:, place], visual.head(visual.trunk.forward_head(states[:, [place]])))
    assert seen.tokens.std(dim=1).mean() > 1e-3  # places differ
    assert not torch.allclose(seen.tokens.mean(dim=1), seen.image_emb, atol=1e-3)


def test_rn50s_token_is_its_value_and_output_projection_at_the_place(resnet):
    visual, pixels = resnet.vision, noise(64)
    seen = look(visual, pixels)
    assert seen.grid == (2, 2) and seen.tokens.shape == (2, 4, 24)
    close(seen.image_emb, visual(pixels))
    maps = visual.forward_intermediates(pixels, indices=1)["image_intermediates"][0]
    head = visual.attnpool
    for place, (row, column) in enumerate(np.ndindex(2, 2)):
        one = maps[:, :, row, column][None]  # a sequence of one, as torch's attention takes it
        bias = torch.cat([head.q_proj.bias, head.k_proj.bias, head.v_proj.bias])
        alone, _ = F.multi_head_attention_forward(
            one, one, one, one.shape[-1], head.num_heads, None, bias, None, None, False, 0.0,
            head.c_proj.weight, head.c_proj.bias, use_separate_proj_weight=True,
            q_proj_weight=head.q_proj.weight, k_proj_weight=head.k_proj.weight,
            v_proj_weight=head.v_proj.weight, training=False,
        )
        close(seen.tokens[:, place], alone[0])


def test_with_positions_the_pooling_is_a_mean_of_tokens(resnet):
    """What MaskCLIP takes apart: with one head, the embedding is a convex mean of such tokens."""
    head = type(resnet.vision.attnpool)(2, 16, 1, 8)  # 2 x 2 places, one head
    maps = torch.randn(1, 16, 2, 2, generator=torch.Generator().manual_seed(2))
    places = maps.flatten(2).transpose(1, 2)[0]
    with_mean = torch.cat([places.mean(dim=0, keepdim=True), places]) + head.positional_embedding
    tokens = head.c_proj(head.v_proj(with_mean))
    weights = torch.softmax(head.q_proj(with_mean[:1]) @ head.k_proj(with_mean).T / 4, dim=-1)
    close(weights @ tokens, head(maps))


def test_vits_tokens_are_normed_and_projected(vit):
    visual, pixels = vit.vision, noise(224, 1)
    seen = look(visual, pixels)
    close(seen.image_emb, visual(pixels))
    last = visual.forward_intermediates(pixels, indices=1, output_fmt="NLC")
    expected = visual.ln_post(last["image_intermediates"][0]) @ visual.proj
    close(seen.tokens, expected)


def test_a_norm_after_the_pooling_is_given_to_tokens_too():
    """CLIPA's towers; without it their tokens would be of another scale than the embedding."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        visual = open_clip.transformer.VisionTransformer(
            32, 16, 32, 2, 4, 2.0, output_dim=12, pool_type="avg", final_ln_after_pool=True
        ).eval()
    nn.init.normal_(visual.ln_post.weight, generator=torch.Generator().manual_seed(3))
    pixels = noise(32)
    seen = look(visual, pixels)
    close(seen.image_emb, visual(pixels))
    hidden = visual.transformer(visual._embeds(pixels))[:, 1:]
    close(seen.tokens, visual.ln_post(hidden) @ visual.proj)


@pytest.mark.parametrize(("name", "pool", "proj", "size", "grid"), [
    ("test_vit3", "map", "none", 160, (10, 10)),  # a register among the keys of the MAP head
    ("test_vit2", "avg", "linear", 160, (10, 10)),
    ("test_vit", "token", "linear", 160, (10, 10)),
    ("test_vit", "token", "linear", 96, (6, 6)),  # resamples its positions, so any multiple of 16
    ("test_convnext", "avg", "linear", 96, (3, 3)),
    ("test_efficientnet", "avg", "linear", 96, (3, 3)),
    ("test_resnet", "avg", "mlp", 96, (3, 3)),
])
def test_timms_towers(name, pool, proj, size, grid):
    visual = timm_tower(name, pool, proj, size)
    pixels = noise(size)
    seen = look(visual, pixels)
    assert seen.grid == grid
    assert seen.tokens.shape == (2, grid[0] * grid[1], seen.image_emb.shape[1])
    close(seen.image_emb, visual(pixels))
    # an image of one place would have its token for an embedding: so pool one place
    features = visual.trunk.forward_features(pixels)
    if features.dim() == 4:
        alone = visual.trunk.forward_head(features[:, :, 1:2, 2:3])
    elif pool == "avg":
        prefix, place = features[:, :1], features[:, 1 + grid[1] + 2]
        alone = visual.trunk.forward_head(torch.cat([prefix, place[:, None]], dim=1))
    else:
        alone = visual.trunk.forward_head(features[:, [1 + grid[1] + 2]])
    close(seen.tokens[:, grid[1] + 2], visual.head(alone))


@pytest.mark.parametrize("name", [
    "ViT-B-16-SigLIP", "ViT-B-32-SigLIP2-256", "ViT-SO400M-14-SigLIP-384", "RN50", "ViT-B-16",
    "ViT-L-14-CLIPA", "convnext_base",
])
def test_real_models_by_name_have_tokens_and_a_size(name):
    """Their full sizes, as shapes only."""
    with torch.device("meta"):
        model = open_clip.create_model(name, device="meta")
        side = model.visual.image_size if name == "RN50" else model.visual.image_size[0]
        seen = look(model.visual, torch.zeros(1, 3, side, side))
    assert fixed_size(model.visual) == (None if "convnext" in name else (side, side))
    stride = 32 if name in ("RN50", "convnext_base") else int(name.split("-")[2])
    assert seen.grid == (side // stride, side // stride)
    assert seen.tokens.shape == (1, (side // stride) ** 2, seen.image_emb.shape[1])


def test_towers_without_a_definition_are_refused():
    with torch.device("meta"):
        coca = open_clip.create_model("coca_ViT-B-32", device="meta").visual
        with pytest.raises(NotImplementedError, match="VisionTransformer tower with this head"):
            look(coca, torch.zeros(1, 3, 224, 224))
        own = timm_tower("resnet18", "abs_attn", "", 224)
        with pytest.raises(NotImplementedError, match="ResNet tower with this head"):
            look(own, torch.zeros(1, 3, 224, 224))
    with pytest.raises(NotImplementedError, match="Linear"):
        look(nn.Linear(1, 1), noise(32))
    absolute = timm_tower("test_vit3", "map", "none", 160)
    absolute.trunk.attn_pool.pos_embed = nn.Parameter(torch.zeros(101, 96))
    with pytest.raises(NotImplementedError, match="VisionTransformer"):
        look(absolute, noise(160))


def test_sizes(tiny, vit, siglip, resnet):
    assert fixed_size(tiny.vision) is None
    assert fixed_size(vit.vision) == (224, 224)
    assert fixed_size(siglip.vision) == fixed_size(resnet.vision) == (64, 64)
    assert fixed_size(timm_tower("test_vit", "token", "linear", 160)) is None
