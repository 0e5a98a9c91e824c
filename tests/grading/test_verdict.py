"""A verdict in words says what happened, once."""

from __future__ import annotations

import json

from hybridlab.grading import verdict as kinds
from hybridlab.grading.render import shown
from hybridlab.grading.verdict import PartVerdict, Verdict, told

CRASH = ("ValueError: no", "", 7, "raise ValueError('no')")


def made(*parts, output=""):
    return Verdict("1.2", "CF1", 17, tuple(parts), output)


def test_the_first_thing_that_is_not_right_is_the_verdict():
    verdict = made(
        PartVerdict("a", kinds.RIGHT, 2, 2), PartVerdict("b", kinds.TOO_LONG, 3, 0, "late"),
        PartVerdict("c", kinds.CRASHED, 1, 0, *CRASH),
    )
    assert verdict.kind == kinds.TOO_LONG and (verdict.earned, verdict.points) == (2, 6)
    text = told(verdict, hints=2)
    assert "took too long, 2 of 6 points" in text and "c [0/1] (crashed in your code)" in text
    assert "line 7: raise ValueError('no')" in text
    assert "hybridlab grade 1.2 --seed 17" in text and 'hint("1.2")' in text


def test_one_crash_is_told_once():
    parts = [PartVerdict(name, kinds.CRASHED, 1, 0, *CRASH) for name in "abc"]
    text = told(made(*parts))
    assert text.count("ValueError: no") == 1 and text.count(", the same again") == 2


def test_advice_is_told_once_and_what_is_new_in_it_each_time():
    parts = [
        PartVerdict("a", kinds.WRONG_VALUE, 1, 0, "got 1", "loss .5\nStandardise."),
        PartVerdict("b", kinds.WRONG_VALUE, 1, 0, "got 2", "loss .7\nStandardise."),
        PartVerdict("c", kinds.WRONG_VALUE, 1, 0, "got 3", "Standardise."),
    ]
    for text in (told(made(*parts)), shown(made(*parts)).html):
        assert text.count("Standardise.") == 1 and "loss .5" in text and "loss .7" in text
        assert text.count("The advice above holds here, too.") == 2


def test_right_and_not_attempted_are_short():
    right = told(made(PartVerdict("a", kinds.RIGHT, 2, 2), output="hi\n"))
    assert "2 of 2" in right and "seed" not in right and "hi" in right
    none = told(made(PartVerdict("a", kinds.NOT_ATTEMPTED, 2, 0, "no function f")))
    assert none.count("\n") == 1 and "no function f" in none


def test_printed_lines_that_are_not_shown_are_counted():
    part = PartVerdict("a", kinds.RIGHT, 2, 2)
    many = told(made(part, output="\n".join(map(str, range(13)))))
    assert many.endswith("      9\n      ... and 3 more lines")
    assert "more lines" not in told(made(part, output="\n".join(map(str, range(10)))))


def test_it_travels_as_json():
    picture = {"kind": "curve", "title": "t", "got": [None, 1.0], "expected": [0.0, 1.0]}
    verdict = made(PartVerdict("a", kinds.WRONG_VALUE, 2, 0, "w", "x", picture=picture))
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
