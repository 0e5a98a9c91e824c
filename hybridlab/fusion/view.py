"""What a fusion joins: two views of the same images, and what it gives.

An image, a label decoder, CLIP, a question, a video: whatever has one vector for the whole, and a
vector for each place, step or word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# most labels are absent from most images: log-odds to start from, near that and not at a half
RARE = math.log(0.05 / 0.95)


@dataclass(frozen=True)
class View:
    """One view of a batch.

    Attributes:
        pooled: (B, D), one vector for the whole.
        tokens: (B, N, D'), one for each of N parts: places of a map, steps of a decoder. Without
            them the view has one part, the whole. Their width may be another than that of pooled.
        mask: (B, N) bool, which tokens count; all where None. Without tokens it is (B, 1). A row
            may be all False: the view is missing for that image, whatever stands in it.

    What does not count is set to 0 when a view is made, so that nothing of it, NaN included, can
    come through.

    Raises:
        ValueError: shapes that do not fit each other.
        TypeError: what is no tensor, features that are not floating point, or a mask that is not
            bool. PyTorch's own masks mean the opposite (True is left out), and a float mask is
            added: neither is guessed.
    """

    pooled: Tensor
    tokens: Tensor | None = None
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        pooled, tokens, mask = self.pooled, self.tokens, self.mask
        _check_tensors(pooled, tokens, mask)
        if pooled.dim() != 2:
            raise ValueError(f"pooled has shape {tuple(pooled.shape)}, expected (B, D)")
        batch = pooled.shape[0]
        if tokens is not None and (tokens.dim() != 3 or tokens.shape[0] != batch):
            raise ValueError(
                f"tokens has shape {tuple(tokens.shape)}, expected ({batch}, N, D) beside pooled "
                f"{tuple(pooled.shape)}"
            )
        if mask is None:
            return
        if mask.dtype != torch.bool:
            raise TypeError(
                f"mask has dtype {mask.dtype}; give bool (B, N), True where a token counts"
            )
        expected = (batch, 1) if tokens is None else tuple(tokens.shape[:2])
        if mask.shape != expected:
            raise ValueError(
                f"mask has shape {tuple(mask.shape)}, expected {expected}: True or False for each "
                "token of each image"
            )
        missing = ~mask.any(dim=1, keepdim=True)
        object.__setattr__(self, "pooled", pooled.masked_fill(missing, 0.0))
        if tokens is not None:
            object.__setattr__(self, "tokens", tokens.masked_fill(~mask[..., None], 0.0))

    @property
    def widths(self) -> tuple[int, int]:
        """Of the pooled vector, and of the tokens (the same where there are none)."""
        pooled = self.pooled.shape[1]
        return pooled, pooled if self.tokens is None else self.tokens.shape[2]

    def __len__(self) -> int:
        return len(self.pooled)

    def rows(self, which: Tensor) -> View:
        """The view of some images of the batch."""
        tokens, mask = (None if each is None else each[which]
                        for each in (self.tokens, self.mask))
        return View(self.pooled[which], tokens, mask)

    def parts(self) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, D) and mask (B, N), whatever was given; the whole is the one part of a view
        without tokens."""
        tokens = self.pooled[:, None] if self.tokens is None else self.tokens
        mask = self.mask
        if mask is None:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return tokens, mask

    def projected(self, whole: nn.Module, part: nn.Module) -> tuple[Tensor, Tensor]:
        """The pooled vector and, behind it, the tokens, each through a layer of its own.

        Returns:
            (B, 1 + N, D), or (B, 1, D) of a view without tokens; and which count. The whole counts
            where any part does: of a view that was left out, nothing does.
        """
        first, (tokens, mask) = whole(self.pooled)[:, None], self.parts()
        if self.tokens is None:
            return first, mask
        return (torch.cat([first, part(tokens)], dim=1),
                torch.cat([mask.any(dim=1, keepdim=True), mask], dim=1))

    def absent(self) -> View:
        """The same shapes with nothing in them: zeros, and no token that counts.

        A fusion can leave a view out in this way without being built anew: its weights stay, and
        `state_dict` loads.
        """
        tokens = None if self.tokens is None else torch.zeros_like(self.tokens)
        return View(torch.zeros_like(self.pooled), tokens, torch.zeros_like(self.parts()[1]))


def _check_tensors(pooled: object, tokens: object, mask: object) -> None:
    """Refuse what no view can be made of."""
    for name, value in (("pooled", pooled), ("tokens", tokens)):
        if value is None and name == "tokens":
            continue
        if not isinstance(value, Tensor) or not value.is_floating_point():
            given = f"{value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            raise TypeError(f"{name} is {given}; give a tensor of floating-point numbers")
    if mask is not None and not isinstance(mask, Tensor):
        raise TypeError(
            f"mask is {type(mask).__name__}; give a tensor of bool (B, N), True where a token "
            "counts, as by torch.from_numpy"
        )


def joined(views: Sequence[View]) -> View:
    """Views of several batches as one of all their images; fewer tokens are padded.

    Raises:
        ValueError: there is no view, or some have tokens and some have none.
    """
    if not views or len({view.tokens is None for view in views}) > 1:
        raise ValueError(f"{len(views)} views, with tokens or without; give one or more of a kind")
    pooled = torch.cat([view.pooled for view in views])
    if views[0].tokens is None:
        return View(pooled, None, torch.cat([view.parts()[1] for view in views]))
    most = max(view.parts()[0].shape[1] for view in views)
    tokens, masks = zip(*(
        (F.pad(each, (0, 0, 0, most - each.shape[1])), F.pad(mask, (0, most - mask.shape[1])))
        for each, mask in (view.parts() for view in views)
    ), strict=True)
    return View(pooled, torch.cat(tokens), torch.cat(masks))


@dataclass(frozen=True)
class Fused:
    """What a fusion gives.

    Attributes:
        vector: (B, D), the image as both views have it.
        per_label: (B, L, D), a vector for each label, where the fusion makes them (label queries).
        logits: (B, L), where the fusion joins decisions and not features (late fusion,
            class attention).
        attention: name -> weights, where the fusion attends: (B, heads, N, M), each row over M.
    """

    vector: Tensor
    per_label: Tensor | None = None
    logits: Tensor | None = None
    attention: Mapping[str, Tensor] = field(default_factory=dict)


def check_pair(a: View, b: View, a_dim: int, b_dim: int) -> None:
    """Refuse two views that are not of the same images, or whose pooled vectors are not of the
    widths that were promised.

    Raises:
        ValueError: the message gives both shapes.
        TypeError: tensors in the place of views.
    """
    if not (isinstance(a, View) and isinstance(b, View)):
        raise TypeError(
            f"a fusion joins two Views, not {type(a).__name__} and {type(b).__name__}; give "
            "View(pooled) or View(pooled, tokens, mask)"
        )
    if a.pooled.shape[0] != b.pooled.shape[0] or (a.widths[0], b.widths[0]) != (a_dim, b_dim):
        raise ValueError(
            f"views {tuple(a.pooled.shape)} and {tuple(b.pooled.shape)} must be "
            f"(B, {a_dim}) and (B, {b_dim}), of the same images"
        )


def check_tokens(a: View, b: View, a_tokens: int, b_tokens: int) -> None:
    """Refuse views whose tokens are not of the widths that were promised.

    Raises:
        ValueError: the message gives the widths.
    """
    for name, view, width in (("a", a, a_tokens), ("b", b, b_tokens)):
        if view.tokens is not None and view.widths[1] != width:
            raise ValueError(
                f"tokens of view {name} are {view.widths[1]} wide, expected {width}; build the "
                f"fusion with {name}_tokens={view.widths[1]}"
            )


def who_counts(a: View, b: View) -> Tensor:
    """Which of two views has a part that counts, image by image: (B, 2) bool. Where neither has,
    both count, so that weights of views have something to share out."""
    present = torch.stack([view.parts()[1].any(dim=1) for view in (a, b)], dim=1)
    return present | ~present.any(dim=1, keepdim=True)


def with_one(features: Tensor) -> Tensor:
    """(B, D) -> (B, D + 1), the last is 1: among the products of two such views are both views
    themselves, and not only what they say together."""
    return F.pad(features, (0, 1), value=1.0)


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean (B, D) of those tokens (B, N, D) that count; 0 where none does."""
    weight = mask.to(tokens.dtype)[..., None]
    return (tokens * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
