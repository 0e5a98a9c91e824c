"""Phase 0 of the CNN: the loss is that of its logits, the score their mAP."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric

from hybridlab.data.scenes import SceneDataset
from hybridlab.encoders.cnn import build_cnn
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.total_loss import loss_terms
from hybridlab.training.augmentation import object_boxes
from hybridlab.training.encoder_task import CnnClassifier, EncoderTask
from hybridlab.training.features import scene_images
from hybridlab.training.reports import EpochReport, StepReport
from hybridlab.training.sampling import batches, epoch_rows
from hybridlab.training.stage import Part, Stage
from hybridlab.training.trainer import train_stages

STAGE = Stage("cnn", (Part("head", 1e-2), Part("cnn", 1e-3, 0.7)), epochs=1, batch_size=5)


@pytest.fixture(scope="module")
def fabric():
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


@pytest.fixture(scope="module")
def splits():
    train, held = SceneDataset(11), SceneDataset(7, "val")
    return *scene_images(train), *scene_images(held), object_boxes(train)


def classifier():
    torch.manual_seed(0)
    cnn = build_cnn("efficientnet_lite0", stage="stage2", image_size=64, pretrained=False)
    return CnnClassifier(cnn, 80).eval()


@pytest.mark.parametrize("loss", ["bce", "asl"])
def test_the_loss_of_a_step_and_the_score(fabric, splits, loss):
    images, targets, held, truth, _ = splits
    targets = targets.clone()
    targets[0, :40] = -1
    task, model, reports = EncoderTask(images, targets, held, truth, classification=loss), (
        classifier()), []
    first = batches(epoch_rows(11, 0, 0), 5)[0]
    with torch.no_grad():
        logits = model(model.cnn.preprocessing(images[first]))
        expected = loss_terms(logits, targets[first], classification=loss)["classification"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_stages(model, task, [STAGE], fabric, report=reports.append)
    steps = [each for each in reports if isinstance(each, StepReport)]
    assert steps[0].loss == pytest.approx(float(expected), rel=1e-4) and len(steps) == 3
    with torch.no_grad():
        found = torch.sigmoid(model(model.cnn.preprocessing(held)))
    end = next(each for each in reports if isinstance(each, EpochReport))
    assert end.score == pytest.approx(mean_ap(found.numpy(), truth.numpy()).value)
    changed = {name for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])}
    assert any(name.startswith("cnn.") for name in changed) and "head.weight" in changed
    assert not any("running_" in name for name in changed)  # the statistics rest


def test_augmented_pictures_lose_labels_with_their_objects(splits):
    images, targets, held, truth, boxes = splits
    task = EncoderTask(images, targets, held, truth, boxes)
    stage = Stage("cnn", (Part("", 1e-3),), epochs=9, augment="clip")
    rows, lost = torch.arange(11), 0
    for epoch in range(6):
        batch = task.batch(rows, stage, epoch)
        assert (batch["targets"] <= targets).all()
        lost += int((batch["targets"] < targets).sum())
    assert lost > 0
    plain = task.batch(rows, STAGE, 0)
    assert torch.equal(plain["images"], images) and torch.equal(plain["targets"], targets)


def test_mistakes_are_named(splits):
    images, targets, held, truth, _ = splits
    with pytest.raises(ValueError, match="held_images has 7 and held_targets 6 rows"):
        EncoderTask(images, targets, held, truth[:6])
    with pytest.raises(ValueError, match="an encoder's task knows 'labels'"):
        EncoderTask(images, targets, held, truth).difficulty("clutter")
    assert len(EncoderTask(images, targets, held[:0], truth[:0]).difficulty("labels")) == 11
