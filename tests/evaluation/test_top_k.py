"""Both senses of "top-k" against a sort in plain Python."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.evaluation.decisions import threshold_metrics
from hybridlab.evaluation.top_k import TOP_K_SENSES, top_k_decisions

quick = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def scores_and_k(draw):
    n, labels = draw(st.integers(0, 12)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.normal(size=(n, labels)).round(draw(st.sampled_from([0, 1, 9])))
    return scores, draw(st.integers(1, labels))


@quick
@given(scores_and_k())
def test_the_k_best_with_the_lowest_column_first(case):
    scores, k = case
    always = top_k_decisions(scores, k)
    later = top_k_decisions(scores, k, sense="logit>=0", cut=0.0)
    stricter = top_k_decisions(scores, k, sense="logit>=0", cut=0.5)
    assert always.shape == later.shape == scores.shape
    for i, row in enumerate(scores.tolist()):
        best = sorted(range(len(row)), key=lambda j: (-row[j], j))[:k]
        assert set(np.flatnonzero(always[i])) == set(best)
        assert set(np.flatnonzero(later[i])) == {j for j in best if row[j] >= 0}
        assert set(np.flatnonzero(stricter[i])) == {j for j in best if row[j] >= 0.5}


@quick
@given(scores_and_k())
def test_a_probability_of_a_half_is_a_logit_of_zero(case):
    logits, k = case
    probs = 1 / (1 + np.exp(-logits))
    from_logits = top_k_decisions(logits, k, sense="logit>=0", cut=0.0)
    assert (top_k_decisions(probs, k, sense="prob>=0.5") == from_logits).all()


def test_the_two_senses_give_other_figures():
    logits = np.array([[3.0, -1.0, -2.0, -3.0], [2.0, 1.0, -1.0, -2.0]])
    targets = np.array([[1, 0, 0, 0], [1, 1, 0, 0]])
    always = threshold_metrics(top_k_decisions(logits, 3), targets)
    later = threshold_metrics(top_k_decisions(logits, 3, sense="logit>=0"), targets)
    assert (always.op, always.or_) == (0.5, 1.0)
    assert (later.op, later.or_) == (1.0, 1.0)


def test_ties_tensors_whole_numbers_and_all_labels():
    assert top_k_decisions([[1, 1, 1]], 2).tolist() == [[True, True, False]]
    assert top_k_decisions(torch.tensor([[0.0, 2.0, 2.0]]), 1).tolist() == [[False, True, False]]
    assert top_k_decisions(np.zeros((2, 3)), np.int64(3)).all()
    # a logit of 0 is taken, and so is -0.0
    at_zero = top_k_decisions([[-0.0, 0.0, -1.0]], 3, sense="logit>=0")
    assert at_zero.tolist() == [[True, True, False]]


def test_probabilities_are_not_taken_for_logits():
    probs = np.array([[0.1, 0.7, 0.9], [0.0, 0.2, 0.4]])
    with pytest.raises(ValueError, match=r"no score below 0.*from 0\.0 to 0\.9.*'prob>=0\.5'"):
        top_k_decisions(probs, 2, sense="logit>=0")
    assert top_k_decisions(probs, 2, sense="logit>=0", cut=0.0).sum() == 4
    assert top_k_decisions(probs - 0.5, 2, sense="logit>=0").tolist() == (
        top_k_decisions(probs, 2, sense="prob>=0.5").tolist()
    )
    assert top_k_decisions(np.empty((0, 3)), 2, sense="logit>=0").shape == (0, 3)


@pytest.mark.parametrize("k", [0, -1, 5, 2.0, True, None])
def test_k_out_of_range_says_how_many_labels_there_are(k):
    with pytest.raises(ValueError, match=rf"k is {k!r} but scores has 4 columns.*from 1 to 4"):
        top_k_decisions(np.zeros((2, 4)), k)


def test_bad_input_is_named():
    scores = np.array([[0.2, 1.5, -3.0]])
    with pytest.raises(ValueError, match=r"'top3'.*'always', 'logit>=0', 'prob>=0.5'"):
        top_k_decisions(scores, 1, sense="top3")
    with pytest.raises(ValueError, match=r"from -3.0 to 1.5.*'logit>=0' for logits"):
        top_k_decisions(scores, 1, sense="prob>=0.5")
    with pytest.raises(ValueError, match=r"cut is 0\.3 with sense 'always'"):
        top_k_decisions(scores, 1, cut=0.3)
    with pytest.raises(ValueError, match="cut is nan"):
        top_k_decisions(scores, 1, sense="logit>=0", cut=float("nan"))
    for sense in TOP_K_SENSES:
        with pytest.raises(ValueError, match="row 0, column 1"):
            top_k_decisions([[0.1, np.nan]], 1, sense=sense)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        top_k_decisions(np.zeros(3), 1)
