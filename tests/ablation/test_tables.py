"""Tables are exact to the letter, and nothing in a name gets out of its cell."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pytest

from hybridlab.ablation.findings import Analysis, Comparison, Effect, Row
from hybridlab.ablation.tables import (
    as_format,
    cost_table,
    count,
    csv_table,
    duration,
    interval,
    latex,
    latex_text,
    markdown,
    markdown_text,
    p_value,
    ratio,
    signed,
)

NAN = math.nan


def comparison(value, low, high, verdict, **others) -> Comparison:
    given = dict(
        seeds=(0, 1), per_seed=(value, value), p=0.01, p_holm=0.02, t_low=low, t_high=high,
        p_t=0.0001, p_t_holm=0.0002, effect=1.25, detectable=0.031, seeds_needed=4,
        words=f"{100 * value:+.2f} points",
    )
    return Comparison(value, low, high, verdict=verdict, **{**given, **others})


def row(name, mean=0.6123, other=None, **others) -> Row:
    given = dict(
        low=mean - 0.02, high=mean + 0.02, seeds=(0, 1), values=(mean - 0.01, mean + 0.01),
        parameters=1234, seconds=75.0, per_million_parameters=NAN, per_minute=NAN,
    )
    return Row(name, mean, comparison=other, **{**given, **others})


def analysis(*rows: Row, **others) -> Analysis:
    given = dict(
        study="s", question="Why?", metric="mean_ap", reference=rows[0].name, seeds=(0, 1),
        level=0.95, resamples=1000, bootstrap_seed=0, samples=60, rows=rows, best=None,
        main_effects=(), interactions=(), cells=(), factors={}, troubles=(), notes=(), recipe={},
        versions={}, device="cpu", commit="abc", date="2026-11-05", command="do it",
    )
    return Analysis(**{**given, **others})


@pytest.fixture
def three():
    worse = comparison(-0.0104, -0.0296, 0.0088, "no difference shown", p_holm=0.3, effect=-0.5,
                       seeds_needed=None)
    better = comparison(0.05, 0.0312, 0.0688, "better")
    return analysis(
        row("plain"), row("with_gate", 0.6019, worse),
        row("full", 0.6623, better, parameters=2_500_000, seconds=4000.0, per_minute=0.0765),
        best="full",
    )


def test_markdown(three):
    assert markdown(three) == (
        "| variant | mAP [95 %] | difference to plain [95 %] | p (Holm) | p of t-test (Holm) | "
        r"d\_z | detectable | seeds | seeds needed | parameters | time | verdict |" "\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
        "| plain | 61.2 [59.2, 63.2] | – | – | – | – | – | 2 of 2 | – | 1.2 k | 1.2 min | "
        "reference |\n"
        r"| with\_gate | 60.2 [58.2, 62.2] | -1.0 [-3.0, +0.9] | 0.300 | < 0.001 | -0.50 | 3.1 | "
        "2 of 2 | > 1000 | 1.2 k | 1.2 min | no difference shown |\n"
        "| full | **66.2 [64.2, 68.2]** | +5.0 [+3.1, +6.9] | 0.020 | < 0.001 | +1.25 | 3.1 | "
        "2 of 2 | 4 | 2.50 M | 1.1 h | better |\n"
    )


def test_latex(three):
    lines = latex(three).splitlines()
    assert lines == [
        r"\begin{tabular}{lrrrrrrrrrrl}",
        r"\toprule",
        r"variant & mAP [95 \%] & difference to plain [95 \%] & p (Holm) & p of t-test (Holm) & "
        r"d\_z & detectable & seeds & seeds needed & parameters & time & verdict \\",
        r"\midrule",
        r"plain & 61.2 [59.2, 63.2] & -- & -- & -- & -- & -- & 2 of 2 & -- & 1.2 k & 1.2 min & "
        r"reference \\",
        r"with\_gate & 60.2 [58.2, 62.2] & $-$1.0 [$-$3.0, +0.9] & 0.300 & $<$ 0.001 & $-$0.50 & "
        r"3.1 & 2 of 2 & $>$ 1000 & 1.2 k & 1.2 min & no difference shown \\",
        r"full & \textbf{66.2 [64.2, 68.2]} & +5.0 [+3.1, +6.9] & 0.020 & $<$ 0.001 & +1.25 & 3.1 "
        r"& 2 of 2 & 4 & 2.50 M & 1.1 h & better \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_csv_has_every_figure_in_full_and_the_effects_too(three):
    empty = row("lost, all", NAN, seeds=(1,), values=(NAN,), low=NAN, high=NAN, parameters=None,
                seconds=NAN)
    third = comparison(1 / 3, 0.1, 0.5, "better", per_seed=(0.25, 0.1), p_t=2e-17)
    given = replace(
        three, rows=(*three.rows, empty),
        main_effects=(Effect(("a",), ("1",), ("0",), third),),
        interactions=(Effect(("a", "b"), ("1", "x"), ("0", "y"), third),),
    )
    text = csv_table(given)
    assert "\r" not in text
    found = list(csv.DictReader(io.StringIO(text)))
    assert [(each["kind"], each["name"]) for each in found] == [
        ("variant", "plain"), ("variant", "with_gate"), ("variant", "full"),
        ("variant", "lost, all"), ("main effect", "a: 1 against 0"),
        ("interaction", "a: 1 against 0 × b: x against y"),
    ]
    assert found[1] == {
        "kind": "variant", "name": "with_gate", "metric": "mean_ap", "mean": "0.6019",
        "low": repr(0.6019 - 0.02), "high": repr(0.6019 + 0.02), "difference": "-0.0104",
        "difference_low": "-0.0296", "difference_high": "0.0088", "p_raw": "0.01",
        "p_holm": "0.3", "t_low": "-0.0296", "t_high": "0.0088", "p_t_raw": "0.0001",
        "p_t_holm": "0.0002", "d_z": "-0.5", "detectable": "0.031", "seeds_needed": "",
        "paired_seeds": "0 1", "seeds": "0 1", "parameters": "1234", "seconds": "75.0",
        "verdict": "no difference shown", "value_seed_0": repr(0.6019 - 0.01),
        "value_seed_1": repr(0.6019 + 0.01), "difference_seed_0": "-0.0104",
        "difference_seed_1": "-0.0104",
    }
    assert (found[0]["difference"], found[0]["paired_seeds"]) == ("", "")
    assert (found[3]["mean"], found[3]["seeds"], found[3]["parameters"]) == ("", "1", "")
    for each in found[4:]:
        assert (float(each["difference"]), float(each["p_t_raw"])) == (1 / 3, 2e-17)
        assert (each["difference_seed_0"], each["difference_seed_1"]) == ("0.25", "0.1")
        assert each["mean"] == each["parameters"] == each["value_seed_0"] == ""
    assert [each["verdict"] for each in found[4:]] == ["better", "interaction shown"]


def test_a_difference_that_so_few_seeds_cannot_show_has_no_figure():
    none = comparison(0.02, -0.1, 0.2, "no difference shown", detectable=1.0)
    line = markdown(analysis(row("plain"), row("b", 0.63, none))).splitlines()[3]
    assert "| none |" in line and "100.0" not in line


def test_the_highest_mean_is_not_bold_unless_it_is_shown_to_be_best(three):
    text = markdown(replace(three, best=None))
    assert "**" not in text and r"\textbf" not in latex(replace(three, best=None))
    assert markdown(three).count("**") == 2


def test_effects_have_tables_of_their_own_and_an_interaction_is_not_better(three):
    shown = comparison(0.05, 0.03, 0.07, "better")
    both = replace(
        three, main_effects=(Effect(("a",), ("1",), ("0",), shown),),
        interactions=(Effect(("a", "b_c"), ("1", "x"), ("0", "y"), shown),),
    )
    tables = markdown(both).split("\n\n")
    assert len(tables) == 3
    assert tables[1].splitlines()[2] == (
        "| a: 1 against 0 | +5.0 [+3.0, +7.0] | 0.020 | < 0.001 | +1.25 | 3.1 | better |"
    )
    assert tables[2].splitlines()[2].startswith(r"| a: 1 against 0 × b\_c: x against y |")
    assert tables[2].splitlines()[2].endswith("| interaction shown |")
    assert r"a: 1 against 0 $\times$ b\_c: x against y" in latex(both)


def test_gain_for_cost_is_told_only_where_it_is_shown(three):
    table = cost_table(three)
    assert table.rows == [["full", "+5.0", "–", "+0.0765"]]
    assert cost_table(replace(three, rows=three.rows[:2])).rows == []


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a|b", r"a\|b"), ("**x**", r"\*\*x\*\*"), ("<script>", r"\<script>"), ("a < b", "a < b"),
        ("$x$", r"\$x\$"), ("[a](b)", r"[a\](b)"), ("[a]", "[a]"), ("&lt;", "&amp;lt;"),
        ("a & b", "a & b"), ("back\\slash", r"back\\slash"), ("`c`", r"\`c\`"), ("~~d~~",
         r"\~\~d\~\~"),
    ],
)
def test_markdown_escapes(name, written):
    assert markdown_text(name) == written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("50% & more_less", r"50\% \& more\_less"), ("#1 {a}", r"\#1 \{a\}"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("a<b>c", "a$<$b$>$c"), ("$5", r"\$5"), ('"', r"\symbol{34}"),
        ("[x] first", "{[}x] first"), ("* star", "{*} star"), ("a–b×c", r"a--b$\times$c"),
    ],
)
def test_latex_escapes(name, written):
    assert latex_text(name) == written


def test_a_hyphen_in_a_name_stays_one():
    text = latex(analysis(row("no-2 gate"), row("-1", 0.5, comparison(-0.1, -0.2, -0.05, "worse"))))
    assert "\nno-2 gate & " in text and "\n-1 & " in text and "$-$10.0 [$-$20.0, $-$5.0]" in text


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (interval(0.5, NAN, NAN), "50.0 [no interval]"), (interval(NAN, NAN, NAN), "–"),
        (signed(-0.0001), "-0.0"), (signed(0.0001), "+0.0"), (signed(0.0), "0.0"),
        (signed(-0.0), "0.0"), (p_value(0.0009), "< 0.001"), (p_value(1), "1.000"),
        (p_value(NAN), "–"), (count(999), "999"), (count(0), "0"), (count(999_949), "999.9 k"),
        (count(999_950), "1.00 M"), (duration(59.94), "59.9 s"), (duration(3599), "60.0 min"),
        (ratio(27_712.3), "+27,712"), (ratio(-999.6), "-1,000"), (ratio(0.07654), "+0.0765"),
        (duration(7200), "2.0 h"), (duration(NAN), "–"),
    ],
)
def test_figures(made, expected):
    assert made == expected


def test_formats_by_name(three):
    assert as_format(three, "csv") == csv_table(three)
    assert as_format(three, "latex") == latex(three)
    with pytest.raises(ValueError, match="format is 'word'; choose one of markdown, latex, csv"):
        as_format(three, "word")
