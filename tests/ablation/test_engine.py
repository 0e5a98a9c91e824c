"""Running a study: resumed, refused, interrupted, broken; whatever is done is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from hybridlab import files
from hybridlab.ablation import folder as folder_module
from hybridlab.ablation import worker
from hybridlab.ablation.definition import load_definition
from hybridlab.ablation.engine import run_study
from hybridlab.ablation.errors import (
    CodeMismatchError,
    StudyChangedError,
    StudyFileError,
    StudyFolderError,
    StudyIncompleteError,
)
from hybridlab.ablation.folder import mixed_code, stale_runs
from hybridlab.ablation.state import load_results, study_state
from hybridlab.evaluation.metrics import coverage
from hybridlab.files import NotEnoughDiskError

from .conftest import arrays_of, executions


@pytest.fixture
def go(tmp_path):
    """go(study, ...) -> the events; runs in threads of this process unless told otherwise."""

    def run(study, executor="threads", **options):
        events = []
        options = {"folder": tmp_path / "out", "store": tmp_path / "store",
                   "on_event": events.append, **options}
        if executor == "threads":
            with ThreadPoolExecutor(2) as pool:
                run_study(study, executor=pool, **options)
        else:
            run_study(study, executor=executor, **options)
        return [(event.kind, event.run and (event.run.variant, event.run.seed), event.message)
                for event in events]

    return run


def kinds(events):
    return [kind for kind, _, _ in events if kind != "submitted"]


def test_a_study_runs_and_a_second_call_skips_all_of_it(go, write_study, tmp_path):
    study = write_study()
    assert kinds(go(study)) == ["done"] * 4
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert kinds(go(study)) == ["skipped"] * 4
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    assert set(executions(tmp_path / "store").values()) == {1}
    assert study_state(study, tmp_path / "out").complete
    records = load_results(tmp_path / "out")
    assert [(r.variant, r.seed) for r in records] == [
        ("plain", 0), ("plain", 1), ("less", 0), ("less", 1),
    ]
    assert records[2].config["level"] == 1 and records[2].parameters == 10
    assert set(records[0].seconds) == {"total", "train"} and 0 < records[0].metrics["mean_ap"] <= 1
    manifest = records[0].manifest()
    assert manifest["seed"] == 0 and manifest["versions"]["numpy"] and manifest["device"]
    assert "hybridlab/ablation/worker.py" in manifest["code"]
    text = json.dumps(manifest)
    assert str(tmp_path) not in text and os.uname().nodename not in text
    assert load_definition(tmp_path / "out") == study


@pytest.mark.parametrize("how", ["cut", "folder"])
def test_only_runs_that_are_not_whole_are_done_anew(go, write_study, tmp_path, how):
    study = write_study()
    go(study)
    broken = study.runs()[1]
    done = tmp_path / "out" / "runs" / broken.key / "done.json"
    if how == "cut":
        done.write_text(done.read_text()[:50])
    else:
        done.unlink()
        done.mkdir()
    events = go(study)
    assert kinds(events) == ["skipped"] * 3 + ["redone", "done"]
    assert "damaged" in next(words for kind, _, words in events if kind == "redone")
    assert sorted(executions(tmp_path / "store").values()) == [1, 1, 1, 2]


def test_seeds_variants_and_words_may_be_added(go, write_study, tmp_path):
    go(write_study())
    more = {"plain": {}, "less": {"level": 1}, "least": {"level": 9}}
    events = go(write_study(more, seeds=(0, 1, 2), change=lambda text: text.replace(
        "Does less noise help?", "Does less noise help much?")))
    assert kinds(events) == ["skipped"] * 4 + ["done"] * 5
    stored = json.loads((tmp_path / "out" / "study.json").read_text())
    assert stored["question"] == "Does less noise help much?" and stored["seeds"] == [0, 1, 2]


def test_other_metrics_ask_for_no_run(go, write_study, tmp_path):
    go(write_study())
    before = executions(tmp_path / "store")
    study = replace(write_study(), metrics=("map@3", "cf1@2:prob>=0.5", "one_error"))
    assert kinds(go(study)) == ["skipped"] * 4 and executions(tmp_path / "store") == before
    stored = json.loads((tmp_path / "out" / "study.json").read_text())
    assert stored["metrics"] == ["map@3", "cf1@2:prob>=0.5", "one_error"]
    assert load_definition(tmp_path / "out").metrics == study.metrics
    # and in the study file, whose text is part of no run's code
    edited = write_study(change=lambda text: text.replace(
        'reference="plain",', 'reference="plain", metrics=("coverage",),'))
    assert kinds(go(edited)) == ["skipped"] * 4 and executions(tmp_path / "store") == before
    assert load_definition(tmp_path / "out").metrics == ("coverage",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace('"sleep": 0.0', '"sleep": 0.01'),
         r"recipe\['sleep'\] was 0.0 and is 0.01"),
        (lambda t: t.replace("'level': 1", "'level': 2"),
         r"variants\['less'\]\['level'\] was 1 and is 2"),
        (lambda t: t.replace("'less'", "'fewer'"), "the variant 'less' is gone"),
        (lambda t: t.replace("seeds=(0, 1)", "seeds=(0,)"), "the seeds 1 are gone"),
        (lambda t: t.replace('name="tiny"', 'name="huge"'), "name was 'tiny' and is 'huge'"),
        (lambda t: t.replace("run=run,", "run='other.module:run',"), "run was '<study file>:run'"),
    ],
)
def test_a_changed_definition_is_refused_before_anything_is_touched(
    go, write_study, tmp_path, change, words
):
    go(write_study())
    before = (tmp_path / "out" / "study.json").read_bytes()
    with pytest.raises(StudyChangedError, match=words) as told:
        go(write_study(change=change))
    assert "new folder, or --folder NAME" in str(told.value)
    assert (tmp_path / "out" / "study.json").read_bytes() == before
    assert len(load_results(tmp_path / "out")) == 4


def _faster(text):
    """Other code of the run function, for the same definition."""
    return text.replace("2.0 / (1 + level)", "3.0 / (1 + level)")


@pytest.mark.parametrize("damage", ["cut", "folder", "entry"])
def test_a_damaged_definition_is_kept_aside_and_rebuilt_from_the_runs(
    go, write_study, tmp_path, damage
):
    out = tmp_path / "out"
    go(write_study())
    go(write_study(seeds=(0, 1, 2), change=_faster), allow_mixed_code=True)
    path, (entry,) = out / "study.json", mixed_code(out)
    whole = path.read_text()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_text(whole[:60] if damage == "cut" else whole.replace('"runs"', '"ruins"'))
    with pytest.raises(StudyFileError, match="keeps the damaged file under another name"):
        load_results(out)
    (out / "study.json.damaged").write_text("of another day")
    events = go(write_study(seeds=(0, 1, 2), change=_faster), allow_mixed_code=True)
    assert kinds(events)[:2] == ["other code", "restored"]
    assert "kept as study.json.damaged-2" in events[1][2]
    assert (out / "study.json.damaged").read_text() == "of another day"
    assert (out / "study.json.damaged-2").exists() and len(load_results(out)) == 6
    (again,) = mixed_code(out)  # what was let in is not forgotten
    assert again["runs"] == entry["runs"] == 4 and again["files"] == entry["files"]
    with pytest.raises(StudyFileError, match="holds no study"):
        load_results(tmp_path)


@pytest.mark.parametrize("lost", [True, False])
def test_without_a_definition_the_runs_still_refuse_another_study(go, write_study, tmp_path, lost):
    go(write_study())
    path = tmp_path / "out" / "study.json"
    path.unlink() if lost else path.write_text("{")
    with pytest.raises(StudyChangedError, match="2 of its runs are not of this study"):
        go(write_study(seeds=(0,)))
    with pytest.raises(StudyChangedError, match="4 of its runs"):
        go(write_study(change=lambda text: text.replace('"sleep": 0.0', '"sleep": 0.01')))
    assert path.exists() is not lost and len(list(path.parent.glob("*.damaged"))) == 0
    assert kinds(go(write_study()))[-4:] == ["skipped"] * 4


def test_a_finished_study_of_other_code_is_not_passed_over_in_silence(go, write_study, tmp_path):
    go(write_study())
    assert stale_runs(write_study(), tmp_path / "out") == []
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    events = go(write_study(change=_faster))
    assert kinds(events) == ["other code"] + ["skipped"] * 4
    assert events[0][2].startswith("4 of 4 runs were done by other code than now: <study file> (")
    assert "a new folder" in events[0][2]
    (line,) = stale_runs(write_study(change=_faster), tmp_path / "out")
    assert line.startswith("<study file> (expected ") and line.endswith(") in 4 runs")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before


def test_two_starts_at_once_with_other_seeds_do_not_drop_seeds(
    go, write_study, tmp_path, monkeypatch
):
    """Both have found no study.json when the first writes it; the second must see it."""
    real, first = folder_module.write_definition, []

    def write(study, *given):
        time.sleep(0.3)
        first.append(study.seeds)
        real(study, *given)

    monkeypatch.setattr(folder_module, "write_definition", write)
    study = write_study()

    def start(seeds):
        try:
            return kinds(go(study.with_seeds(seeds), executor="threads"))
        except StudyChangedError as error:
            return str(error)

    with ThreadPoolExecutor(2) as outer:
        results = list(outer.map(start, [(0, 1), (2, 3)]))
    assert len(first) == 1  # one was refused, as it would have been a moment later
    (told,) = [words for words in results if isinstance(words, str)]
    assert "are gone" in told
    assert load_definition(tmp_path / "out").seeds == first[0]
    assert {record.seed for record in load_results(tmp_path / "out")} == set(first[0])


def test_a_definition_that_is_written_between_two_looks_is_seen(
    go, write_study, tmp_path, monkeypatch
):
    """The second start has read the folder before study.json was there, and the runs after."""
    go(write_study())
    real, looks = folder_module.definition_or_why, []

    def late(folder):
        looks.append(folder)
        return (None, "") if len(looks) == 1 else real(folder)

    monkeypatch.setattr(folder_module, "definition_or_why", late)
    with pytest.raises(StudyChangedError, match="are gone"):
        go(write_study(seeds=(2, 3)))


@pytest.mark.parametrize("place", ["file", "file/below", "/dev/null/x"])
def test_a_store_that_cannot_be_is_told_with_its_option(go, write_study, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StudyFolderError, match=r"caches .*with --store PATH") as told:
        go(write_study(), store=tmp_path / place)
    assert str(tmp_path / place) in str(told.value) and load_results(tmp_path / "out") == []


def test_runs_of_other_code_are_refused_unless_allowed(go, write_study, tmp_path):
    go(write_study())

    with pytest.raises(CodeMismatchError, match=r"<study file> .expected .* given .* in 4 runs"):
        go(write_study(seeds=(0, 1, 2), change=_faster))
    assert mixed_code(tmp_path / "out") == []
    events = go(write_study(seeds=(0, 1, 2), change=_faster), allow_mixed_code=True)
    assert kinds(events) == ["skipped"] * 4 + ["done"] * 2
    (entry,) = mixed_code(tmp_path / "out")
    assert entry["runs"] == 4 and entry["files"][0].startswith("<study file> (expected")


def test_a_worker_with_other_code_refuses_and_the_study_stops(
    go, write_study, tmp_path, monkeypatch
):
    real = worker.code_fingerprint
    monkeypatch.setattr(
        worker, "code_fingerprint", lambda *a: {**real(*a), "hybridlab/files.py": "0" * 12}
    )
    with pytest.raises(CodeMismatchError, match=r"hybridlab/files.py .expected .* given 000000000"):
        go(write_study())
    assert executions(tmp_path / "store") == {}
    monkeypatch.undo()
    assert kinds(go(write_study())) == ["done"] * 4


def test_a_study_file_edited_during_a_study_is_not_mixed_in(go, write_study, tmp_path):
    class OneByOne(ThreadPoolExecutor):
        capacity = 1

    def edit(event):
        if event.kind == "done":
            write_study(change=lambda text: text.replace("2.0 / (1", "3.0 / (1"))

    with OneByOne(1) as pool, pytest.raises(CodeMismatchError, match="<study file>"):
        go(write_study(), executor=pool, on_event=edit)
    assert len(load_results(tmp_path / "out")) == 1
    assert kinds(go(write_study())) == ["skipped"] + ["done"] * 3  # the edit taken back


def test_failing_runs_do_not_stop_the_others(go, write_study, tmp_path):
    variants = {
        "plain": {}, "bad": {"trouble": "raise", "level": 1},
        "sometimes": {"trouble": "raise", "level": 2, "bad_seed": 1},
        "leaves": {"trouble": "exit", "level": 3},
    }
    with pytest.raises(StudyIncompleteError) as told:
        go(write_study(variants))
    text = str(told.value)
    assert text.startswith("variant 'bad' failed in all 2 seeds: ArithmeticError: level 1 cannot")
    assert "variant 'leaves' failed in all 2 seeds: SystemExit: 3" in text
    assert "variant 'sometimes' failed in 1 of 2 seeds (1): ArithmeticError" in text
    assert "3 of 8 runs are done and kept" in text and "run the same command again" in text
    state = told.value.state
    assert (len(state.done), len(state.failed), len(state.missing)) == (3, 5, 0)
    assert "def run" not in text and 'in run\n' in state.failed[0].trace
    assert len(list((tmp_path / "out" / "failures").iterdir())) == 5
    # what failed is tried again, what is done is not
    with pytest.raises(StudyIncompleteError):
        go(write_study(variants))
    assert executions(tmp_path / "store") == {
        "0-0": 1, "0-1": 1, "1-0": 2, "1-1": 2, "2-0": 1, "2-1": 2, "3-0": 2, "3-1": 2,
    }


def test_nan_scores_are_a_failure_in_words_and_nan_metrics_are_null(go, write_study, tmp_path):
    variants = {"plain": {}, "nan": {"trouble": "nan", "level": 1},
                "empty": {"trouble": "no positives", "level": 2}}
    with pytest.raises(StudyIncompleteError, match=r"'nan' failed in all 2 seeds: FloatingPoint"
                                                   r"Error: scores holds 1 values.*diverged"):
        go(write_study(variants))
    records = {r.variant: r for r in load_results(tmp_path / "out")}
    assert records["empty"].metrics["cf1"] != records["empty"].metrics["cf1"]  # NaN
    events = go(write_study({"plain": {}, "empty": variants["empty"]}), folder=tmp_path / "two")
    (words, *_) = [words for kind, _, words in events if kind == "undefined"]
    assert words.startswith("mean_ap, cf1, of1 is not defined")
    assert [kind for kind, _, _ in events].count("undefined") == 1  # of two runs


def test_a_metric_that_cannot_be_computed_is_told_after_the_first_run(go, write_study):
    study = replace(write_study(), metrics=("map@10", "cf1@2:prob>=0.5", "one_error"))
    events = go(study)
    assert [kind for kind, *_ in events if kind in ("done", "undefined")] == [
        "done", "undefined", "undefined", "done", "done", "done"
    ]
    told = [words for kind, _, words in events if kind == "undefined"]
    assert "map@10 cannot be computed: k is 10" in told[0]
    assert "cf1@2:prob>=0.5 cannot be computed: scores reach from" in told[1]


def test_a_done_run_is_told_with_the_leading_metric_of_the_study(write_study, tmp_path):
    events = []
    study = replace(write_study(), metrics=("coverage", "mean_ap"))
    with ThreadPoolExecutor(1) as pool:
        run_study(study, tmp_path / "out", pool, on_event=events.append, store=tmp_path / "store")
    done = [event for event in events if event.kind == "done"]
    scores, _, targets, _ = load_results(tmp_path / "out")[0].predictions()
    assert done[0].leading == "coverage"
    assert done[0].value == pytest.approx(coverage(scores, targets) / 4)
    assert all(event.kind != "undefined" for event in events)


def test_a_variant_without_a_done_run_may_go_or_change(go, write_study, tmp_path):
    mistaken = {"plain": {}, "less": {"level": 1}, "bad": {"trouble": "raise", "level": 2}}
    with pytest.raises(StudyIncompleteError, match="'bad' failed in all 2 seeds") as told:
        go(write_study(mistaken))
    assert "4 of 6 runs are done" in str(told.value)
    mended = {**mistaken, "bad": {"level": 3}}
    assert kinds(go(write_study(mended))) == ["skipped"] * 4 + ["done"] * 2
    with pytest.raises(StudyChangedError, match=r"'bad' is gone, which has 2 done.*--without"):
        go(write_study())
    with pytest.raises(StudyChangedError, match=r"variants\['bad'\]\['level'\] was 3 and is 4"):
        go(write_study({**mistaken, "bad": {"level": 4}}))
    with pytest.raises(StudyIncompleteError):
        go(write_study(mistaken), folder=tmp_path / "two")
    assert kinds(go(write_study(), folder=tmp_path / "two")) == ["skipped"] * 4
    assert set(load_definition(tmp_path / "two").variants) == {"plain", "less"}


def test_a_folder_that_cannot_be_written_is_told_before_any_run(go, write_study, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StudyFolderError, match=r"cannot write in .*nothing was started") as told:
        go(write_study(), folder=tmp_path / "file" / "out")
    assert "\n" not in str(told.value) and not (tmp_path / "store").exists()


def test_a_read_only_folder_is_told_before_any_run(go, write_study, tmp_path, monkeypatch):
    go(write_study())

    def refuse(path, *args, **kwargs):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(folder_module, "write_text", refuse)
    assert kinds(go(write_study())) == ["skipped"] * 4  # nothing to write, nothing to complain of
    with pytest.raises(StudyFolderError, match="Read-only file system"):
        go(write_study(seeds=(0, 1, 2)))
    assert len(load_results(tmp_path / "out")) == 4
    assert sum(executions(tmp_path / "store").values()) == 4


def test_a_full_disk_is_told_before_any_run(go, write_study, tmp_path, monkeypatch):
    usage = files.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    with pytest.raises(NotEnoughDiskError, match="not enough disk space"):
        go(write_study())
    assert not (tmp_path / "store").exists()


def test_a_disk_that_fills_up_on_the_way_stops_the_study_and_keeps_what_is_done(
    go, write_study, tmp_path
):
    variants = {"plain": {}, "full": {"trouble": "full", "level": 1}, "after": {"level": 2}}
    with ThreadPoolExecutor(1) as pool, pytest.raises(NotEnoughDiskError) as told:
        go(write_study(variants), executor=pool)
    assert "1 of 6 runs are done and kept" in str(told.value)
    # one more may have begun before the news came
    assert executions(tmp_path / "store").total() <= 3
    assert ("plain", 0) in {(r.variant, r.seed) for r in load_results(tmp_path / "out")}


class AtOnce(Executor):
    """Runs are through when they are handed over, so that all of them land together."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def test_runs_that_land_together_are_counted_in_their_order(go, write_study, tmp_path):
    variants = {"plain": {}, "full": {"trouble": "full", "level": 1}, "after": {"level": 2}}
    for turn in range(4):  # which of them comes first out of a set is chance
        with pytest.raises(NotEnoughDiskError, match="1 of 6 runs are done and kept"):
            go(write_study(variants), executor=AtOnce(), folder=tmp_path / f"out {turn}")


