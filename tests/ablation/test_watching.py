"""A look at a study that runs: what is done, failed and left, and running figures by its folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tyro

from hybridlab.ablation import watch_command
from hybridlab.ablation.analysis import analyse
from hybridlab.ablation.command import Ablate
from hybridlab.ablation.definition import load_definition
from hybridlab.ablation.records import RUNS, save_run
from hybridlab.ablation.watching import PROVISIONAL, Watcher, progress_line, told

from .synthetic import MANIFEST, result, write_folder

SEEDS = range(3)


def run_of(name):
    return lambda seed: result({"plain": 0.8, "strong": 2.2}.get(name, 1.0), seed, name)


@pytest.fixture
def folder(tmp_path):
    """Of three variants and seeds: six runs are done, one has failed."""
    variants = {name: run_of(name) for name in ("plain", "strong", "late")}
    skip = [("strong", 2), ("late", 1)]
    return write_folder(tmp_path / "s", variants, SEEDS, skip=skip,
                        failed={("late", 2): "no memory"})


def finish(folder, *pairs):
    study = load_definition(folder)
    for run in study.runs():
        if (run.variant, run.seed) in pairs:
            save_run(folder / RUNS, run.spec, run_of(run.variant)(run.seed), dict(MANIFEST), 61.0)


def test_it_counts_runs_and_compares_what_is_there(folder):
    seen = Watcher(folder).look()
    assert (seen.done, seen.total, len(seen.failures)) == (6, 9, 1)
    assert not seen.complete and not seen.ended
    plain, strong, late = seen.variants
    assert (plain.done, strong.done, late.done, late.failed) == (3, 2, 1, 1)
    assert plain.difference == "reference"
    assert strong.difference.endswith("(2 seeds)") and strong.difference.startswith("+")
    assert late.difference.endswith("(one seed)") and "[" not in late.difference
    value = 100 * analyse(folder, resamples=200).row("strong").comparison.value
    assert strong.difference.startswith(f"{value:+.1f} [")


def test_it_says_that_figures_are_provisional_until_the_last_run(folder):
    lines = told(Watcher(folder).look(), folder)
    assert " ".join(lines).endswith(PROVISIONAL)
    assert "Do not stop because a difference looks good" in PROVISIONAL
    assert "so far" in lines[3] and not any("better" in line for line in lines[1:])
    assert any("failed: late, seed 2: RuntimeError: no memory" in line for line in lines)
    assert "6 of 9 runs done, 1 failed; about" in lines[1]
    finish(folder, ("strong", 2), ("late", 1))
    lines = told(seen := Watcher(folder).look(), folder)
    assert seen.ended and not seen.complete and "the same command tries it again" in lines[-1]
    finish(folder, ("late", 2))
    lines = told(seen := Watcher(folder).look(), folder)
    assert seen.complete and "all runs are done: `hybridlab report" in " ".join(lines)
    assert "so far" not in lines[3] and lines[1].endswith("] 9 of 9 runs done")


def test_nothing_is_written_into_the_folder(folder):
    def state():
        return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))

    before = state()
    Watcher(folder).look()
    assert state() == before


def test_what_was_measured_is_not_measured_again(folder, monkeypatch):
    from hybridlab.ablation import measuring

    watcher, calls = Watcher(folder), []
    real = measuring.resampled_values
    monkeypatch.setattr(measuring, "resampled_values",
                        lambda *given, **more: calls.append(1) or real(*given, **more))
    first = watcher.look()
    assert len(calls) == 6
    finish(folder, ("strong", 2))
    again = watcher.look()
    assert len(calls) == 7 and again.done == first.done + 1


def test_before_the_first_run_nothing_is_compared(tmp_path):
    empty = write_folder(tmp_path / "s", {"a": run_of("a"), "b": run_of("b")}, SEEDS,
                         skip=[(name, seed) for name in "ab" for seed in SEEDS])
    seen = Watcher(empty).look()
    assert seen.analysis is None and seen.done == 0
    assert "not known before the first run is done" in progress_line(seen)
    assert " ".join(told(seen, empty)).endswith(PROVISIONAL)
    finish(empty, ("b", 0))  # the reference is not there yet
    seen = Watcher(empty).look()
    assert [each.difference for each in seen.variants][1] == "–"
    assert "[" in seen.variants[1].score


def test_a_study_that_went_silent_is_noticed(folder):
    for path in [*(folder / RUNS).iterdir(), *(folder / "failures").iterdir()]:
        os.utime(path, (time.time() - 1000, time.time() - 1000))
    assert "does it still run?" in progress_line(Watcher(folder).look())
    finish(folder, ("strong", 2))
    assert "does it still run?" not in progress_line(Watcher(folder).look())


def test_a_folder_without_a_study_is_told(tmp_path):
    with pytest.raises(ValueError, match="holds no study"):
        Watcher(tmp_path).look()


def ablate(*arguments):
    return tyro.cli(Ablate, args=[str(argument) for argument in arguments]).run()


def test_the_command_looks_once_where_nobody_looks_on(folder, write_study, capsys, monkeypatch):
    assert ablate(folder, "--watch") == 0
    assert "6 of 9 runs done" in capsys.readouterr().out
    write_study()
    study = folder.parent / "study.py"
    assert ablate(study, "--watch", "--folder", folder) == 0
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ValueError, match="runs/studies/tiny holds no study"):
        ablate(study, "--watch")
    finish(folder, ("strong", 2), ("late", 1))
    capsys.readouterr()
    assert ablate(folder, "--watch") == 1  # over, with a failure


def test_at_a_terminal_it_looks_until_the_study_ends(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        finish(folder, *[[("strong", 2)], [("late", 1), ("late", 2)]][len(waits) - 1])

    monkeypatch.setattr(watch_command.time, "sleep", wait)
    assert watch_command.watch(folder) == 0
    out = capsys.readouterr().out
    assert [f"{done} of 9 runs done" in out for done in (6, 7, 9)] == [True] * 3
    assert len(waits) == 2 and out.count("\x1b[2J") == 3

    def stop(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_command.time, "sleep", stop)
    assert watch_command.watch(folder) == 0


def test_names_do_not_command_the_terminal(tmp_path, capsys):
    study = write_folder(
        tmp_path / "s", {"a": run_of("a"), "b": run_of("b")}, [0],
        failed={("b", 0): "\x1b]0;owned\x07\x1b[2J gone"}, question="Is \x1b[31mthis\x07 red?")
    watch_command.watch(study)
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and "gone" in out


def test_the_command_is_quick_to_import():
    code = ("import sys; import hybridlab.ablation.watch_command as w, hybridlab.ablation.command;"
            "print(sorted({'torch', 'matplotlib', 'loky'} & set(sys.modules)))")
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(root)})
    assert told.stdout.strip() == "[]"
