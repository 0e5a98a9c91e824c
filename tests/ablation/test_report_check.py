"""A report's structure and honesty: honest ones earn all points, and each lie loses its own."""

from __future__ import annotations

import json
import re
import time

import pytest
import tyro

from hybridlab.ablation.analysis import analyse
from hybridlab.ablation.new_study import TEMPLATES
from hybridlab.ablation.report_check import check_report
from hybridlab.ablation.report_command import Report
from hybridlab.ablation.report_facts import study_facts
from hybridlab.ablation.study import Study
from hybridlab.ablation.tables import markdown

from .reports import HONEST, HYPOTHESES, RECIPE, VARIANTS, by_template, figures, mean
from .synthetic import result, write_folder

STRENGTH = {"concat": 1.2, "gate": 1.22, "CLIP alone": 0.4, "tuned": 2.6}


def write(folder, seeds=range(5), variants=VARIANTS, hypotheses=HYPOTHESES, failed=None):
    study = Study(
        name="s", question="Which part pays?", run="somewhere:run", recipe=RECIPE,
        variants=variants, seeds=seeds, reference="concat", metrics=("mean_ap", "of1"),
        hypotheses=hypotheses,
    )
    runs = {
        name: lambda seed, name=name: result(STRENGTH.get(name, 1.0), seed, name, jitter=0.02)
        for name in variants
    }
    return write_folder(folder, runs, seeds, failed=failed, study=study)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("study") / "s")


@pytest.fixture(scope="module")
def facts(folder):
    return study_facts(folder)


@pytest.fixture(scope="module")
def analysis(facts):
    found = facts.analyses[0]
    verdicts = [row.comparison.verdict for row in found.rows[1:]]
    assert verdicts == ["no difference shown", "worse", "better"]
    assert found.best == "tuned"
    return found


def lost(report, folder):
    """Part -> what is told, of the parts that do not have all their points."""
    checked = check_report(report, folder)
    assert checked.points == sum(each.points for each in checked.marks)
    for each in checked.marks:
        assert 0 <= each.points <= each.of and bool(each.told) == (each.points < each.of), each
    return {each.part: " ".join(each.told) for each in checked.marks if each.points < each.of}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_report_earns_every_point(name, analysis, facts):
    assert lost(HONEST[name](analysis), facts) == {}


def test_the_template_as_it_is_earns_next_to_nothing(facts):
    text = (TEMPLATES / "report.txt").read_text()
    checked = check_report(text, facts)
    earned = {each.part for each in checked.marks if each.points}
    assert earned <= {"seeds", "recipe"} and checked.points <= 2
    told = " ".join(" ".join(each.told) for each in checked.marks)
    assert told.count("a TODO is left in it") >= 8


@pytest.mark.parametrize("part", [
    "Question", "Hypothesis", "Recipe", "Seeds", "Results", "Multiplicity", "Cost", "Claim",
    "Threats", "How to repeat it",
])
def test_a_part_that_is_missing_or_empty_is_told(part, analysis, facts):
    text = by_template(analysis)
    begin = text.index(f"## {part}\n")
    end = text.find("\n## ", begin)
    end = len(text) if end < 0 else end
    for cut, words in (("", f"no heading “{part}”"), (f"## {part}\n", "")):
        told = lost(text[:begin] + cut + text[end:], facts)
        name = "repeat" if part.startswith("How") else part.casefold()
        assert name in told and words in told[name]
        alien = set(told) - {name, "figures", "intervals", "title and author"}
        assert not alien, alien


def swapped(old, new):
    def change(text, analysis):
        assert old in text, old
        return text.replace(old, new)

    return change


def claiming(*sentences):
    """The claim of an honest report, and these sentences besides."""
    def change(text, analysis):
        return text.replace("My hypothesis on", " ".join(sentences) + " My hypothesis on")

    return change


