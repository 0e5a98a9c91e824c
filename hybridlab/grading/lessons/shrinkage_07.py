"""Check of lesson 07's shrinkage of thresholds (7.3, trap 20)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong
from hybridlab.grading.telling import own as own_mistakes
from hybridlab.grading.telling import telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, float, int, float]  # own, targets, overall, min_positives, shrinkage
nan = float("nan")

_NAME = "shrunk_thresholds"
_EXAMPLE = (
    np.array([0.2, 0.7, nan]), np.array([[1, 1, 0], [1, 0, 0], [1, -1, 0], [0, 1, 1]]), 0.4, 2, 1.0,
)
_VALUES = "One threshold for each label: (L,)."
_FEW = "One True or False for each label: (L,)."
_LEAKS = (
    "0 * NaN is NaN, and so is NaN + 1: choose who falls back with np.where, and not by "
    "multiplying."
)
_DIVIDED = "A label without a positive and a shrinkage of 0: 0 / 0. It falls back to `overall`."
_CRASHES = {
    "ZeroDivisionError": _DIVIDED,
    "ValueError": "If the truth value of an array is ambiguous: `if` asks about one label; "
    "np.where(few, ...) chooses for all of them.",
}


def check_shrunk_thresholds(trial: Trial) -> None:
    """Any labels; what is not annotated; who falls back; no shrinkage."""
    with trial.part("the worked example", _CRASHES):
        values, few = _right(*_EXAMPLE)
        _judged(trial, _EXAMPLE, "the example",
                own_mistakes(values, [*_wrongly(*_EXAMPLE), *_miscounted(*_EXAMPLE)]),
                own_mistakes(few, _few_wrongly(*_EXAMPLE)))
    with trial.part("any labels", _CRASHES):
        for shrinkage in (2.5, 6.0):
            drawn, _, mistakes = telling(
                partial(_drawn, trial.rng, shrinkage),
                lambda drawn: (_right(*drawn)[0], _wrongly(*drawn)),
            )
            _judged(trial, drawn, f"{len(drawn[0])} labels and a shrinkage of {shrinkage:g}",
                    mistakes, own_mistakes(_right(*drawn)[1], _few_wrongly(*drawn)))
        own, targets, overall, least, _ = drawn
        _judged(trial, (own, targets, overall, least, 1e9), "a shrinkage of a billion",
                hint="The more `overall` weighs, the nearer to it.")
    with trial.part("not annotated", _CRASHES):
        drawn, _, mistakes = telling(
            partial(_masked, trial.rng), lambda drawn: (_right(*drawn)[0], _miscounted(*drawn))
        )
        _judged(trial, drawn, "labels with entries that are not annotated", mistakes,
                hint="n is the number of targets that are 1.")
    with trial.part("who falls back", _CRASHES):
        drawn, _, mistakes = telling(
            partial(_edge, trial.rng), lambda drawn: (_right(*drawn)[0], _edge_wrongly(*drawn))
        )
        _judged(trial, drawn, "labels with one positive less than, as many as, and one more than "
                "min_positives", mistakes,
                own_mistakes(_right(*drawn)[1], _few_wrongly(*drawn)))
        own, *others = drawn
        few = _right(*drawn)[1]
        _judged(trial, (np.where(few, nan, own), *others),  # type: ignore[arg-type]
                "labels of which some have no threshold of their own",
                [Mistake(_LEAKS, np.where(few, nan, _right(*drawn)[0]))], hint=_LEAKS)
    with trial.part("a shrinkage of 0", _CRASHES):
        own, targets, overall, least, _ = _drawn(trial.rng, 1.0)
        _judged(trial, (own, targets, overall, least, 0.0), "no shrinkage",
                hint="With a shrinkage of 0 a label with enough positives has its own threshold.")
        targets = targets.copy()
        targets[:, 0] = 0
        drawn = own, targets, overall, 1, 0.0
        _judged(trial, drawn, "no shrinkage and a label that is never there",
                [Mistake(_DIVIDED, _with(_right(*drawn)[0], 0, nan)),
                 Mistake("A label without a positive fell to 0; it falls back to `overall`.",
                         _with(_right(*drawn)[0], 0, 0.0))], hint=_DIVIDED)
        one = np.array([[1], [0]])
        _judged(trial, (own[:1], one, overall, 1, 0.5), "one positive and a shrinkage of a half",
                hint="(1 * own + .5 * overall) / 1.5: the sum below the bar may be any number "
                "above 0.")


def _judged(
    trial: Trial, drawn: Drawn, what: str, mistakes: list[Mistake] | None = None,
    few: list[Mistake] | None = None, hint: str = "",
) -> None:
    got, right = trial.call(_NAME, *drawn), _right(*drawn)
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise Wrong(kinds.WRONG_FORM, "expected two arrays: the thresholds, and who fell back",
                    "End with `return thresholds, few`.")
    trial.equal(got[0], right[0], f"the thresholds of {what}", mistakes or [], hint=hint,
                shape_hint=_VALUES)
    trial.equal(got[1], right[1], f"who fell back among {what}", few or [],
                hint="Who has fewer positives than min_positives falls back.", shape_hint=_FEW)


def _with(values: Array, at: int, value: float) -> Array:
    changed = values.copy()
    changed[at] = value
    return changed


# --- draws ----------------------------------------------------------------------------------------


def _of_counts(rng: np.random.Generator, counts: Array, images: int, masked: int = 0) -> Array:
    """(N, L) targets with so many positives each, and as many entries that are not annotated."""
    targets = np.zeros((images, len(counts)), int)
    for label, count in enumerate(counts):
        rows = rng.permutation(images)
        targets[rows[:count], label] = 1
        targets[rows[count : count + masked], label] = -1
    return targets


def _thresholds(rng: np.random.Generator, labels: int) -> tuple[Array, float]:
    """Own ones far from the global one."""
    overall = float(rng.choice([0.35, 0.4, 0.45]))
    apart = rng.choice([-1, 1], labels) * rng.uniform(0.1, 0.3, labels)
    return np.round(overall + apart, 3), overall


def _drawn(rng: np.random.Generator, shrinkage: float) -> Drawn:
    """Many and few positives; the first label has too few."""
    own, overall = _thresholds(rng, 5)
    least = int(rng.integers(3, 5))
    counts = np.array([least - 1, *rng.integers(least + 1, 15, 4)])
    return own, _of_counts(rng, counts, 30), overall, least, shrinkage


def _masked(rng: np.random.Generator) -> Drawn:
    """So many entries of -1 that a sum of targets would be below min_positives."""
    own, overall = _thresholds(rng, 4)
    counts = np.array([1, *rng.integers(5, 12, 3)])
    return own, _of_counts(rng, counts, 30, int(rng.integers(2, 4))), overall, 3, 4.0


def _edge(rng: np.random.Generator) -> Drawn:
    own, overall = _thresholds(rng, 5)
    least = int(rng.integers(3, 6))
    counts = np.array([least - 1, least, least + 1, 0, 1])
    return own, _of_counts(rng, counts, 20), overall, least, 3.0


# --- right and wrong ------------------------------------------------------------------------------


def _mixed(own: Array, count: Array, overall: float, shrinkage: float) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((count * own + shrinkage * overall) / (count + shrinkage))


def _right(
    own: Array, targets: Array, overall: float, least: int, shrinkage: float
) -> tuple[Array, Array]:
    return _by_count(own, (targets == 1).sum(axis=0), overall, least, shrinkage)


def _by_count(
    own: Array, count: Array, overall: float, least: int, shrinkage: float
) -> tuple[Array, Array]:
    few = count < least
    return np.where(few, overall, _mixed(own, count, overall, shrinkage)), few


def _wrongly(
    own: Array, targets: Array, overall: float, least: int, shrinkage: float
) -> list[Mistake]:
    count = (targets == 1).sum(axis=0)
    few = count < least

    def kept(values: Array) -> Array:
        return np.where(few, overall, values)

    return [
        Mistake("The weights have changed places: n belongs to the label's own threshold, "
                "shrinkage to `overall`.",
                kept((shrinkage * own + count * overall) / (count + shrinkage))),
        Mistake("Nobody falls back in your result: below min_positives a label gets `overall` "
                "alone.", _mixed(own, count, overall, shrinkage)),
        Mistake("n is the number of images in your result; it is the number of the label's "
                "positives.", kept(_mixed(own, np.full(len(own), len(targets)), overall,
                                          shrinkage))),
        Mistake("Your labels keep their own thresholds; they are drawn towards `overall`.",
                kept(own)),
        Mistake("All labels have `overall` in your result; those with enough positives keep a part "
                "of their own.", np.full(len(own), overall)),
        Mistake("You took the plain mean of both; the more positives, the more its own threshold "
                "counts.", kept((own + overall) / 2)),
        Mistake("You divided by n alone; divide by n + shrinkage.",
                kept((count * own + shrinkage * overall) / np.maximum(count, 1))),
        Mistake("The shares do not add up to 1: shrinkage is missing before `overall`.",
                kept((count * own + overall) / (count + shrinkage))),
        Mistake("n is the number of all labels' positives in your result; each label counts its "
                "own.", kept(_mixed(own, np.full(len(own), count.sum()), overall, shrinkage))),
        Mistake("You have it the other way round: labels with enough positives fell back.",
                np.where(few, _mixed(own, count, overall, shrinkage), overall)),
        Mistake("A label that falls back keeps its own threshold in your result; it gets "
                "`overall`.", np.where(few, own, _mixed(own, count, overall, shrinkage))),
    ]


def _miscounted(
    own: Array, targets: Array, overall: float, least: int, shrinkage: float
) -> list[Mistake]:
    ways = {
        "n is the sum of the targets in your result, and each -1 takes a positive away: count "
        "targets == 1.": targets.sum(axis=0),
        "Entries of -1 count as positives in your result (they are not 0): count targets == 1.":
            (targets != 0).sum(axis=0),
        "n is the number of annotated images in your result; it is the number of positives.":
            (targets >= 0).sum(axis=0),
    }
    return [Mistake(words, _by_count(own, count, overall, least, shrinkage)[0])
            for words, count in ways.items()]


def _edge_wrongly(
    own: Array, targets: Array, overall: float, least: int, shrinkage: float
) -> list[Mistake]:
    count = (targets == 1).sum(axis=0)
    ways = {
        "A label with exactly min_positives falls back in your result; it has enough: <.":
            least + 1,
        "A label with one positive less than min_positives keeps a part of its own in your result; "
        "it falls back.": least - 1,
        "Labels with a positive or two do not fall back in your result; all with fewer than "
        "min_positives do.": 1,
    }
    return [Mistake(words, _by_count(own, count, overall, limit, shrinkage)[0])
            for words, limit in ways.items()]


def _few_wrongly(
    own: Array, targets: Array, overall: float, least: int, shrinkage: float
) -> list[Mistake]:
    count = (targets == 1).sum(axis=0)
    return [
        Mistake("You marked who keeps a threshold of its own; mark who fell back.",
                count >= least),
        Mistake("A label with exactly min_positives did not fall back.", count <= least),
        Mistake("You marked labels without a positive; mark all that fell back.", count == 0),
        Mistake("You marked nobody.", np.zeros(len(count), bool)),
    ]
