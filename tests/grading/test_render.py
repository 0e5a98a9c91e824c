"""Verdicts as HTML: nothing of a learner's text becomes markup, and nothing is told by colour
alone."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from hybridlab.grading import verdict as kinds
from hybridlab.grading.picture import alt, draw
from hybridlab.grading.render import line, shown, table
from hybridlab.grading.verdict import KINDS, PartVerdict, Verdict

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> & \"'`"


class Page(HTMLParser):
    """The tags of a page, its text, and the text within `code` and `pre`."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = self.code = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data
        if {"code", "pre"} & set(self.open):
            self.code += data


def verdict(*parts: PartVerdict, output: str = "") -> Verdict:
    return Verdict("1.3", "A title", 42, parts, output)


def matrix(rows: int = 3, columns: int = 4) -> dict:
    expected = np.arange(rows * columns, dtype=float).reshape(rows, columns)
    got = expected.copy()
    got[1, 2] = 100.0
    return {"kind": "matrix", "title": "A matrix", "got": got.tolist(),
            "expected": expected.tolist()}


def test_a_learners_text_is_text():
    found = verdict(
        PartVerdict(EVIL, kinds.CRASHED, 2, 0, EVIL, EVIL, line=3, code=EVIL), output=EVIL
    )
    for page in (
        Page(shown(found, 3, [EVIL]).html), Page(line(EVIL).html), Page(table(EVIL, [found]).html)
    ):
        assert not page.open
        assert {tag for tag, _ in page.tags} <= {
            "div", "strong", "pre", "code", "details", "summary", "table", "caption", "thead",
            "tbody", "tr", "th", "td",
        }
        assert all(set(attributes) <= {"style", "scope"} for _, attributes in page.tags)
        assert EVIL.replace("`", "") in page.words.replace("`", "")


def test_what_cannot_be_seen_is_replaced():
    found = shown(verdict(PartVerdict("a", kinds.CRASHED, 1, 0, "x\u202ey\x1b[31m\ud800\x00z")))
    assert "x\ufffdy\ufffd[31m\ufffd\ufffdz" in Page(found.html).words
    found.html.encode()


def test_formulas_are_not_typeset():
    """Notebooks typeset $...$ outside of `code` and `pre`."""
    dollars = "costs $5 and $6"
    found = shown(
        verdict(PartVerdict("a", kinds.CRASHED, 1, 0, dollars, dollars, 1, dollars),
                output=dollars), notes=[dollars],
    )
    assert Page(found.html).code.count(dollars) == 5
    assert dollars in Page(line(dollars).html).code


@pytest.mark.parametrize("kind", KINDS)
def test_marks_and_words_say_what_colours_say(kind):
    earned = 1 if kind == kinds.RIGHT else 0
    found = shown(verdict(PartVerdict("part", kind, 1, earned, "" if earned else "words")))
    words = re.sub(r"\s+", " ", Page(found.html).words)
    mark = {kinds.RIGHT: "✓", kinds.NOT_ATTEMPTED: "○"}.get(kind, "✗")
    assert f"{mark} Exercise 1.3, A title: {kind}, {earned} of 1 points" in words
    assert kind in found.text and str(found) == found.text
    assert "color:inherit" in found.html and not re.search(r"[^-]color:\s*#", found.html)


def test_one_finding_of_several_parts_is_shown_once():
    crash = [PartVerdict(name, kinds.CRASHED, 1, 0, "NameError: x", line=3, code="x")
             for name in "abc"]
    words = Page(shown(verdict(*crash)).html).words
    assert words.count("NameError: x") == 1 and words.count("as above") == 2


def test_what_to_do_next_is_told_only_where_something_is_to_be_done():
    wrong = Page(shown(verdict(PartVerdict("a", kinds.WRONG_VALUE, 1, 0, "w")), 2).html).words
    assert 'check("1.3", seed=42)' in wrong and 'hint("1.3")' in wrong
    right = Page(shown(verdict(PartVerdict("a", kinds.RIGHT, 1, 1)), 2).html).words
    assert "seed" not in right and "hint" not in right


def test_long_output_is_cut():
    found = verdict(PartVerdict("a", kinds.RIGHT, 1, 1), output="x" * 10**5 + "\n" * 10**4 + "y")
    assert len(shown(found).html) < 6000 and "..." in shown(found).html


def test_a_picture_is_an_image_with_words_for_who_cannot_see_it():
    part = PartVerdict("a", kinds.WRONG_VALUE, 1, 0, "w", picture=matrix())
    page = Page(shown(verdict(part)).html)
    image = next(attributes for tag, attributes in page.tags if tag == "img")
    assert base64.b64decode(image["src"].partition("base64,")[2]).startswith(b"\x89PNG")
    assert image["alt"] == (
        "A matrix: two heat maps of 3 by 4 values, yours and the expected; 1 of 12 values differ, "
        "first at [1, 2]: yours 100, expected 6"
    )


def test_both_heat_maps_have_one_scale():
    figure = draw(matrix())
    images = [image for axes in figure.axes for image in axes.images if image.get_array().ndim == 2]
    assert [image.get_clim() for image in images[:2]] == [(0.0, 100.0)] * 2
    assert [axes.get_title() for axes in figure.axes[:2]] == [
        "yours (framed: it differs)", "expected"
    ]
    assert figure.get_suptitle() == "A matrix"


def test_what_is_not_finite_is_no_zero():
    """A NaN of the learner where 0 is expected: the words and the picture must not disagree."""
    values = matrix(2, 3) | {"got": [[None, 1.0, 2.0], [3.0, 4.0, 5.0]]}
    axes = draw(values).axes[0]
    assert [text.get_text() for text in axes.texts] == ["n/a", "1", "2", "3", "4", "5"]
    assert len(axes.patches) == 2  # one cell is framed, by two lines
    assert "1 of 6 values differ, first at [0, 0]: yours nan, expected 0" in alt(values)


def test_not_every_part_is_drawn():
    parts = [PartVerdict(str(n), kinds.WRONG_VALUE, 1, 0, str(n), picture=matrix(3 + n, 4))
             for n in range(4)]
    assert shown(verdict(*parts)).html.count("<img") == 2


def test_both_curves_are_drawn_and_named():
    values = {"kind": "curve", "title": "$x", "got": [1.0, 2.0], "expected": [1.0, 3.0]}
    axes = draw(values).axes[0]
    assert [list(each.get_ydata()) for each in axes.lines] == [[1, 3], [1, 2]]
    assert [each.get_text() for each in axes.get_legend().get_texts()] == [
        "expected (wide line)", "yours (dashed)"
    ]
    assert len({each.get_linestyle() for each in axes.lines}) == 2  # not by colour alone
    assert "two curves of 2 values" in alt(values)


@pytest.mark.parametrize("values", [
    {"got": [[1e300]], "expected": [[1.0]]}, {"got": [[]], "expected": [[]]},
    {"got": [[1.0]], "expected": [[float("nan")]]}, {"got": [[0.0]], "expected": [[0.0]]},
    {"got": [[1.0, 2.0]], "expected": [[1.0], [2.0]]},
    {"got": [[float("nan")]], "expected": [[float("nan")]]},
])
def test_odd_values_break_nothing(values):
    picture = {"kind": "matrix", "title": "A matrix", **values}
    found = verdict(PartVerdict("a", kinds.WRONG_VALUE, 1, 0, "told", picture=picture))
    assert "told" in shown(found).html