LIES = {
    # parts
    "no author": (swapped("Author: Ada Byron", ""), "title and author", "Author: "),
    "the template's author": (swapped("Ada Byron", "NAME"), "title and author", "your name"),
    "no title": (swapped("# Tuning the tower pays, a gate is not shown to", ""),
                 "title and author", "begin with"),
    "no question mark": (swapped("to the hybrid?", "to the hybrid."), "question", "“?”"),
    "a TODO": (swapped("What do the", "TODO what do the"), "question", "a TODO is left"),
    # hypotheses
    "another hypothesis": (swapped("Worse: the decoder sees", "Better: the decoder sees"),
                           "hypothesis", "word for word"),
    "a hypothesis left out": (swapped(f"- tuned: {HYPOTHESES['tuned']}\n", ""), "hypothesis",
                              HYPOTHESES["tuned"]),
    # recipe
    "more scenes": (swapped("| train | 800 |", "| train | 8000 |"), "recipe",
                    "train is 800 in the study, not 8000"),
    "another rate": (swapped("| lr | 1e-3 |", "| lr | 0.01 |"), "recipe", "lr is 0.001"),
    "no test size": (swapped("| test | 60 |\n", ""), "recipe", "for test"),
    "changes not said": (swapped("tuned: tune_epochs = 2", "and a tuned one"), "recipe",
                         "tuned: tune_epochs = 2"),
    # seeds
    "one seed more": (swapped("0, 1, 2, 3, 4,", "0, 1, 2, 3, 4, 5,"), "seeds", "0, 1, 2, 3, 4"),
    "a seed hidden": (swapped("0, 1, 2, 3, 4,", "0, 1, 2, 3,"), "seeds", "the report names 0, 1"),
    "no seed named": (swapped("0, 1, 2, 3, 4,", "some of my own,"), "seeds", "name the seeds"),
    # multiplicity and cost
    "no correction": (swapped("corrected by Holm's method", "each"), "multiplicity", "Holm"),
    "comparisons not counted": (swapped("Three comparisons", "Comparisons"), "multiplicity", "(3)"),
    "no time": (swapped("1.0 min", "not long"), "cost", "unit"),
    "no command": (swapped("`hybridlab ablate my_study.py --seeds 0 1 2 3 4`, with", "With"),
                   "repeat", "hybridlab ablate"),
    # claims
    "a gate that is better": (claiming("The gate is better than concat."), "claim",
                              "that “gate” is better than “concat” in mAP is not shown"),
    "a gate that helps": (claiming("A gate helps."), "claim", "is not shown"),
    "turned around": (claiming("concat is worse than CLIP alone."), "claim", "is not shown"),
    "the reference beaten": (claiming("CLIP alone beats concat."), "claim", "the study says: "),
    "equal": (claiming("gate and concat are equal."), "claim", "no study shows that two are equal"),
    "as good": (claiming("gate is as good as concat."), "claim", "write “no difference between"),
    "no effect": (claiming("The gate has no effect."), "claim", "no study shows"),
    "not compared": (claiming("tuned is better than gate. CLIP alone is worse than gate."),
                     "claim", "“CLIP alone” and “gate” were not compared"),
    "the wrong best": (claiming("gate is the best variant."), "claim", "only “tuned” is"),
    "all data": (claiming("tuned is better for all datasets."), "claim", "goes beyond one recipe"),
    "proof": (claiming("This proves that tuned is better than concat."), "claim", "goes beyond"),
    "in a clause": (claiming("tuned is better than concat, and gate is also better than concat."),
                    "claim", "“gate” is better"),
    "in the title": (swapped("Tuning the tower pays, a gate is not shown to",
                             "A gate is better than concat"), "claim", "is not shown"),
    "hidden by a false doubt": (
        claiming("It is not shown that CLIP alone is better, but gate is better than concat."),
        "claim", "“gate” is better"),
    "nothing open": (
        swapped("No difference between gate and concat\nis shown. My hypothesis on the gate was "
                "neither confirmed nor refuted.", "That is all."),
        "claim", "say also what is not shown: gate"),
    "no variant named": (
        lambda text, analysis: re.sub(r"(?s)## Claim\n.*?## Threats",
                                      "## Claim\n\nIt works very well indeed.\n\n## Threats", text),
        "claim", "say what is shown, of which variant"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_or_a_gap_loses_its_own_points_and_no_other(name, analysis, facts):
    change, part, words = LIES[name]
    told = lost(change(by_template(analysis), analysis), facts)
    assert set(told) == {part} and words in told[part], told


@pytest.mark.parametrize("change", ["mean", "difference", "end", "verdict", "p"])
def test_a_figure_that_is_not_the_study_s_is_found(change, analysis, facts):
    row = analysis.row("gate")
    old, new = {
        "mean": (f"| gate | {100 * row.mean:.1f} [", f"| gate | {100 * row.mean + 1:.1f} ["),
        "difference": (f"| {100 * row.comparison.value:+.1f} [",
                       f"| {100 * row.comparison.value + 2:+.1f} ["),
        "end": (f"{100 * row.comparison.high:+.1f}]", f"{100 * row.comparison.high + 3:+.1f}]"),
        "verdict": ("no difference shown |", "better |"),
        "p": (f"| {row.comparison.effect:+.2f} |", f"| {row.comparison.effect + 3:+.2f} |"),
    }[change]
    text = by_template(analysis)
    assert old in text, (old, markdown(analysis))
    told = lost(text.replace(old, new), facts)
    assert "figures" in told and "gate" in told["figures"]
    assert set(told) <= {"figures", "results", "intervals"}


def test_a_figure_in_prose_is_looked_up_too(analysis, facts):
    text = by_template(analysis).replace(
        "Intervals (95 %)", "The tuned variant reaches 99.9 mAP. Intervals (95 %)")
    told = lost(text, facts)
    assert set(told) == {"figures"} and "99.9 in “The tuned variant" in told["figures"]


def test_figures_without_an_interval_are_not_enough(analysis, facts):
    rows = "\n".join(f"| {row.name} | {100 * row.mean:.1f} |" for row in analysis.rows)
    table = f"| variant | mAP |\n|---|---|\n{rows}"
    told = lost(by_template(analysis).replace(markdown(analysis), table), facts)
    assert set(told) == {"intervals"}
    assert f"tuned: {figures(analysis, 'tuned')}" in told["intervals"]


def test_other_resamples_and_other_digits_are_no_lie(analysis, facts, folder):
    other = analyse(folder, resamples=500, seed=5)
    text = by_template(other)
    for row in analysis.rows:
        text = text.replace(f"{100 * row.mean:.1f} [", f"{100 * row.mean:.2f} [")
    assert lost(text, facts) == {}


def test_shares_are_as_good_as_percent(analysis, facts):
    rows = []
    for row in analysis.rows:
        cells = [row.name, f"{row.mean:.3f} [{row.low:.3f}, {row.high:.3f}]"]
        if row.comparison:
            one = row.comparison
            cells.append(f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f})")
        rows.append(f"| {' | '.join(cells)} |")
    table = "| variant | mAP | difference |\n|---|---|---|\n" + "\n".join(rows)
    assert lost(by_template(analysis).replace(markdown(analysis), table), facts) == {}


def test_a_hypothesis_that_came_late_costs_a_point_whatever_is_written(analysis, tmp_path):
    folder = write(tmp_path / "s")
    path = folder / "study.json"
    entry = {"when": "2026-11-05T10:00:00+00:00", "runs": 5, "was": "",
             "what": "hypotheses['gate']"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "reworded": [entry]}))
    told = lost(by_template(analysis), folder)
    assert set(told) == {"hypothesis"}
    assert "hypotheses['gate'] on 2026-11-05, after 5 runs" in told["hypothesis"]