def test_loky_goes_on_with_fresh_workers_when_one_is_killed(go, write_study, tmp_path):
    # "plain" is at work whenever a worker dies beside it, and must not be blamed for that
    variants = {"plain": {"sleep": 0.8}, "dies": {"trouble": "die", "level": 1},
                "dies once": {"trouble": "die once", "level": 2}, "calm": {"level": 3}}
    with pytest.raises(StudyIncompleteError) as told:
        go(write_study(variants, seeds=(0,), sleep=0.2), executor=None, workers=2)
    assert "variant 'dies' failed in its only seed" in str(told.value)
    assert "its worker died 2 times" in str(told.value)
    assert {r.variant for r in load_results(tmp_path / "out")} == {"plain", "dies once", "calm"}
    assert executions(tmp_path / "store")["1-0"] == 2  # given up after the second worker


def test_loky_and_threads_give_the_same_bytes_and_loky_shares_out_the_cores(
    go, write_study, tmp_path
):
    go(write_study())
    go(write_study(), executor=None, workers=2, folder=tmp_path / "loky")
    assert arrays_of(tmp_path / "loky") == arrays_of(tmp_path / "out")
    manifest = load_results(tmp_path / "loky")[0].manifest()
    from hybridlab.ablation.executors import threads_per_worker

    assert manifest["worker"] == "loky" and manifest["threads"] == threads_per_worker(2)


