"""Training a decoder by recipe: every order and feeding learns, and impossible ones are refused."""

from __future__ import annotations

import pytest
import torch

from hybridlab.data.boxes import LabelBoxes
from hybridlab.decoder import matching
from hybridlab.training import decoding, label_ranks
from hybridlab.training.decoding import decode_all, fit_decoder
from hybridlab.training.held import Held
from hybridlab.training.label_ranks import TooManyLabelsError
from hybridlab.training.recipes import FEEDING, ORDERS, DecoderRecipe, truth_share

LABELS, PLACES, CHANNELS = 5, 3, 6


def task(count: int = 96, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, LabelBoxes]:
    """Each label that is there lights its own channel at some place."""
    draw = torch.Generator().manual_seed(seed)
    targets = (torch.rand(count, LABELS, generator=draw) < 0.4).float()
    place = torch.randint(PLACES, (count, LABELS), generator=draw)
    tokens = 0.1 * torch.randn(count, PLACES, CHANNELS, generator=draw)
    for row, label in (targets > 0).nonzero().tolist():
        tokens[row, place[row, label], label] += 3
    there = targets.numpy() > 0
    areas = torch.where(targets > 0, torch.rand(count, LABELS, generator=draw) + 1, torch.nan)
    centres = torch.stack([place.double(), place.double()], dim=-1).numpy()
    centres[~there] = float("nan")
    return tokens, targets, LabelBoxes(areas.numpy(), centres, areas.numpy(), 3)


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_learns(order):
    tokens, targets, boxes = task()
    feeding = "free" if order in ("pla", "mla") else "teacher"
    recipe = DecoderRecipe(order=order, feeding=feeding, dim=32, dropout=0.0, epochs=30,
                           batch_size=16, lr=5e-3, layers=1)
    decoder = fit_decoder(tokens, targets, None, recipe, 0, boxes)
    right = (decode_all(decoder, tokens).chosen == (targets > 0)).float().mean()
    assert right > 0.85, "0.6 would be right by chance"


@pytest.mark.parametrize("feeding", FEEDING)
def test_every_feeding_learns_and_the_seed_decides(feeding):
    tokens, targets, _ = task()
    recipe = DecoderRecipe(feeding=feeding, dim=32, epochs=12, batch_size=16, lr=5e-3, layers=1)
    held = Held((tokens,), targets)
    one, again, other = (fit_decoder(tokens, targets, held, recipe, seed) for seed in (0, 0, 1))
    first, second = (next(iter(each.state_dict().values())) for each in (one, again))
    assert torch.equal(first, second)
    assert not torch.equal(first, next(iter(other.state_dict().values())))
    assert held.score(decode_all(one, tokens).probs) > 0.75, "0.4 would be chance"


def test_scheduled_sampling_falls_from_truth_to_its_least(monkeypatch):
    told = []
    whole = decoding.LabelDecoder.forward

    def spy(self, tokens, label_seq, truth=1.0, generator=None):
        told.append(truth)
        return whole(self, tokens, label_seq, truth, generator)

    monkeypatch.setattr(decoding.LabelDecoder, "forward", spy)
    tokens, targets, _ = task(32)
    recipe = DecoderRecipe(feeding="scheduled", least_truth=0.4, dim=8, epochs=5, batch_size=16)
    fit_decoder(tokens, targets, None, recipe, 0)
    assert told[0] == 1 and told[-1] == pytest.approx(0.4) and told == sorted(told, reverse=True)
    assert len(told) == 10


def test_aligned_orders_are_fed_their_own_words_and_aligned_to_them(monkeypatch):
    seen = []
    monkeypatch.setitem(label_ranks._ALIGN, "pla", lambda logits, targets: seen.append(1) or
                        matching.predicted_label_alignment(logits, targets))
    tokens, targets, _ = task(16)
    recipe = DecoderRecipe(order="pla", feeding="free", dim=8, epochs=1, batch_size=8)
    fit_decoder(tokens, targets, None, recipe, 0)
    assert len(seen) == 2


def test_room_for_every_label():
    tokens, targets, _ = task(8)
    targets[3] = 1
    assert fit_decoder(tokens, targets, None, DecoderRecipe(epochs=0, dim=8), 0).max_steps == 7
    with pytest.raises(TooManyLabelsError, match="image 3 has 5 labels, which takes 6 steps"):
        fit_decoder(tokens, targets, None, DecoderRecipe(max_steps=5, dim=8), 0)
    fits = DecoderRecipe(max_steps=6, dim=8, epochs=1)
    assert fit_decoder(tokens, targets, None, fits, 0).max_steps == 6
    none = fit_decoder(tokens[:0], targets[:0], None, DecoderRecipe(dim=8), 0)
    assert none.max_steps == 2


def test_boxes_are_asked_for_where_they_are_needed():
    tokens, targets, boxes = task(8)
    for order in ("size", "reading"):
        with pytest.raises(ValueError, match="none were given"):
            fit_decoder(tokens, targets, None, DecoderRecipe(order=order, dim=8), 0)
        short = LabelBoxes(boxes.areas[:3], boxes.centres[:3], boxes.visible[:3], 3)
        with pytest.raises(ValueError, match=r"they are of shape \(3, 5\)"):
            fit_decoder(tokens, targets, None, DecoderRecipe(order=order, dim=8), 0, short)
    with pytest.raises(ValueError, match="8 images and targets 7"):
        fit_decoder(tokens, targets[:7], None, DecoderRecipe(dim=8), 0)


@pytest.mark.parametrize(("options", "words"), [
    ({"order": "alphabet"}, "order is 'alphabet'; choose one of frequent"),
    ({"feeding": "half"}, "teacher, scheduled, free"),
    ({"order": "pla"}, "give feeding='free'"), ({"order": "mla", "feeding": "scheduled"}, "mla"),
    ({"epochs": -1}, "epochs is -1"), ({"batch_size": 0}, "batch_size is 0"),
    ({"cell": "elman"}, "choose one of gru, lstm"), ({"read": "relu"}, "linear, gelu"),
    ({"lr": float("nan")}, "lr is nan"), ({"least_truth": 2.0}, "least_truth is 2"),
])
def test_impossible_recipes_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        DecoderRecipe(**options)


def test_the_share_of_truth():
    shares = [truth_share(at / 10, 0.2) for at in range(11)]
    assert shares == pytest.approx([1 - 0.08 * at for at in range(11)])
    assert truth_share(0.25, 0) == 0.75
    with pytest.raises(ValueError, match="progress is 1"):
        truth_share(1.5, 0)
