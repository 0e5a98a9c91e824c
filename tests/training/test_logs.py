"""What a training tells: tables that a kill does not spoil, TensorBoard, a bar, a live plot."""

from __future__ import annotations

import csv
import math
import subprocess
import sys

import pytest
from lightning_fabric import Fabric

from hybridlab.training.checkpoints import CheckpointStore
from hybridlab.training.interrupts import Stop
from hybridlab.training.logs import CsvLog, ProgressBar, TensorBoardLog, memory_mb
from hybridlab.training.reports import EpochReport, StepReport, StoppedError
from hybridlab.training.trainer import train_stages
from hybridlab.viz.live import LivePlot, smoothed

from .toys import Toy, ToyTask, stages


@pytest.fixture(scope="module")
def fabric():
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def timeless(rows):
    return [{key: value for key, value in row.items()
             if key not in ("images_per_second", "memory_mb", "seconds")} for row in rows]


def train(fabric, folder, log, stop=None, resume=False, at=None):
    def report(told):
        log(told)
        if at and isinstance(told, StepReport) and told.step == at:
            stop.ask("a test")

    train_stages(Toy(), ToyTask(), stages(), fabric, store=CheckpointStore(folder / "store"),
                 report=report, stop=stop or Stop(), resume=resume)


def test_a_stopped_and_resumed_run_leaves_the_table_of_a_straight_one(fabric, tmp_path):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    log = CsvLog(straight, stages())
    train(fabric, straight, log)
    log.close()
    first = CsvLog(broken, stages())
    with pytest.raises(StoppedError):
        train(fabric, broken, first, Stop(), at=7)
    first.close()
    with (broken / "steps.csv").open("a") as file:  # what was told and not saved, and half a line
        file.write("8,one,1,0.5,0.5,,0.1,1.0,3.0,5.0\n9,one,1,0.")
    second = CsvLog(broken, stages())
    train(fabric, broken, second, resume=True)
    second.close()
    for name in ("steps.csv", "epochs.csv"):
        assert timeless(read(straight / name)) == timeless(read(broken / name)), name
    steps, epochs = read(straight / "steps.csv"), read(straight / "epochs.csv")
    assert [int(row["step"]) for row in steps] == list(range(1, 21)) and len(epochs) == 4
    assert float(steps[0]["bce"]) + 0.01 * float(steps[0]["norm"]) == pytest.approx(
        float(steps[0]["loss"]))
    assert float(steps[3]["images_per_second"]) > 0 and float(steps[3]["memory_mb"]) > 10


def test_tensorboard_reads_what_was_written(fabric, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(tmp_path / "board")
    train(fabric, tmp_path, log)
    log.close()
    found = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [each.step for each in found.Scalars("train/loss")] == list(range(1, 21))
    assert len(found.Scalars("validation/score")) == 4
    assert {"train/bce", "train/norm", "train/lr", "speed/memory_mb"} <= set(
        found.Tags()["scalars"])


def test_the_bar_tells_stage_speed_and_memory(fabric, tmp_path, capsys):
    with ProgressBar(seconds=0) as bar:
        train(fabric, tmp_path, bar)
    told = capsys.readouterr().err
    assert "one" in told and "two" in told and "img/s=" in told and "/20" in told
    with ProgressBar() as bar:
        pass  # nothing was told, and nothing breaks


def test_the_live_plot_replaces_one_image(monkeypatch):
    import IPython.display

    shown = []

    class Handle:
        def update(self, figure):
            shown.append(figure)

    def display(figure, display_id):
        assert display_id
        shown.append(figure)
        return Handle()

    monkeypatch.setattr(IPython.display, "display", display)
    plot = LivePlot(seconds=0)
    plot.figure()  # of nothing
    for step in range(1, 5):
        plot(StepReport("one" if step < 3 else "two", 0, step, 4, 1 / step, {}, 0.1, 1.0, 5))
    plot(EpochReport("two", 0, 4, 0.5, True))
    plot(EpochReport("two", 0, 4, math.nan, False))
    assert len(shown) == 6
    assert "two: training loss 0.333 at step 3, 0.25 at step 4" in shown[-1].alt
    assert "validation mAP is 0.5 at the end" in shown[-1].alt
    losses, scores = plot.figure().axes
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["one", "two"]
    assert scores.lines[0].get_ydata().tolist() == [0.5]
    calm = LivePlot(seconds=1000)
    for step in range(1, 5):
        calm(StepReport("one", 0, step, 4, 1.0, {}, 0.1, 1.0, 5))
    assert len(shown) == 7


def test_memory_is_that_of_this_process_and_not_of_who_started_it():
    code = "from hybridlab.training.logs import memory_mb; print(memory_mb())"
    large = b"x" * 1_200_000_000
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 50 < float(done.stdout) < 1000 and len(large)


def test_smoothing_begins_at_the_first_value():
    assert smoothed((2.0, 1.0), 0.5) == [2.0, 1.5] and smoothed(()) == []
    assert memory_mb() > 10