def test_a_study_without_hypotheses_has_none_to_report(analysis, tmp_path):
    told = lost(by_template(analysis), write(tmp_path / "s", hypotheses={}))
    assert set(told) == {"hypothesis"} and "is none: say so" in told["hypothesis"]


def test_runs_that_failed_must_be_told(analysis, tmp_path):
    folder = write(tmp_path / "s", failed={("gate", 4): "no memory"})
    text = by_template(analyse(folder))
    told = lost(text, folder)
    assert set(told) == {"results"} and "1 runs are not in the figures" in told["results"]
    text = text.replace("Intervals (95 %)", "The run of gate with seed 4 failed. Intervals (95 %)")
    assert lost(text, folder) == {}


def test_one_seed_compares_two_models_and_no_methods(tmp_path):
    variants = {"concat": {}, "tuned": {"tune_epochs": 2}}
    folder = write(tmp_path / "s", seeds=[3], variants=variants,
                   hypotheses={"tuned": HYPOTHESES["tuned"]})
    analysis = analyse(folder)
    text = f"""# A first look at tuning
Author: A. B.
## Question
Does tuning pay?
## Hypothesis
{HYPOTHESES["tuned"]}
## Recipe
train: 800, val: 300, test: 60. The variant tuned changes tune_epochs to 2.
## Seeds
Only seed 3, the same seed on both sides.
## Results
- concat: {mean(analysis, "concat")}
- tuned: {mean(analysis, "tuned")}, difference {figures(analysis, "tuned")}
## Multiplicity
One comparison, so no correction is needed.
## Cost
A minute: 60 s for each run.
## Claim
CLAIM
## Threats
One seed: another could turn the order of the two models, so this is an exploration only.
## Command
hybridlab ablate study.py
"""
    honest = text.replace("CLAIM", "With one seed it cannot be said whether tuned is better than "
                                   "concat: two trained models were compared, no methods.")
    assert lost(honest, folder) == {}
    bold = text.replace("CLAIM", "tuned is better than concat. Nothing else is shown.")
    told = lost(bold, folder)
    assert set(told) == {"claim"} and "one seed only" in told["claim"]


