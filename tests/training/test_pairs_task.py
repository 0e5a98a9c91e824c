"""CLIP's loss by the trainer: several processes are one, and a batch stays whole."""

from __future__ import annotations

import json

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from hybridlab.contrastive.positives import positives_of
from hybridlab.contrastive.softmax import clip_loss
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.training.guards import MemoryAdvice
from hybridlab.training.pairs_task import PairsTask
from hybridlab.training.reports import StepReport
from hybridlab.training.sampling import batches, epoch_rows
from hybridlab.training.stage import Part, Stage
from hybridlab.training.trainer import train_stages

pytestmark = pytest.mark.timeout(300)
ROWS, HELD = 13, 7
STAGE = Stage("pairs", (Part("", 1e-3),), epochs=2, batch_size=6)


def task_of() -> PairsTask:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (ROWS + HELD, 3, 48, 48), dtype=torch.uint8, generator=draw)
    names = ["a cow", "an egg", "a red bus", "two owls on a bus", "a hat"]
    captions = [names[each % len(names)] for each in range(ROWS + HELD)]  # some come twice
    return PairsTask(images[:ROWS], captions[:ROWS], images[ROWS:], captions[ROWS:])


def model_of():
    torch.manual_seed(0)
    clip = build_tiny_clip(pretrained=False)
    for module in clip.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return clip.eval()


@pytest.fixture(scope="module")
def fabric():
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


def test_the_loss_is_clips_and_the_score_retrieval(fabric):
    clip, task, reports = model_of(), task_of(), []
    first = batches(epoch_rows(ROWS, 0, 0), 6)[0]
    texts = [task.captions[row] for row in first.tolist()]
    with torch.no_grad():
        seen = clip.encode_image(clip.preprocessing(task.images[first])).image_emb
        expected = clip_loss(seen, clip.encode_text(texts), clip.logit_scale,
                             positives=positives_of(texts))
    train_stages(clip, task, [STAGE], fabric, report=reports.append)
    assert reports[0].loss == pytest.approx(float(expected), rel=1e-4)
    assert 0 <= reports[-1].score <= 1
    assert task.difficulty("words")[:4] == (2, 2, 3, 5)


def train(fabric, folder):
    torch.set_num_threads(1)
    reports = []
    clip = train_stages(model_of(), task_of(), [STAGE], fabric, report=reports.append)
    told = [each.loss if isinstance(each, StepReport) else each.score for each in reports]
    told += [float(each.double().norm()) for each in clip.state_dict().values()]
    (folder / f"{fabric.world_size}-{fabric.global_rank}.json").write_text(json.dumps(told))


def test_two_processes_follow_one_though_rows_meet_across_them(tmp_path):
    """13 pairs in batches of 6: of the last one, the second process has none."""
    for world in (1, 2):
        strategy = "auto" if world == 1 else DDPStrategy(
            start_method="fork", find_unused_parameters=True
        )
        Fabric(accelerator="cpu", devices=world, strategy=strategy).launch(train, tmp_path)
    one, two = (json.loads((tmp_path / f"{world}-0.json").read_text()) for world in (1, 2))
    steps = 2 * 3 + 2
    assert two[:steps] == pytest.approx(one[:steps], abs=1e-4)
    assert two[steps:] == pytest.approx(one[steps:], rel=1e-3, abs=1e-4)


def test_a_batch_whose_rows_meet_is_never_cut(fabric):
    parts = Stage("pairs", (Part("", 1e-3),), epochs=1, batch_size=6, accumulate=2)
    with pytest.raises(ValueError, match="in 2 parts, but rows of a batch meet in this loss"):
        train_stages(model_of(), task_of(), [parts], fabric)
    task = task_of()

    def too_much(*_):
        raise torch.OutOfMemoryError("out of memory")

    task.batch = too_much
    with pytest.raises(MemoryAdvice, match=r"6 images at a time \(rows of a batch meet") as told:
        train_stages(model_of(), task, [STAGE], fabric)
    assert "accumulate" not in str(told.value) and "batch_size than 6" in str(told.value)


def test_augmented_pairs_keep_their_captions():
    task = task_of()
    stage = Stage("pairs", (Part("", 1e-3),), epochs=1, augment="clip")
    rows = torch.tensor([3, 1])
    batch = task.batch(rows, stage, 0)
    assert batch["captions"] == ["two owls on a bus", "an egg"]
    assert not torch.equal(batch["images"], task.images[rows])


def test_mistakes_are_named():
    task = task_of()
    with pytest.raises(ValueError, match="held_images has 7 and held_captions 6"):
        PairsTask(task.images, task.captions, task.held_images, task.held_captions[:6])
    with pytest.raises(ValueError, match="curriculum is 'labels'; pairs know 'words'"):
        task.difficulty("labels")
