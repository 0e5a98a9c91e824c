"""What comes back as a gradient is checked: the learner's process chose it."""

from __future__ import annotations

import pytest
import torch

from hybridlab.grading.grader import grade
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.trial import Trial
from hybridlab.grading.verdict import CRASHED, WRONG_VALUE
from tests.grading.helpers import QUICK, source

FORGED = """
import hybridlab.grading.child as child
child._gradients = lambda value, given: {forged}
return x.sum()
"""


def check(trial: Trial) -> None:
    with trial.part("gradient"):
        x = torch.ones(3, requires_grad=True)
        _, (gradient,) = trial.gradients("f", x)
        trial.equal(gradient, [1.0, 1.0, 1.0], "the gradient")


def verdict(body: str):
    entry = Exercise("1.1", "test", ("f",), 1, 5, ("a", "b"), {"gradient": 1}, check, QUICK)
    return grade(entry, source(body), seed=0)


def test_a_gradient_that_flows() -> None:
    assert verdict("return x.sum()").right
    assert "expected 1" in verdict("return 2 * x.sum()").parts[0].words


@pytest.mark.parametrize("body", ["return x / 2, x / 2", "return [x, x.detach(), 'words', 3]"])
def test_of_several_results_all_sums_count(body: str) -> None:
    assert verdict(body).right
    assert not verdict(body.replace("x", "(2 * x)", 1)).right


@pytest.mark.parametrize("body", [
    "return x.detach(), 3",
    "return x.sum().item()",
    "return x.detach().sum()",
    "import torch\nreturn torch.ones(2, requires_grad=True).sum()",
    FORGED.format(forged="[None]"),
])
def test_one_that_does_not(body: str) -> None:
    found = verdict(body)
    assert found.kind == WRONG_VALUE
    assert "no gradient flows through f to its argument number 1" in found.parts[0].words


@pytest.mark.parametrize("forged", ["[]", "['no']", "5", "{}", "[x[0]]"])
def test_a_forged_one_is_no_error_of_the_grader(forged: str) -> None:
    assert verdict(FORGED.format(forged=forged)).kind == CRASHED


def test_numpy_on_a_tensor_with_a_gradient_is_told_whatever_the_exercise_says_of_crashes() -> None:
    (part,) = verdict("import torch\nreturn torch.tensor(x.numpy())").parts
    assert part.kind == CRASHED and part.advice.startswith("numpy has no gradients")


def test_a_result_that_is_made_anew_is_told() -> None:
    (part,) = verdict("import torch\nreturn torch.zeros(())").parts
    assert "made anew, such as torch.zeros(()), has none" in part.advice


def test_tensors_of_two_dtypes_are_told() -> None:
    entry = Exercise("1.1", "test", ("f",), 1, 5, ("a", "b"), {"gradient": 1}, _doubles, QUICK)
    body = "import torch\nreturn (x[None] @ torch.ones(3, 1)).sum()"
    (part,) = grade(entry, source(body), seed=0).parts
    assert part.kind == CRASHED and part.advice.startswith("Tensors of two dtypes meet")


def _doubles(trial: Trial) -> None:
    with trial.part("gradient", {"RuntimeError": "something else"}):
        trial.call("f", torch.ones(3, dtype=torch.float64))
