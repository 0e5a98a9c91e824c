"""A run that was stopped, killed, or out of disk keeps what it did, and is gone on with."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hybridlab import growing as growing_module
from hybridlab.predict import main_predict

from .small_bundle import make_album, make_bundle, parts, read_lines, stopped

ROOT = Path(__file__).resolve().parents[1]
LINES = ["jsonl", "csv"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small models on a busy machine: a second thread waits far longer than it helps."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture
def album(tmp_path):
    return make_album(tmp_path / "album")


# --- going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("output", LINES)
@pytest.mark.parametrize(
    "cut", ["after a line", "in a line", "in the first line", "garbage", "nothing"]
)
def test_a_resumed_run_equals_one_that_was_never_stopped(
    bundle_folder, album, tmp_path, output, cut, capsys
):
    out = tmp_path / f"labels.{output}"
    assert main_predict(bundle_folder, [album], output=output, out=out) == 1
    first, lines = read_lines(out), out.read_bytes().splitlines(keepends=True)
    kept = {
        "after a line": b"".join(lines[:25]),
        "in a line": b"".join(lines[:25]) + lines[25][:9],
        "in the first line": lines[0][:5],
        "garbage": b"".join(lines[:12]) + b"\0\0\0\0\n" + lines[13],
        "nothing": b"",
    }[cut]
    part = stopped(bundle_folder, out, kept, output)
    assert main_predict(bundle_folder, [album], output=output, out=out) == 2
    assert "go on with --resume" in capsys.readouterr().err and part.read_bytes() == kept
    assert main_predict(bundle_folder, [album], output=output, out=out, resume=True) == 1
    for one, other in zip(read_lines(out), first, strict=True):
        assert (one["source"], one.get("problem")) == (other["source"], other.get("problem"))
        if "scores" in one:
            named = [[each["label"] for each in found["labels"]] for found in (one, other)]
            assert named[0] == named[1]
            probs = [[each["probability"] for each in scored["scores"].values()]
                     for scored in (one, other)]
            np.testing.assert_allclose(*probs, atol=1e-4)  # batches of other sizes
    assert "39 pictures labelled, 1 files gave none" in capsys.readouterr().err
    assert parts(tmp_path) == []


def test_only_what_is_left_is_read(bundle_folder, album, tmp_path, monkeypatch):
    out = tmp_path / "labels.jsonl"
    main_predict(bundle_folder, [album], output="jsonl", out=out)
    stopped(bundle_folder, out, b"".join(out.read_bytes().splitlines(keepends=True)[:38]), "jsonl")
    asked: list[Path] = []

    def watched(predictor, paths):
        asked.extend(paths)
        return iter(())

    monkeypatch.setattr("hybridlab.predict.predict_files", watched)
    assert main_predict(bundle_folder, [album], output="jsonl", out=out, resume=True) == 1
    assert [path.name for path in asked] == ["38.png", "39.png"]


def test_resume_begins_where_there_is_nothing_yet(bundle_folder, album, tmp_path):
    out = tmp_path / "labels.csv"
    assert main_predict(bundle_folder, [album], output="csv", out=out, resume=True) == 1
    assert len(read_lines(out)) == 40


@pytest.mark.parametrize("change", ["bundle", "threshold", "top"])
def test_a_run_with_other_settings_is_not_gone_on_with(
    bundle_folder, album, tmp_path, capsys, change
):
    out = tmp_path / "labels.jsonl"
    assert main_predict(bundle_folder, [album / "00.png"], output="jsonl", out=out) == 0
    part = stopped(bundle_folder, out, out.read_bytes(), "jsonl")
    before = part.read_bytes()
    bundle, options = bundle_folder, {}
    if change == "bundle":
        bundle = make_bundle(tmp_path / "other", np.full(6, 0.5))
    else:
        options = {change: {"threshold": 0.5, "top": 2}[change]}
    assert main_predict(bundle, [album], output="jsonl", out=out, resume=True, **options) == 2
    assert "begun with another bundle or other options" in capsys.readouterr().err
    assert part.read_bytes() == before and not out.exists()


def test_a_file_that_is_there_is_kept(bundle_folder, album, tmp_path, capsys):
    out = tmp_path / "labels.jsonl"
    out.write_text("mine")
    for resume in (False, True):
        given = {"output": "jsonl", "out": out, "resume": resume}
        assert main_predict(tmp_path / "no bundle", [album], **given) == 2
        assert "exists and is kept" in capsys.readouterr().err
    assert out.read_text() == "mine" and parts(tmp_path) == []


def test_a_table_cannot_be_gone_on_with(bundle_folder, album, tmp_path, capsys):
    for output, out in (("table", tmp_path / "t"), ("json", tmp_path / "t"), ("csv", None)):
        assert main_predict(bundle_folder, [album], output=output, out=out, resume=True) == 2
        assert "give --output jsonl or csv with --out FILE" in capsys.readouterr().err


def test_two_at_once(bundle_folder, album, tmp_path, capsys, monkeypatch):
    out = tmp_path / "labels.jsonl"
    status = []

    def second(predictor, paths):
        status.append(main_predict(
            bundle_folder, [album], output="jsonl", out=out, resume=True))
        return iter(())

    monkeypatch.setattr("hybridlab.predict.predict_files", second)
    main_predict(bundle_folder, [album], output="jsonl", out=out)
    assert status == [2] and "another process" in capsys.readouterr().err


# --- stopped -----------------------------------------------------------------------------------


@pytest.mark.parametrize("output", LINES)
def test_ctrl_c_and_then_on(bundle_folder, album, tmp_path, capsys, monkeypatch, output):
    out = tmp_path / f"labels.{output}"
    real = growing_module.GrowingFile.write

    def write(self, line):
        real(self, line)
        if "35.png" in line:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(growing_module.GrowingFile, "write", write)
    assert main_predict(bundle_folder, [album], output=output, out=out) == 130
    assert "stopped after 35 pictures; go on with" in capsys.readouterr().err
    assert not out.exists()
    (part,) = parts(tmp_path)
    assert len(read_lines(tmp_path / part)) == 36
    monkeypatch.undo()
    assert main_predict(bundle_folder, [album], output=output, out=out, resume=True) == 1
    assert len({one["source"] for one in read_lines(out)}) == len(read_lines(out)) == 40


def test_a_kill_loses_at_most_the_batch_in_work(bundle_folder, album, tmp_path):
    out = tmp_path / "labels.jsonl"
    code = (
        "import os, signal, sys; import hybridlab.growing as g; real = g.GrowingFile.write\n"
        "def write(self, line):\n"
        "    real(self, line)\n"
        "    if '33.png' in line: os.kill(os.getpid(), signal.SIGKILL)\n"
        "g.GrowingFile.write = write\n"
        "from hybridlab.predict import main_predict\n"
        "main_predict(sys.argv[1], [sys.argv[2]], output='jsonl', out=g.Path(sys.argv[3]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, bundle_folder, album, out], capture_output=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    (part,) = [name for name in parts(tmp_path) if not name.endswith(".lock")]
    assert len(read_lines(tmp_path / part)) == 34
    assert main_predict(bundle_folder, [album], output="jsonl", out=out, resume=True) == 1
    names = [Path(one["source"]).name for one in read_lines(out)]
    assert names == [f"{at:02}.png" for at in range(40)]
    assert parts(tmp_path) == []


def test_a_full_disk_keeps_what_was_done(bundle_folder, album, tmp_path, capsys, monkeypatch):
    out = tmp_path / "labels.jsonl"
    real = growing_module.GrowingFile.write

    class Full(io.RawIOBase):
        """A disk that takes half of a line."""

        def __init__(self, file):
            self.file = file

        def write(self, data):
            if len(data) > 20:
                return self.file.write(data[:20])
            raise OSError(errno.ENOSPC, "No space left on device")

        def truncate(self, size=None):
            return self.file.truncate(size)

    def write(self, line):
        if "35.png" in line:
            self._file = Full(self._file)
        real(self, line)

    monkeypatch.setattr(growing_module.GrowingFile, "write", write)
    assert main_predict(bundle_folder, [album], output="jsonl", out=out) == 1
    told = capsys.readouterr().err
    assert "the disk became full" in told and "--resume" in told and not out.exists()
    (part,) = parts(tmp_path)
    assert len(read_lines(tmp_path / part)) == 35
    monkeypatch.undo()
    assert main_predict(bundle_folder, [album], output="jsonl", out=out, resume=True) == 1
    assert len(read_lines(out)) == 40


def test_pictures_go_on_too(bundle_folder, album, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    for at in range(8, 40):
        (album / f"{at:02}.png").unlink()
    given = {"output": "picture", "out": out}
    assert main_predict(bundle_folder, [album / f"{at:02}.png" for at in range(3)], **given) == 0
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    capsys.readouterr()
    assert main_predict(bundle_folder, [album], resume=True, **given) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert sorted(os.listdir(out)) == [f"{at:02}-labels.png" for at in range(8)]
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    # another decision makes other pictures, beside those
    assert main_predict(bundle_folder, [album / "00.png"], resume=True, top=1, **given) == 0
    assert (out / "00-labels-2.png").is_file()
    assert str(tmp_path).encode() not in (out / "00-labels.png").read_bytes()


