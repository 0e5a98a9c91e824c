"""Which parameters learn at which rate: discriminative rates, layer by layer (seed 000, 4).

A pretrained network's first layers see edges and colours, which every task needs; its last ones
were shaped for the old task. *Layer-wise decay* gives each layer a share of the rate of the one
above it (Howard and Ruder 2018, arXiv 1801.06146). Vectors and scalars (biases, norms, scales) are
left out of weight decay, as in most recipes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

# a numbered layer, and a numbered block within it: "blocks.3.1", "transformer.resblocks.11",
# "encoder_layer_3"; in our CNNs a stage, a piece of it, and a block within that: "stage4.1.2"
_NUMBERED = re.compile(
    r"(?:^|\.)(?:stage(\d+)\.(\d+)(?:\.(\d+)(?=\.))?|encoder_layer_(\d+)|"
    r"(?:blocks|resblocks|layers|layer|stages|stage)\.?(\d+)(?:\.(?:blocks\.)?(\d+))?)"
)
# what stands behind all layers, at the top of a tower; open_clip's list some of it first
_LAST = re.compile(
    r"^(?:(?:trunk|visual|vision|vision_model|vision_tower|model|encoder)\.)*(?:proj|head|heads|fc|"
    r"fc_norm|norm|ln|bn2|conv_head|attn_pool|ln_post|post_layernorm|layernorm|final_conv|head_norm)(?:\.|$)"
)


def layer_depths(module: nn.Module) -> dict[str, int]:
    """The depth of every parameter, by its name: 0 is nearest to the image.

    Numbered blocks ("blocks.3.1", "resblocks.11", "layer2.0") count one by one, in their order,
    from 1; what is before them has depth 0, and what is behind them that of the last block, as in
    timm. A norm belongs to the convolution before it. A module without numbered blocks has depth 0
    throughout.
    """
    found: dict[str, tuple[int, ...] | None] = {}
    before: tuple[int, ...] | None = None
    for name, _ in module.named_parameters():
        match = _NUMBERED.search(name)
        place = tuple(int(each or 0) for each in match.groups()) if match else None
        owner = name.rpartition(".")[0]
        alone = match is not None and match.end() == len(owner)  # a piece, not one within a block
        if alone and before is not None and isinstance(module.get_submodule(owner), _BatchNorm):
            place = before
        found[name] = before = place
    rank = {place: at for at, place in enumerate(sorted({each for each in found.values() if each}),
                                                 start=1)}
    last = len(rank)
    return {
        name: rank[place] if place is not None else last if _LAST.search(name) else 0
        for name, place in found.items()
    }


def parameter_groups(
    parts: Iterable[tuple[nn.Module, float, float]], weight_decay: float = 0.05
) -> list[dict[str, Any]]:
    """Groups for an optimiser: each with its "peak" rate, which is also its first "lr".

    Args:
        parts: modules, the peak rate of their last layers, and the share of its rate that each
            layer leaves to the one below (1: all have the same). A parameter that does not require
            a gradient is left out (trap 15); one that stands in two parts belongs to the first.
        weight_decay: of matrices and kernels; of all else it is 0.

    Returns:
        {"params", "names", "lr", "peak", "weight_decay"} for each rate and kind, in the order in
        which the parameters stand.

    Raises:
        ValueError: a rate or a weight decay below 0, or a share outside (0, 1].
    """
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay is {weight_decay}; give 0 or more")
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    taken: set[int] = set()
    for number, (module, rate, layer_decay) in enumerate(parts):
        if not rate >= 0:
            raise ValueError(f"the rate of part {number} is {rate}; give 0 or more")
        if not 0 < layer_decay <= 1:
            raise ValueError(
                f"layer_decay of part {number} is {layer_decay}; give a share above 0, up to 1"
            )
        depths = layer_depths(module)
        deepest = max(depths.values(), default=0)
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad or id(parameter) in taken:
                continue
            taken.add(id(parameter))
            peak = rate * layer_decay ** (deepest - depths[name])
            decay = weight_decay if parameter.dim() >= 2 else 0.0
            group = groups.setdefault((peak, decay), {
                "params": [], "names": [], "lr": peak, "peak": peak, "weight_decay": decay,
            })
            group["params"].append(parameter)
            group["names"].append(f"{number}.{name}")
    return list(groups.values())
