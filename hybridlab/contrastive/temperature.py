"""The learnt numbers between a cosine and a logit: CLIP's temperature, SigLIP's scale and bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

CLIP_START = 1 / 0.07  # scale; arXiv 2103.00020, section 2.5
CLIP_MOST = 100.0
SIGLIP_START = 10.0  # scale; arXiv 2303.15343, section 3.2
SIGLIP_BIAS = -10.0


class Temperature(nn.Module):
    """CLIP's learnt temperature: logits = logit_scale * cosine, scale = 1 / temperature.

    The logarithm is what is learnt, so that a step changes the scale by a factor and it stays above
    0. It is clamped to [0, ln 100] in two places:

    - where it is read (`logit_scale`): no loss sees a scale outside [1, 100]. Beyond a bound the
      gradient is 0 (on the bound it passes), so a value that got out could not come back;
    - so call `clamp_()` after each optimiser step, as CLIP's training does: it puts the parameter
      back on the bound, from where its gradient can pull it in again.

    Args:
        start: first scale, 1 to 100.

    Raises:
        ValueError: start is outside [1, 100].
    """

    def __init__(self, start: float = CLIP_START):
        super().__init__()
        if not isinstance(start, int | float) or not 1 <= start <= CLIP_MOST:
            raise ValueError(
                f"start is {start!r}; expected a scale from 1 to {CLIP_MOST:g} (1 / temperature)"
            )
        self.log_scale = nn.Parameter(torch.tensor(math.log(start)))

    @property
    def logit_scale(self) -> Tensor:
        """Scalar in [1, 100]."""
        clamped = self.log_scale.detach().clamp(0.0, math.log(CLIP_MOST))
        # not torch.clamp alone: releases of torch differ in its gradient on the bound itself, and
        # with 0 there `clamp_` would fix the scale for ever
        return torch.where(self.log_scale == clamped, self.log_scale, clamped).exp()

    def forward(self) -> Tensor:
        """The same as `logit_scale`; a module that is called is one that DDP can wrap."""
        return self.logit_scale

    @torch.no_grad()
    def clamp_(self) -> None:
        """Put the parameter back between its bounds; to be called after each optimiser step."""
        self.log_scale.clamp_(0.0, math.log(CLIP_MOST))


class ScaleAndBias(nn.Module):
    """SigLIP's learnt scale and bias: logits = logit_scale * cosine + logit_bias (trap 10).

    The bias starts at -10 because B - 1 of a text's B pairs are no match: without it the first
    steps would do little else than learn to say no. The paper clamps neither number. Its batches
    hold 32,768 pairs; in smaller ones -ln(B - 1) fits better (study `siglip_start`).

    Raises:
        ValueError: a scale that is not above 0, or a number that is not finite.
    """

    def __init__(self, start: float = SIGLIP_START, bias: float = SIGLIP_BIAS):
        super().__init__()
        if not 0 < start < math.inf:
            raise ValueError(f"start is {start}; expected a finite scale above 0")
        if not math.isfinite(bias):
            raise ValueError(f"bias is {bias}; expected a finite number, such as -10")
        self.log_scale = nn.Parameter(torch.tensor(math.log(start)))
        self.logit_bias = nn.Parameter(torch.tensor(float(bias)))

    @property
    def logit_scale(self) -> Tensor:
        """Scalar above 0."""
        return self.log_scale.exp()

    def forward(self) -> tuple[Tensor, Tensor]:
        """(logit_scale, logit_bias)."""
        return self.logit_scale, self.logit_bias