def test_the_best_may_be_said_to_beat_any_other(analysis, facts):
    text = by_template(analysis).replace(
        "My hypothesis on", "tuned is the best variant, and it is better than gate. My hypothesis "
        "on")
    assert lost(text, facts) == {}


def test_other_metrics_may_be_named(analysis, facts):
    other = facts.analyses[1]
    verdict = other.row("tuned").comparison.verdict
    assert verdict == "better"
    text = by_template(analysis).replace(
        "My hypothesis on",
        f"In OF1 tuned is better, too ({figures(other, 'tuned')}). My hypothesis on")
    assert lost(text, facts) == {}


# --- odd and hostile input ------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "", "\n" * 5000, "#" * 5000, "# \n## \n", "|" * 100_000, "`" * 100_000, "(" * 100_000,
    "[" * 50_000 + "1.0 [" * 10_000, "<!--" * 30_000, "## Claim\n" + "not " * 100_000,
    "## Claim\n" + "gate is better than " * 20_000, "## Results\n" + "1.0 [2.0, " * 40_000,
    "## Seeds\n" + "0, " * 200_000, "## Seeds\n0 to 999999999999999999999",
    "## Seeds\nrange(10**9)", "## Seeds\nrange(99999999999)", "## Recipe\n" + "train: " * 50_000,
    "\x00\x1b[2J" * 1000,
    "## Results\n| gate | " + "9" * 5000 + ".5 |", "## Claim\n" + "— ; but " * 40_000,
    "- " * 200_000, "## Claim\n" + "a" * 300_000, "\u202e## Claim\n\ud83d\ude00 gate",
    "## Results\n" + "| gate |" + " 1.5 |" * 50_000,
])
def test_whatever_it_is_it_is_read_in_seconds(text, facts):
    begun = time.process_time()
    checked = check_report(text, facts)
    assert checked.points < checked.of / 2
    assert time.process_time() - begun < 10


def test_a_file_that_is_no_report_is_refused_in_words(folder, tmp_path):
    path = tmp_path / "report.md"
    path.write_bytes(b"\xff\xfe\x00Q")
    with pytest.raises(ValueError, match=r"is not UTF-8 text \(byte 0\)"):
        check_report(path, folder)
    path.write_text("x" * 1_000_001)
    with pytest.raises(ValueError, match="longer than 1,000,000 characters"):
        check_report(path, folder)
    path.write_bytes(b"\xf0\x9f\x98\x80" * 1_100_000)
    with pytest.raises(ValueError, match="longer than"):
        check_report(path, folder)
    with pytest.raises(FileNotFoundError):
        check_report(tmp_path / "none.md", folder)
    with pytest.raises(ValueError, match="holds no study"):
        check_report("# x", tmp_path)


def test_a_comment_that_is_not_closed_is_told(analysis, facts):
    text = by_template(analysis).replace("## Seeds", "<!-- later\n## Seeds")
    checked = check_report(text, facts)
    (note,) = checked.notes
    line = text[:text.index("<!-- later")].count("\n") + 1
    assert note.startswith(f"the comment of line {line} is never closed")
    assert checked.points < checked.of


def test_names_that_are_patterns_or_marks_are_only_names(tmp_path):
    variants = {"concat": {}, "a.*b (x|y) [1.0, 2.0]": {"fusion": "gate"}, "*": {"view": "none"}}
    folder = write(tmp_path / "s", range(3), variants, {"*": "Worse ([.*"})
    hypothesis = "## Hypothesis\nI think it will be: Worse ([.*\n"
    text = f"# T\n## Results\n{markdown(analyse(folder))}\n{hypothesis}"
    told = lost(text, folder)
    assert "results" not in told and "intervals" not in told and "hypothesis" not in told


# --- the command ----------------------------------------------------------------------------------


def test_the_command_prints_marks_and_advice(analysis, folder, tmp_path, capsys):
    path = tmp_path / "report.md"
    path.write_text(by_template(analysis), "utf-8")
    assert tyro.cli(Report, args=[str(folder), "--check", str(path)]).run() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "23 of 23 points"
    path.write_text(by_template(analysis).replace("Holm", "hope"), "utf-8")
    assert tyro.cli(Report, args=[str(folder), "--check", str(path)]).run() == 1
    out = capsys.readouterr().out
    assert "0 of 1  multiplicity\n        say how many comparisons" in out
    assert out.endswith("22 of 23 points\n")
    assert not (folder / "report.html").exists()
    for more in (["--out", "x.html"], ["--format", "csv"], ["--metric", "of1"]):
        with pytest.raises(SystemExit):
            tyro.cli(Report, args=[str(folder), "--check", str(path), *more])
