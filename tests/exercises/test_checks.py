"""The checks judge well: a sample of what `make prove` proves at length."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridlab.grading import proof
from hybridlab.grading.grader import grade
from hybridlab.grading.learner import Source
from hybridlab.grading.manifest import Exercise, exercises, file_name
from hybridlab.grading.proof import MUTANT, Folder, answers_of, judged, mutants_of
from hybridlab.grading.verdict import NOT_ATTEMPTED
from hybridlab.grading.workbook import packaged

FOLDER = Folder.of(Path(__file__).resolve().parents[2])
ENTRIES = list(exercises().values())
IDS = [entry.id for entry in ENTRIES]
MUTANTS = 5  # of each exercise


def faults(pieces: list[proof.Piece], explained: dict[str, str]) -> str:
    found = [outcome for outcome in map(judged, pieces) if outcome.fault]
    return "\n".join(
        f"{each.piece.kind} {each.piece.name!r}: {each.fault}" for each in found
        if each.piece.kind != MUTANT or each.piece.name not in explained
    )


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_wrong_answers_get_their_diagnosis_and_right_ones_pass(entry: Exercise) -> None:
    pieces = answers_of(entry, FOLDER, wrong_seeds=1, right_seeds=1)
    assert not (found := faults(pieces, {})), found


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_mutants_of_the_solution_fail(entry: Exercise) -> None:
    found = faults(mutants_of(entry, FOLDER, 1, MUTANTS), FOLDER.explained(entry))
    assert not found, found


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_a_stub_is_not_attempted_and_earns_nothing(entry: Exercise) -> None:
    stubs = Source(file_name(entry.lesson), packaged(entry.lesson))
    verdict = grade(entry, stubs, seed=0)
    assert {part.kind for part in verdict.parts} == {NOT_ATTEMPTED}
    assert verdict.earned == 0


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_explanations_are_of_mutants_that_there_are(entry: Exercise) -> None:
    names = {piece.name for piece in mutants_of(entry, FOLDER, 1)}
    assert set(FOLDER.explained(entry)) <= names


@pytest.mark.parametrize("entry", ENTRIES, ids=IDS)
def test_wrong_answers_are_told_apart(entry: Exercise) -> None:
    """Each of the diagnoses that answers wait for is another."""
    says = [each.says for each in FOLDER.known(entry) if not each.right]
    shared = {"cut the graph", "expected"}  # two ways to lose the gradient, or the shape
    assert len({*says} - shared) >= 4
    assert len(says) - len({*says}) <= 1
