"""Check of lesson 02's order of labels by frequency (2.1, trap 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import as_array, is_tensor
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial, Wrong

Array = np.ndarray
Lists = list[list[int]]
Order = Callable[[Array, bool], Sequence[int]]

_EXAMPLE = np.array([[1, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, -1]])
_EMPTY = -999  # where a list is shorter than the table
_MARK = (
    "-1 means: nobody looked. It counts as absent, in the frequencies as well as in the lists: "
    "targets == 1 tells what is there."
)
_ALONE = "An image without labels has a list, too: STOP alone, [L]."
_TIES = (
    "If it is right without ties: of equally frequent labels the lower column comes first. "
    'np.argsort(..., kind="stable") and Python\'s sorted keep what came before; other sorts leave '
    "it to chance."
)


def check_order_by_frequency(trial: Trial) -> None:
    """Lists without ties, with entries that are not annotated, with ties, without labels."""
    with trial.part("the worked example"):
        for rare in (False, True):
            right = _table(_right(_EXAMPLE, rare))
            mistakes = own(right, [*_wrongly(_EXAMPLE, rare), *_absent_wrongly(_EXAMPLE, rare),
                                   *_ties_wrongly(_EXAMPLE, rare), _without(_EXAMPLE, rare)])
            _judged(trial, _EXAMPLE, rare, "the example", mistakes)
    with trial.part("any targets"):
        rng = trial.rng
        for rare in (False, True):
            targets, _, mistakes = telling(
                lambda: _targets(rng),
                partial(lambda rare, drawn: (_table(_right(drawn, rare)), _wrongly(drawn, rare)),
                        rare),
            )
            _judged(trial, targets, rare, f"{len(targets)} images", mistakes)
        rows = rng.permutation(len(targets))
        _judged(trial, targets[rows], True, "the same images in another order",
                hint="Frequencies do not depend on the order of the images.")
        _judged(trial, targets.astype(np.float32), True, "the same targets as float32")
    with trial.part("entries that are not annotated"):
        rng = trial.rng
        for rare in (False, True):
            targets, _, mistakes = telling(
                lambda: _with_absent(rng),
                partial(lambda rare, drawn: (_table(_right(drawn, rare)),
                                             _absent_wrongly(drawn, rare)), rare),
            )
            _judged(trial, targets, rare, "targets with -1", mistakes, _MARK)
    with trial.part("equally frequent labels"):
        rng = trial.rng
        for rare in (False, True):
            targets, _, mistakes = telling(
                lambda: _with_ties(rng),
                partial(lambda rare, drawn: (_table(_right(drawn, rare)),
                                             _ties_wrongly(drawn, rare)), rare),
            )
            _judged(trial, targets, rare, f"{targets.shape[1]} labels, many equally frequent",
                    mistakes, _TIES)
    with trial.part("images without labels"):
        targets = _targets(trial.rng)
        targets[[0, 2, len(targets) - 1]] = 0
        labels = targets.shape[1]
        _judged(trial, targets, False, "targets with three images without labels",
                [_without(targets, False)], _ALONE)
        targets[:] = 0
        targets[1] = -1
        _judged(trial, targets, False, "images without any label", hint=_ALONE)
        _judged(trial, targets[:0], True, f"no images and {labels} labels",
                hint="No images give an empty list.")
        _judged(trial, np.array([[1]]), True, "one image with the one label that there is")


def _judged(
    trial: Trial, targets: Array, rare: bool, what: str, mistakes: Sequence[Mistake] = (),
    hint: str = "",
) -> None:
    """Call the learner's function and compare its lists.

    Raises:
        Wrong: they are no lists of whole numbers, or others than expected.
    """
    got = _lists(trial.call("order_by_frequency", targets, rare), len(targets))
    right = _right(targets, rare)
    place = next((at for at, row in enumerate(right) if got[at] != row), None)
    if place is None:
        return
    table = _table(got, targets.shape[1] + 2)
    known = next((each.words for each in mistakes if np.array_equal(each.value, table)), None)
    first = "rare" if rare else "frequent"
    several = sum(mine != row for mine, row in zip(got, right, strict=True))
    raise Wrong(
        kinds.WRONG_VALUE,
        f"{what}, {first} labels first: image {place}: got {_short(got[place])}, expected "
        f"{_short(right[place])}; {several} of {len(right)} lists differ",
        hint if known is None else known, guess=known is None,
    )


def _lists(got: Any, images: int) -> Lists:
    """The learner's value as lists of whole numbers.

    Raises:
        Wrong: it is nothing of the kind.
    """
    if got is None:
        raise Wrong(kinds.WRONG_FORM, "got None, expected a list of lists",
                    "The function ends without `return`, or a branch of it does.")
    if not isinstance(got, (list, tuple)):
        raise Wrong(
            kinds.WRONG_FORM, f"got {_kind(got)}, expected a list of lists",
            "Each image has a list of its own length, so no array holds them: nothing is padded "
            "here.",
        )
    if len(got) != images:
        raise Wrong(
            kinds.WRONG_FORM, f"got {len(got)} lists, expected {images}, one for each image",
            _ALONE,
        )
    return [_row(each, at) for at, each in enumerate(got)]


def _row(given: Any, at: int) -> list[int]:
    if isinstance(given, np.ndarray) or is_tensor(given):
        array = as_array(given)
        if array.ndim != 1:
            raise Wrong(kinds.WRONG_FORM, f"image {at}: got an array with {array.ndim} axes, "
                        "expected a list of labels")
        given = [*array]
    if not isinstance(given, (list, tuple)):
        raise Wrong(kinds.WRONG_FORM, f"image {at}: got {_kind(given)}, expected a list of labels",
                    "Each image has a list of its own, even where STOP is all it holds.")
    found = []
    for each in given:
        number = each.item() if isinstance(each, np.generic) or is_tensor(each) else each
        if type(number) is not int:
            raise Wrong(kinds.WRONG_FORM, f"image {at}: got {number!r} in the list, expected whole "
                        "numbers", "Labels are numbers of columns: whole numbers, each by itself.")
        found.append(number)
    return found


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray) or is_tensor(value):
        return f"an array of shape {as_array(value).shape}"
    return f"{value!r}"[:100]


def _short(row: list[int]) -> str:
    return str(row) if len(row) <= 14 else f"[{', '.join(map(str, row[:14]))}, ...]"


def _table(lists: Lists, width: int = 0) -> Array:
    """Lists as an array (N, W), filled up: W is L + 2, more than any right list needs."""
    width = max([width, *map(len, lists)]) if width else 2 + max(row[-1] for row in lists)
    return np.array([[*row, *[_EMPTY] * (width - len(row))] for row in lists])


def _ranked(frequency: Array, rare: bool) -> list[int]:
    return [int(at) for at in np.argsort(frequency if rare else -frequency, kind="stable")]


def _right(targets: Array, rare: bool) -> Lists:
    present = targets == 1
    return _written(present, _ranked(present.sum(axis=0), rare))


def _written(present: Array, order: Sequence[int]) -> Lists:
    return [[*(at for at in order if row[at]), present.shape[1]] for row in present]


# N is small and few labels are there, so that lists stay short; what comes before "equally
# frequent labels" has no ties.


def _targets(rng: np.random.Generator) -> Array:
    """Each image has a label or more, and no two labels are equally frequent."""
    labels = int(rng.integers(5, 8))
    images = int(rng.integers(14, 20))
    while True:
        share = rng.permutation(np.linspace(0.1, 0.75, labels))
        targets = (rng.random((images, labels)) < share).astype(int)
        frequency = targets.sum(axis=0)
        if len({*frequency.tolist()}) == labels and frequency.min() and targets.any(axis=1).all():
            return targets


def _with_absent(rng: np.random.Generator) -> Array:
    """A part of the entries is -1, and no two labels have the same frequency."""
    while True:
        targets = _targets(rng)
        hidden = rng.random(targets.shape) < rng.uniform(0.05, 0.5, targets.shape[1])
        targets[hidden] = -1
        frequency = (targets == 1).sum(axis=0)
        if len({*frequency.tolist()}) == len(frequency) and (targets == 1).any(axis=1).all():
            return targets


def _with_ties(rng: np.random.Generator) -> Array:
    """Long rows and few frequencies: a sort that is not stable shows there."""
    labels, images = int(rng.integers(40, 60)), int(rng.integers(6, 9))
    return (rng.random((images, labels)) < 0.4).astype(int)


def _wrongly(targets: Array, rare: bool) -> list[Mistake]:
    present, width = targets == 1, targets.shape[1] + 2
    stop = targets.shape[1]
    frequency = present.sum(axis=0)
    order = _ranked(frequency, rare)
    rank = np.argsort(order)
    right = _written(present, order)
    tables = [
        ("STOP is missing: each list ends in L, or a decoder never learns where to end.",
         [row[:-1] for row in right]),
        ("STOP stands first; it ends the list.", [[stop, *row[:-1]] for row in right]),
        ("Your STOP is L - 1, which is the last label. STOP is L.",
         [[*row[:-1], stop - 1] for row in right]),
        ("Your STOP is L + 1. Labels are 0 to L - 1, and STOP is L.",
         [[*row[:-1], stop + 1] for row in right]),
        ("Your STOP is -100. That is PAD, which fills up the shorter sequences of a batch; STOP is "
         "L.", [[*row[:-1], -100] for row in right]),
        ("Your STOP is -1, which counts as not annotated; STOP is L.",
         [[*row[:-1], -1] for row in right]),
        ("Your STOP is 4, the example's L; L is the number of columns.",
         [[*row[:-1], 4] for row in right]),
        ("Your labels are in the order of the columns; the frequency decides.",
         _written(present, range(stop))),
        ("Your order is not what rare_first asks for: with it the rarest label comes first, "
         "without it the most frequent.", _written(present, order[::-1])),
        ("You wrote each label's place in the order, and not its column.",
         [[*sorted(int(rank[at]) for at in np.flatnonzero(row)), stop] for row in present]),
        ("np.argsort gives the labels in their order, and not the rank of each label. As a sorting "
         "key take the frequency, or the argsort of the argsort.",
         [[*sorted((int(at) for at in np.flatnonzero(row)), key=order.__getitem__), stop]
          for row in present]),
        ("You listed all labels for every image; list those that the image has.",
         [[*order, stop] for _ in present]),
        ("You listed the labels that the image lacks.", _written(~present, order)),
        ("Your labels are counted from 1; the first column is label 0.",
         [[*(at + 1 for at in row[:-1]), stop] for row in right]),
        ("You counted how many labels each image has (axis 1); a label's frequency is the number "
         "of images that have it (axis 0).", _by_images(present, rare)),
    ]
    return [Mistake(words, _table(lists, width)) for words, lists in tables]


def _by_images(present: Array, rare: bool) -> Lists:
    """Columns in the order of the images' counts, as far as there are columns."""
    order = [at for at in _ranked(present.sum(axis=1), rare) if at < present.shape[1]]
    return _written(present, order)


