"""The cost of a study, from runs that are done: against a study whose times are planted."""

from __future__ import annotations

import json
import math

import pytest
import tyro

from hybridlab.ablation.command import Ablate
from hybridlab.ablation.cost_text import cost_lines
from hybridlab.ablation.costs import at_once, estimate_cost
from hybridlab.ablation.definition import load_definition
from hybridlab.ablation.records import RUNS
from hybridlab.ablation.state import load_results

from .synthetic import result, write_folder


def ablate(*arguments):
    return tyro.cli(Ablate, args=[str(argument) for argument in arguments]).run()


def planted(folder, times, seeds=range(3), variants="abc", begin=0.0, gap=0.0, **of_study):
    """A study's folder in which the run of (variant, seed) took `times` seconds, one after another
    from `begin` with a gap between."""
    write_folder(
        folder, {name: lambda seed, name=name: result(1.0, seed, name) for name in variants}, seeds,
        skip=[(name, seed) for name in variants for seed in seeds if (name, seed) not in times],
        **of_study,
    )
    clock = begin
    for run in load_definition(folder).runs():
        path = folder / RUNS / run.key
        if path.is_dir():
            seconds = times[run.variant, run.seed]
            done = json.loads((path / "done.json").read_text())
            done["seconds"]["total"] = seconds
            (path / "done.json").write_text(json.dumps(done))
            manifest = json.loads((path / "manifest.json").read_text())
            stamp = "2026-11-05T10:{:02d}:{:06.3f}+00:00"
            manifest["started"] = stamp.format(int(clock // 60), clock % 60)
            manifest["ended"] = stamp.format(int((clock + seconds) // 60), (clock + seconds) % 60)
            (path / "manifest.json").write_text(json.dumps(manifest))
            clock += seconds + gap
    return load_definition(folder)


def test_two_runs_tell_about_how_long_all_will_take(tmp_path):
    study = planted(tmp_path / "s", {("a", 0): 100.0, ("b", 0): 10.0})
    cost = estimate_cost(study, tmp_path / "s")
    assert (cost.done, cost.left) == (2, 7)
    # a: 100 for two seeds, as nothing else is known of it; b: 10 for two; c: between, thrice
    assert cost.seconds == 2 * 100 + 2 * 10 + 3 * 55
    assert cost.most == 2 * 100 + 2 * 10 + 3 * 100
    assert cost.wall(2) == (cost.seconds / 2, cost.most / 2)
    assert cost.wall(50) == (100.0, 100.0)  # no worker is quicker than one run
    assert [each.source for each in cost.variants] == ["this study", "this study", ""]


def test_a_second_run_of_a_variant_corrects_the_first(tmp_path):
    study = planted(tmp_path / "s", {
        ("a", 0): 100.0, ("b", 0): 10.0, ("c", 0): 12.0, ("a", 1): 40.0, ("b", 1): 14.0})
    cost = estimate_cost(study, tmp_path / "s")
    assert [each.seconds for each in cost.variants] == [40.0, 12.0, 12.0]
    assert [each.most for each in cost.variants] == [100.0, 14.0, 12.0]
    assert cost.seconds == 12 + (40 + 12 + 12)


def test_runs_of_other_studies_tell_what_is_not_known_here(tmp_path):
    planted(tmp_path / "old", {(name, 7): 30.0 for name in "abc"}, seeds=[7])
    study = planted(tmp_path / "new", {}, variants="ab")
    cost = estimate_cost(study, tmp_path / "new")
    assert cost.seconds == 6 * 30 and cost.variants[0].source == "old"
    assert math.isnan(estimate_cost(study, tmp_path / "new", elsewhere=False).seconds)
    other = planted(tmp_path / "other", {}, recipe={"which": "", "size": 2})
    assert math.isnan(estimate_cost(other, tmp_path / "other").seconds)


def test_a_damaged_run_is_not_counted(tmp_path):
    study = planted(tmp_path / "s", {("a", 0): 100.0, ("b", 0): 10.0})
    path = tmp_path / "s" / RUNS / study.runs()[0].key / "done.json"
    for text in ("", "[]", "{}", '{"seconds": {"total": null}}', '{"seconds": {"total": 1e999}}'):
        path.write_text(text)
        assert estimate_cost(study, tmp_path / "s").done == 1
    assert estimate_cost(study, tmp_path / "nowhere").left == 9


def test_how_many_runs_go_on_at_a_time(tmp_path):
    times = {(name, 0): 10.0 for name in "abc"}
    one = planted(tmp_path / "one", times, gap=2.0)
    assert at_once(one, tmp_path / "one") == 1.0
    three = planted(tmp_path / "three", times, gap=-10.0)
    assert at_once(three, tmp_path / "three") == pytest.approx(3.0)
    assert math.isnan(at_once(one, tmp_path / "nowhere"))


def test_words_for_what_is_known_and_what_is_not(tmp_path):
    study = planted(tmp_path / "s", {("a", 0): 100.0, ("b", 0): 10.0})
    lines = cost_lines(estimate_cost(study, tmp_path / "s"), 2)
    assert "2 of 9 runs are done" in lines[0]
    assert lines[1].split() == ["a", "1.7", "min,", "1.7", "min"]
    assert "not known yet" in lines[3]
    assert lines[-2].startswith("7 runs are left: about 3.2 min with 2 workers, at most some 4.3")
    assert lines[-1] == "1 of 3 variants are guessed: ask again once each has a run"
    none = cost_lines(estimate_cost(study, tmp_path / "nowhere", elsewhere=False), 2)
    assert none == ["none of the 9 runs is done, and none like them in another study"]
    done = planted(tmp_path / "done", {(name, 0): 1.0 for name in "abc"}, seeds=[0])
    assert cost_lines(estimate_cost(done, tmp_path / "done"), 1)[-1] == "nothing is left to do"


def test_an_estimate_does_two_runs_that_count_and_shows_no_score(write_study, tmp_path, capsys):
    where = ("--folder", tmp_path / "out", "--store", tmp_path / "store")
    write_study()
    assert ablate(tmp_path / "study.py", "--estimate", *where) == 0
    told = capsys.readouterr().out
    assert "the first 2 are done (plain, seed 0 and less, seed 0)" in told
    assert "2 runs are left: about" in told and "with 2 workers" in told and "mAP" not in told
    assert len(load_results(tmp_path / "out")) == 2
    assert ablate(tmp_path / "study.py", "--estimate", "--workers", 4, *where) == 0
    again = capsys.readouterr().out
    assert "with 4 workers" in again and "nothing is known" not in again
    assert len(load_results(tmp_path / "out")) == 2
    assert ablate(tmp_path / "study.py", "--workers", 1, *where) == 0
    assert "[3/4]" in capsys.readouterr().out


def test_an_estimate_of_a_study_that_fails_says_so(write_study, tmp_path, capsys):
    write_study({"plain": {"trouble": "raise"}, "less": {"level": 1}})
    with pytest.raises(RuntimeError, match="'plain' failed in 1 of 2 seeds"):
        ablate(tmp_path / "study.py", "--estimate", "--folder", tmp_path / "out", "--store",
               tmp_path / "store")


def test_empty_hypotheses_are_pointed_out_before_the_first_run(write_study, tmp_path, capsys):
    where = ("--folder", tmp_path / "out", "--store", tmp_path / "store", "--workers", 1)
    write_study(seeds=(0,), change=lambda text: text.replace("The noisiest of all.", " "))
    assert ablate(tmp_path / "study.py", *where) == 0
    assert "note: no hypothesis is written for 'plain'" in capsys.readouterr().err
    assert ablate(tmp_path / "study.py", *where) == 0
    assert "note" not in capsys.readouterr().err  # too late now


@pytest.mark.parametrize("arguments", [["--new", "--watch"], ["--new", "--estimate"]])
def test_one_thing_at_a_time(arguments):
    with pytest.raises(SystemExit):
        tyro.cli(Ablate, args=["s.py", *arguments])
