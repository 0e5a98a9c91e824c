"""Phase 0 by the trainer: the decoder's loss and score, on images and on label sequences alone."""

from __future__ import annotations

import math

import pytest
import torch
from lightning_fabric import Fabric

from hybridlab.data.boxes import LabelBoxes
from hybridlab.decoder.cnn_rnn import LabelDecoder, sequence_loss
from hybridlab.decoder.orders import frequent_first
from hybridlab.decoder.sequences import to_sequences
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.training.decoder_task import DecoderTask
from hybridlab.training.label_ranks import random_ranks
from hybridlab.training.recipes import DecoderRecipe
from hybridlab.training.reports import EpochReport, StepReport
from hybridlab.training.sampling import batches, epoch_rows
from hybridlab.training.stage import Part, Stage
from hybridlab.training.trainer import train_stages

LABELS, CHANNELS, ROWS, HELD = 4, 6, 19, 9
STAGE = Stage("phase 0", (Part("", 0.02),), epochs=2, batch_size=7, accumulate=2)


@pytest.fixture(scope="module")
def fabric():
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


def split(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    targets = (torch.rand(count, LABELS, generator=draw) < 0.4).float()
    targets[0, 0] = -1
    tokens = torch.randn(count, 5, CHANNELS, generator=draw)
    tokens[..., :LABELS] += 3 * (targets[:, None] > 0)
    return targets, tokens


def decoder_of() -> LabelDecoder:
    torch.manual_seed(0)
    return LabelDecoder(CHANNELS, LABELS, dim=16, dropout=0.0, max_steps=6)


def task_of(recipe: DecoderRecipe | None = None, blind: bool = False) -> DecoderTask:
    (targets, tokens), (held, held_tokens) = split(ROWS, 1), split(HELD, 2)
    if blind:
        return DecoderTask(targets, None, held, None, recipe)
    return DecoderTask(targets, tokens, held, held_tokens, recipe)


def test_the_loss_of_a_step_is_the_sequence_loss_and_the_score_mean_ap(fabric):
    task, reports, decoder = task_of(), [], decoder_of()
    first = batches(epoch_rows(ROWS, 0, 0), 7)[0]
    label_seq = to_sequences(task.targets[first], frequent_first(task.targets))
    expected = float(sequence_loss(decoder(task.tokens[first], label_seq), label_seq).detach())
    train_stages(decoder, task, [STAGE], fabric, report=reports.append)
    steps = [each for each in reports if isinstance(each, StepReport)]
    assert steps[0].loss == pytest.approx(expected, rel=1e-5) and len(steps) == 6
    best = max(each.score for each in reports if isinstance(each, EpochReport))
    found = decoder.decode(task.held_tokens).probs
    assert best == pytest.approx(mean_ap(found.numpy(), task.held_targets.numpy()).value)


@pytest.mark.parametrize("order", ["frequent", "rare", "random", "pla", "mla", "size"])
def test_counts_are_those_of_the_sums(order):
    feeding = "free" if order in ("pla", "mla") else "teacher"
    targets, tokens = split(ROWS, 1)
    shape = targets.shape
    boxes = LabelBoxes(torch.rand(shape).numpy(), torch.rand(*shape, 2).numpy(), None, 10)
    recipe = DecoderRecipe(order=order, feeding=feeding)
    task = DecoderTask(targets, tokens, *split(HELD, 2), recipe, boxes)
    rows = torch.tensor([3, 0, 11])
    batch = task.batch(rows, STAGE, 0)
    assert task.counts(rows, STAGE)["sequence"] == int((batch["label_seq"] >= 0).sum())
    decoder = decoder_of()
    parts = [task.sums(decoder, task.batch(few, STAGE, 0), STAGE)["sequence"]
             for few in (rows[:1], rows[:0], rows[1:])]
    assert float(sum(parts)) == pytest.approx(float(task.sums(decoder, batch, STAGE)["sequence"]),
                                              rel=1e-5)
    parts[1].backward()  # an empty share has gradients, of 0
    assert all(each.grad is not None for each in decoder.parameters())


def test_random_orders_depend_on_row_and_epoch_alone():
    task = task_of(DecoderRecipe(order="random"))
    alone, together = (task.batch(torch.tensor(rows), STAGE, 3) for rows in ([5], [2, 5]))
    assert torch.equal(random_ranks(torch.tensor([5]), 4, 0, 3),
                       random_ranks(torch.tensor([2, 5]), 4, 0, 3)[1:])
    assert alone["label_seq"][0].tolist() == [
        each for each in together["label_seq"][1].tolist() if each >= 0]
    assert not torch.equal(random_ranks(torch.arange(9), 4, 0, 3),
                           random_ranks(torch.arange(9), 4, 0, 4))


def test_scheduled_sampling_falls_by_epochs():
    task = task_of(DecoderRecipe(feeding="scheduled", least_truth=0.2))
    stage = Stage("s", (Part("", 0.1),), epochs=5)
    shares = [task.batch(torch.arange(2), stage, epoch)["truth"] for epoch in range(5)]
    assert shares == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_label_sequences_alone_teach_which_labels_follow_which(fabric):
    """Label 1 stands with label 0 and never without: a model of sequences finds out, unseeing."""
    draw = torch.Generator().manual_seed(0)
    targets = (torch.rand(300, 3, generator=draw) < 0.5).float()
    targets[:, 1] = targets[:, 0]
    decoder = LabelDecoder(CHANNELS, 3, dim=16, dropout=0.0, max_steps=6)
    task, reports = DecoderTask(targets[:200], None, targets[200:], None), []
    stage = Stage("language", (Part("", 0.02),), epochs=15, batch_size=20)
    train_stages(decoder, task, [stage], fabric, report=reports.append)
    scores = [each.score for each in reports if isinstance(each, EpochReport)]
    # two fair coins, 2 ln 2, over as many steps as there are: the entropy is the floor
    counts = targets[200:].sum(dim=1) + 1
    floor = 2 * math.log(2) * 100 / float(counts.sum())
    assert -scores[0] > 1.2 * floor and floor * 0.9 < -max(scores) < 1.1 * floor


def test_without_anything_held_the_last_epoch_is_kept(fabric):
    targets, tokens = split(ROWS, 1)
    task, reports = DecoderTask(targets, tokens, targets[:0], None), []
    train_stages(decoder_of(), task, [STAGE], fabric, report=reports.append)
    assert all(math.isnan(each.score) for each in reports if isinstance(each, EpochReport))


def test_mistakes_are_named():
    targets, tokens = split(ROWS, 1)
    held, held_tokens = split(HELD, 2)
    for given, words in (
        ((targets, tokens[:3], held, held_tokens), "tokens has 3 images and targets 19 rows"),
        ((targets, tokens, held, held_tokens[:2]), "held_tokens has 2 images"),
        ((targets, tokens, held, None), "tokens were given for one split"),
        ((targets, tokens, held[:, :2], held_tokens), "targets has 4 labels and held_targets 2"),
        ((targets, None, held, None, DecoderRecipe(order="size")), "stand at no place"),
        ((targets, tokens, held, held_tokens, DecoderRecipe(order="size")), "needs the boxes"),
        ((targets, tokens, held, held_tokens, DecoderRecipe(max_steps=2)), "max_steps is 2"),
    ):
        with pytest.raises(ValueError, match=words):
            DecoderTask(*given)
    with pytest.raises(ValueError, match="curriculum is 'clutter'"):
        task_of().difficulty("clutter")
