"""From embeddings to scores of labels, and from scores to decisions.

A score of an image for a label is a cosine. What turns cosines into decisions is a choice, and
some choices are wrong for several labels at once (traps 8 and 10).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hybridlab.evaluation.inputs import as_array, check_targets
from hybridlab.evaluation.thresholds import best_f1_threshold
from hybridlab.evaluation.top_k import top_k_decisions
from hybridlab.zeroshot.checks import positive, require_finite, require_unit, same_width

RANK_KINDS = ("borda", "reciprocal")


def cosine_scores(image_emb: Tensor, text_emb: Tensor) -> Tensor:
    """Cosine of every image with every label, as one matrix product.

    An ensemble of prompts costs nothing here: it is one vector per label (`TextBank.text_emb`).

    Shape:
        image_emb (N, D), text_emb (L, D), unit length -> (N, L), in [-1, 1]

    Raises:
        ValueError: vectors that are not of unit length (trap 8), not finite, or of two widths.
    """
    images, texts = _checked(image_emb, text_emb, text_axes=2)
    return images @ texts.T


def prompt_scores(image_emb: Tensor, per_prompt: Tensor) -> Tensor:
    """Cosine of every image with every label in every prompt, as one matrix product.

    Their mean over prompts ranks images, label by label, exactly as the ensemble does: it is the
    ensemble's cosine times the length of the mean vector, a positive number for each label.

    Shape:
        image_emb (N, D), per_prompt (K, L, D), unit length -> (N, K, L)

    Raises:
        ValueError: as `cosine_scores`.
    """
    images, texts = _checked(image_emb, per_prompt, text_axes=3)
    return (images @ texts.flatten(0, 1).T).unflatten(1, texts.shape[:2])


def softmax_scores(cosines: Tensor, scale: float = 100.0) -> Tensor:
    """Softmax over labels: what CLIP does where one label is right. Wrong for several labels.

    The labels of an image share a sum of 1: with two objects present both fall, and a third object
    lowers them again, though they are as visible as before (trap 9). It changes the AP of a label
    too, as each image is divided by another number. Here for comparison.

    Shape:
        (..., L) -> (..., L), each row sums to 1

    Raises:
        ValueError: `scale` is not above 0, or a cosine is not finite.
    """
    return torch.softmax(positive(scale, "scale") * require_finite(cosines, "cosines"), dim=-1)


def sigmoid_scores(cosines: Tensor, scale: float, bias: float = 0.0) -> Tensor:
    """sigmoid(scale * cosine + bias): each label by itself.

    There is no default scale: at 1 all values bunch near 0.55, at 100 and bias 0 they saturate
    near 1 (trap 9). SigLIP brings both numbers, but its probabilities are those of a *pair*
    matching, and small (trap 10). Fit them with `zeroshot.platt`.

    Shape:
        (..., L) -> (..., L), in [0, 1]

    Raises:
        ValueError: `scale` is not above 0 (that would turn the ranking round), `bias` is not
            finite, or a cosine is not.
    """
    if not abs(bias) < float("inf"):
        raise ValueError(f"bias is {bias}; expected a finite number")
    return torch.sigmoid(positive(scale, "scale") * require_finite(cosines, "cosines") + bias)


def above(scores: Tensor, threshold: float | Tensor) -> Tensor:
    """Yes from the threshold up: one number for all labels, or one for each.

    Shape:
        scores (N, L), threshold () or (L,) -> (N, L) boolean

    Raises:
        TypeError: a threshold that is neither a number nor a tensor.
        ValueError: a threshold that is NaN, or thresholds of another number than labels.
    """
    require_finite(scores, "scores")
    if not isinstance(threshold, int | float | Tensor):
        raise TypeError(
            f"threshold is a {type(threshold).__name__}; give a number, or a tensor with one for "
            "each label"
        )
    cut = torch.as_tensor(threshold, device=scores.device)
    if cut.dim() and cut.shape != scores.shape[-1:]:
        raise ValueError(
            f"threshold has shape {tuple(cut.shape)} but scores has {scores.shape[-1]} labels; "
            "give one number, or one for each label"
        )
    if torch.isnan(cut).any():
        raise ValueError("threshold is NaN; give a number")
    return scores >= cut


def fixed_threshold(val_scores: Tensor, val_targets: Tensor) -> float:
    """The one score from which up every label gets a yes, where OF1 on validation images is best.

    One number learnt from labels. Cosines of CLIP differ in the second decimal, so a threshold
    taken from another model or another rule of scoring means nothing. Decide on other images than
    those that chose it: `above(scores, fixed_threshold(val_scores, val_targets))`.

    Shape:
        val_scores (N, L), val_targets (N, L) in {1, 0, -1 = not annotated}

    Raises:
        ValueError: no positive, shapes that differ, or a score that is not finite.
    """
    scored = as_array(val_scores)
    truth = check_targets(val_targets, scored.shape, of="val_scores")
    return best_f1_threshold(scored.ravel(), truth.ravel())


def top_k(scores: Tensor, k: int) -> Tensor:
    """The k best labels of each image, always k of them; the lowest column first in ties.

    Shape:
        scores (N, L) -> (N, L) boolean

    Raises:
        ValueError: `k` is not from 1 to L, or a score is not finite.
    """
    return torch.from_numpy(top_k_decisions(scores, k)).to(scores.device)


def rank_scores(scores: Tensor, kind: str = "borda") -> Tensor:
    """Aggregate prompts by the ranks that labels take in each, not by their cosines.

    A prompt whose cosines are all high, or widely spread, then weighs no more than the others.
    What is lost: how sure an image is. Equal scores share their mean rank.

    Args:
        scores: (N, K, L), as `prompt_scores` gives them.
        kind: "borda": the mean over prompts of the share of other labels beaten, in [0, 1].
            "reciprocal": the mean of 1 / rank, in (0, 1]; first places count most.

    Shape:
        (N, K, L) -> (N, L), higher is better

    Raises:
        ValueError: another number of axes, no prompt, no label, an unknown `kind`, or a score that
            is not finite.
    """
    if kind not in RANK_KINDS:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(map(repr, RANK_KINDS))}")
    require_finite(scores, "scores")
    if scores.dim() != 3 or not scores.shape[1] or not scores.shape[2]:
        raise ValueError(f"scores has shape {tuple(scores.shape)}; expected (N, K, L)")
    prompts, labels = scores.shape[1:]
    total = scores.new_zeros(len(scores), labels)
    for one in scores.unbind(1):  # (N, L); prompt by prompt, which takes a K-th of the memory
        one = one.contiguous()
        ordered = one.sort(dim=1).values
        below = torch.searchsorted(ordered, one)
        up_to = torch.searchsorted(ordered, one, right=True)
        beaten = (below + up_to - 1).to(scores.dtype) / 2  # of L - 1; half of each tie
        if kind == "borda":
            total += beaten / max(labels - 1, 1)
        else:
            total += 1 / (labels - beaten)
    return total / prompts


def label_frequency(targets: Tensor, smoothing: float = 1.0) -> Tensor:
    """How often each label is present, from targets: few-shot knowledge, not zero-shot.

    Args:
        smoothing: added to both counts, so that a label never seen is rare, not impossible.

    Shape:
        targets (N, L) in {1, 0, -1 = not annotated} -> (L,), in (0, 1)

    Raises:
        ValueError: another value, another number of axes, or `smoothing` not above 0.
    """
    truth = torch.from_numpy(check_targets(targets, tuple(targets.shape)))
    if truth.dim() != 2:
        raise ValueError(f"targets has shape {tuple(truth.shape)}; expected (N, L)")
    extra = positive(smoothing, "smoothing")
    present, annotated = (truth == 1).sum(dim=0), (truth >= 0).sum(dim=0)
    return ((present + extra) / (annotated + 2 * extra)).to(targets.device)


def add_prior(logits: Tensor, frequency: Tensor, strength: float = 1.0) -> Tensor:
    """Add the log-odds of each label's frequency to its logits (Bayes, for logits without a prior).

    It adds one number to a whole column: no label's AP moves; thresholds, top-k and probabilities
    do. Logits fitted on data (`zeroshot.platt` per label) hold the prior already. Raw cosines are
    no logits: scale them first.

    Args:
        strength: 1 is Bayes' rule, 0 changes nothing.

    Shape:
        logits (..., L), frequency (L,) in (0, 1) -> (..., L)

    Raises:
        ValueError: another number of labels, a frequency outside (0, 1), or something not finite.
    """
    require_finite(logits, "logits")
    if frequency.shape != logits.shape[-1:]:
        raise ValueError(
            f"frequency has shape {tuple(frequency.shape)} but logits has {logits.shape[-1]} labels"
        )
    if not ((frequency > 0) & (frequency < 1)).all():
        raise ValueError(
            "a frequency is not between 0 and 1, both excluded; smooth the counts, as "
            "`label_frequency` does"
        )
    if not abs(strength) < float("inf"):
        raise ValueError(f"strength is {strength}; expected a finite number")
    return logits + strength * torch.logit(frequency).to(logits)


def _checked(image_emb: Tensor, text_emb: Tensor, text_axes: int) -> tuple[Tensor, Tensor]:
    require_unit(image_emb, "image_emb")
    require_unit(text_emb, "text_emb")
    for emb, name, axes in ((image_emb, "image_emb", 2), (text_emb, "text_emb", text_axes)):
        if emb.dim() != axes:
            wanted = {"image_emb": "(N, D)"}.get(name, "(L, D)" if axes == 2 else "(K, L, D)")
            raise ValueError(f"{name} has shape {tuple(emb.shape)}; expected {wanted}")
    same_width(image_emb, text_emb, "image_emb", "text_emb")
    kind = torch.promote_types(image_emb.dtype, text_emb.dtype)  # caches may hold half precision
    return image_emb.to(kind), text_emb.to(kind)
