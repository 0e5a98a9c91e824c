"""The decoder's choices: cells, looks, outputs, and what a training pass is fed."""

from __future__ import annotations

import pytest
import torch

from hybridlab.decoder.cnn_rnn import LabelDecoder, sequence_loss
from hybridlab.decoder.marginals import sum_over_beams
from hybridlab.decoder.sequences import PAD, from_lists

LABELS, CHANNELS, PLACES = 6, 5, 4
KINDS = [
    {}, {"cell": "lstm"}, {"layers": 1}, {"look": "mean"}, {"output": "joint"},
    {"feed_image": False}, {"read": "gelu"},
    {"cell": "lstm", "layers": 1, "look": "mean", "output": "joint", "feed_image": False},
]


def made(**options: object) -> LabelDecoder:
    torch.manual_seed(0)
    decoder = LabelDecoder(CHANNELS, LABELS, dim=16, max_steps=5, **options).eval()
    for weight in decoder.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return decoder


def tokens(batch: int, seed: int = 1) -> torch.Tensor:
    return 2 * torch.randn(batch, PLACES, CHANNELS, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("options", KINDS)
def test_every_kind_decodes_learns_and_agrees_with_teacher_forcing(options):
    decoder = made(**options)
    out = decoder.decode(tokens(7))
    assert out.step_states.shape[2] == 16 and out.probs.shape == (7, LABELS)
    forced = decoder(tokens(7), out.label_seq)
    valid = out.mask[..., None].expand_as(forced)
    assert torch.allclose(forced[valid], out.step_logits[valid], atol=1e-4)
    sequence_loss(forced, out.label_seq).backward()
    unused = {name for name, each in decoder.named_parameters() if each.grad is None}
    assert not unused, "every weight takes part"


def test_an_lstm_steps_as_torch_s_own_lstm_runs():
    decoder = made(cell="lstm", look="mean", feed_image=False, layers=2)
    label_seq = from_lists([[2, 0, 4]], LABELS)
    inputs = decoder.embed(torch.tensor([[decoder.start, 2, 0, 4]]))
    states, _ = decoder.rnn(inputs)  # all at once, from zeros
    context = decoder.read(tokens(1)).mean(dim=1)
    seen = torch.cat([states, context[:, None].expand(-1, 4, -1)], dim=-1)
    assert torch.allclose(decoder(tokens(1), label_seq), decoder.score(seen), atol=1e-5)


def test_the_joint_embedding_scores_by_products_with_the_label_embeddings():
    decoder = made(output="joint", look="mean")
    label_seq = from_lists([[3], [1]], LABELS)
    before = decoder(tokens(2), label_seq)
    with torch.no_grad():
        decoder.embed.weight[4] *= 2  # a label that was not read: its own score doubles
    after = decoder(tokens(2), label_seq)
    assert torch.allclose(after[..., 4], 2 * before[..., 4], atol=1e-5)
    rest = [at for at in range(LABELS + 1) if at != 4]
    assert torch.allclose(after[..., rest], before[..., rest], atol=1e-5)
    assert not any(name.startswith("score") for name, _ in decoder.named_parameters())


def test_a_mean_look_sees_no_places_and_attention_does():
    shuffled = tokens(3)[:, torch.tensor([2, 0, 3, 1])]
    changed = tokens(3).clone()
    changed[:, 0] += 1
    changed[:, 1] -= 1
    mean, look = made(look="mean", layers=1), made(layers=1)
    mean.read[1] = look.read[1] = torch.nn.Identity()  # without LayerNorm the mean stays the same
    for decoder in (mean, look):
        assert torch.allclose(decoder.decode(shuffled).probs, decoder.decode(tokens(3)).probs,
                              atol=1e-5)
    assert torch.allclose(mean.decode(changed).probs, mean.decode(tokens(3)).probs, atol=1e-5)
    assert not torch.allclose(look.decode(changed).probs, look.decode(tokens(3)).probs, atol=1e-3)
    assert torch.allclose(mean.decode(tokens(3)).attention, torch.tensor(1 / PLACES))


def test_without_the_image_in_the_rnn_its_states_know_labels_alone():
    decoder = made(feed_image=False)
    one, other = decoder.decode(tokens(1)), decoder.decode(tokens(1, seed=2))
    assert torch.equal(one.step_states[:, 0], other.step_states[:, 0])
    assert not torch.allclose(one.step_logits[:, 0], other.step_logits[:, 0])


def test_truth_0_feeds_the_decoder_s_own_labels_and_1_the_true_ones():
    decoder = made()
    label_seq = from_lists([[2, 0, 4], [1], [5, 3]], LABELS)
    free = decoder(tokens(3), label_seq, truth=0.0)
    for row, length in enumerate((4, 2, 3)):
        own = [decoder.start]
        values, keys, state = decoder._start(tokens(3)[row : row + 1])
        for t in range(length):
            step, state, _ = decoder._step(torch.tensor(own[-1:]), values, keys, state)
            assert torch.allclose(step[0], free[row, t], atol=1e-5)
            own.append(int(step[0, :LABELS].argmax()))
    other = from_lists([[0, 1, 2], [3], [4, 0]], LABELS)  # as many labels, but others
    assert torch.equal(free, decoder(tokens(3), other, truth=0.0))
    assert not torch.allclose(decoder(tokens(3), other), decoder(tokens(3), label_seq))


def test_scheduled_sampling_mixes_by_its_coin():
    decoder = made()
    label_seq = from_lists([[2, 0, 4]] * 300, LABELS)
    same = tokens(1).expand(300, -1, -1)
    told, own = (decoder(same[:1], label_seq[:1], truth=truth)[0, 1] for truth in (1.0, 0.0))
    assert not torch.allclose(told, own)
    mixed = decoder(same, label_seq, truth=0.3, generator=torch.Generator().manual_seed(0))[:, 1]
    share = torch.isclose(mixed, told, atol=1e-4).all(dim=1).float().mean()
    assert 0.2 < float(share) < 0.4
    again = decoder(same, label_seq, truth=0.3, generator=torch.Generator().manual_seed(0))[:, 1]
    assert torch.equal(mixed, again)


def test_true_labels_do_not_reach_free_running_decoding():
    """The leak test (trap 6): permuting targets moves teacher forcing, and never `decode`."""
    decoder = made()
    before = decoder.decode(tokens(4)).h_rnn
    decoder(tokens(4), from_lists([[0, 1], [2], [], [3, 4, 5]], LABELS))
    decoder(tokens(4), from_lists([[3, 4, 5], [], [2], [0, 1]], LABELS))
    assert torch.equal(decoder.decode(tokens(4)).h_rnn, before)


def test_nothing_after_stop_moves_the_marginals_or_the_state():
    decoder = made()
    short = decoder.decode(tokens(12))
    lengths = short.mask.sum(dim=1)
    assert len(set(lengths.tolist())) > 1
    for row in range(12):
        alone = decoder.decode(tokens(12)[row : row + 1])  # no padded step
        assert torch.allclose(alone.probs[0], short.probs[row], atol=1e-5)
        assert torch.allclose(alone.h_rnn[0], short.h_rnn[row], atol=1e-5)


def test_sum_over_beams_is_a_sum_over_sequences_and_ties_are_broken():
    decoder = made()
    found = decoder.beam_search(tokens(5), 400)  # more than there are
    probs = sum_over_beams(found, LABELS)
    for row in range(5):
        total, by_label = 0.0, torch.zeros(LABELS)
        for own, value in zip(found.sequences[row].tolist(), found.log_probs[row], strict=True):
            weight = float(value.exp())
            total += weight
            for label in {s for s in own if 0 <= s < LABELS}:
                by_label[label] += weight
        assert torch.allclose(probs[row], by_label / total, atol=1e-4)
    narrow = decoder.beam_search(tokens(5), 1)
    tied = sum_over_beams(narrow, LABELS)
    assert set(tied.unique().tolist()) <= {0.0, 1.0}
    greedy = decoder.decode(tokens(5)).probs
    broken = sum_over_beams(narrow, LABELS, greedy)
    assert float(broken.min()) > 0 and float(broken.max()) <= 1
    out = tied == 0
    for row in range(5):
        order = broken[row][out[row]].argsort()
        assert torch.equal(order, greedy[row][out[row]].argsort())
    with pytest.raises(ValueError, match="expected"):
        sum_over_beams(narrow, LABELS, greedy[:2])


@pytest.mark.parametrize(("options", "words"), [
    ({"cell": "rnn"}, "cell is 'rnn'; choose one of gru, lstm"),
    ({"look": "global"}, "attention, mean"), ({"read": "relu"}, "linear, gelu"),
    ({"output": "mlp"}, "linear, joint"),
    ({"layers": 0}, "layers is 0"), ({"dim": 0}, "dim is 0"), ({"max_steps": 0}, "max_steps is 0"),
])
def test_unknown_choices_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        LabelDecoder(**{"channels": 4, "n_labels": 3, **options})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_no_numbers_are_refused_everywhere(value):
    decoder, bad = made(), tokens(3)
    bad[1, 2, 0] = value
    for call in (lambda: decoder.decode(bad), lambda: decoder.beam_search(bad),
                 lambda: decoder(bad, torch.full((3, 1), LABELS))):
        with pytest.raises(ValueError, match="in 1 of 3 images, the first is image 1"):
            call()
    huge = torch.full((1, PLACES, CHANNELS), 3e38)  # whose sum is infinite: no reason to refuse
    decoder._check(huge)


@pytest.mark.parametrize(("label_seq", "words"), [
    (torch.tensor([[0, 0, LABELS]]), "the label 0 twice"),
    (torch.tensor([[0, 1, 2]]), "labels, then STOP"),
    (torch.tensor([[0, PAD, LABELS]]), "labels, then STOP"),
])
def test_what_is_no_label_sequence_is_named(label_seq, words):
    with pytest.raises(ValueError, match=words):
        made()(tokens(1), label_seq)


def test_truth_outside_0_to_1_is_named():
    with pytest.raises(ValueError, match=r"truth is 1\.5"):
        made()(tokens(1), torch.full((1, 1), LABELS), truth=1.5)
