"""Which answers call the course's own functions."""

from __future__ import annotations

import pytest

from hybridlab.grading.learner import Source
from hybridlab.grading.library import refused
from hybridlab.grading.manifest import exercise
from hybridlab.grading.verdict import NOT_ATTEMPTED

HEADING = '"""Mine."""\nimport numpy as np\n{}\n\n\n'
ANSWER = "# %% Exercise 1.1: AP\ndef average_precision(scores, targets):\n    {}\n\n\n"
OTHER = "# %% Exercise 1.2: CF1\nimport hybridlab\ndef cf1(d, t):\n    return hybridlab.cf1(d, t)\n"


def verdict(body: str, heading: str = "", other: str = OTHER):
    text = HEADING.format(heading) + ANSWER.format(body) + other
    return refused(exercise("1.1"), Source("lesson_01.py", text), seed=5)


@pytest.mark.parametrize(("body", "heading"), [
    ("from hybridlab.evaluation import average_precision as ap; return ap(scores, targets)", ""),
    ("import hybridlab.evaluation as e\n    return e.ap(scores, targets)", ""),
    ("return __import__('hybridlab').ap(scores, targets)", ""),
    ("return np.mean(import_module('hybridlab.evaluation').ap(scores, targets))", ""),
    ("return ap(scores, targets)", "from hybridlab.evaluation import ap"),
    ("return h.ap(scores, targets)", "import torch, hybridlab as h"),
    ("return scores", "from hybridlab.losses import *"),
    ("return cf1(scores, targets)", ""),
])
def test_an_answer_that_calls_the_package(body: str, heading: str) -> None:
    found = verdict(body, heading)
    assert found is not None and found.kind == NOT_ATTEMPTED and found.earned == 0
    assert found.points == exercise("1.1").worth and found.seed == 5
    assert "imports hybridlab" in found.parts[0].words and "Write it" in found.parts[0].words


@pytest.mark.parametrize(("body", "heading"), [
    ("return np.mean(scores)", ""),
    ("return np.mean(scores)  # as hybridlab does", "from hybridlab.viz import show"),
    ("print('hybridlab is nice')", ""), ("this is no Python", ""),
])
def test_one_that_does_not(body: str, heading: str) -> None:
    assert verdict(body, heading) is None


def test_a_file_without_marks_is_one_answer() -> None:
    text = "import hybridlab\ndef average_precision(scores, targets):\n    return 1\n"
    assert refused(exercise("1.1"), Source("mine.py", text)) is not None
