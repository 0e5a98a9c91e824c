"""`hybridlab reproduce`: a lesson's studies are run, and their figures recorded."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from types import ModuleType, SimpleNamespace

import pytest

from hybridlab import cli
from hybridlab.ablation import Study
from hybridlab.ablation.findings import Analysis
from hybridlab.course import recorded
from hybridlab.studies import RECORDED, reproduce
from hybridlab.studies.small_world import RECIPE

STUDY = Study(
    name="tiny",
    question="Is it recorded?",
    run="hybridlab.studies.small_world:run",
    recipe={**RECIPE, "train": 16, "val": 8, "test": 12, "cnn_size": 64, "linear_epochs": 1},
    variants={"probe": {"method": "linear_clip"}, "words": {"method": "zero_shot_global"}},
    reference="probe",
    seeds=[0, 1],
    metrics=("mean_ap", "of1"),
)


@pytest.fixture
def lesson_07(monkeypatch):
    module = ModuleType("a_recorded_study")
    module.STUDY, module.ALSO_AGAINST, module.CONTROL = STUDY, ("words",), "words"
    monkeypatch.setitem(sys.modules, "a_recorded_study", module)
    monkeypatch.setattr(reproduce, "RECORDED", {7: ("a_recorded_study",)})


def test_figures_are_recorded_and_done_runs_are_not_run_again(lesson_07, tmp_path, capsys):
    (tmp_path / "results").mkdir()
    where = [f"--{name}={tmp_path / name}" for name in ("folder", "store", "results")]
    assert cli.main(["reproduce", "07", "--workers", "1", *where]) == 0
    record = json.loads((tmp_path / "results" / "tiny.json").read_text())
    assert record["command"] == "hybridlab reproduce 07"
    # one worker: runs follow each other, so at least one is at work as long as all together
    assert 0 < record["wall_seconds"] == pytest.approx(record["run_seconds"], rel=0.2, abs=1.0)
    assert set(record["metrics"]) == {"mean_ap", "of1"} and "extra" not in record
    assert record["commit"] and not reproduce.stale(record, STUDY)
    told = reproduce.stale({**record, "code": "0" * 12}, STUDY)
    assert len(told) == 1 and "run `hybridlab reproduce 07` again" in told[0]
    found = Analysis.from_json(record["metrics"]["mean_ap"])
    assert [row.name for row in found.rows] == ["probe", "words"] and found.seeds == (0, 1)
    assert Analysis.from_json(record["also"]["words"]).reference == "words"
    against = record["against_control"]
    assert against["control"] == "words" and set(against["metrics"]) == {"mean_ap", "of1"}
    for metric, each in against["metrics"].items():
        other = Analysis.from_json(each)
        assert (other.reference, other.metric) == ("words", metric)
    assert str(tmp_path) not in json.dumps(record)
    assert "words" in capsys.readouterr().out
    assert cli.main(["reproduce", "07", "--workers", "1", *where]) == 0
    again = json.loads((tmp_path / "results" / "tiny.json").read_text())
    assert again == record


def test_what_else_runs_gave_is_recorded_by_variant_and_seed(tmp_path):
    from hybridlab.ablation.engine import run_study
    from hybridlab.studies.decoding import RECIPE as DECODING

    study = Study(
        name="more", question="What else?", run="hybridlab.studies.decoding:run",
        recipe={**DECODING, "train": 16, "val": 8, "test": 8, "cnn_size": 64, "epochs": 1,
                "head_epochs": 1, "dim": 8},
        variants={"decoder": {}, "heads": {"method": "heads"}}, reference="heads", seeds=[1, 0],
    )
    run_study(study, tmp_path / "more", None, 1, lambda event: None, tmp_path / "store")
    from hybridlab.studies.orders import further

    reproduce.record(study, tmp_path / "more", tmp_path, "again", 1, further=further)
    recall = json.loads((tmp_path / "more.json").read_text())["further"]["recall_by_label"]
    assert set(recall) == {"decoder", "heads"} and len(recall["heads"]) == 80
    assert all(value == -1 or 0 <= value <= 1 for value in recall["heads"])
    assert -1 in recall["heads"]  # 8 scenes do not show all labels
    extra = json.loads((tmp_path / "more.json").read_text())["extra"]
    assert list(extra) == ["decoder"] and len(extra["decoder"]) == 2
    assert set(extra["decoder"][0]) == {"duplicates", "labels", "recall"}


def test_pauses_between_runs_are_no_time_of_work():
    def manifest(started, ended):
        return {"started": f"2026-11-05T{started}+00:00", "ended": f"2026-11-05T{ended}+00:00"}

    runs = [  # two that overlap, one inside another, and one after a night
        (25.0, manifest("10:00:20.000", "10:00:45.500")), (29.0, manifest("10:00:00", "10:00:30")),
        (5.0, manifest("10:00:05", "10:00:10")), (11.0, manifest("20:00:00", "20:00:11.250")),
    ]
    records = [
        SimpleNamespace(seconds={"total": total}, manifest=lambda told=told: told)
        for total, told in runs
    ]
    assert reproduce.run_times(records) == {"run_seconds": 70.0, "wall_seconds": 56.8}


def test_a_missing_folder_of_results_is_told_before_the_work(lesson_07, tmp_path, capsys):
    where = [f"--{name}={tmp_path / name}" for name in ("folder", "store", "results")]
    assert cli.main(["reproduce", "07", *where]) == 2
    assert "there is no folder" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_in_the_background_it_is_the_same_command_in_a_session_of_its_own(
    lesson_07, tmp_path, capsys, monkeypatch
):
    (tmp_path / "results").mkdir()
    where = [f"--{name}={tmp_path / name}" for name in ("folder", "store", "results")]
    asked = []

    def start(command, **options):
        asked.append((command, options))
        options["stdout"].write(b"told")
        return SimpleNamespace(pid=4711)

    monkeypatch.setattr("subprocess.Popen", start)
    assert cli.main(["reproduce", "07", "--workers", "3", "--background", *where]) == 0
    ((command, options),) = asked
    assert command[:3] == [sys.executable, "-m", "hybridlab"] and options["start_new_session"]
    again = cli.parse(command[3:])
    assert again == cli.parse(["reproduce", "07", "--workers", "3", *where])
    assert (tmp_path / "folder" / "reproduce-07.log").read_bytes() == b"told"
    assert "kill 4711" in capsys.readouterr().out


def test_a_lesson_without_a_study_is_told(capsys):
    with pytest.raises(SystemExit):
        cli.main(["reproduce", "99"])  # never a lesson's number: its studies would be run
    told = capsys.readouterr().err
    known = ", ".join(f"{number:02d}" for number in sorted(RECORDED))
    assert f"lesson 99 has no recorded study; known ones: {known}" in " ".join(told.split())


def test_the_code_of_the_runs_is_recorded():
    def runs(*manifests):
        return [SimpleNamespace(manifest=lambda told=told: told) for told in manifests]

    clean, dirty = {"commit": "abc", "dirty": False}, {"commit": "def", "dirty": True}
    one = {"git": clean, "code": {"a.py": "1", "b.py": "2"}}
    found = reproduce.code_of(runs(one, {"git": clean, "code": {"b.py": "2", "a.py": "1"}}))
    assert found["commit"] == "abc" and len(found["code"]) == 12
    other = {"git": dirty, "code": {"a.py": "3"}}
    both = reproduce.code_of(runs(other, one))
    assert both["commit"] == ["abc", "def with changes that are not committed"]
    assert both == reproduce.code_of(runs(one, other, one)) and both["code"] != found["code"]
    unknown = reproduce.code_of(runs({"git": None, "code": {}}))
    assert unknown["commit"] == reproduce.NO_COMMIT == "unknown: git did not know the code"


@pytest.mark.parametrize(
    "name", [name for lesson in RECORDED.values() for name in lesson], ids=lambda name: name[18:]
)
def test_recorded_figures_tell_their_code(name):
    """Where one fails: record that study again with `hybridlab reproduce`."""
    study = import_module(name).STUDY
    assert reproduce.stale(recorded(study.name)) == []
    assert reproduce.stale({"command": "x"}) == [
        "commit is not recorded: run `x` again", "code is not recorded: run `x` again"
    ]


@pytest.mark.parametrize(
    "name", [name for lesson in RECORDED.values() for name in lesson], ids=lambda name: name[18:]
)
def test_a_study_is_compared_with_its_own_variants_alone(name):
    """A module that imports another study's CONTROL would be taken to have it."""
    module = import_module(name)
    control = getattr(module, "CONTROL", module.STUDY.reference)
    assert {control, *getattr(module, "ALSO_AGAINST", ())} <= set(module.STUDY.variants)
