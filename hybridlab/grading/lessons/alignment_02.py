"""Check of lesson 02's predicted label alignment (2.7, trap 4)."""

from __future__ import annotations

from functools import partial
from itertools import permutations

import numpy as np

from hybridlab.grading.lessons.sequences_02 import exact
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[Array, Array, Array]  # costs, labels, predicted

_NAME = "pla_order"
_EXAMPLE = (
    np.array([[1.6, 0.6, 2.3], [1.2, 2.0, 1.5], [1.9, 0.4, 3.0]]), np.array([7, 2, 5]),
    np.array([2, 9, 2]),
)
_SHAPE = "One label for each step, n in all."
_CRASHES = {
    "ValueError": "If linear_sum_assignment raises: costs[steps, left] has one axis, and "
    "costs[np.ix_(steps, left)] is the matrix; each of its rows needs a finite entry, and none is "
    "NaN. If .index(...) raises: ask first whether the label is there.",
    "KeyError": "A step may predict what is no label of the image, or one that is taken: ask first "
    "whether it is there.",
    "IndexError": "labels and predicted hold numbers of labels, not columns of costs: labels[j] "
    "has the column j. costs[np.ix_(steps, left)] takes rows and columns.",
}
_ALL = (
    "If the parts above are right: where every step keeps its label nothing is left to assign, "
    "and where none does all of them are."
)


def check_pla_order(trial: Trial) -> None:
    """Assignment alone, with labels that are kept, with labels said often, with nothing left."""
    with trial.part("the worked example", _CRASHES):
        right = _right(*_EXAMPLE)
        mistakes = own(right, [*_twice_wrongly(*_EXAMPLE), *_kept_wrongly(*_EXAMPLE)])
        trial.equal(trial.call(_NAME, *_EXAMPLE), right, "the order of the example", mistakes,
                    shape_hint=_SHAPE)
    with trial.part("no step predicts a label of the image", _CRASHES):
        rng = trial.rng
        drawn, right, mistakes = telling(
            partial(_drawn, rng, 0, 0), lambda drawn: (_right(*drawn), _assigned_wrongly(*drawn))
        )
        trial.equal(trial.call(_NAME, *drawn), right, f"the order of {len(right)} labels", mistakes,
                    shape_hint=_SHAPE)
        costs, labels, predicted = drawn
        order = rng.permutation(len(labels))
        trial.equal(trial.call(_NAME, costs[:, order], labels[order], predicted), right,
                    "the same with labels (and columns of costs) in another order",
                    hint="labels[j] is what costs[:, j] is about; their order means nothing.")
    with trial.part("steps that are right", _CRASHES):
        rng = trial.rng
        for high in (1, 200):
            drawn, right, mistakes = telling(
                partial(_drawn, rng, 2, 0, high), lambda drawn: (_right(*drawn),
                                                                 _kept_wrongly(*drawn))
            )
            trial.equal(trial.call(_NAME, *drawn), right,
                        f"the order of {len(right)} labels, two steps being right"
                        + (", with costs in the hundreds" if high > 1 else ""), mistakes,
                        shape_hint=_SHAPE)
    with trial.part("a label that several steps predict", _CRASHES):
        rng = trial.rng
        drawn, right, mistakes = telling(
            partial(_drawn, rng, 1, 1), lambda drawn: (_right(*drawn), _twice_wrongly(*drawn))
        )
        trial.equal(trial.call(_NAME, *drawn), right,
                    f"the order of {len(right)} labels, two of which are predicted, one of them "
                    "by three steps", mistakes, shape_hint=_SHAPE,
                    hint="If the parts above are right: the first step that predicts a label keeps "
                    "it, and the later ones are free.")
    with trial.part("all right, and one label", _CRASHES):
        costs, labels, _ = _drawn(trial.rng, 0, 0)
        for say in (labels, labels[::-1]):
            trial.equal(trial.call(_NAME, costs, labels, say.copy()), say,
                        "the order where every step predicts another label of the image",
                        hint=_ALL, shape_hint=_SHAPE)
        almost = labels.copy()
        almost[1] = labels.max() + 1
        trial.equal(trial.call(_NAME, costs, labels, almost), labels,
                    "the order where all steps but one are right", hint=_ALL, shape_hint=_SHAPE)
        for say in (labels[:1], labels[1:2]):
            trial.equal(trial.call(_NAME, costs[:1, :1], labels[:1], say), labels[:1],
                        "the order of one label", hint=_ALL, shape_hint=_SHAPE)


