"""What a part advises: its own hint only where the parts before are right."""

from __future__ import annotations

from hybridlab.grading.arguments import argument_names
from hybridlab.grading.grader import grade
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.trial import Mistake, Trial
from tests.grading.helpers import QUICK, source


def check(trial: Trial) -> None:
    with trial.part("small"):
        trial.equal(trial.call("f", 2.0), 4.0, "f(2)")
    with trial.part("large"):
        trial.equal(trial.call("f", 300.0), 90_000.0, "f(300)",
                    [Mistake("You added.", 600.0)], hint="Mind the overflow.")


def advice(body: str) -> list[str]:
    entry = Exercise("1.1", "test", ("f",), 1, 5, ("a", "b"), {"small": 1, "large": 1}, check,
                     QUICK)
    return [part.advice for part in grade(entry, source(body), seed=0).parts]


def test_a_hint_is_kept_back_where_an_earlier_part_is_wrong():
    assert advice("return x * x if x < 100 else 0.0") == ["", "Mind the overflow."]
    assert advice("return x") == ["", ""]
    assert advice("return x + x + (x < 100)") == ["", "You added."]  # recognised: told


def test_arguments_are_called_as_in_the_stub():
    assert argument_names("3.1", "contrastive_loss") == ("image_emb", "text_emb", "scale")
    assert argument_names("3.1", "magic") == argument_names("99.1", "f") == ()


def test_values_with_indices_are_recognised():
    assert "amax" in advice("import torch\nreturn torch.ones(2, 3).max(dim=1)")[0]
    assert "float(...)" in advice("return object()")[0]
