"""Patch tokens of an image tower, in the space of the texts.

A tower ends in a head that makes one embedding of all places. A patch token is what that head makes
of one place alone, so it lies in the same space:

| tower | its head | the token of a place |
|---|---|---|
| EfficientNet (the tiny CLIP) | mean, linear map | the linear map |
| other timm convolutions | mean, norm, linear map | the head on a map of this one place |
| ViT of open_clip | class token or mean, norm, projection | norm and projection |
| ViT of timm, class token or mean | norm, linear map | norm and linear map |
| ViT of timm, MAP head (SigLIP) | a learnt query attends to all, MLP | the head on this one place |
| ModifiedResNet (RN50) | attention pooling | value and output projection |

A MAP head on one place: softmax over a single key is 1 (trap 3), so the query and the keys have no
say, and the value, its projection and the MLP are left. RN50 is treated in the same manner, without
the positions that its pooling adds: MaskCLIP (Zhou, Loy, Dai 2022, arXiv 2112.01071) leaves them
out too. For the tiny CLIP alone the tokens' mean is the embedding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn


class Seen(NamedTuple):
    """What an image tower sees: embedding (B, D), tokens (B, P, D), grid (H, W) with P = H·W.

    Neither is of unit length.
    """

    image_emb: Tensor
    tokens: Tensor
    grid: tuple[int, int]


def look(visual: nn.Module, pixels: Tensor) -> Seen:
    """Embedding and patch tokens of an open_clip image tower.

    Args:
        visual: the tower, `model.visual`.
        pixels: (B, 3, H, W), preprocessed.

    Raises:
        NotImplementedError: a kind of tower whose patch tokens are not defined here.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    seen: Seen | None = None
    if isinstance(visual, TimmModel):
        seen = _timm(visual, pixels)
    elif isinstance(visual, VisionTransformer):
        seen = _vit(visual, pixels)
    elif isinstance(visual, ModifiedResNet):
        seen = _resnet(visual, pixels)
    if seen is None or seen.tokens.shape[1] != seen.grid[0] * seen.grid[1]:
        trunk = getattr(visual, "trunk", visual)
        raise NotImplementedError(
            f"patch tokens of a {type(trunk).__name__} tower with this head are not defined here; "
            "choose a ViT, a SigLIP, RN50 or the tiny CLIP (`build_clip('tiny')`)"
        )
    return seen


def fixed_size(visual: nn.Module) -> tuple[int, int] | None:
    """The one (H, W) that a tower reads, in pixels; None where it takes any.

    A table of positions fixes the size. The tiny CLIP has none: its convolutions give a larger map
    for a larger image, and objects then have another size on it than in training.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    if isinstance(visual, VisionTransformer | ModifiedResNet):
        size: Any = visual.image_size
        return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    trunk = visual.trunk if isinstance(visual, TimmModel) else None
    patches: Any = getattr(trunk, "patch_embed", None)
    if getattr(patches, "img_size", None) is None or not getattr(patches, "strict_img_size", True):
        return None
    return int(patches.img_size[0]), int(patches.img_size[1])


def _vit(visual: Any, pixels: Tensor) -> Seen | None:
    if visual.attn_pool is not None:
        return None  # CoCa: its queries stand for no place
    hidden = visual.transformer(visual._embeds(pixels))
    pooled, tokens = visual._pool(hidden)
    if visual.final_ln_after_pool:
        tokens = visual.ln_post(tokens)  # `_pool` gives it to the pooled vector only
    if visual.proj is not None:
        pooled, tokens = pooled @ visual.proj, tokens @ visual.proj
    height, width = visual.patch_size
    return Seen(pooled, tokens, (pixels.shape[2] // height, pixels.shape[3] // width))


def _resnet(visual: Any, pixels: Tensor) -> Seen:
    maps = visual.stem(pixels)
    for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        maps = stage(maps)
    head = visual.attnpool
    tokens = head.c_proj(head.v_proj(_flat(maps)))
    return Seen(head(maps), tokens, _grid(maps))


def _timm(visual: Any, pixels: Tensor) -> Seen | None:
    from timm.models.efficientnet import EfficientNet
    from timm.models.vision_transformer import VisionTransformer

    trunk, head = visual.trunk, visual.head
    if isinstance(trunk, VisionTransformer):
        states = trunk.forward_features(pixels)  # (B, prefix + P, C)
        places = states[:, trunk.num_prefix_tokens :]
        alone = places if trunk.attn_pool is None else _map_of_one(trunk.attn_pool, places)
        if alone is None or trunk.global_pool not in ("map", "avg", "token"):
            return None
        tokens = head(trunk.head(trunk.head_drop(trunk.fc_norm(alone))))
        height, width = trunk.patch_embed.dynamic_feat_size(tuple(pixels.shape[2:]))
        return Seen(head(trunk.forward_head(states)), tokens, (int(height), int(width)))
    maps = trunk.forward_features(pixels)
    if maps.dim() != 4 or getattr(trunk, "output_fmt", "NCHW") != "NCHW" or hasattr(head, "pool"):
        return None  # channels last (Swin), or a pooling of open_clip's own with positions
    if isinstance(trunk, EfficientNet) and trunk.global_pool.pool_type == "avg":
        # mean pooling and a linear head commute: the mean of the tokens is the embedding
        tokens = head(trunk.classifier(_flat(maps)))
        return Seen(tokens.mean(dim=1), tokens, _grid(maps))
    one_by_one = _flat(maps).flatten(0, 1)[..., None, None]  # (B·P, C, 1, 1)
    tokens = head(trunk.forward_head(one_by_one)).unflatten(0, (len(maps), -1))
    return Seen(head(trunk.forward_head(maps)), tokens, _grid(maps))


def _map_of_one(head: Any, places: Tensor) -> Tensor | None:
    """timm's attention pooling of each place by itself: (B, P, C) -> (B, P, C')."""
    from timm.layers import AttentionPoolLatent

    if not isinstance(head, AttentionPoolLatent) or head.pos_embed is not None:
        return None
    _, of_value = head.kv.weight.chunk(2)
    _, bias = (None, None) if head.kv.bias is None else head.kv.bias.chunk(2)
    value = head.proj_drop(head.proj(F.linear(places, of_value, bias)))
    return value if head.mlp is None else value + head.mlp(head.norm(value))


def _flat(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)  # (B, C, H, W) -> (B, P, C)


def _grid(maps: Tensor) -> tuple[int, int]:
    return int(maps.shape[2]), int(maps.shape[3])
