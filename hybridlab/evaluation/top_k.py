"""Decisions by rank: the k best labels of each image, in both senses that papers publish.

Trap 2: the CNN-RNN paper's "top-3" always emits three labels. Later papers' "top-3" takes, of
the three, only those that the model would also say yes to. The second has more precision and less
recall on images with few labels, so results of one sense must not stand beside the other's.
"""

import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.inputs import Array, check_scores

# What each sense asks of a score besides its rank.
_CUTS: dict[str, float | None] = {"always": None, "logit>=0": 0.0, "prob>=0.5": 0.5}
TOP_K_SENSES = tuple(_CUTS)


def top_k_decisions(
    scores: ArrayLike, k: int, sense: str = "always", cut: float | None = None
) -> NDArray[np.bool_]:
    """The k highest scores of each image as decisions, for `threshold_metrics`.

    Equal scores: the lowest column comes first, whatever the machine.

    Args:
        scores: (N, L) logits, probabilities or other scores.
        k: how many labels; 1 to L.
        sense: "always": exactly k labels for every image (CNN-RNN, arXiv 1604.04573).
            "logit>=0": of the k, those with a score of at least 0, for logits (later papers).
            "prob>=0.5": the same for probabilities; a sigmoid turns one into the other.
        cut: another score to ask for than the 0 or 0.5 in the name.

    Shape:
        scores (N, L) -> (N, L) boolean

    Raises:
        ValueError: `k` is not from 1 to L, `sense` is none of the three, `cut` is not finite or
            given with "always", a score is not finite, "prob>=0.5" meets a score outside [0, 1],
            or "logit>=0" meets no score below 0, which would be plain top-k.
    """
    scored = check_scores(scores)
    best = ranked_columns(scored, k)
    asked = _cut(scored, sense, cut)
    decisions = np.zeros(scored.shape, np.bool_)
    np.put_along_axis(decisions, best, True, axis=1)
    return decisions if asked is None else decisions & (scored >= asked)


def ranked_columns(scored: Array, k: int) -> NDArray[np.intp]:
    """Columns of the k highest scores of each row, best first, lowest column first in ties.

    Shape:
        scored (N, L) -> (N, k)

    Raises:
        ValueError: `k` is not a whole number from 1 to L.
    """
    labels = scored.shape[1]
    try:
        wanted = operator.index(k)
    except TypeError:
        wanted = 0
    if isinstance(k, bool | np.bool_) or not 1 <= wanted <= labels:
        raise ValueError(
            f"k is {k!r} but scores has {labels} columns; expected a whole number from 1 to "
            f"{labels}"
        )
    return np.argsort(-scored, axis=1, kind="stable")[:, :wanted]


def _cut(scored: Array, sense: str, cut: float | None) -> float | None:
    if sense not in _CUTS:
        raise ValueError(f"sense is {sense!r}; expected one of {', '.join(map(repr, _CUTS))}")
    if cut is not None and (sense == "always" or not np.isfinite(cut)):
        raise ValueError(
            f"cut is {cut} with sense {sense!r}; expected a finite score with 'logit>=0' or "
            "'prob>=0.5', and none with 'always', which emits k labels whatever their scores"
        )
    if sense == "prob>=0.5" and ((scored < 0) | (scored > 1)).any():
        raise ValueError(
            f"scores reach from {scored.min()} to {scored.max()}; 'prob>=0.5' expects values in "
            "[0, 1]: pass probabilities, or take 'logit>=0' for logits"
        )
    if sense == "logit>=0" and cut is None and scored.size and not (scored < 0).any():
        raise ValueError(
            f"'logit>=0' meets no score below 0 (they reach from {scored.min()} to "
            f"{scored.max()}), so it would leave all k labels: these look like probabilities, ask "
            "for 'prob>=0.5'; where they are logits after all, give cut=0.0"
        )
    return _CUTS[sense] if cut is None else cut