def test_ctrl_c_keeps_what_is_done(go, write_study, tmp_path):
    variants = {"plain": {}, "stop": {"trouble": "interrupt", "level": 1}, "after": {"level": 2}}
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "pid").write_text(str(os.getpid()))
    (tmp_path / "store" / "armed").write_text("")
    events = []
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_study(write_study(variants, seeds=(0,)), tmp_path / "out", workers=1,
                  store=tmp_path / "store", on_event=events.append)
    assert time.monotonic() - start < 15  # the worker, asleep for longer, was ended
    assert events[-1].kind == "stopped" and events[-1].done == 1
    assert [r.variant for r in load_results(tmp_path / "out")] == ["plain"]
    assert executions(tmp_path / "store") == {"0-0": 1, "1-0": 1}
    assert kinds(go(write_study(variants, seeds=(0,)))) == ["skipped", "done", "done"]


def test_two_studies_at_once_in_one_folder_share_the_work(write_study, tmp_path, four):
    study = write_study(four, seeds=(0, 1), sleep=0.4)
    code = (
        "import os, sys, time; from pathlib import Path;"
        "from hybridlab.ablation.engine import run_study;"
        "from hybridlab.ablation.study import load_study;"
        "store = Path(sys.argv[3]); (store / f'ready {os.getpid()}').touch()\n"
        "while len(list(store.glob('ready *'))) < 2: time.sleep(0.01)\n"
        "state = run_study(load_study(sys.argv[1]), sys.argv[2], workers=1, store=sys.argv[3]);"
        "print(len(state.missing), state.total)"
    )
    (tmp_path / "store").mkdir()
    command = [sys.executable, "-c", code, study.file, tmp_path / "out", tmp_path / "store"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert err == "" and out
    assert len(load_results(tmp_path / "out")) == 8
    assert sorted(path.name for path in (tmp_path / "out" / "runs").iterdir()) == sorted(
        run.key for run in study.runs()
    )
    assert set(executions(tmp_path / "store").values()) == {1}  # the lock spared double work
    begun = {path.name.split(".")[1].split("-")[0] for path in (tmp_path / "store").glob("*-*.*")}
    assert len(begun) == 2  # and both took part


def test_without_locks_two_at_once_still_leave_every_run_whole(
    write_study, tmp_path, monkeypatch, go
):
    monkeypatch.setattr(worker, "_lock", lambda task: None)
    study = write_study(sleep=0.05)
    with ThreadPoolExecutor(2) as outer:
        results = list(outer.map(lambda _: go(study), range(2)))
    assert [kinds(events).count("done") for events in results] == [4, 4]
    assert len(load_results(tmp_path / "out")) == 4
    assert executions(tmp_path / "store").total() > 4  # done twice, kept once


def test_a_lock_whose_holder_was_killed_is_no_obstacle(write_study, tmp_path, go):
    study = write_study(seeds=(0,))
    locks = tmp_path / "out" / "locks"
    locks.mkdir(parents=True)
    code = (
        "import sys, time; from filelock import FileLock;"
        "locks = [FileLock(name) for name in sys.argv[1:]];"
        "[lock.acquire() for lock in locks]; print('held', flush=True); time.sleep(60)"
    )
    names = [str(locks / run.key) for run in study.runs()]
    holder = subprocess.Popen([sys.executable, "-c", code, *names], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert kinds(go(study)) == ["done"] * 2


def test_an_executor_that_takes_no_more_is_told_and_nothing_is_lost(go, write_study, tmp_path):
    class Closing(ThreadPoolExecutor):
        capacity = 1
        left = 2

        def submit(self, *args):
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("closed for tonight")
            return super().submit(*args)

    with Closing(1) as pool, pytest.raises(StudyIncompleteError, match="closed for tonight"):
        go(write_study(), executor=pool)
    assert len(load_results(tmp_path / "out")) == 2
    assert kinds(go(write_study())) == ["skipped"] * 2 + ["done"] * 2
