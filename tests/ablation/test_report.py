"""The report says what was found and lost, stands alone, and lets no name become markup."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tyro

from hybridlab.ablation import report, report_command
from hybridlab.ablation.analysis import analyse
from hybridlab.ablation.claims import lost_runs, may_be_claimed, may_not_be_claimed
from hybridlab.ablation.findings import Analysis, Cell, Effect, Trouble
from hybridlab.ablation.report import html_report, write_report
from hybridlab.ablation.report_command import Report
from hybridlab.files import write_text

from .synthetic import result, write_folder
from .test_tables import analysis, comparison, row

HOSTILE = "<script>alert('x')</script> \"&amp; <img src=x onerror=y>"


class Page(HTMLParser):
    """Elements, their attributes, and the text of a page; knows unclosed elements."""

    EMPTY = ("meta", "img", "br")

    def __init__(self, page: str):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def study() -> Analysis:
    better, worse = comparison(0.05, 0.03, 0.07, "better"), comparison(-0.06, -0.08, -0.04, "worse")
    unclear = comparison(-0.01, -0.03, 0.01, "no difference shown")
    return analysis(
        row("plain"),
        row(HOSTILE, 0.66, better, hypothesis=f"{HOSTILE} helps.", changes={"x": HOSTILE}),
        row("unclear", 0.60, unclear), row("bad", 0.55, worse),
        row("broken", 0.0, seeds=(), values=(), parameters=None),
        question=f"Which? {HOSTILE}", command=f"do {HOSTILE}",
        recipe={"rate": 0.1, "n": [1, HOSTILE]},
        factors={"a": ["0", HOSTILE], "b": ["0", "1"]},
        cells=tuple(
            Cell(("a", "b"), (one, two), 0.5, 0.4, 0.6)
            for one in ("0", HOSTILE) for two in ("0", "1")
        ),
        main_effects=(Effect(("a",), (HOSTILE,), ("0",), better),),
        interactions=(Effect(("a", "b"), (HOSTILE, "1"), ("0", "0"), better),),
        troubles=tuple(Trouble("broken", seed, "failed", f"no {HOSTILE}") for seed in (0, 1)),
        notes=(f"mind {HOSTILE}",), versions={"numpy": "2.1.0"},
    )


def test_a_hostile_name_is_only_ever_text(study):
    page = Page(html_report(study, [study]))
    assert page.open == []
    kinds = {tag for tag, _ in page.elements}
    assert "script" not in kinds and "a" not in kinds and "link" not in kinds
    assert not any(name.startswith("on") for _, given in page.elements for name in given)
    assert page.text.count("<script>alert('x')</script>") > 10
    for image in [given for tag, given in page.elements if tag == "img"]:
        assert image["src"].startswith("data:image/png;base64,")


def test_it_stands_alone_with_pictures_and_their_words(study):
    text = html_report(study)
    assert "http:" not in text and "https:" not in text and "url(" not in text
    page = Page(text)
    images = [given for tag, given in page.elements if tag == "img"]
    assert len(images) == 3  # forest, cost, one interaction
    for image in images:
        assert base64.b64decode(image["src"].partition(",")[2]).startswith(b"\x89PNG")
        assert len(image["alt"]) > 40
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    policy = next(given["content"] for tag, given in page.elements
                  if given.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_it_says_what_was_asked_expected_found_lost_and_how_to_repeat_it(study):
    text = Page(html_report(study)).text
    for part in (
        "Which? ", "5 variants, 2 seeds, 60 test samples, judged by mAP", f"{HOSTILE} helps.",
        "better: +5.00 points", "worse: -6.00 points", "“broken”, every seed: failed",
        "What may be claimed", "What may not", f"do {HOSTILE}", "numpy 2.1.0", "abc", "2026-11-05",
        "Recipe that all variants share", "rate", "0.1", f"mind {HOSTILE}", "Main effects",
        "Interactions", "seeds", "0, 1", "cpu",
    ):
        assert part in text, part


def test_claims_follow_the_verdicts(study):
    claimed, not_claimed = may_be_claimed(study), may_not_be_claimed(study)
    assert "“bad” is worse than “plain” in mAP: +" not in " ".join(claimed)
    assert claimed[1] == "“bad” is worse than “plain” in mAP: -6.00 points."
    assert len(claimed) == 4  # two variants, a main effect, an interaction
    assert not_claimed[0] == (
        "That “unclear” and “plain” are equal: no difference is shown, and one below 3.1 points "
        "would often be missed; to show one of -1.0 points would take about 4 seeds."
    )
    assert any(text.startswith("That one of the variants is the best") for text in not_claimed)
    best = replace(study, best="bad")
    assert may_be_claimed(best)[0].startswith("“bad” is better in mAP than every other")
    assert not any("is the best" in text for text in may_not_be_claimed(best))
    nothing = replace(study, rows=study.rows[:1], main_effects=(), interactions=())
    assert may_be_claimed(nothing) == ["No difference in mAP is shown by this study."]


def test_one_seed_claims_nothing_about_methods(study):
    one = replace(study, seeds=(0,), rows=(
        study.rows[0], row("b", 0.7, comparison(0.1, 0.05, 0.15, "one seed only", seeds=(0,))),
    ), main_effects=(), interactions=())
    assert may_be_claimed(one) == ["No difference in mAP is shown by this study."]
    assert "only two trained models were compared" in may_not_be_claimed(one)[0]


def test_lost_runs_are_told_by_variant_and_reason(study):
    troubles = (Trouble("b", 1, "missing"), Trouble("c", 0, "failed", "x"),
                Trouble("c", 1, "failed", "y"))
    told = lost_runs(replace(study, troubles=troubles))
    assert told == ["“b”, seed 1: missing", "“c”, seed 0: failed (x)", "“c”, seed 1: failed (y)"]
    lucky = replace(study, rows=(*study.rows, row("c", 0.6, seeds=(0,), values=(0.6,))),
                    troubles=troubles[1:])
    assert any("That “c” works with every seed" in text for text in may_not_be_claimed(lucky))


def test_a_file_is_written_whole_and_never_replaced_unless_told(study, tmp_path):
    path = tmp_path / "r.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="is kept"):
        write_report(study, path)
    assert path.read_text() == "mine"
    assert write_report(study, path, overwrite=True) == path
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert [each.name for each in tmp_path.iterdir()] == ["r.html"]
    with pytest.raises(ValueError, match=r"ends in '\.pdf'"):
        write_report(study, tmp_path / "r.pdf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(
        tmp_path_factory.mktemp("study") / "s",
        {"plain": lambda seed: result(0.8, seed, "a"),
         "strong": lambda seed: result(2.2, seed, "b")},
        skip=[("strong", 1)], seeds=range(4), metrics=("cf1", "mean_ap"),
        hypotheses={"strong": "Strength helps."},
    )


def test_the_command_writes_the_page_into_the_folder_again_and_again(folder, capsys):
    for _ in range(2):
        assert Report(folder, resamples=200).run() == 0
    told = capsys.readouterr()
    page = Page((folder / "report.html").read_text("utf-8"))
    assert "judged by CF1" in page.text and "mAP in percent" in page.text
    assert "Strength helps." in page.text and "“strong”, seed 1: missing" in page.text
    assert str(folder) not in page.text
    assert told.out.splitlines()[0] == f"the report is in {folder / 'report.html'}"
    assert "runs that are not in the figures: “strong”, seed 1: missing" in told.err


def test_the_command_prints_tables_and_keeps_files(folder, tmp_path, capsys):
    Report(folder, metric="of1", reference="strong", format="markdown", resamples=200).run()
    table = capsys.readouterr().out
    assert table.startswith("| variant | OF1 [95 %] | difference to strong [95 %]")
    out = tmp_path / "t.csv"
    assert Report(folder, format="csv", out=out, resamples=200).run() == 0
    assert out.read_text().startswith("kind,name,metric,")
    with pytest.raises(FileExistsError, match="is kept"):
        Report(folder, format="csv", out=out).run()
    with pytest.raises(FileExistsError, match="is kept"):
        Report(folder, out=out).run()
    for few in (0, 1, 199):
        with pytest.raises(ValueError, match=f"resamples is {few}; give 200 or more"):
            Report(folder, resamples=few)


@pytest.mark.parametrize(
    ("metric", "printed", "in_latex"),
    [
        ("map@3", "MAP@3", "MAP@3"),
        ("cf1@2:logit>=0", "top-2 CF1 (logit>=0)", "top-2 CF1 (logit$>$=0)"),
        ("coverage", "coverage (share of labels)", "coverage (share of labels)"),
    ],
)
def test_a_metric_with_signs_in_its_name_can_be_reported(
    folder, tmp_path, capsys, metric, printed, in_latex
):
    given = tyro.cli(Report, args=[str(folder), "--metric", metric, "--resamples", "200"])
    for name in ("markdown", "latex", "csv", "html"):
        out = tmp_path / f"t.{name}"
        assert replace(given, format=name, out=out).run() == 0
        text = out.read_text("utf-8")
        expected = {"markdown": f"| variant | {printed} [95 %]", "latex": f"variant & {in_latex} [",
                    "csv": f"variant,plain,{metric},", "html": "judged by " + escape(printed)}
        assert expected[name] in text
    assert "CF1 in percent" in text and "mAP in percent" in text  # the study's own beside it
    assert Page(text).open == [] and {each.name for each in tmp_path.iterdir()} == {
        "t.markdown", "t.latex", "t.csv", "t.html"
    }


def test_a_metric_that_no_run_can_have_is_told_on_the_page_and_in_the_shell(folder, capsys):
    assert Report(folder, metric="map@9", resamples=200).run() == 0
    page = Page((folder / "report.html").read_text("utf-8"))
    told = "every run that is done: undefined (map@9 cannot be computed for it: k is 9"
    assert page.text.count("map@9 cannot be computed") == 1
    assert told in page.text and told in capsys.readouterr().err
    assert "CF1 in percent" in page.text and "img" not in {tag for tag, _ in page.elements}
    with pytest.raises(ValueError, match=r"did you mean 'map@9'"):
        Report(folder, metric="mpa@9", resamples=200).run()


@pytest.mark.parametrize("name", ["markdown", "latex", "csv"])
def test_a_table_as_text_does_not_leave_the_caveats_out(folder, capsys, name):
    Report(folder, format=name, resamples=200).run()
    told = capsys.readouterr()
    notes = analyse(folder, metric="cf1", resamples=200).notes
    assert any("share only the seeds 0, 2, 3" in note for note in notes)
    assert told.err.splitlines()[:-1] == [f"note: {note}" for note in notes]
    assert "note: " not in told.out


@pytest.mark.parametrize("when", ["before the work", "while writing"])
def test_a_read_only_folder_is_told_with_what_to_do(folder, monkeypatch, tmp_path, when):
    def refuse(path, *args):
        raise OSError(30, "Read-only file system", str(path))

    with monkeypatch.context() as patch:
        if when == "before the work":
            patch.setattr(report_command.os, "access", lambda *_: False)
        else:
            patch.setattr(report, "write_text", refuse)
        with pytest.raises(PermissionError, match=r"name another with --out FILE\.html"):
            Report(folder, resamples=200).run()
    with monkeypatch.context() as patch:
        patch.setattr(report_command.os, "access", lambda *_: False)
        assert Report(folder, out=tmp_path / "r.html", resamples=200).run() == 0


def test_no_command_is_printed_that_is_none(folder, study):
    found = analyse(folder, resamples=200)
    assert found.command == ""
    text = html_report(found)
    assert "STUDY" not in Page(text).text and "<pre>" not in text
    assert "to “hybridlab ablate”, with the seeds below" in Page(text).text
    assert "<pre>" in html_report(study)  # a command that is known


def test_the_verdict_stands_second_and_no_table_is_wide(study):
    tables = re.findall(r"<thead><tr>(.*?)</tr>", html_report(study, [study]))
    heads = [re.findall(r"<th[^>]*>(.*?)</th>", each) for each in tables]
    with_verdict = [each for each in heads if "verdict" in each]
    assert len(with_verdict) == 4 and all(each[1] == "verdict" for each in with_verdict)
    assert all(len(each) <= 8 for each in heads)
    shown = {name for each in heads for name in each}
    assert {"p (Holm)", "p of t-test (Holm)", "d_z", "detectable", "seeds", "seeds needed",
            "parameters", "time"} <= shown


def test_too_few_seeds_are_told_instead_of_an_impossible_difference(study):
    none = comparison(0.02, -0.1, 0.2, "no difference shown", detectable=1.0)
    told = may_not_be_claimed(replace(study, rows=(study.rows[0], row("b", 0.6, none))))[0]
    assert "none, however large, is likely to be shown with so few seeds" in told
    assert "100" not in told


def test_an_analysis_from_json_gives_the_same_page(folder):
    found = analyse(folder, resamples=200)
    assert html_report(Analysis.from_json(found.to_json())) == html_report(found)


def test_a_study_of_one_variant_has_a_report_without_pictures(tmp_path):
    where = write_folder(tmp_path / "s", {"only": lambda seed: result(1, seed)})
    page = Page(html_report(analyse(where, resamples=200)))
    assert "img" not in {tag for tag, _ in page.elements} and "reference" in page.text


def test_the_command_line_is_parsed():
    given = tyro.cli(Report, args=["runs/s", "--metric", "of1", "--format", "latex", "--out", "t"])
    assert given == Report(Path("runs/s"), metric="of1", format="latex", out=Path("t"))


def test_the_command_is_light_to_import(tmp_path):
    write_text(tmp_path / "c.py", (
        "import sys, hybridlab.ablation.report_command\n"
        "print([n for n in ('torch', 'scipy', 'matplotlib') if n in sys.modules])\n"
    ))
    found = subprocess.run(
        [sys.executable, str(tmp_path / "c.py")], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_variants_can_be_left_out_one_by_one(tmp_path, capsys):
    folder = write_folder(tmp_path / "s", {
        name: lambda seed, name=name: result(1.0, seed, name) for name in ("a", "b", "c", "d")
    }, seeds=(0, 1))
    given = tyro.cli(Report, args=[
        str(folder), "--without", "b", "--without", "d", "--resamples", "200"
    ])
    assert given.without == ("b", "d") and given.run() == 0
    page = Page((folder / "report.html").read_text("utf-8"))
    assert "left out on request (--without): “b”, “d”" in page.text and "2 variants" in page.text
    with pytest.raises(ValueError, match="cannot leave out 'a'"):
        Report(folder, without=("a",), resamples=200).run()


def test_an_interval_beside_its_own_value_is_explained_where_it_can_happen(folder):
    words = "may not hold its own value: resamples hold copies"
    assert f"An interval of mAP {words}" in html_report(analyse(folder, resamples=200))
    assert words not in html_report(analyse(folder, metric="cf1", resamples=200))


def test_it_can_be_handed_in(study):
    page = Page(html_report(study, author=f"Ada {HOSTILE}"))
    assert f"Author: Ada {HOSTILE}" in page.text and page.open == []
    given = [attributes for tag, attributes in page.elements if tag == "meta"]
    assert {"name": "author", "content": f"Ada {HOSTILE}"} in given
    assert "Author" not in Page(html_report(study)).text
    title = page.text.partition(" :root")[0]
    assert title.startswith("Which?") and title.endswith("(s, mAP)")  # a name for the file
    style = page.text
    for part in ("@page", "table-header-group", "prefers-color-scheme: dark", "break-inside"):
        assert part in style
    rows = [attributes for tag, attributes in page.elements if tag == "th"]
    assert all(each.get("scope") in ("row", "col") for each in rows)
    scrolling = [given for tag, given in page.elements if given.get("class") == "scroll"]
    assert scrolling and all(each["tabindex"] == "0" for each in scrolling)


def test_the_verdicts_stand_at_the_top(study):
    text = Page(html_report(study)).text
    assert text.index("In short, against plain: better: ") < text.index("What was expected")
    assert "; no difference shown: unclear; worse: bad." in text
    alone = replace(study, rows=study.rows[:1], main_effects=(), interactions=())
    assert "In short: nothing could be compared." in Page(html_report(alone)).text


def test_a_hypothesis_that_came_late_is_told_beside_the_others(study):
    note = "hypotheses['bad'] was written or changed on 2026-11-05, when 3 runs were done (x)"
    text = Page(html_report(replace(study, notes=(note, "mind this")))).text
    assert text.count(note) == 1 and text.index(note) < text.index(" Figures ")
    assert text.index("mind this") > text.index("How to read the figures")
