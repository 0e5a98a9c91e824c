"""Lesson 06, staged training: eight exercises.

B images of a batch; N rows, L labels, D numbers of a vector. `hybridlab grade 6` checks all
exercises, `hybridlab grade 6.2` one of them, `hybridlab grade 6.2 --hint 1` helps; `hybridlab grade
6 --watch` checks again whenever you save, without loading torch anew.
"""

import math
import re

import torch
import torch.nn.functional as F


# %% Exercise 6.1: Frozen means frozen
def what_learns(modules: list[dict], learning: list[str]) -> dict[str, list[str]]:
    """Which parameters learn in a stage, and which modules are in training mode.

    Each module is {"name": "body.0", "kind": "Linear", "parameters": ["body.0.weight", ...]}, with
    the parameters that are its own. A module learns if one of the parts in `learning` is its name,
    or the beginning of it up to a dot: "head" names "head" and "head.1", but not "header.0". The
    part "" names everything.

    - "gradients": the parameters of modules that learn, in their order. They need gradients and go
      to the optimiser; no other parameter does either.
    - "training": the names of modules that learn, in their order, without those of the kinds
      "BatchNorm1d" and "BatchNorm2d": these learn scale and shift, but keep the statistics that
      pretraining measured. All other modules are in eval mode.

    Example:
        modules "body.0" (Linear), "body.1" (BatchNorm1d), "head" (Linear); learning ["head"]
        -> {"gradients": ["head.weight", "head.bias"], "training": ["head"]}
    """
    raise NotImplementedError("Exercise 6.1: Frozen means frozen")


# %% Exercise 6.2: Warm-up and cosine
def rate_share(step: int, steps: int, warmup: int) -> float:
    """The share of the peak rate at a step, counted from 0.

    In the first `warmup` steps it grows evenly: 1 / warmup at step 0, and 1 at step warmup - 1.
    Then it falls along half a cosine, from 1 at step warmup to what would be 0 at step `steps`,
    which is no longer taken: (1 + cos(pi t)) / 2, where t goes from 0 to 1. Without warm-up it
    begins to fall at once.

    Example:
        steps 6, warmup 2 -> .5, 1, 1, .8536, .5, .1464
    """
    raise NotImplementedError("Exercise 6.2: Warm-up and cosine")


# %% Exercise 6.3: Each layer its own rate
def layer_rates(names: list[str], lr: float, decay: float) -> list[float]:
    """The peak rate of every parameter of a tower, by its name: layer-wise decay.

    Names that hold "blocks.K." belong to block K, counted from 0, nearest to the image; there are
    as many blocks as the largest K says. What stands before the first block in the list is nearer
    to the image still. What stands behind the last block has the rate lr; the last block has
    lr * decay; each one below has `decay` of the one above it, and so has what is before block 0.

    Example:
        stem.weight, blocks.0.weight, blocks.1.weight, head.weight; lr 1, decay .5
        -> [.125, .25, .5, 1]
    """
    raise NotImplementedError("Exercise 6.3: Each layer its own rate")


# %% Exercise 6.4: Easy ones first
def easiest(
    difficulty: torch.Tensor, progress: float, begin: float, full: float
) -> torch.Tensor:
    """Which rows a curriculum draws from.

    The share of rows that are admitted is `begin` at progress 0 and grows evenly to 1 at progress
    `full`; from then on it is 1. With `full` 0 it is 1 throughout. Admitted are as many of the
    easiest rows as that share of N, rounded up (7 of 25 where the share is .28, whatever the last
    bit of the product says); of rows that are equally hard, those that stand
    first.

    Shape:
        difficulty (N,) -> (N,) bool

    Example:
        difficulty [3, 1, 2, 1], begin .25, full .5
        progress 0 admits one, [F, T, F, F]; .25 admits .625 * 4 = 2.5, so three: [F, T, T, T]
    """
    raise NotImplementedError("Exercise 6.4: Easy ones first")


# %% Exercise 6.5: An average of the weights
def ema_update(
    average: dict[str, torch.Tensor], weights: dict[str, torch.Tensor], decay: float, step: int
) -> dict[str, torch.Tensor]:
    """The moving average after one more step of training.

    average <- d * average + (1 - d) * weights, where d is the smaller of `decay` and
    (1 + step) / (10 + step): early averages forget the random beginning quickly. Whole numbers
    (BatchNorm counts its batches) are not averaged but copied. The result is a new dictionary with
    the names of `weights`; dtypes are kept.

    Example:
        average 1.0, weights 2.0, decay .99, step 0: d is .1 -> 1.9
    """
    raise NotImplementedError("Exercise 6.5: An average of the weights")


# %% Exercise 6.6: Saved or not saved
def save_steps(target: str) -> list[tuple[str, ...]]:
    """How to replace a file so that a crash at any moment leaves the old one or the new one.

    Return a list of operations, each a tuple, which a simulated computer carries out:

    - ("write", name): the new content goes into this file, which is emptied first. Until it is
      flushed, a crash may leave any part of it on the disk, or nothing.
    - ("flush", name): what was written to the file is on the disk.
    - ("rename", name, other): the file takes the other's name, in one step; a file of that name is
      gone. The content that a renamed file has after a crash is what was flushed.
    - ("remove", name): the file is gone.

    The computer may be switched off before, between and after all of them. Whenever that is, a file
    `target` must be there, whole, with its old content or its new one; if all were carried out, the
    new one, and no other file is left.

    Example:
        [("write", target)] is wrong: switched off in the middle, half a file is left
    """
    raise NotImplementedError("Exercise 6.6: Saved or not saved")


# %% Exercise 6.7: A batch in parts
def accumulated_gradient(
    inputs: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, parts: int
) -> torch.Tensor:
    """The gradient of a linear classifier on a batch that is computed in parts.

    Logits are inputs @ weight.T. The loss is the binary cross-entropy as a mean over all annotated
    entries of the *whole* batch (targets of -1 are not annotated; the parts differ in how many they
    have). Cut the rows with tensor_split(parts), and add up what the parts give, so that the result
    is the gradient of the whole. If nothing is annotated it is 0. The dtype is kept.

    Shape:
        inputs (N, D), targets (N, L) of 1, 0 and -1, weight (L, D) -> (L, D)
    """
    raise NotImplementedError("Exercise 6.7: A batch in parts")


# %% Exercise 6.8: A loss that cannot be cut
def whole_and_parts(
    image_emb: torch.Tensor, text_emb: torch.Tensor, scale: float, parts: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """CLIP's loss of a batch, and the mean of its losses on parts of it, weighed by their rows.

    The loss of B pairs: logits = scale * image_emb @ text_emb.T; the mean of two cross-entropies,
    each image among the texts and each text among the images, the right one on the diagonal. Parts
    come from tensor_split(parts). Embeddings have unit length already.

    Shape:
        image_emb (B, D), text_emb (B, D) -> two tensors without axes
    """
    raise NotImplementedError("Exercise 6.8: A loss that cannot be cut")
