"""`hybridlab ablate`: options, exit statuses and what is printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tyro

from hybridlab.ablation.command import Ablate, stopped_by_sigterm
from hybridlab.ablation.errors import StudyIncompleteError
from hybridlab.ablation.report_command import Report
from hybridlab.ablation.state import load_results


def ablate(*arguments):
    return tyro.cli(Ablate, args=[str(argument) for argument in arguments]).run()


def test_a_study_is_run_and_told_of_line_by_line(write_study, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study()
    assert ablate("study.py", "--seeds", 0, "--workers", 1) == 0
    told = capsys.readouterr().out
    assert "Does less noise help?\n2 variants x 1 seeds in runs/studies/tiny\n" in told
    assert "[1/2] plain, seed 0: done in 0." in told and "mAP" in told
    assert "of1@9 cannot be computed" not in told
    assert "all 2 runs are done" in told
    assert (tmp_path / "runs" / ".cache").is_dir()
    assert ablate("study.py", "--workers", 1) == 0  # the study's second seed is added
    assert "[4/4] less, seed 1" in capsys.readouterr().out
    assert len(load_results("runs/studies/tiny")) == 4


def test_lines_tell_the_leading_metric_and_what_cannot_be_computed(
    write_study, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_study(change=lambda text: text.replace(
        'reference="plain",', 'reference="plain", metrics=("cf1@2", "of1@9"),'))
    assert ablate("study.py", "--workers", 1) == 0
    lines = capsys.readouterr().out.splitlines()
    done = [line for line in lines if ": done in " in line]
    assert len(done) == 4 and all(", top-2 CF1 " in line and "mAP" not in line for line in done)
    told = [line for line in lines if "of1@9 cannot be computed: k is 9 but scores has 4" in line]
    assert len(told) == 1 and lines.index(told[0]) == lines.index(done[0]) + 1
    assert Report(Path("runs/studies/tiny"), format="csv").run() == 0
    source = json.loads(Path("runs/studies/tiny/study.json").read_text())["source"]
    assert source == "study.py"


def test_a_finished_study_of_other_code_says_so_and_succeeds(write_study, tmp_path, capsys):
    where = ("--folder", tmp_path / "out", "--store", tmp_path / "store", "--workers", 1)
    write_study(seeds=(0,))
    assert ablate(tmp_path / "study.py", *where) == 0
    assert "other code" not in capsys.readouterr().out
    write_study(seeds=(0,), change=lambda text: text.replace("2.0 / (1 +", "3.0 / (1 +"))
    assert ablate(tmp_path / "study.py", *where) == 0
    told = capsys.readouterr().out
    assert "[2/2] 2 of 2 runs were done by other code than now: <study file> (expected" in told
    assert "a new folder" in told and "stopped" not in told


def test_a_study_that_is_done_in_part_says_so(write_study, tmp_path, capsys):
    where = ("--folder", tmp_path / "out", "--store", tmp_path / "store", "--workers", 1)
    write_study({"plain": {}, "bad": {"trouble": "raise"}}, seeds=(0,))
    assert ablate(tmp_path / "study.py", *where) == 1
    out, err = capsys.readouterr()
    assert "[1/2] bad, seed 0: failed: ArithmeticError: level 0 cannot be done" in out
    assert err.startswith("hybridlab: variant 'bad' failed in its only seed: ArithmeticError")


def test_a_study_of_which_nothing_is_done_fails(write_study, tmp_path):
    write_study({"plain": {"trouble": "raise"}}, seeds=(0,))
    with pytest.raises(StudyIncompleteError, match="0 of 1 runs"):
        ablate(tmp_path / "study.py", "--folder", tmp_path / "out", "--store", tmp_path / "store")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_a_command_that_is_ended(write_study, tmp_path, number):
    write_study({"plain": {"sleep": 60}, "less": {"level": 1}}, seeds=(0,))
    store = tmp_path / "store"
    command = subprocess.Popen(
        [sys.executable, "-m", "hybridlab", "ablate", "study.py", "--folder", "out",
         "--store", "store"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )
    workers = set()
    try:
        _wait_for(lambda: list((tmp_path / "out" / "runs").glob("[!.]*")) and begun(store))
        workers |= {int(path.name.split(".")[1].split("-")[0]) for path in store.glob("*-*.*-*")}
        assert workers and all(_lives(pid) for pid in workers)
        command.send_signal(number)
        out, err = command.communicate(timeout=20)
        _wait_for(lambda: not any(_lives(pid) for pid in workers))
    finally:
        for pid in (command.pid, *workers):  # a failing test leaves nothing behind
            if _lives(pid):
                os.kill(pid, signal.SIGKILL)
    if number == signal.SIGTERM:
        assert command.returncode == 130 and "the same command goes on" in out
        assert err == "hybridlab: stopped; nothing half-written\n"
    assert [record.variant for record in load_results(tmp_path / "out")] == ["less"]


def test_sigterm_is_handled_only_while_a_study_runs(write_study, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stopped_by_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) is before
    write_study(seeds=(0,))
    where = ("--folder", tmp_path / "out", "--store", tmp_path / "store", "--workers", 1)
    with ThreadPoolExecutor(1) as pool:  # a notebook may run it beside its main thread
        assert pool.submit(ablate, tmp_path / "study.py", *where).result() == 0


def begun(store):
    return [path for path in store.glob("*-*.*-*") if path.read_text() == "begun"]


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_options_that_do_not_go_together_are_refused():
    for arguments in (["s.py", "--workers", "0"], ["s.py", "--dask", "a", "--slurm", "b"]):
        with pytest.raises(SystemExit):
            tyro.cli(Ablate, args=arguments)


def test_the_command_is_quick_to_import():
    code = (
        "import sys; import hybridlab.ablation.command;"
        "print([n for n in ('torch', 'numpy', 'loky', 'filelock') if n in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
