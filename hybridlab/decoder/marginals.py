"""One probability for each label from a decoder of sequences: a definition, by name (trap 5).

A sequence decoder gives p(next label | labels so far). Average precision ranks images by one number
for each label, so one must be defined. Both here are in [0, 1]; neither is calibrated.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hybridlab.decoder.search import Beams
from hybridlab.decoder.sequences import PAD

MARGINALS = ("max_over_steps", "sum_over_beams")
_BLEND = 1e-3


def max_over_steps(step_logits: Tensor, mask: Tensor) -> Tensor:
    """The largest of a label's probabilities over the valid steps of one decoding (traps 5 and 7).

    Args:
        step_logits: (B, T, L + 1), the last column is STOP.
        mask: (B, T) bool, true for valid steps; each row has at least one.

    Returns:
        probs (B, L) in [0, 1].

    Raises:
        ValueError: mask is not bool (B, T).
        FloatingPointError: step_logits holds NaN at a valid step.
    """
    if mask.dtype != torch.bool or mask.shape != step_logits.shape[:2]:
        raise ValueError(
            f"mask is {tuple(mask.shape)} of {mask.dtype}, expected bool "
            f"{tuple(step_logits.shape[:2])}: True for each valid step"
        )
    probs = step_logits.softmax(dim=-1)[..., :-1]
    found = probs.masked_fill(~mask[..., None], 0.0).amax(dim=1)
    if not torch.compiler.is_exporting() and bool(found.isnan().any()):
        raise FloatingPointError(
            "step_logits holds NaN at a valid step; look for NaN in the decoder's weights"
        )
    return found


def sum_over_beams(beams: Beams, n_labels: int, tie_break: Tensor | None = None) -> Tensor:
    """How much of the beams' probability lies in sequences that hold a label.

    The K beams' probabilities are divided by their sum. A label outside every beam has 0, and all
    such labels tie: where there are many, average precision is decided by the order of the columns.
    `tie_break` settles that (trap 6): the result is 0.999 of the sum plus 0.001 of `tie_break`.

    Args:
        beams: of `search.beam_search`.
        n_labels: L; columns of the search from there on (STOP) are no labels.
        tie_break: (B, L) in [0, 1], the greedy decoding's probabilities, say.

    Returns:
        probs (B, L) in [0, 1].

    Raises:
        ValueError: the beams hold symbols beyond STOP, so they are of more labels; or tie_break has
            another shape, or values outside [0, 1].
    """
    highest = int(beams.sequences.max()) if beams.sequences.numel() else PAD
    if highest > n_labels:
        raise ValueError(
            f"the beams hold the symbol {highest}, but n_labels is {n_labels}, which is STOP; give "
            "the number of labels that were searched"
        )
    # a beam that is none has -inf, so 0; an image may have none at all
    weights = beams.log_probs.softmax(dim=1).nan_to_num(nan=0.0)
    summed = (weights[..., None] * beams.sets(n_labels)).sum(dim=1).clamp(max=1)  # (B, L)
    if tie_break is None:
        return summed
    if tie_break.shape != summed.shape:
        raise ValueError(
            f"tie_break has shape {tuple(tie_break.shape)}, expected {tuple(summed.shape)}; pass "
            "the greedy decoding's probs of the same images"
        )
    if not bool(((tie_break >= 0) & (tie_break <= 1)).all()):
        raise ValueError("tie_break holds NaN, or values outside [0, 1]; give probabilities")
    return (1 - _BLEND) * summed + _BLEND * tie_break
