"""Runs on the disk: whole or not there, whoever else writes at the same moment."""

from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest

from hybridlab.ablation import records
from hybridlab.ablation.records import check_run, read_record, save_run
from hybridlab.ablation.runs import RunResult, RunSpec
from hybridlab.files import NotEnoughDiskError

SPEC = RunSpec("m:f", {"a": 1}, 3)


def result(value=0.5, **changes):
    scores = np.full((4, 2), value, np.float32)
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, -1]])
    return RunResult(scores, scores > 0.4, targets, np.arange(4), parameters=7, **changes)


@pytest.fixture
def saved(tmp_path):
    save_run(tmp_path, SPEC, result(extra={"note": "x"}), {"code": {}}, 2.0)
    return tmp_path / SPEC.key


def test_a_run_comes_back_as_it_was(saved):
    done = check_run(saved).done
    record = read_record(saved, "plain", 3, done)
    assert record.config == {"a": 1} and record.parameters == 7 and record.extra == {"note": "x"}
    assert record.seconds == {"total": 2.0} and record.metrics["cr"] == 1.0
    scores, decisions, targets, ids = record.predictions()
    assert scores.dtype == np.float32 and decisions.dtype == np.bool_ and targets.dtype == np.int8
    assert targets.tolist()[3] == [0, -1] and ids.tolist() == [0, 1, 2, 3]
    assert [path.name for path in saved.parent.iterdir()] == [SPEC.key]


@pytest.mark.parametrize("keep", [0, 1, 40, 200])
def test_a_done_json_cut_short_does_not_count_and_is_done_anew(saved, keep):
    whole = (saved / "done.json").read_bytes()
    (saved / "done.json").write_bytes(whole[:keep])
    checked = check_run(saved)
    assert checked.done is None and "cut short" in checked.why
    save_run(saved.parent, SPEC, result(), {"code": {}}, 1.0)
    assert check_run(saved).done["seconds"]["total"] == 1.0
    assert [path.name for path in saved.parent.iterdir()] == [SPEC.key]


@pytest.mark.parametrize("name", ["config.json", "predictions.npz", "manifest.json", "done.json"])
def test_a_file_that_is_gone_or_changed_does_not_count(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[:-20])
    assert check_run(saved).done is None
    (saved / name).unlink()
    checked = check_run(saved)
    assert checked.done is None and name in checked.why
    (saved / name).write_bytes(content)
    assert check_run(saved).done is not None


def test_another_runs_folder_under_this_name_does_not_count(saved):
    other = saved.with_name("0" * 16)
    shutil.copytree(saved, other)
    assert "another run" in check_run(other).why


def test_the_second_writer_of_a_run_leaves_the_first_as_it_is(saved):
    before = (saved / "done.json").stat().st_mtime_ns
    done = save_run(saved.parent, SPEC, result(0.9), {"code": {}}, 99.0)
    assert done["seconds"]["total"] == 2.0
    assert (saved / "done.json").stat().st_mtime_ns == before


def test_many_writers_at_once_leave_one_whole_run(tmp_path):
    failures = []

    def write():
        try:
            save_run(tmp_path, SPEC, result(), {"code": {}}, 1.0)
        except BaseException as error:
            failures.append(error)

    for round_ in range(10):
        broken = tmp_path / SPEC.key
        if round_ % 2 and broken.exists():  # something half written is in the way
            (broken / "done.json").write_text("{")
        elif broken.exists():
            shutil.rmtree(broken)
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == [] and check_run(broken).done is not None
        assert [path.name for path in tmp_path.iterdir()] == [SPEC.key]


def test_a_run_made_whole_at_the_last_moment_is_put_back(saved, monkeypatch):
    seen = []

    def late(path, key=None):
        seen.append(path)
        # the first look finds what was broken until just now
        return records.Checked(None, "broken") if len(seen) == 1 else check_run(path, key)

    monkeypatch.setattr(records, "check_run", late)
    done = save_run(saved.parent, SPEC, result(), {"code": {}}, 99.0)
    assert done["seconds"]["total"] == 2.0 and check_run(saved).done == done
    assert [path.name for path in saved.parent.iterdir()] == [SPEC.key]


def test_what_killed_writers_left_is_cleared_away(tmp_path):
    (tmp_path / f".{SPEC.key}-deadbeef").mkdir()
    (tmp_path / f".{SPEC.key}-deadbeef" / "config.json").write_text("{}")
    save_run(tmp_path, SPEC, result(), {"code": {}}, 1.0)
    assert [path.name for path in tmp_path.iterdir()] == [SPEC.key]


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.np, "savez_compressed", full)
    with pytest.raises(NotEnoughDiskError):
        save_run(tmp_path, SPEC, result(), {"code": {}}, 1.0)
    assert list(tmp_path.iterdir()) == []


def test_scores_that_are_not_finite_have_no_metrics(tmp_path):
    broken = result()
    broken.scores[1, 0] = np.inf
    broken.scores[2] = np.nan
    with pytest.raises(FloatingPointError, match=r"3 values.*2 of 4 samples.*inf at row 1, column"):
        save_run(tmp_path, SPEC, broken, {"code": {}}, 1.0)
    assert list(tmp_path.iterdir()) == []


def test_an_undefined_metric_is_null_and_named(tmp_path):
    scores = np.zeros((2, 1))
    empty = RunResult(scores, scores > 1, np.zeros((2, 1)), [0, 1])
    done = save_run(tmp_path, SPEC, empty, {"code": {}}, 1.0)
    assert {"mean_ap", "cf1", "of1"} <= set(done["undefined"])
    assert not {"exact_match", "hamming"} & set(done["undefined"])
    stored = json.loads((tmp_path / SPEC.key / "done.json").read_text())
    assert stored["metrics"]["mean_ap"] is None and stored["metrics"]["exact_match"] == 1.0
    assert np.isnan(read_record(tmp_path / SPEC.key, "a", 3, done).metrics["mean_ap"])
