"""A trace tells what decoding did: the same labels, their probabilities, the tree, why it ended."""

from __future__ import annotations

import pytest
import torch

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.trace import STOP, trace

NAMES = ("cow", "egg", "sun", "key", "bus", "cat")


@pytest.fixture
def decoder() -> LabelDecoder:
    torch.manual_seed(0)
    made = LabelDecoder(5, 6, dim=16, max_steps=6)
    torch.nn.init.normal_(made.score.weight, std=2)
    return made.eval()


def tokens(seed: int) -> torch.Tensor:
    return 2 * torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(6))
def test_it_tells_what_greedy_decoding_does(decoder, seed):
    told, greedy = trace(decoder, tokens(seed), NAMES, (2, 3)), decoder.decode(tokens(seed)[None])
    said = [NAMES[each] if each < 6 else STOP for each in greedy.label_seq[0].tolist()]
    assert [step.chosen for step in told.steps] == said and told.steps[-1].chosen == STOP
    assert told.sequences == (tuple(said[:-1]),)
    for t, step in enumerate(told.steps):
        probs = greedy.step_logits[0, t].softmax(-1)
        assert step.stop == pytest.approx(float(probs[6]), abs=1e-5)
        assert step.attention.shape == (2, 3)
        assert step.attention.flatten().tolist() == pytest.approx(
            greedy.attention[0, t].tolist(), abs=1e-5)
        assert not {name for name, _ in step.best} & set(said[:t]), "what stands is not offered"
        if not told.out_of_steps:
            assert step.best[0] == (step.chosen, pytest.approx(step.prob))


def test_the_tree_leads_to_the_final_sequences(decoder):
    told = trace(decoder, tokens(3), NAMES, (2, 3), beams=3)
    assert len(told.sequences) == 3 == len(told.scores)
    assert list(told.scores) == sorted(told.scores, reverse=True)
    at = {(node.step, node.rank): node for node in told.nodes}
    last = max(node.step for node in told.nodes)
    for final in range(3):
        rank, words = final, []
        for step in range(last, -1, -1):
            node = at[step, rank]
            assert 0 <= node.kept <= final
            words.append(node.chosen)
            rank = node.parent
        assert rank == -1
        assert tuple(word for word in reversed(words) if word not in ("", STOP)) == (
            told.sequences[final])
    trees = [trace(decoder, tokens(seed), NAMES, (2, 3), beams=3).nodes for seed in range(20)]
    dropped = [node for nodes in trees for node in nodes if node.kept == -1]
    assert dropped, "beams that were dropped are told, too"


def test_why_it_stopped_is_said(decoder):
    reasons = {trace(decoder, tokens(seed), NAMES, (2, 3)).why_it_stopped for seed in range(20)}
    assert any(each.startswith("STOP had") for each in reasons)
    assert any(each.startswith("No step was left") for each in reasons)
    short = LabelDecoder(5, 1, dim=8, max_steps=4).eval()
    short.score.bias.data[0] = 50  # it writes its one label, and then nothing is left
    assert trace(short, tokens(0), ("cow",), (2, 3)).why_it_stopped.startswith("Every label")
    wide = [trace(decoder, tokens(seed), NAMES, (2, 3), beams=4, length_power=0.0)
            for seed in range(20)]
    assert any("no way on from there" in each.why_it_stopped for each in wide)


@pytest.mark.parametrize(("change", "words"), [
    ({"grid": (2, 2)}, "one image"), ({"names": NAMES[:2]}, "2 names for a decoder of 6"),
])
def test_what_does_not_fit_is_named(decoder, change, words):
    with pytest.raises(ValueError, match=words):
        trace(decoder, tokens(0), **{"names": NAMES, "grid": (2, 3), **change})


@pytest.mark.parametrize("power", [0.0, 2.0])
def test_with_beams_it_tells_of_the_best_one_and_of_where_that_looked(decoder, power):
    differ = 0
    for seed in range(12):
        told = trace(decoder, tokens(seed), NAMES, (2, 3), beams=4, length_power=power)
        found = decoder.beam_search(tokens(seed)[None], 4, length_power=power)
        assert told.scores == pytest.approx(found.scores[0, : len(told.scores)].tolist())
        for t, step in enumerate(told.steps):
            assert step.attention.flatten().tolist() == pytest.approx(
                found.attention[0, 0, t].tolist(), abs=1e-6)
            differ += not torch.allclose(found.attention[0, 0, t], found.attention[0, 1, t])
    assert differ, "the beams should look at different places, or the test shows nothing"


def test_stop_at_the_last_step_that_was_the_likeliest_anyway_is_no_lack_of_steps():
    torch.manual_seed(0)
    decoder = LabelDecoder(5, 6, dim=8, max_steps=1).eval()
    decoder.score.bias.data[6] = 50
    told = trace(decoder, tokens(0), NAMES, (2, 3))
    assert not told.out_of_steps and told.why_it_stopped.startswith("STOP had 100 %")
