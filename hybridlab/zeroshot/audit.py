"""False positives by context: does the surrounding say yes in the place of the object?

"The background is a beach, so CLIP says crab." The false-positive rate of a label is taken among
images WITHOUT the label, once for those of one group and once for all others. Groups are contexts
(the background, say) or other labels: images that show an octopus and no crab. Decide by a
threshold that was fixed on other images (`scores.fixed_threshold`).

What was drawn behind a scene does not depend on its labels (at `background_hint` 0), so there a
difference by background is the background's doing. A difference by co-present label may be that
label's own doing, as a look-alike, or that of what likes to stand beside it: look at the pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hybridlab.evaluation.bootstrap import Interval, _check_level, _interval, resampled_values
from hybridlab.evaluation.inputs import Floats, check_decisions, check_targets, ratio
from hybridlab.zeroshot.audit_table import Audit
from hybridlab.zeroshot.proportions import difference_interval, fisher_p

_Marks = NDArray[np.bool_]


def audit_contexts(
    decisions: ArrayLike,
    targets: ArrayLike,
    contexts: Sequence[str],
    labels: Iterable[str],
    level: float = 0.95,
) -> Audit:
    """False positives of each label by the context of the image.

    Args:
        decisions: (N, L) boolean.
        targets: (N, L) in {1, 0, -1}; an entry that is not annotated counts nowhere.
        contexts: of each image, as `data.grounds.scene_backgrounds` gives them; "" is not known,
            and the image is left out.
        labels: L names.
        level: of the intervals.

    Raises:
        ValueError: shapes that differ, fewer than two known contexts, or as metrics refuse.
    """
    decided, truth = _checked(decisions, targets)
    if len(contexts) != len(truth):
        raise ValueError(f"contexts names {len(contexts)} images but targets has {len(truth)}")
    given = np.array(contexts, dtype=str)
    names = tuple(sorted(set(given.tolist()) - {""}))
    if len(names) < 2:
        raise ValueError(f"contexts holds {len(names)} known contexts; expected two or more")
    member = given[:, None] == np.array(names)[None, :]
    known = np.repeat(given[:, None] != "", len(names), axis=1)
    return _audit(decided, truth, member, known, names, tuple(labels), level)


def audit_companions(
    decisions: ArrayLike, targets: ArrayLike, labels: Iterable[str], level: float = 0.95
) -> Audit:
    """False positives of each label by which other label is there: groups are the labels.

    The diagonal is empty: images without a label do not hold it. Arguments and errors as
    `audit_contexts`.
    """
    decided, truth = _checked(decisions, targets)
    names = tuple(labels)
    return _audit(decided, truth, truth == 1, truth >= 0, names, names, level)


def usual_context_gap(
    decisions: ArrayLike,
    targets: ArrayLike,
    contexts: Sequence[str],
    usual: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """False-positive rate in a label's usual context minus elsewhere, mean over labels.

    One number for all labels, with a bootstrap interval over images: single labels have few false
    positives, and what no row of the table shows may be plain in their mean.

    Args:
        decisions, targets, contexts: as `audit_contexts`.
        usual: for each of the L labels its usual context.
        resamples, seed, level: as `evaluation.bootstrap`.

    Raises:
        ValueError: as `audit_contexts`.
    """
    _check_level(level)
    decided, truth = _checked(decisions, targets)
    if len(contexts) != len(truth) or len(usual) != truth.shape[1]:
        raise ValueError(
            f"got {len(contexts)} contexts and {len(usual)} usual ones for targets of shape "
            f"{truth.shape}; give one context for each image, and a usual one for each label"
        )
    given = np.array(contexts, dtype=str)[:, None]
    strange = sorted(set(usual) - set(given[:, 0].tolist()))
    if strange:
        raise ValueError(f"no image has the context {strange[0]!r}; look at usual= and contexts=")
    at_home = given == np.array(usual, dtype=str)[None, :]
    without = (truth == 0) & (given != "")
    marks = [
        (side & yes).astype(np.float32)
        for side in (without & at_home, without & ~at_home)
        for yes in (decided, np.ones_like(decided))
    ]

    def weigh(counts: NDArray[np.int32]) -> Floats:
        false_in, images_in, false_out, images_out = (
            counts.astype(np.float32) @ mark for mark in marks
        )
        gaps = ratio(false_in, images_in, np.nan) - ratio(false_out, images_out, np.nan)
        known = ~np.isnan(gaps)
        return ratio(np.where(known, gaps, 0).sum(axis=1), known.sum(axis=1), np.nan)

    whole = float(weigh(np.ones((1, len(truth)), np.int32))[0])
    drawn = resampled_values(weigh, len(truth), resamples, seed)
    return _interval(whole, drawn, level, "percentile")


def _checked(decisions: ArrayLike, targets: ArrayLike) -> tuple[_Marks, NDArray[np.int8]]:
    decided = check_decisions(decisions)
    return decided, check_targets(targets, decided.shape, of="decisions")


def _audit(
    decided: _Marks,
    truth: NDArray[np.int8],
    member: _Marks,
    known: _Marks,
    groups: tuple[str, ...],
    labels: tuple[str, ...],
    level: float,
) -> Audit:
    """Count false positives inside and outside of groups; member and known are (N, C)."""
    if len(labels) != truth.shape[1]:
        raise ValueError(f"labels has {len(labels)} names but targets has {truth.shape[1]} columns")
    if len(set(labels)) != len(labels):
        raise ValueError("labels holds a name twice; rows of the table could not be told apart")
    _check_level(level)
    without = truth == 0
    false, images, others_false, others = (
        (side.T.astype(np.float64) @ mark.astype(np.float64)).round().astype(np.int64)
        for side in (member & known, ~member & known)
        for mark in (without & decided, without)
    )
    low, high = difference_interval(false, images, others_false, others, level)
    p = fisher_p(false, images, others_false, others)
    return Audit(groups, labels, false, images, others_false, others, low, high, p)
