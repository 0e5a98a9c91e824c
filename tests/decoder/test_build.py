"""Published configurations by name, and the head whose training leaks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hybridlab.decoder.build import CNN_RNNS, build_cnn_rnn
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.last_state import LastStateHead
from hybridlab.decoder.orders import frequent_first
from hybridlab.decoder.sequences import from_lists, to_sequences
from hybridlab.losses import weighted_bce


@pytest.mark.parametrize("name", CNN_RNNS)
def test_each_configuration_trains_a_step_and_decodes(name):
    model = build_cnn_rnn(name, 5, pretrained=False, dim=16, max_steps=3).train()
    assert not model.cnn.training and model.decoder.training
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    logits = model(pixels, from_lists([[1, 0], [4]], 5))
    assert logits.shape == (2, 3, 6)
    logits.sum().backward()
    assert all(each.grad is None for each in model.cnn.parameters())
    assert any(each.grad is not None for each in model.decoder.parameters())
    assert model.eval().decode(pixels).probs.shape == (2, 5)
    assert model.beam_search(pixels, 2).sequences.shape[:2] == (2, 2)


def test_what_is_asked_of_the_whole_is_passed_on_to_the_decoder():
    model = build_cnn_rnn("course", 5, pretrained=False, dim=16, max_steps=4).eval()
    torch.nn.init.normal_(model.decoder.score.weight, std=2)
    pixels = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tokens, label_seq = model.cnn(pixels).tokens, from_lists([[1, 0]] * 6, 5)
    for truth in (0.0, 0.5):
        coins = [torch.Generator().manual_seed(3) for _ in range(2)]
        assert torch.equal(model(pixels, label_seq, truth, coins[0]),
                           model.decoder(tokens, label_seq, truth, coins[1]))
    assert not torch.equal(model(pixels, label_seq, 0.0), model(pixels, label_seq))
    found = model.beam_search(pixels, 3, length_power=2.0)
    assert torch.equal(found.scores, model.decoder.beam_search(tokens, 3, length_power=2.0).scores)
    assert not torch.equal(found.scores, model.beam_search(pixels, 3).scores)


def test_the_names_say_what_is_in_them():
    seed = build_cnn_rnn("repository", 80, pretrained=False)
    assert seed.cnn.name == "resnet152" and seed.cnn.channels == 2048
    assert isinstance(seed.decoder.rnn, nn.LSTM) and seed.decoder.layers == 1
    paper = build_cnn_rnn("paper", 80, pretrained=False)
    assert paper.cnn.name == "vgg16" and paper.decoder.output == "joint"
    assert not paper.decoder.feed_image


def test_unknown_names_and_widths_that_differ_are_named():
    with pytest.raises(ValueError, match="unknown CNN-RNN 'rnn'; choose one of paper"):
        build_cnn_rnn("rnn", 5)
    from hybridlab.decoder.build import CnnRnn

    with pytest.raises(ValueError, match="gives 1280 channels, but the decoder reads 7"):
        cnn = build_cnn_rnn("course", 3, pretrained=False).cnn
        CnnRnn(cnn, LabelDecoder(7, 3))


def learnt(read_labels: bool) -> tuple[float, float]:
    """Train on labels that no feature tells; how many of them are then known, while training and
    at inference."""
    draw = torch.Generator().manual_seed(0)
    pooled = torch.randn(200, 8, generator=draw)
    targets = (torch.rand(200, 6, generator=draw) < 0.4).float()
    label_seq = to_sequences(targets, frequent_first(targets))
    torch.manual_seed(0)
    head = LastStateHead(8, 6, dim=32, dropout=0.0)
    optimiser = torch.optim.Adam(head.parameters(), 5e-3)
    given = label_seq if read_labels else None
    rows = torch.arange(100)  # the other hundred images are never seen
    for _ in range(150):
        optimiser.zero_grad()
        logits = head(pooled[rows], None if given is None else given[rows])
        weighted_bce(logits, targets[rows], torch.ones(6)).backward()
        optimiser.step()
    with torch.no_grad():
        known = [
            ((head(pooled[some], seq) > 0) == (targets[some] > 0)).float().mean()
            for some, seq in (
                (slice(100, 200), label_seq[100:] if read_labels else None),
                (slice(100, 200), None),
            )
        ]
    return float(known[0]), float(known[1])


def test_true_labels_as_input_leak_and_teach_nothing():
    while_read, without = learnt(read_labels=True)
    assert while_read > 0.9, "the head reads the answer, on images that it never saw"
    assert without < 0.7, "and knows nothing where there are images only"


def test_labels_after_the_end_do_not_reach_the_last_state():
    torch.manual_seed(0)
    head = LastStateHead(4, 5, dim=8).eval()
    pooled = torch.randn(2, 4)
    wide, narrow = from_lists([[1], [0, 2, 3, 4]], 5), from_lists([[1]], 5)
    assert torch.allclose(head(pooled, wide)[0], head(pooled[:1], narrow)[0], atol=1e-6)
    assert torch.allclose(head(pooled, from_lists([[], []], 5)), head(pooled), atol=1e-6)


def test_the_head_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="NaN or infinity"):
        LastStateHead(4, 3)(torch.full((2, 4), float("nan")))


def test_bad_input_of_the_head_is_named():
    head = LastStateHead(4, 5, dim=8)
    with pytest.raises(ValueError, match=r"expected \(B, 4\)"):
        head(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="1 rows for 2 images"):
        head(torch.zeros(2, 4), from_lists([[1]], 5))
    with pytest.raises(ValueError, match="label 9"):
        head(torch.zeros(1, 4), torch.tensor([[9, 5]]))
