"""What is no target, label or log-probability is refused in words, wherever it comes in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.decoder.cnn_rnn import LabelDecoder, sequence_loss
from hybridlab.decoder.marginals import max_over_steps, sum_over_beams
from hybridlab.decoder.matching import minimal_loss_alignment, predicted_label_alignment
from hybridlab.decoder.orders import frequent_first, rare_first
from hybridlab.decoder.search import beam_search
from hybridlab.decoder.sequences import PAD, from_lists, to_sequences
from hybridlab.decoder.trace import trace

L, STOP = 4, 4


def decoder(**options):
    torch.manual_seed(0)
    return LabelDecoder(8, L, dim=8, layers=1, max_steps=4, **options).eval()


def targets(value):
    rows = torch.zeros(2, L)
    rows[0, 1], rows[1, 2] = 1, value
    return rows


@pytest.mark.parametrize(("value", "told"), [
    (float("nan"), "NaN"), (0.25, "0.25"), (2.0, "2.0"), (float("inf"), "inf"), (-7.0, "-7.0"),
])
@pytest.mark.parametrize("use", [
    lambda rows: to_sequences(rows, torch.arange(L)), frequent_first, rare_first,
    lambda rows: minimal_loss_alignment(torch.zeros(2, 3, L + 1), rows),
    lambda rows: predicted_label_alignment(torch.zeros(2, 3, L + 1), rows),
])
def test_targets_are_1_0_or_minus_1(use, value, told):
    use(targets(-1.0))
    with pytest.raises(ValueError, match=f"targets holds {told.replace('.', '[.]')}; give 1, 0"):
        use(targets(value))


def test_frequencies_want_a_table():
    with pytest.raises(ValueError, match=r"targets has shape \(4,\), expected \(N, L\)"):
        frequent_first(torch.ones(4))


@pytest.mark.parametrize("given", [[[1.5]], [["egg"]], [[None]]])
def test_labels_in_lists_are_whole_numbers(given):
    assert from_lists([[np.int64(2)], [torch.tensor(1)]], L).tolist() == [[2, STOP], [1, STOP]]
    with pytest.raises(ValueError, match=r"list 0 holds .*; labels are whole numbers"):
        from_lists(given, L)


@pytest.mark.parametrize(("label_seq", "words"), [
    ([[7, STOP]], "label_seq holds 7, but labels run from 0 to 3, STOP is 4 and padding -100"),
    ([[-1, STOP]], "label_seq holds -1"), ([[1, 2, STOP]], r"label_seq \(1, 3\) \(B, T\)"),
])
def test_the_loss_names_labels_beyond_the_vocabulary_and_other_shapes(label_seq, words):
    with pytest.raises(ValueError, match=words):
        sequence_loss(torch.zeros(1, 2, L + 1), torch.tensor(label_seq))


def toy(log_probs):
    """A step function that says the same at each step, in any dtype."""

    def step(previous, state, memory):
        return log_probs.expand(len(previous), -1), state, None

    return step


def search(log_probs, images=1, **options):
    settings = {"beams": 2, "stop": 2, "max_steps": 3, **options}
    first = torch.zeros(images, dtype=torch.long)
    return beam_search(toy(log_probs), first, (torch.zeros(images, 1),), **settings)


LOG_PROBS = torch.tensor([0.5, 0.3, 0.2]).log()


@pytest.mark.parametrize("beams", [True, 1.0, "2", None, 0, np.float64(2)])
def test_beams_are_a_whole_number(beams):
    assert torch.equal(search(LOG_PROBS, beams=np.int64(2)).sequences, search(LOG_PROBS).sequences)
    with pytest.raises(ValueError, match=r"beams is .*; give a whole number, 1 or more"):
        search(LOG_PROBS, beams=beams)


@pytest.mark.parametrize("stop", [99, -1, 3])
def test_stop_is_a_symbol(stop):
    with pytest.raises(ValueError, match=f"stop is {stop}, but the step function knows 3 symbols"):
        search(LOG_PROBS, stop=stop)


def test_logits_are_no_log_probabilities():
    with pytest.raises(ValueError, match="gave 5; log-probabilities are 0 or less"):
        search(torch.tensor([5.0, 1.0, 0.0]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_precisions_are_searched_too(dtype):
    found = search(LOG_PROBS.to(dtype))
    assert torch.equal(found.sequences, search(LOG_PROBS).sequences)
    assert torch.allclose(found.log_probs.float(), search(LOG_PROBS).log_probs, atol=2e-3)
    assert found.log_probs.dtype == torch.promote_types(dtype, torch.float32)


def test_a_decoder_in_double_precision_searches():
    one, torch_tokens = decoder(), torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))
    whole = one.beam_search(torch_tokens, 3)
    double = one.double().beam_search(torch_tokens.double(), 3)
    assert torch.equal(whole.sequences, double.sequences)
    assert double.log_probs.dtype == torch.float64


def test_where_stop_is_impossible_no_sequence_ends_and_no_label_has_a_share():
    never = search(torch.tensor([0.5, 0.5, 0.0]).log())
    assert (never.sequences == PAD).all() and never.log_probs.isneginf().all()
    assert torch.equal(sum_over_beams(never, 2), torch.zeros(1, 2))


def test_beams_of_more_labels_are_named():
    found = search(torch.tensor([0.1, 0.2, 0.1, 0.5, 0.1]).log(), stop=4)
    with pytest.raises(ValueError, match="hold the symbol 4, but n_labels is 3, which is STOP"):
        sum_over_beams(found, 3)


@pytest.mark.parametrize("value", [float("nan"), 5000.0, -0.1])
def test_ties_are_broken_by_probabilities(value):
    with pytest.raises(ValueError, match="tie_break holds NaN, or values outside"):
        sum_over_beams(search(LOG_PROBS), 2, torch.full((1, 2), value))


def test_nan_at_a_valid_step_is_no_probability():
    logits, mask = torch.zeros(1, 2, L + 1), torch.tensor([[True, False]])
    logits[0, 1] = float("nan")
    assert max_over_steps(logits, mask).isfinite().all()
    with pytest.raises(FloatingPointError, match="NaN at a valid step"):
        max_over_steps(logits, ~mask)


@pytest.mark.parametrize("way", ["decode", "beam_search"])
def test_arrays_are_told_from_tensors(way):
    with pytest.raises(ValueError, match=r"tokens is of type ndarray, expected a tensor \(B, P, 8"):
        getattr(decoder(), way)(np.zeros((1, 5, 8), np.float32))


def test_a_trace_tells_of_one_symbol_at_least():
    with pytest.raises(ValueError, match="most is 0"):
        trace(decoder(), torch.zeros(4, 8), list("abcd"), (2, 2), most=0)