def _drawn(
    rng: np.random.Generator, right: int, often: int, high: float = 1
) -> Drawn:
    """Five or six labels are left to assign; no other assignment costs nearly as little.

    Args:
        right: how many labels one step each predicts.
        often: how many labels three steps each predict.
        high: what costs are multiplied by.
    """
    size = right + often + int(rng.integers(5, 7))
    numbers = rng.permutation(np.arange(1, 30))
    labels, others = numbers[:size], numbers[size:]
    predicted = others[:size].copy()  # STOP, or labels that the image has not
    places = [int(at) for at in rng.permutation(size)]
    for number in range(right):
        predicted[places.pop()] = labels[number]
    for number in range(right, right + often):
        predicted[[places.pop() for _ in range(3)]] = labels[number]
    costs = exact(high * rng.gamma(2, 1.5, (size, size)))
    labels = labels[rng.permutation(size)]
    if right:  # one prediction stands where its label does: who compares those two has a hit
        step = int(rng.choice([at for at in range(size) if (predicted == predicted[at]).sum() == 1
                               and predicted[at] in labels]))
        place = int(np.flatnonzero(labels == predicted[step])[0])
        labels[[step, place]] = labels[[place, step]]
    drawn = costs, labels, predicted
    # who lets the cheapest step keep a label may assign it first, or all labels together: one order
    clear = _clear(*drawn, 0.05 * high) and np.array_equal(
        _cheapest(*drawn), _cheapest_together(*drawn))
    return drawn if clear else _drawn(rng, right, often, high)


def _clear(costs: Array, labels: Array, predicted: Array, gap: float) -> bool:
    """Whether the best assignment of what is left is better than all others by some."""
    steps, left, _ = _left(labels, predicted)
    if len(steps) < 2:
        return True
    table = costs[np.ix_(steps, left)]
    orders = np.array([*permutations(range(len(steps)))])
    totals = np.sort(table[np.arange(len(steps)), orders].sum(axis=1))
    return bool(totals[1] - totals[0] > gap)


def _left(labels: Array, predicted: Array, last: bool = False) -> tuple[Array, Array, Array]:
    """Steps and columns that are left, and the column of each step, -1 where it keeps none."""
    chosen = np.full(len(labels), -1)
    column = {int(label): at for at, label in enumerate(labels)}
    steps = range(len(labels))
    for step in reversed(steps) if last else steps:
        chosen[step] = column.pop(int(predicted[step]), -1)
    return np.flatnonzero(chosen < 0), np.array([*column.values()], dtype=int), chosen


def _filled(
    costs: Array, labels: Array, predicted: Array, last: bool = False, most: bool = False
) -> Array:
    """The columns of all steps, what is left assigned at least (or most) cost."""
    from scipy.optimize import linear_sum_assignment

    steps, left, chosen = _left(labels, predicted, last)
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)], maximize=most)
    chosen[steps[rows]] = left[columns]
    return chosen


def _right(costs: Array, labels: Array, predicted: Array) -> Array:
    return np.asarray(labels[_filled(costs, labels, predicted)])


def _greedy(costs: Array, labels: Array, predicted: Array, way: str) -> Array:
    """What is left taken one by one: by step, by label, or the lowest cost of all first."""
    steps, left, chosen = _left(labels, predicted)
    free, rest = [*steps.tolist()], [*left.tolist()]
    while free:
        if way == "step":
            pairs = [(costs[free[0], at], free[0], at) for at in rest]
        elif way == "label":
            pairs = [(costs[step, rest[0]], step, rest[0]) for step in free]
        else:
            pairs = [(costs[step, at], step, at) for step in free for at in rest]
        _, step, at = min(pairs)
        chosen[step] = at
        free.remove(step)
        rest.remove(at)
    return np.asarray(labels[chosen])


