"""`hybridlab ablate`: options, exit statuses and what is printed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tyro

from hybridlab.ablation.command import Ablate
from hybridlab.ablation.errors import StudyIncompleteError
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
    assert "all 2 runs are done" in told
    assert (tmp_path / "runs" / ".cache").is_dir()
    assert ablate("study.py", "--workers", 1) == 0  # the study's second seed is added
    assert "[4/4] less, seed 1" in capsys.readouterr().out
    assert len(load_results("runs/studies/tiny")) == 4


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
