"""Gradescope's results.json."""

import json

import pytest

from hybridlab.grading import verdict as kinds
from hybridlab.grading.gradescope import results
from hybridlab.grading.manifest import of_lesson
from hybridlab.grading.verdict import PartVerdict, Verdict


def graded(exercise, kind: str = kinds.RIGHT, words: str = "", output: str = "") -> Verdict:
    """A verdict in which the first part is of a kind and the others are right."""
    parts = [
        PartVerdict(name, kinds.RIGHT, points, points) for name, points in exercise.points.items()
    ]
    if kind != kinds.RIGHT:
        first = parts[0]
        parts[0] = PartVerdict(first.part, kind, first.points, 0, words, "advice", 7, "code()")
    return Verdict(exercise.id, exercise.title, 11, tuple(parts), output, 0.5)


def test_each_part_is_a_test_with_its_points():
    exercises = of_lesson(1)
    found = results([graded(each) for each in exercises], exercises)
    assert found["score"] == sum(each.worth for each in exercises)
    assert found["execution_time"] == pytest.approx(0.5 * len(exercises))
    assert len(found["tests"]) == sum(len(each.points) for each in exercises)
    assert [test["number"] for test in found["tests"]][:2] == ["1.1.1", "1.1.2"]
    assert all(test["status"] == "passed" for test in found["tests"])
    assert sum(test["max_score"] for test in found["tests"]) == found["score"]
    assert found["extra_data"]["seeds"] == [11]
    keys = {"score", "max_score", "status", "name", "number", "output", "tags", "visibility"}
    assert all(set(test) == keys for test in found["tests"])


def test_a_wrong_part_costs_its_points_and_says_why():
    exercises = of_lesson(1)
    found = results(
        [graded(exercises[0], kinds.WRONG_VALUE, "got 1, expected 2"), graded(exercises[1])],
        exercises[:2],
    )
    test = found["tests"][0]
    assert (test["status"], test["score"]) == ("failed", 0)
    assert test["output"].splitlines() == [
        "wrong value", "line 7: code()", "got 1, expected 2", "advice"
    ]
    assert found["score"] == exercises[0].worth + exercises[1].worth - test["max_score"]
    assert "wrong value" in found["output"]


def test_an_exercise_without_a_verdict_earns_nothing_and_counts():
    exercises = of_lesson(1)
    found = results([], exercises)
    assert found["score"] == 0 and {test["status"] for test in found["tests"]} == {"failed"}
    assert found["extra_data"]["max_score"] == sum(each.worth for each in exercises)
    assert found["tests"][0]["output"] == "not attempted\nnot graded"


def test_it_is_short_and_strict_json_whatever_a_learner_prints():
    exercises = of_lesson(1)
    evil = "\x00\ud800\x1b" + "x" * 10**6
    found = results(
        [graded(each, kinds.CRASHED, evil, evil) for each in exercises], exercises
    )
    text = json.dumps(found, allow_nan=False, ensure_ascii=False)
    assert len(text.encode()) < 100_000  # lone surrogates could not be encoded
    assert not {"\x00", "\x1b"} & set(found["tests"][0]["output"] + found["output"])
    assert found["tests"][0]["output"].endswith("...")
