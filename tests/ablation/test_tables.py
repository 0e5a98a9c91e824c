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


def test_csv(three):
    empty = row("lost, all", NAN, seeds=(1,), values=(NAN,), low=NAN, high=NAN, parameters=None,
                seconds=NAN)
    text = csv_table(replace(three, rows=(*three.rows, empty)))
    assert text.splitlines() == [
        "variant,metric,mean,low,high,difference,difference_low,difference_high,p,p_t,d_z,"
        "detectable,seeds,seeds_needed,parameters,seconds,verdict,seed_0,seed_1",
        "plain,mean_ap,61.2,59.2,63.2,,,,,,,,2,,1234,75.0,reference,60.2,62.2",
        "with_gate,mean_ap,60.2,58.2,62.2,-1.0,-3.0,0.9,0.3,0.0002,-0.50,3.1,2,,1234,75.0,"
        "no difference shown,59.2,61.2",
        "full,mean_ap,66.2,64.2,68.2,5.0,3.1,6.9,0.02,0.0002,1.25,3.1,2,4,2500000,4000.0,better,"
        "65.2,67.2",
        '"lost, all",mean_ap,,,,,,,,,,,1,,,,no seed shared with the reference,,',
    ]
    assert len(list(csv.reader(io.StringIO(text)))) == 5


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
