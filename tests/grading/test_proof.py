"""The proof finds checks that judge badly, and answers that prove nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hybridlab.grading import answers, manifest, proof, telling
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.trial import Mistake, Trial

ROOT = Path(__file__).resolve().parents[2]
SOLUTION = '''"""Heading."""

import numpy as np


# %% Exercise 91.1: Twice
def double(x):
    return x * 2
'''
GOOD = '''
import math

# %% Wrong 91.1: the square
# says: you squared it
def double(x):
    return x**2

# %% Wrong 91.1: one more
# says: expected
def double(x):
    return x + math.pi

# %% Wrong 91.1: nothing
# says: got None
def double(x):
    pass

# %% Wrong 91.1: too much
# says: expected
def double(x):
    return 3 * x

# %% Right 91.1: a sum
def double(x):
    return x + x

# %% Right 91.1: a list
def double(x):
    return np.array([2 * each for each in x])
'''


def careful(trial: Trial) -> None:
    with trial.part("any"):
        x = trial.rng.uniform(3, 9, 4)
        trial.equal(trial.call("double", x), 2 * x, mistakes=[Mistake("you squared it", x**2)])


def careless(trial: Trial) -> None:
    """It asks for the shape alone."""
    with trial.part("any"):
        got = trial.call("double", trial.rng.normal(size=4))
        trial.form(got, np.zeros(4))


def strict(trial: Trial) -> None:
    """It fails whoever computes in another way than the solution."""
    with trial.part("any"):
        x = trial.rng.uniform(3, 9, 4)
        trial.equal(trial.call("double", x), x * 2 + 1e-3)


def entry(check: object) -> Exercise:
    return Exercise("91.1", "Twice", ("double",), 1, 5, ("a", "b"), {"any": 1}, check)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> proof.Folder:
    found = proof.Folder(*(tmp_path / name for name in ("solutions", "answers", "survivors")))
    for place in (found.solutions, found.answers, found.survivors):
        place.mkdir()
    (found.solutions / "lesson_91.py").write_text(SOLUTION)
    (found.answers / "lesson_91.py").write_text(GOOD)
    return found


def report(check: object, folder: proof.Folder, monkeypatch: pytest.MonkeyPatch) -> proof.Report:
    lesson = entry(check)
    monkeypatch.setattr(proof, "exercise", {"91.1": lesson}.__getitem__)
    pieces = [*proof.answers_of(lesson, folder, 2, 2), *proof.mutants_of(lesson, folder, 2)]
    (found,) = proof.reports([lesson], folder, pieces)
    return found


def test_a_careful_check_is_sound(folder, monkeypatch) -> None:
    found = report(careful, folder, monkeypatch)
    assert found.sound, (found.faults, found.survivors)
    assert found.answers == {proof.WRONG: 4, proof.RIGHT: 3}
    assert proof.killed([found]) == (found.mutants, found.mutants, 0)
    assert found.mutants >= 5


def test_a_careless_check_lets_wrong_answers_and_mutants_pass(folder, monkeypatch) -> None:
    found = report(careless, folder, monkeypatch)
    faults = {each.piece.name: each.fault for each in found.faults}
    assert faults == {name: "it passes with seed 1000"
                      for name in ("the square", "one more", "too much")}
    assert found.survivors
    assert [each.piece.name for each in found.unexplained] == [
        each.piece.name for each in found.survivors
    ]


def test_a_check_that_is_too_strict_fails_right_answers(folder, monkeypatch) -> None:
    faults = report(strict, folder, monkeypatch).faults
    failed = {each.piece.name for each in faults if each.piece.kind == proof.RIGHT}
    assert failed == {"the solution", "a sum", "a list"}
    assert all("wrong value" in each.fault for each in faults if each.piece.name in failed)


def test_a_diagnosis_that_nobody_gives_is_found(folder, monkeypatch) -> None:
    path = folder.answers / "lesson_91.py"
    path.write_text(GOOD.replace("you squared it", "you cubed it"))
    (fault,) = report(careful, folder, monkeypatch).faults
    assert fault.piece.name == "the square"
    assert "nobody says 'you cubed it'" in fault.fault and "you squared it" in fault.fault


def test_explained_survivors_are_sound_and_outdated_ones_are_not(folder, monkeypatch) -> None:
    survivors = folder.survivors / "lesson_91.toml"
    survivors.write_text('["91.1"]\n"double: return x * 2 -> return x * 9" = "equivalent"\n')
    found = report(careful, folder, monkeypatch)
    assert found.outdated == ["double: return x * 2 -> return x * 9"] and not found.sound
    passed = report(careless, folder, monkeypatch).survivors[0].piece.name
    survivors.write_text(f'["91.1"]\n"{passed}" = "equivalent: nobody looks at values"\n')
    found = report(careless, folder, monkeypatch)
    assert passed not in [each.piece.name for each in found.unexplained]
    assert found.outdated == []
    assert proof.killed([found])[2] == 1


@pytest.mark.parametrize(("old", "new", "words"), [
    ("# says: you squared it\n", "", "lacks a line"),
    ("# %% Right 91.1: a sum\n", "# %% Right 91.1: a sum\n# says: hm\n", "has a line"),
    ("# %% Wrong 91.1: nothing\n# says: got None\ndef double(x):\n    pass\n", "", "4 or more"),
    ("# %% Right 91.1: a sum\ndef double", "# %% Right 91.1: a sum\ndef doubled", "defines"),
])
def test_answers_that_prove_nothing_are_refused(folder, old: str, new: str, words: str) -> None:
    assert old in GOOD
    (folder.answers / "lesson_91.py").write_text(GOOD.replace(old, new))
    with pytest.raises(ValueError, match=words):
        proof.answers_of(entry(careful), folder, 1, 1)


def test_a_file_without_answers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lesson_91.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="has no answer"):
        answers.read(tmp_path / "lesson_91.py")


def test_telling_inputs_part_the_right_answer_from_all_mistakes() -> None:
    rng = np.random.default_rng(3)

    def judge(x: int) -> tuple[int, list[Mistake]]:
        return 2 * x, [Mistake("squared", x**2), Mistake("plus 2", x + 2)]

    for _ in range(50):
        x, right, mistakes = telling.telling(lambda: int(rng.integers(0, 4)), judge)
        assert len({right, *(mistake.value for mistake in mistakes)}) == 3 and x != 2
    with pytest.raises(RuntimeError, match="'the right answer' and 'squared'"):
        telling.telling(lambda: 2, judge)


def test_an_example_tells_what_shows_on_it_and_few_that_look_alike_together() -> None:
    mistakes = [Mistake("right by chance.", 1.0), Mistake("one.", 2.0), Mistake("two.", 3.0),
                Mistake("as two.", 3.0), Mistake("shape.", np.ones(2)),
                *(Mistake(f"of a crowd {at}.", 5.0) for at in range(4))]
    found = [each.words for each in telling.own(1.0, mistakes)]
    assert found == ["one.", "Either: two. Or: as two.", "shape."]
    assert telling.own(np.nan, [Mistake("nan, too", np.nan)]) == []
    shared = [Mistake("You left out 3. All count.", 2.0), Mistake("You added 1. All count.", 2.0)]
    (both,) = telling.own(1.0, shared)
    assert both.words == "Either: You left out 3. Or: You added 1. All count."


def test_the_command_proves_one_exercise_and_tells_a_slip() -> None:
    spec = importlib.util.spec_from_file_location("prove_tool", ROOT / "tools" / "prove.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    few = ["--wrong-seeds", "1", "--right-seeds", "1", "--mutant-seeds", "1", "--mutants", "2"]
    assert tool.main(["1.3", "--jobs", "1", *few]) == 0
    assert tool.main(["77.1"]) == 2


def test_every_exercise_of_the_course_has_its_solution_and_answers() -> None:
    folder = proof.Folder.of(ROOT)
    for found in manifest.exercises().values():
        assert proof.answers_of(found, folder, 1, 1)
        assert proof.mutants_of(found, folder, 1)