def _absent_wrongly(targets: Array, rare: bool) -> list[Mistake]:
    width = targets.shape[1] + 2
    present, marked = targets == 1, targets != 0
    order = _ranked(present.sum(axis=0), rare)
    looked = np.maximum((targets >= 0).sum(axis=0), 1)
    return [
        Mistake(f"An entry of -1 counts as a label. {_MARK}",
                _table(_written(marked, _ranked(marked.sum(axis=0), rare)), width)),
        Mistake(f"Your lists hold labels whose entry is -1 (in Python it is true). {_MARK}",
                _table(_written(marked, order), width)),
        Mistake(f"Your frequencies count entries of -1 as labels. {_MARK}",
                _table(_written(present, _ranked(marked.sum(axis=0), rare)), width)),
        Mistake(f"You added the targets up, so that each -1 takes an image off. {_MARK}",
                _table(_written(present, _ranked(targets.sum(axis=0), rare)), width)),
        Mistake(f"You added the targets up, so that each -1 takes an image off, and your lists "
                f"hold labels whose entry is -1. {_MARK}",
                _table(_written(marked, _ranked(targets.sum(axis=0), rare)), width)),
        Mistake("You divided by the number of images in which the label is annotated. The "
                "frequency is the number of images that have the label; -1 counts as absent.",
                _table(_written(present, _ranked(present.sum(axis=0) / looked, rare)), width)),
    ]


def _without(targets: Array, rare: bool) -> Mistake:
    lists = [row if len(row) > 1 else [] for row in _right(targets, rare)]
    return Mistake(f"{_ALONE} A decoder must learn to begin with STOP.",
                   _table(lists, targets.shape[1] + 2))


def _ties_wrongly(targets: Array, rare: bool) -> list[Mistake]:
    width = targets.shape[1] + 2
    present = targets == 1
    met = Counter(int(at) for _, at in np.argwhere(present))
    first = {label: place for place, label in enumerate(met)}
    frequency = present.sum(axis=0)
    higher = [len(frequency) - 1 - at for at in _ranked(frequency[::-1], rare)]
    sign = 1 if rare else -1
    ordered = sorted(range(len(frequency)),
                     key=lambda at: (sign * frequency[at], first.get(at, 0)))
    return [
        Mistake("Of equally frequent labels you took the higher columns first: an order that is "
                "turned round ([::-1]) turns ties round, too. Sort by the negative frequency, or "
                "by the frequency, and take the lower columns first either way.",
                _table(_written(present, higher), width)),
        Mistake("Equally frequent labels stand in the order in which you met them first (a Counter "
                "and a dict keep that); take the lower columns first.",
                _table(_written(present, ordered), width)),
    ]
