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
    out = mean.decode(tokens(3))
    assert torch.allclose(out.attention[out.mask], torch.tensor(1 / PLACES))


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


def states_read(decoder: LabelDecoder, run) -> torch.Tensor:
    """The states that the RNN gave while something ran, step below step."""
    seen = []
    hook = decoder.rnn.register_forward_hook(lambda module, given, out: seen.append(out[0][:, -1]))
    run()
    hook.remove()
    return torch.cat(seen)


def test_true_labels_move_the_states_of_teacher_forcing_and_not_of_free_running():
    """The leak (trap 6): rows with as many labels, but others, and the states that come of it."""
    decoder = made()
    pair = from_lists([[0, 1], [2, 3]], LABELS), from_lists([[3, 4], [5, 0]], LABELS)
    told, other = (states_read(decoder, lambda seq=seq: decoder(tokens(2), seq)) for seq in pair)
    assert (told - other)[2:].abs().max() > 0.1  # behind the first step
    told, other = (
        states_read(decoder, lambda seq=seq: decoder(tokens(2), seq, truth=0.0)) for seq in pair)
    assert torch.equal(told, other)


def test_stop_is_never_fed_even_where_it_is_the_likeliest():
    """Free running goes on with the best label: how many steps there are is the truth's affair."""
    decoder = made()
    decoder.score.bias.data[decoder.stop] += 50
    fed = []
    hook = decoder.embed.register_forward_pre_hook(lambda module, given: fed.append(given[0]))
    logits = decoder(tokens(3), from_lists([[0, 1, 2]] * 3, LABELS), truth=0.0)
    hook.remove()
    assert (logits.argmax(dim=-1) == decoder.stop).all()
    for t in range(1, 4):
        assert torch.equal(fed[t], logits[:, t - 1, :LABELS].argmax(dim=-1))


@pytest.mark.parametrize("search", [False, True])
def test_a_label_is_repeated_where_it_may_be(search):
    decoder = made()
    decoder.score.bias.data[2] += 50  # always the best

    def most(**options: bool) -> int:
        rows = (decoder.beam_search(tokens(1), 2, **options).sequences[0] if search
                else decoder.decode(tokens(1), **options).label_seq)
        return max(row.count(2) for row in rows.tolist())

    assert most(allow_repeats=True) == 4 and most() == 1


def test_joint_scores_are_products_with_the_tanh_of_the_joined_vector():
    decoder, seen = made(output="joint"), []
    hook = decoder.join.register_forward_hook(lambda module, given, out: seen.append(out))
    logits = decoder(tokens(2), from_lists([[3], [1]], LABELS))
    hook.remove()
    expected = torch.stack([torch.tanh(each) @ decoder.embed.weight[: LABELS + 1].T
                            for each in seen], dim=1)
    assert torch.allclose(logits, expected, atol=1e-6)


def test_the_first_state_sees_the_image_and_tokens_are_normalised():
    decoder = made(look="mean")
    same = decoder(tokens(1), from_lists([[]], LABELS))
    assert torch.allclose(decoder(3 * tokens(1) + 1, from_lists([[]], LABELS)), same, atol=1e-3)
    values, _, state = decoder._start(tokens(2))
    assert not torch.allclose(state[:, 0], state[:, 1])
    expected = torch.tanh(decoder.begin(values.mean(dim=1))).view(2, 2, 16).transpose(0, 1)
    assert torch.allclose(state, expected)


def test_behind_stop_everything_is_0_whatever_the_rest_of_the_batch_is():
    out = made().decode(tokens(12))
    assert (~out.mask).any() and out.mask.sum(dim=1).unique().numel() > 1
    for each in (out.step_logits, out.step_states, out.attention):
        assert not each[~out.mask].any() and each[out.mask].abs().sum() > 0


def test_a_training_pass_refuses_more_labels_than_can_be_written():
    with pytest.raises(ValueError, match="max_steps=6"):
        made()(tokens(1), from_lists([[0, 1, 2, 3, 4]], LABELS))  # 5 labels and STOP, T is 5


@pytest.mark.parametrize("way", ["decode", "beam_search"])
def test_decoding_refuses_dropout_and_names_nan_weights_and_takes_halves(way):
    decoder = made(dropout=0.3)
    whole, half = (getattr(decoder, way)(each) for each in (
        tokens(2).half().float(), tokens(2).half()))
    one, other = ((each.probs if way == "decode" else each.log_probs) for each in (whole, half))
    assert torch.equal(one, other)
    with pytest.raises(RuntimeError, match=r"call .eval\(\) first"):
        getattr(decoder.train(), way)(tokens(2))
    made(dropout=0.0).train().decode(tokens(2))
    decoder.eval().score.weight.data[0, 0] = float("nan")
    with pytest.raises(FloatingPointError, match="NaN"):
        getattr(decoder, way)(tokens(2))


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


def test_the_tie_break_orders_ties_and_nothing_else():
    """Sums that differ by more than 0.002 keep their order, whatever the tie-break says."""
    decoder = made()
    found = decoder.beam_search(tokens(6), 8)
    plain = sum_over_beams(found, LABELS)
    broken = sum_over_beams(found, LABELS, 1 - plain)  # against the sums as far as it can
    for row, other in zip(plain, broken, strict=True):
        for i in range(LABELS):
            for j in range(LABELS):
                if row[i] > row[j] + 0.002:
                    assert other[i] > other[j]


def test_a_mask_of_another_kind_is_named():
    from hybridlab.decoder.marginals import max_over_steps

    for mask in (torch.ones(2, 3), torch.ones(2, 2).bool()):
        with pytest.raises(ValueError, match="True for each valid step"):
            max_over_steps(torch.zeros(2, 3, 5), mask)
