"""An entry that is not whole says in one line what to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hybridlab.grading.manifest import UnknownExerciseError, chosen, exercise, is_lesson


@pytest.mark.parametrize(("hints", "words"), [
    (("Think.", ""), "hint 2 is ''"), ((None, "x"), "hint 1 is None"),
    (("Think.",), "give a tuple of two or three"), ("Think.", "give a tuple of two or three"),
])
def test_hints(hints: object, words: str) -> None:
    with pytest.raises(ValueError, match=r"exercise 1\.2") as error:
        replace(exercise("1.2"), hints=hints)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("id", ["1", "1.", ".2", "²", "1.²", "1.2.3", "one.2", "1.2\n"])
def test_ids(id: str) -> None:
    with pytest.raises(ValueError, match=r"give 'LESSON\.NUMBER'"):
        replace(exercise("1.2"), id=id)
    if not is_lesson(id):
        with pytest.raises(UnknownExerciseError, match="there is no exercise"):
            chosen(id)


def test_a_number_is_a_lesson() -> None:
    assert [each.lesson for each in chosen("1")] == [1] * len(chosen("1"))
    assert is_lesson("12") and not any(map(is_lesson, ("²", "٣", "1.2", "", "9" * 5000)))
