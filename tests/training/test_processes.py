"""Two processes follow the curve of one, at the same batches, and count every row once."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch
from lightning_fabric import Fabric

from hybridlab.training.checkpoints import CheckpointStore
from hybridlab.training.interrupts import Stop
from hybridlab.training.reports import EpochReport, StepReport, StoppedError
from hybridlab.training.trainer import train_stages

from .toys import Toy, ToyTask, stages

pytestmark = pytest.mark.timeout(240)  # processes that wait for each other would wait for ever


class Told(ToyTask):
    """A task that keeps what it is asked to score."""

    def score(self, predictions):
        self.predictions = predictions.clone()
        return super().score(predictions)


def train(fabric, folder, options=None, resume=False, stop_at=None):
    """Train, and leave what happened in files, for there is no other way out of a process."""
    torch.set_num_threads(1)
    task, reports, stop, said = Told(), [], Stop(), []
    store = CheckpointStore(folder / "checkpoints")
    model = Toy(0.0)

    def report(told):
        reports.append(told)
        if stop_at is not None and told.step == stop_at:
            stop.ask("a test")

    left = False
    try:
        train_stages(model, task, stages(**(options or {})), fabric, seed=2, store=store,
                     report=report, stop=stop, resume=resume, say=said.append)
    except StoppedError:
        left = True
    told = {
        "losses": [each.loss for each in reports if isinstance(each, StepReport)],
        "terms": [dict(each.terms) for each in reports if isinstance(each, StepReport)],
        "scores": [each.score for each in reports if isinstance(each, EpochReport)],
        "seen": task.seen, "left": left, "said": said, "reports": len(reports),
        "predictions": getattr(task, "predictions", torch.empty(0)).tolist(),
        "weights": torch.cat([each.flatten() for each in model.parameters()]).tolist(),
    }
    (folder / f"rank{fabric.global_rank}.json").write_text(json.dumps(told))


def run(folder, world, **options):
    """`train` in so many processes; what each of them left."""
    folder.mkdir(exist_ok=True)
    strategy = "auto" if world == 1 else "ddp_fork"
    fabric = Fabric(accelerator="cpu", devices=world, strategy=strategy)
    fabric.launch(train, folder, **options)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(world)]


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}])
def test_two_processes_follow_the_curve_of_one(tmp_path, options):
    (one,) = run(tmp_path / "one", 1, options=options)
    two = run(tmp_path / "two", 2, options=options)
    assert two[0]["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert two[0]["scores"] == pytest.approx(one["scores"], abs=1e-5)
    for ours, theirs in zip(two[0]["terms"], one["terms"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    # the last batch of an epoch has one row: the second process computes none of it
    assert any(each == [] for each in two[1]["seen"])
    for each in two:
        assert each["weights"] == pytest.approx(one["weights"], abs=1e-5)
        # 11 rows on 2 processes: 11 predictions, in their order, on both
        assert len(each["predictions"]) == 11
        assert torch.tensor(each["predictions"]).allclose(
            torch.tensor(one["predictions"]), atol=1e-5)
    assert two[1]["reports"] == 0  # the second process tells nothing
    if not options:
        for a, b, both in zip(two[0]["seen"], two[1]["seen"], one["seen"], strict=True):
            assert sorted(a + b) == sorted(both)
    names = sorted(each.name for each in (tmp_path / "two" / "checkpoints").iterdir())
    assert names == sorted(each.name for each in (tmp_path / "one" / "checkpoints").iterdir())


def test_one_is_asked_to_stop_and_both_leave_then_one_or_two_go_on(tmp_path):
    (straight,) = run(tmp_path / "straight", 1)
    both = run(tmp_path / "two", 2, stop_at=7)
    assert [each["left"] for each in both] == [True, True]
    assert CheckpointStore(tmp_path / "two" / "checkpoints").steps()[-1] == 7
    again = run(tmp_path / "two", 2, resume=True)
    assert again[0]["losses"] == pytest.approx(straight["losses"][7:], abs=1e-5)
    assert again[0]["said"] == []
    run(tmp_path / "other", 2, stop_at=7)
    (alone,) = run(tmp_path / "other", 1, resume=True)
    assert alone["losses"] == pytest.approx(straight["losses"][7:], abs=1e-5)
    assert "the checkpoint is of 2 processes and this run has 1" in alone["said"][0]


def test_losses_fall_so_that_the_curves_say_something(tmp_path):
    (one,) = run(tmp_path / "one", 1, options={"epochs": 1})
    assert len(set(one["losses"])) == len(one["losses"])
    assert any(a > b for a, b in pairwise(one["losses"]))
