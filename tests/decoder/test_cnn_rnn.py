"""The label decoder: free running equals teacher forcing on its own words, and nothing leaks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from hybridlab.decoder.attention import AdditiveAttention
from hybridlab.decoder.cnn_rnn import LabelDecoder, sequence_loss
from hybridlab.decoder.marginals import max_over_steps
from hybridlab.decoder.orders import frequent_first
from hybridlab.decoder.sequences import PAD, to_sequences

LABELS, CHANNELS, PLACES = 6, 5, 4


@pytest.fixture
def decoder() -> LabelDecoder:
    torch.manual_seed(0)
    made = LabelDecoder(CHANNELS, LABELS, dim=16, dropout=0.2, max_steps=5)
    torch.nn.init.normal_(made.score.weight, std=1.5)  # so that rows differ in what they write
    return made.eval()


def tokens(batch: int, seed: int = 1) -> torch.Tensor:
    return 2 * torch.randn(batch, PLACES, CHANNELS, generator=torch.Generator().manual_seed(seed))


def test_free_running_equals_teacher_forcing_on_its_own_choices(decoder):
    out = decoder.decode(tokens(7))
    forced = decoder(tokens(7), out.label_seq)
    valid = out.mask[..., None].expand_as(forced)
    assert torch.allclose(forced[valid], out.step_logits[valid], atol=1e-5)


def test_each_choice_is_the_best_allowed_and_never_repeats(decoder):
    out = decoder.decode(tokens(9))
    for row in range(9):
        used: set[int] = set()
        for t in range(int(out.mask[row].sum())):
            logits = out.step_logits[row, t].clone()
            logits[list(used)] = float("-inf")
            chosen = int(out.label_seq[row, t])
            assert chosen == int(logits.argmax()) or t == decoder.max_steps - 1
            assert chosen not in used
            used |= {chosen} - {decoder.stop}


def test_every_sequence_ends_in_stop_and_the_mask_says_where(decoder):
    out = decoder.decode(tokens(9))
    for seq, mask in zip(out.label_seq.tolist(), out.mask, strict=True):
        assert seq.count(decoder.stop) == 1
        stop = seq.index(decoder.stop)
        assert mask.tolist() == [t <= stop for t in range(len(seq))]
        assert all(label == PAD for label in seq[stop + 1 :])


@pytest.mark.parametrize("read", ["probs", "h_rnn", "step_states"])
def test_decoding_to_learn_says_the_same_and_hands_gradients_back(decoder, read):
    seen = tokens(5)
    said, learning = decoder.decode(seen), decoder.decode_to_learn(seen)
    for name, value in vars(said).items():
        assert torch.equal(getattr(learning, name), value) and not value.requires_grad
    found = getattr(decoder.decode_to_learn(seen.requires_grad_(True)), read)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    assert decoder.rnn.weight_hh_l0.grad.abs().sum() > 0 and seen.grad.abs().sum() > 0
    if read == "probs":  # against teacher forcing on what was written, whose gradients torch knows
        ours = {name: each.grad.clone() for name, each in decoder.named_parameters()}
        decoder.zero_grad()
        steps = decoder(seen, said.label_seq)
        probs = steps.softmax(dim=-1)[..., :-1].masked_fill(~said.mask[..., None], 0)
        (probs.amax(dim=1) * weights).sum().backward()
        for name, each in decoder.named_parameters():
            assert torch.allclose(each.grad, ours[name], atol=1e-5), name


def test_decoding_to_learn_drops_in_training_mode(decoder):
    seen = tokens(3)
    one, two = (decoder.train().decode_to_learn(seen).step_logits[:, 0] for _ in range(2))
    assert not torch.allclose(one, two)


def test_a_row_does_not_depend_on_its_company(decoder):
    whole = decoder.decode(tokens(9))
    lengths = set(whole.mask.sum(1).tolist())
    assert len(lengths) > 1, "the rows should differ in length, or the test shows nothing"
    for row in range(9):
        alone = decoder.decode(tokens(9)[row : row + 1])
        assert torch.allclose(alone.h_rnn[0], whole.h_rnn[row], atol=1e-5)
        assert torch.allclose(alone.probs[0], whole.probs[row], atol=1e-5)
        steps = int(whole.mask[row].sum())
        assert torch.equal(alone.label_seq[0], whole.label_seq[row, :steps])


def test_h_rnn_is_the_state_of_the_last_valid_step(decoder):
    out = decoder.decode(tokens(6))
    for row in range(6):
        last = int(out.mask[row].sum()) - 1
        assert torch.equal(out.h_rnn[row], out.step_states[row, last])


def test_attention_rows_sum_to_one_and_follow_a_permutation_of_places(decoder):
    out = decoder.decode(tokens(4))
    assert torch.allclose(out.attention.sum(-1), out.mask.float(), atol=1e-5)
    order = torch.tensor([2, 0, 3, 1])
    moved = decoder.decode(tokens(4)[:, order])
    assert torch.allclose(moved.attention, out.attention[..., order], atol=1e-5)
    assert torch.allclose(moved.h_rnn, out.h_rnn, atol=1e-5)


def test_additive_attention_equals_its_formula():
    torch.manual_seed(2)
    attend = AdditiveAttention(3)
    query, keys = torch.randn(2, 3), torch.randn(2, 4, 3)
    weight, mix = attend.score.weight[0].detach(), attend.query.weight.detach()
    for b in range(2):
        scores = [float(weight @ torch.tanh(keys[b, p] + mix @ query[b])) for p in range(4)]
        assert torch.allclose(attend(query, keys)[b, 0], torch.tensor(scores).softmax(0), atol=1e-6)


def test_max_over_steps_ignores_what_follows_stop():
    logits = torch.zeros(1, 3, 4)
    logits[0, 0, 1] = 2.0
    logits[0, 2, 0] = 50.0  # a padded step that is very sure
    probs = max_over_steps(logits, torch.tensor([[True, True, False]]))
    assert probs.shape == (1, 3)
    assert probs[0, 0] < 0.5 and torch.isclose(probs[0, 1], logits[0, 0].softmax(-1)[1])


def test_the_loss_ignores_padding_and_equals_a_loop(decoder):
    targets = torch.tensor([[1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0.0]])
    label_seq = to_sequences(targets, frequent_first(targets))
    logits = decoder(tokens(3), label_seq)
    each = [
        -float(logits[b, t].detach().log_softmax(-1)[label_seq[b, t]])
        for b in range(3)
        for t in range(label_seq.shape[1])
        if label_seq[b, t] != PAD
    ]
    assert len(each) == 4 + 1 + 2
    loss = float(sequence_loss(logits, label_seq).detach())
    assert loss == pytest.approx(sum(each) / len(each), abs=1e-5)
    noisy = logits.clone()
    noisy[label_seq == PAD] += 100
    assert torch.equal(sequence_loss(noisy, label_seq), sequence_loss(logits, label_seq))


def test_a_step_sees_the_labels_before_it_and_none_after(decoder):
    label_seq = torch.tensor([[0, 1, 2, LABELS]])
    other = torch.tensor([[0, 1, 5, LABELS]])
    a, b = decoder(tokens(1), label_seq), decoder(tokens(1), other)
    assert torch.equal(a[:, :3], b[:, :3]) and not torch.allclose(a[:, 3], b[:, 3])


def test_it_learns_a_tiny_task():
    torch.manual_seed(0)
    decoder = LabelDecoder(CHANNELS, LABELS, dim=32, dropout=0.0, max_steps=4)
    targets = torch.zeros(60, LABELS)
    for row in range(60):
        targets[row, [row % LABELS, (row * 5 + 2) % LABELS]] = 1
    eye = F.one_hot(torch.arange(LABELS), CHANNELS + 1)[:, :CHANNELS].float()
    seen = (targets[:, :, None] * eye).sum(1, keepdim=True) * 3  # (60, 1, CHANNELS)
    label_seq = to_sequences(targets, frequent_first(targets))
    optimiser = torch.optim.Adam(decoder.parameters(), 5e-3)
    for _ in range(120):
        optimiser.zero_grad()
        sequence_loss(decoder(seen, label_seq), label_seq).backward()
        optimiser.step()
    decoded = decoder.eval().decode(seen).label_seq
    steps = min(decoded.shape[1], label_seq.shape[1])
    assert (decoded[:, :steps] == label_seq[:, :steps]).float().mean() > 0.95


def test_empty_batches_and_single_places(decoder):
    out = decoder.decode(torch.zeros(0, PLACES, CHANNELS))
    assert out.h_rnn.shape == (0, 16) and out.probs.shape == (0, LABELS)
    assert decoder.decode(tokens(1)[:, :1]).h_rnn.shape == (1, 16)


@pytest.mark.parametrize(
    ("shape", "label_seq", "words"),
    [
        ((2, CHANNELS), torch.zeros(2, 1, dtype=torch.long), r"expected \(B, P, 5\)"),
        ((2, 0, CHANNELS), torch.zeros(2, 1, dtype=torch.long), "P >= 1"),
        ((2, PLACES, CHANNELS + 1), torch.zeros(2, 1, dtype=torch.long), r"expected \(B, P, 5\)"),
        ((2, PLACES, CHANNELS), torch.zeros(3, 1, dtype=torch.long), r"\(B, T\)"),
        ((2, PLACES, CHANNELS), torch.full((2, 1), LABELS + 1), "holds the label 7"),
        ((2, PLACES, CHANNELS), torch.full((2, 1), -1), "holds the label -1"),
    ],
)
def test_bad_input_is_named(decoder, shape, label_seq, words):
    with pytest.raises(ValueError, match=words):
        decoder(torch.zeros(shape), label_seq)