def _assigned_wrongly(costs: Array, labels: Array, predicted: Array) -> list[Mistake]:
    from scipy.optimize import linear_sum_assignment

    columns = _filled(costs, labels, predicted)
    steps, left, chosen = _left(labels, predicted)
    given = chosen.copy()
    given[steps] = left
    low = chosen.copy()
    low[steps] = left[costs[np.ix_(steps, left)].argmin(axis=1)]
    across = chosen.copy()  # the table transposed: steps took the place of labels
    rows, turned = linear_sum_assignment(costs[np.ix_(steps, left)].T)
    across[steps[rows]] = left[turned]
    least = "linear_sum_assignment looks at all of them together."
    return [
        Mistake("You took the most expensive assignment. Costs are -log p: take the least "
                "(linear_sum_assignment does, unless told maximize=True).",
                labels[_filled(costs, labels, predicted, most=True)]),
        Mistake(f"You went step by step, and took the cheapest label that was left. {least}",
                _greedy(costs, labels, predicted, "step")),
        Mistake(f"You went label by label, and took the cheapest step that was left. {least}",
                _greedy(costs, labels, predicted, "label")),
        Mistake(f"You took the cheapest pair of all, then the next, and so on. {least}",
                _greedy(costs, labels, predicted, "pair")),
        Mistake("Each step has its own cheapest label in your order, so that some stand twice and "
                "others not at all. The assignment is one to one.", labels[low]),
        Mistake("Those are columns of costs; the numbers of the labels are asked for: "
                "labels[columns].", columns),
        Mistake("Your order is the inverse: it says which step each label has (rows and columns "
                "have changed places). Row t of costs is a step, column j a label.",
                labels[across]),
        Mistake("The labels that are left stand in the order in which they are given. Assign them "
                "so that the sum of their costs is least.", labels[given]),
        Mistake("That is what the steps predict; labels that the image lacks are no answer.",
                predicted),
        Mistake("Steps that keep no label hold -1 still. The labels that were assigned go into "
                "them.", np.where(chosen < 0, -1, labels[chosen])),
        Mistake("Steps that keep no label hold 0 still. The labels that were assigned go into "
                "them.", np.where(chosen < 0, 0, labels[chosen])),
    ]


def _kept_wrongly(costs: Array, labels: Array, predicted: Array) -> list[Mistake]:
    from scipy.optimize import linear_sum_assignment

    columns = linear_sum_assignment(costs)[1]
    chosen = _left(labels, predicted)[2]
    each = np.where(labels == predicted, predicted, -1)
    beside = _filled(costs, labels, each)
    again = chosen.copy()  # rows of the free steps, columns of all labels
    free = np.flatnonzero(chosen < 0)
    _, any_column = linear_sum_assignment(costs[free])
    again[free] = any_column
    found = [
        *_assigned_wrongly(costs, labels, predicted),
        Mistake("You assigned all labels anew: that is minimal loss alignment (MLA). Here a step "
                "that predicts a label of the image keeps it, whatever that costs.",
                labels[columns]),
        Mistake("You compared predicted[t] with labels[t]. The order of labels means nothing: ask "
                "whether predicted[t] is among them.", labels[beside]),
        Mistake("Labels that a step has kept were given away once more: leave out their columns, "
                "as well as the rows of their steps.", labels[again]),
    ]
    if len(free) > 1 and len(free) < len(labels):
        small = _filled(costs, labels, predicted)
        steps, left, _ = _left(labels, predicted)
        place = {int(at): number for number, at in enumerate(left)}
        small[steps] = [place[int(at)] for at in small[steps]]
        found.append(Mistake("linear_sum_assignment gives columns of the small matrix; in the "
                             "large one that is left[columns].", labels[small]))
    return found


def _twice_wrongly(costs: Array, labels: Array, predicted: Array) -> list[Mistake]:
    from scipy.optimize import linear_sum_assignment

    kept = np.isin(predicted, labels)
    both = np.where(kept, predicted, _right(costs, labels, predicted))
    # more labels than steps are left then, and some are written nowhere
    steps, left = np.flatnonzero(~kept), np.flatnonzero(~np.isin(labels, predicted))
    wide = predicted.copy()
    rows, columns = linear_sum_assignment(costs[np.ix_(steps, left)])
    wide[steps[rows]] = labels[left[columns]]
    often = (
        "A label that several steps predict stands more than once in your order. The first one "
        "keeps it, the later ones are free."
    )
    once = np.array([say if (predicted == say).sum() == 1 else -1 for say in predicted])
    return [
        Mistake("The last step that predicts a label keeps it in your order; the first one does.",
                labels[_filled(costs, labels, predicted, last=True)]),
        Mistake(often, both),
        Mistake(often, wide),
        Mistake("A label that several steps predict is kept by none in your order. The first one "
                "keeps it.", labels[_filled(costs, labels, once)]),
        Mistake("Of the steps that predict a label the one with the least cost keeps it in your "
                "order. The first one keeps it.", _cheapest(costs, labels, predicted)),
    ]


def _cheapest(costs: Array, labels: Array, predicted: Array) -> Array:
    sure = np.full(len(labels), -1)
    for at, label in enumerate(labels):
        steps = np.flatnonzero(predicted == label)
        if len(steps):
            sure[steps[costs[steps, at].argmin()]] = label
    return np.asarray(labels[_filled(costs, labels, sure)])


def _cheapest_together(costs: Array, labels: Array, predicted: Array) -> Array:
    from scipy.optimize import linear_sum_assignment

    said = predicted[:, None] == labels[None]
    return np.asarray(labels[linear_sum_assignment(np.where(said, costs - 1e6, costs))[1]])
