"""The three kinds of AP against their definitions in exact fractions.

That the uninterpolated kind equals scikit-learn and torchmetrics is in test_metrics.py.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.evaluation.average_precision import (
    AP_KINDS,
    average_precision,
    average_precision_per_label,
    mean_ap,
)

quick = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def splits(draw, values=(-1, 0, 1)):
    n, labels = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.normal(size=(n, labels)).round(draw(st.sampled_from([0, 1, 9])))
    chosen = draw(st.sampled_from([values, (0, 1), (1,), (0,), (0, 0, 0, 1)]))
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), rng.choice(
        chosen, size=(n, labels)
    )


def brute_force(scores, targets, kind):
    """Every cut between distinct scores, as (recall, precision) in fractions; then the area."""
    pairs = [(s, t) for s, t in zip(scores.tolist(), targets.tolist(), strict=True) if t != -1]
    positives = sum(t == 1 for _, t in pairs)
    if positives == 0:
        return math.nan
    cuts = []
    for threshold in sorted({s for s, _ in pairs}, reverse=True):
        taken = [t for s, t in pairs if s >= threshold]
        hits = sum(t == 1 for t in taken)
        cuts.append((Fraction(hits, positives), Fraction(hits, len(taken))))

    def best_from(recall):
        return max((p for r, p in cuts if r >= recall), default=Fraction(0))

    if kind == "voc07":
        return float(sum(best_from(Fraction(k, 10)) for k in range(11)) / 11)
    area, before = Fraction(0), Fraction(0)
    for recall, precision in cuts:
        height = precision if kind == "uninterpolated" else best_from(recall)
        area, before = area + (recall - before) * height, recall
    return float(area)


@quick
@given(splits())
def test_every_kind_equals_its_definition(split):
    scores, targets = split
    for kind in AP_KINDS:
        found = average_precision_per_label(scores, targets, kind=kind)
        whole = mean_ap(scores, targets, kind=kind)
        for j, value in enumerate(found):
            expected = brute_force(scores[:, j], targets[:, j], kind)
            assert value == pytest.approx(expected, abs=1e-12, nan_ok=True), kind
            alone = average_precision(scores[:, j], targets[:, j], kind=kind)
            assert alone == pytest.approx(value, abs=0, nan_ok=True)
        assert whole.kind == kind
        assert whole.absent == tuple(np.flatnonzero(~(targets == 1).any(axis=0)))


def test_the_kinds_differ_and_the_default_is_uninterpolated():
    # precision at the two positives: 1/2 and 2/3; the envelope lifts the first to 2/3
    scores, targets = [0.9, 0.8, 0.7, 0.1], [0, 1, 1, 0]
    assert average_precision(scores, targets) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(scores, targets, kind="interpolated") == pytest.approx(2 / 3)
    # first positive alone reaches recall 1/2: points 0 to .5 see 1, the other five 2/4
    scores, targets = [0.9, 0.8, 0.7, 0.1], [1, 0, 0, 1]
    assert average_precision(scores, targets, kind="voc07") == pytest.approx((6 + 5 / 2) / 11)
    assert average_precision(scores, targets, kind="interpolated") == pytest.approx(0.75)


def test_ten_positives_reach_their_tenths_exactly():
    # One wrong sample stands between each two positives: the cut at recall i/10 has precision
    # i / (2i - 1). Only tenths count, so every point reads a cut of its own.
    targets = np.array([1, 0] * 10)
    scores = -np.arange(20.0)
    points = [1.0] + [i / (2 * i - 1) for i in range(1, 11)]
    assert average_precision(scores, targets, kind="voc07") == pytest.approx(
        sum(points) / 11, abs=1e-15
    )
    # the trap: in floating point the third of ten misses the third tenth
    assert np.arange(0, 1.1, 0.1)[3] > 3 / 10


@pytest.mark.parametrize("positives", [1, 3, 7, 10, 20, 30, 70, 110])
def test_the_eleven_points_for_every_number_of_positives(positives):
    rng = np.random.default_rng(positives)
    targets = rng.permutation([1] * positives + [0] * 60)
    scores = -np.arange(len(targets), dtype=float)
    expected = brute_force(scores, targets, "voc07")
    assert average_precision(scores, targets, kind="voc07") == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("kind", AP_KINDS)
def test_the_ends_of_the_scale(kind):
    assert average_precision([0.3], [1], kind=kind) == 1.0
    assert math.isnan(average_precision([0.3], [0], kind=kind))
    assert average_precision([3, 2, 1], [1, 1, 1], kind=kind) == 1.0
    assert average_precision(np.zeros(8), [1, 1, 0, 0, 0, 0, 0, 0], kind=kind) == 0.25
    empty = mean_ap(np.empty((0, 2)), np.empty((0, 2)), kind=kind)
    assert math.isnan(empty.value) and empty.absent == (0, 1)


def test_an_unknown_kind_lists_the_three():
    for measure in (average_precision_per_label, mean_ap):
        with pytest.raises(ValueError, match=r"'voc12'.*'uninterpolated'.*'voc07'"):
            measure(np.zeros((2, 2)), np.ones((2, 2)), kind="voc12")
    with pytest.raises(ValueError, match="'area'"):
        average_precision([0.1], [1], kind="area")
