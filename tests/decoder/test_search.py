"""Beam search: exhaustive where it is wide, greedy with one beam, the same in any batch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.search import beam_search
from hybridlab.decoder.sequences import PAD
from tests.decoder.reference import all_sequences, image_by_image, loop_search

CHANNELS, PLACES = 5, 4


def toy(batch: int, n_labels: int, seed: int, sharp: float = 1.5):
    """A step whose probabilities depend on the image, the last symbol and how many there were."""
    draw = torch.Generator().manual_seed(seed)
    table = sharp * torch.randn(batch, n_labels + 2, n_labels + 1, generator=draw)
    drift = sharp * torch.randn(12, n_labels + 1, generator=draw)

    def step(previous, state, memory):
        (steps,), (own,) = state, memory
        each = len(previous) // max(1, len(own))
        rows = own.repeat_interleave(each, dim=0)[torch.arange(len(previous)), previous]
        logits = rows + drift[steps]
        looked = torch.stack([steps.float(), previous.float()], dim=1)
        return logits.log_softmax(dim=-1), (steps + 1,), looked

    first = torch.full((batch,), n_labels + 1)
    return step, first, (torch.zeros(batch, dtype=torch.long),), (table,)


def log_prob(model, image: int, sequence: list[int]) -> float:
    step, first, state, memory = model
    last, now = first[image : image + 1], tuple(each[image : image + 1] for each in state)
    total = 0.0
    for symbol in sequence:
        values, now, _ = step(last, now, tuple(each[image : image + 1] for each in memory))
        total += float(values[0, symbol])
        last = torch.tensor([symbol])
    return total


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.sampled_from([0.0, 0.5, 1.0]),
    st.booleans(), st.integers(0, 10**6),
)
def test_wide_beams_are_exhaustive(batch, n_labels, max_steps, power, repeats, seed):
    model = toy(batch, n_labels, seed)
    every = all_sequences(n_labels, max_steps, repeats)
    found = beam_search(
        *model, beams=len(every) + 3, stop=n_labels, max_steps=max_steps, length_power=power,
        allow_repeats=repeats,
    )
    for image in range(batch):
        scores = {tuple(each): log_prob(model, image, each) for each in every}
        ranked = sorted(scores, key=lambda one: -scores[one] / len(one) ** power)
        assert int((found.lengths[image] > 0).sum()) == len(every)
        for place, sequence in enumerate(ranked):
            got = [s for s in found.sequences[image, place].tolist() if s != PAD]
            assert scores[tuple(got)] == pytest.approx(scores[sequence], abs=1e-4)  # ties apart
            assert float(found.log_probs[image, place]) == pytest.approx(
                scores[tuple(got)], abs=1e-4)
            assert int(found.lengths[image, place]) == len(got)
        assert float(found.log_probs[image].exp().sum()) <= 1 + 1e-4
        assert torch.isneginf(found.scores[image, len(every) :]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(2, 7), st.integers(1, 5), st.integers(0, 10**6))
def test_it_equals_the_plain_loop(batch, n_labels, beams, seed):
    model = toy(batch, n_labels, seed)
    options = {"beams": beams, "stop": n_labels, "max_steps": 5, "length_power": 0.7}
    found, plain = beam_search(*model, **options), loop_search(*model, **options)
    for image in range(batch):
        for place, (sequence, total) in enumerate(plain[image]):
            own = [s for s in found.sequences[image, place].tolist() if s != PAD]
            assert own == sequence and float(found.log_probs[image, place]) == pytest.approx(
                total, abs=1e-4)


def test_an_image_does_not_depend_on_its_company():
    model = toy(40, 6, seed=3)
    options = {"beams": 3, "stop": 6, "max_steps": 7}
    whole, alone = beam_search(*model, **options), image_by_image(*model, **options)
    ended = {int(each.lengths.max()) for each in alone}
    assert len(ended) > 2, "images should end at different steps, or nothing is shown"
    for image, one in enumerate(alone):
        steps = one.sequences.shape[2]
        assert torch.equal(whole.sequences[image, :, :steps], one.sequences[0])
        assert bool((whole.sequences[image, :, steps:] == PAD).all())
        assert torch.allclose(whole.scores[image], one.scores[0], atol=1e-5)
        assert torch.allclose(whole.attention[image, :, :steps], one.attention[0])


def test_attention_and_history_belong_to_the_sequence_they_are_told_with():
    model = toy(6, 5, seed=8)
    found = beam_search(*model, beams=4, stop=5, max_steps=6)
    for image in range(6):
        for place in range(4):
            before = [6, *found.sequences[image, place].tolist()]
            for t in range(int(found.lengths[image, place])):
                looked = found.attention[image, place, t].tolist()
                assert looked == [t, before[t]]  # the toy looks at the step and the last symbol
            assert not found.attention[image, place, int(found.lengths[image, place]) :].any()
    assert found.sums.shape == found.parents.shape == found.chosen.shape
    assert torch.equal(found.sums[-1], found.log_probs)
    assert bool((found.sums[..., 0].diff(dim=0) <= 1e-6).all()), "the best only falls"


def test_a_symbol_is_chosen_once_unless_it_may_repeat():
    model = toy(8, 3, seed=1, sharp=0.3)
    for repeats in (False, True):
        found = beam_search(*model, beams=3, stop=3, max_steps=6, allow_repeats=repeats)
        twice = [
            len(own) != len(set(own))
            for row in found.sequences.flatten(0, 1).tolist()
            if (own := [symbol for symbol in row if symbol != PAD])
        ]
        assert any(twice) == repeats


def test_length_power_favours_longer_sequences():
    model = toy(60, 6, seed=5)
    lengths = [
        float(beam_search(*model, beams=5, stop=6, max_steps=7, length_power=power)
              .lengths[:, 0].float().mean())
        for power in (0.0, 0.5, 1.0)
    ]
    assert lengths == sorted(lengths) and lengths[0] < lengths[2]


@pytest.fixture
def decoder() -> LabelDecoder:
    torch.manual_seed(0)
    made = LabelDecoder(CHANNELS, 6, dim=16, max_steps=6)
    torch.nn.init.normal_(made.score.weight, std=2)
    return made.eval()


def tokens(batch: int, seed: int = 1) -> torch.Tensor:
    return 2 * torch.randn(batch, PLACES, CHANNELS, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("options", [{}, {"cell": "lstm", "look": "mean", "layers": 1},
                                     {"output": "joint"}, {"feed_image": False, "cell": "lstm"}])
def test_one_beam_is_greedy_decoding_for_every_kind_of_decoder(options):
    torch.manual_seed(4)
    decoder = LabelDecoder(CHANNELS, 6, dim=16, max_steps=6, **options).eval()
    for weight in decoder.parameters():
        torch.nn.init.normal_(weight, std=0.6)
    greedy = decoder.decode(tokens(30))
    for power in (0.0, 1.0):
        found = decoder.beam_search(tokens(30), 1, length_power=power)
        assert torch.equal(found.sequences[:, 0], greedy.label_seq)
        valid = greedy.mask[..., None]
        assert torch.allclose(found.attention[:, 0], greedy.attention * valid, atol=1e-5)
    assert len(set(found.lengths[:, 0].tolist())) > 1


def test_more_beams_never_find_a_worse_best(decoder):
    best = [decoder.beam_search(tokens(50), k).log_probs[:, 0].mean() for k in (1, 2, 8)]
    assert best[0] < best[2] and best[0] <= best[1] + 1e-6


def test_a_beam_s_log_prob_is_what_teacher_forcing_says(decoder):
    found = decoder.beam_search(tokens(9), 3)
    for place in range(3):
        label_seq = found.sequences[:, place]
        values = decoder(tokens(9), label_seq).log_softmax(-1)
        real = label_seq != PAD
        picked = values.gather(2, label_seq.clamp(min=0)[..., None])[..., 0] * real
        assert torch.allclose(picked.sum(1), found.log_probs[:, place], atol=1e-4)


def test_more_beams_than_symbols_no_image_and_one(decoder):
    wide = decoder.beam_search(tokens(2), 40)
    assert wide.sequences.shape[:2] == (2, 40)
    none = decoder.beam_search(tokens(0), 3)
    assert none.sequences.shape[:2] == (0, 3) and none.sets(6).shape == (0, 3, 6)
    assert decoder.beam_search(tokens(1), 3).sequences.shape[:2] == (1, 3)
    single = LabelDecoder(CHANNELS, 1, dim=4).eval().beam_search(tokens(2), 5)
    assert int((single.lengths[0] > 0).sum()) == 2  # nothing, or the one label


def test_sets_leave_stop_and_padding_out():
    model = toy(5, 4, seed=2)
    found = beam_search(*model, beams=3, stop=4, max_steps=5)
    for image, place in ((0, 0), (4, 2)):
        own = {s for s in found.sequences[image, place].tolist() if 0 <= s < 4}
        assert set(found.sets(4)[image, place].nonzero()[:, 0].tolist()) == own


@pytest.mark.parametrize(("options", "words"), [
    ({"beams": 0}, "beams is 0"), ({"beams": 2.5}, "beams is 2.5"),
    ({"max_steps": 0}, "max_steps is 0"),
    ({"length_power": -1.0}, "length_power is -1"), ({"length_power": math.nan}, "nan"),
])
def test_bad_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        beam_search(*toy(1, 3, 0), **{"beams": 2, "stop": 3, "max_steps": 4, **options})


def test_nan_is_named():
    step, *rest = toy(2, 3, 0)
    with pytest.raises(FloatingPointError, match="NaN"):
        beam_search(lambda *a: (step(*a)[0] * math.nan, *step(*a)[1:]), *rest, beams=2, stop=3,
                    max_steps=4)
