"""The lessons and their recorded figures."""

from __future__ import annotations

import json

import pytest

from hybridlab.ablation.findings import Analysis
from hybridlab.course import LESSONS, benchmark, recorded
from hybridlab.studies import RECORDED


def test_every_recorded_study_is_there_and_can_be_read(monkeypatch, tmp_path):
    from importlib import import_module

    monkeypatch.chdir(tmp_path)  # found from anywhere
    for lesson, names in RECORDED.items():
        assert lesson in {each.number for each in LESSONS}
        for name in names:
            study = import_module(name).STUDY
            usual = import_module(study.run.partition(":")[0]).RECIPE
            figures = recorded(study.name)
            assert figures["command"] == f"hybridlab reproduce {lesson:02d}"
            for metric in study.metrics:
                analysis = Analysis.from_json(figures["metrics"][metric])
                assert {row.name for row in analysis.rows} == set(study.variants)
                assert analysis.seeds == tuple(study.seeds) and not analysis.troubles
                # settings that came later stand at what was the only choice before
                later = set(study.recipe) - set(analysis.recipe)
                before = {key: usual[key] for key in later}
                assert {**before, **analysis.recipe} == dict(study.recipe)


def test_results_beside_the_notebook_come_first(monkeypatch, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "views.json").write_text(json.dumps({"mine": 1}))
    monkeypatch.chdir(tmp_path)
    assert recorded("views") == {"mine": 1}


def test_an_unknown_study_is_told(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="hybridlab reproduce"):
        recorded("nothing")


def test_benchmarks_are_found_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert benchmark("beam_vs_loop")["ratio"] > 1
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "results.json").write_text(json.dumps({"beam_vs_loop": {"mine": 1}}))
    assert benchmark("beam_vs_loop") == {"mine": 1}
    assert benchmark("text_cache")["name"] == "text_cache"
    with pytest.raises(FileNotFoundError, match="python -m benchmarks nothing --record"):
        benchmark("nothing")
