"""The parts of CLIP's image tower by their names in the hybrid, for a plan that unfreezes them one
by one."""

from __future__ import annotations

from torch import nn

from hybridlab.encoders.clip import ClipEncoder


def tower_blocks(clip: ClipEncoder) -> tuple[str, ...]:
    """The parts of CLIP's image tower by their names in the hybrid, the last ones first; at the end
    the tower itself, for what stands before its blocks.

    Raises:
        ValueError: a tower whose blocks are not known here.
    """
    for name in ("trunk.blocks", "trunk.stages", "transformer.resblocks"):
        try:
            blocks = clip.vision.get_submodule(name)
        except AttributeError:
            continue
        top = [each for each in ("head", "trunk.conv_head", "trunk.norm", "ln_post")
               if any(True for _ in _parameters(clip.vision, each))]
        numbers = reversed(range(len(list(blocks.children()))))
        inner = (*top, *(f"{name}.{number}" for number in numbers))
        return (*(f"clip.vision.{each}" for each in inner), "clip.vision")
    raise ValueError(
        f"the blocks of the tower {clip.name} are not known; choose another plan than 'gradual'"
    )


def _parameters(module: nn.Module, name: str) -> list[nn.Parameter]:
    try:
        return list(module.get_submodule(name).parameters())
    except AttributeError:
        return []
