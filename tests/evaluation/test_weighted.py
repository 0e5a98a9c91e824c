"""Mean AP of resamples against mean AP of their rows, in all three kinds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.evaluation.average_precision import AP_KINDS, mean_ap
from hybridlab.evaluation.weighted import WeightedMeanAP

quick = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def splits(draw):
    """Scores with ties, targets of several kinds, and counts of which many are 0."""
    n, labels = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.normal(size=(n, labels)).round(draw(st.sampled_from([0, 1, 9])))
    values = draw(st.sampled_from([(0, 1), (-1, 0, 1), (0, 0, 0, 0, 1), (1,), (0,)]))
    targets = rng.choice(values, size=(n, labels))
    counts = rng.poisson(draw(st.sampled_from([0.3, 1.0, 30.0])), size=(3, n))
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), targets, counts


@quick
@given(splits(), st.sampled_from(AP_KINDS))
def test_a_resample_has_the_mean_ap_of_its_rows(split, kind):
    scores, targets, counts = split
    weigh = WeightedMeanAP(scores, targets, kind)
    found = weigh(counts)
    for row, value in zip(counts, found, strict=True):
        rows = np.repeat(np.arange(len(scores)), row)
        expected = mean_ap(scores[rows], targets[rows], kind).value
        assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)
    once = weigh(np.ones((1, len(scores)), int))
    expected = mean_ap(scores, targets, kind).value
    assert once == pytest.approx([expected], abs=1e-12, nan_ok=True)


def test_a_recall_of_tenths_is_reached_in_whole_numbers():
    # in floats 3 * .1 is above .3, and 7 of 10 may miss .7: the resample doubles every row
    scores = -np.arange(20.0)[:, None]
    targets = np.tile([1, 0], 10)[:, None]
    weigh = WeightedMeanAP(scores, targets, "voc07")
    # the envelope at the k-th positive is k / (2k - 1), falling; recall 0 and .1 meet the first
    expected = (1 + sum(k / (2 * k - 1) for k in range(1, 11))) / 11
    assert weigh(np.ones((1, 20), int)) == pytest.approx([expected], abs=1e-12)
    doubled = mean_ap(np.repeat(scores, 2, 0), np.repeat(targets, 2, 0), "voc07").value
    assert weigh(np.full((1, 20), 2)) == pytest.approx([doubled], abs=1e-12)


@pytest.mark.parametrize("kind", AP_KINDS)
@pytest.mark.parametrize("copies", [300, 70_000])
def test_counts_beyond_small_integers_do_not_overflow(kind, copies):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (20, 3))
    scores = rng.normal(size=(20, 3)) + targets
    found = WeightedMeanAP(scores, targets, kind)(np.full((1, 20), copies))
    assert found == pytest.approx([mean_ap(scores, targets, kind).value], abs=1e-12)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="kind is 'voc12'; expected one of 'uninterpolated'"):
        WeightedMeanAP([[0.5]], [[1]], "voc12")
    with pytest.raises(ValueError, match=r"targets has shape \(1, 2\)"):
        WeightedMeanAP([[0.5]], [[1, 0]])
    weigh = WeightedMeanAP([[0.5], [0.1]], [[1], [0]])
    for bad, words in (
        ([1, 1], r"shape \(2,\); expected \(R, 2\)"),
        ([[1, -1]], "negative"),
        ([[1, 0.5]], "fraction"),
        ([[1, np.nan]], "fraction"),
        ([["a", "b"]], "no number"),
    ):
        with pytest.raises(ValueError, match=words):
            weigh(bad)
