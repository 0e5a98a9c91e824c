"""Training: one loop for every method, and a shorter run is the beginning of a longer one.

The rate warms up and then stays constant. With a cosine, which must know the end, each length would
need a run of its own; a moving average of the weights (Polyak and Juditsky 1992) does for it what
the falling rate does.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from hybridlab.data.captioned import CaptionedPictures
from hybridlab.pretraining.methods import Method
from hybridlab.pretraining.pairs import draw_pairs
from hybridlab.pretraining.trunk import to_pixels


@dataclass(frozen=True)
class Recipe:
    """How a method is trained. The size of the pictures and their seed are the pictures' own; no
    other chance is in it.

    Attributes:
        steps: of the optimiser.
        batch_size: B, pairs in a step.
        lr: rate of the head.
        trunk_lr: rate of the trunk, which starts from ImageNet weights.
        warmup: steps of linear warm-up; then the rates are constant.
        ema: decay of the moving average of the weights.
        weight_decay: of AdamW, on matrices only.
        clip_norm: the gradient's largest length.

    Raises:
        ValueError: a number that makes no sense; the message names it.
    """

    steps: int = 400
    batch_size: int = 64
    lr: float = 1e-3
    trunk_lr: float = 5e-4
    warmup: int = 20
    ema: float = 0.98
    weight_decay: float = 0.05
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("steps", 0), ("batch_size", 1), ("warmup", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; give a whole number, {least} or more")
        for name in ("lr", "trunk_lr", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; give a finite number >= 0")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is {self.ema}; give a number from 0, and below 1")
        if not self.clip_norm > 0:
            raise ValueError(f"clip_norm is {self.clip_norm}; give a number above 0")


class Learner:
    """A method on its way: optimiser, moving average of the weights, and log.

    Attributes:
        method: what is trained, in place.
        recipe: how.
        step: how many steps it has done.
        average: name -> moving average of the weights.
        log: for each step "step", "loss", "seconds" (arithmetic) and "draw_seconds" (pictures).
    """

    def __init__(self, method: Method, recipe: Recipe):
        self.method, self.recipe, self.step = method.train(), recipe, 0
        self.log: list[dict[str, float]] = []
        self.average = {
            name: value.detach().clone() for name, value in method.state_dict().items()
        }
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in method.named_parameters():
            if parameter.requires_grad:
                key = (name.startswith("trunk."), parameter.dim() >= 2)
                groups.setdefault(key, []).append(parameter)
        self.optimiser = torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "peak": recipe.trunk_lr if in_trunk else recipe.lr,
                    "weight_decay": recipe.weight_decay if matrix else 0.0,
                }
                for (in_trunk, matrix), parameters in groups.items()
            ],
            betas=(0.9, 0.98),
        )

    def run(
        self, pictures: CaptionedPictures, until: int,
        on_step: Callable[[Learner], None] | None = None,
    ) -> None:
        """Train up to a step; going on later gives what one longer run would have given.

        Args:
            pictures: what is learnt from; batch by batch, by their seed and the step.
            until: steps from the beginning; nothing happens where they are done.
            on_step: called after each step.

        Raises:
            FloatingPointError: the loss or an embedding is NaN or infinite; names the step.
        """
        self.method.train()
        while self.step < until:
            self._advance(pictures)
            if on_step is not None:
                on_step(self)

    def averaged(self) -> Method:
        """A copy of the method with the averaged weights, in eval; training goes on untouched."""
        found = copy.deepcopy(self.method)
        found.load_state_dict(self.average)
        return found.eval()

    def _advance(self, pictures: CaptionedPictures) -> None:
        recipe, begun = self.recipe, time.perf_counter()
        pairs = draw_pairs(pictures, self.step, recipe.batch_size)
        drawn = time.perf_counter()
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * min(1.0, (self.step + 1) / max(1, recipe.warmup))
        try:
            loss = self.method.loss(to_pixels(pairs.images), pairs)
        except ValueError as error:  # contrastive losses look at their vectors
            if "NaN or infinity" not in str(error):
                raise
            raise FloatingPointError(self._diverged("an embedding is NaN or infinite")) from error
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(self._diverged(f"the loss is {value}"))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.method.parameters(), recipe.clip_norm)
        self.optimiser.step()
        self.method.after_step()
        self._average()
        self.step += 1
        self.log.append({
            "step": float(self.step), "loss": value,
            "seconds": time.perf_counter() - drawn, "draw_seconds": drawn - begun,
        })

    def _diverged(self, what: str) -> str:
        return (
            f"{self.method.name}: {what} at step {self.step}; lower lr (now {self.recipe.lr:g}) or "
            f"trunk_lr ({self.recipe.trunk_lr:g}) and start again"
        )

    @torch.no_grad()
    def _average(self) -> None:
        # early on the average shall not hang on the weights that nobody trained
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.method.state_dict().items():
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)


def learn(
    method: Method, pictures: CaptionedPictures, recipe: Recipe,
    on_step: Callable[[Learner], None] | None = None,
) -> list[dict[str, float]]:
    """Train a method from its first step to the recipe's last; it ends with the averaged weights,
    in eval.

    Args:
        on_step: called after each step, for progress or for a look at `Learner.averaged()`.

    Returns:
        the log of `Learner`: one entry a step.

    Raises:
        FloatingPointError: the loss or an embedding is NaN or infinite; names the step.
    """
    learner = Learner(method, recipe)
    learner.run(pictures, recipe.steps, on_step)
    method.load_state_dict(learner.average)
    method.eval()
    return learner.log
