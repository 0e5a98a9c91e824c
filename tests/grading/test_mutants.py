"""Mutants: one small change each, named, and never the code itself."""

import ast

import pytest

from hybridlab.grading.mutants import mutants

CODE = '''
def f(x: int, y: int = 2, *, axis=0) -> int:
    """Say nothing of 5 > 3."""
    if x >= y and not x.any():
        x += 1
    best = np.maximum(x, 1)[1:y]
    return np.mean(best.T @ x, axis=0) * 2.5 - 1
'''


def names(code: str) -> list[str]:
    return [mutant.name for mutant in mutants(code)]


def lines(code: str) -> set[str]:
    """The changed line of each mutant."""
    return {name.split(" -> ")[1] for name in names(code)}


@pytest.mark.parametrize("changed", [
    "if x > y and (not x.any()):", "if x <= y and (not x.any()):", "if x >= y or not x.any():",
    "if x >= y:", "if x >= y and x.any():", "if x >= y and (not x.all()):", "if True:",
    "if not (x >= y and (not x.any())):", "if y >= y and (not x.any()):", "x -= 1", "x = 1",
    "x += 2", "x += 0", "best = np.minimum(x, 1)[1:y]", "best = x[1:y]", "best = np.maximum(x, 1)",
    "best = np.maximum(x, 1)[1:y + 1]", "best = np.maximum(x, 1)[:y]",
    "return np.mean(best.T @ x) * 2.5 - 1", "return np.mean(best.T @ x, axis=1) * 2.5 - 1",
    "return np.sum(best.T @ x, axis=0) * 2.5 - 1", "return np.mean(best @ x, axis=0) * 2.5 - 1",
    "return np.mean(x @ best.T, axis=0) * 2.5 - 1", "return np.mean(best.T @ x, axis=0) / 2.5 - 1",
    "return np.mean(best.T @ x, axis=0) * 2.5 + 1", "return np.mean(best.T @ x, axis=0) * 5.0 - 1",
    "return np.mean(best.T @ x, axis=0) * 2.5", "return 1 - np.mean(best.T @ x, axis=0) * 2.5",
    "def f(x, y=3, *, axis=0):", "pass",
])
def test_slips_that_a_hand_makes(changed: str) -> None:
    assert changed in lines(CODE)


def test_each_is_other_code_that_compiles_with_a_name_of_its_own() -> None:
    found = mutants(CODE)
    assert len(found) > 40
    codes = [mutant.code for mutant in found]
    assert len({*codes}) == len(codes) == len({*names(CODE)})
    bare = ast.unparse(ast.parse(CODE)).replace('"""Say nothing of 5 > 3."""', "")
    for code in codes:
        compile(code, "mutant", "exec")
        assert ast.dump(ast.parse(code)) != ast.dump(ast.parse(bare))


def test_what_is_not_computed_is_not_changed() -> None:
    assert names('def f(x: int = None) -> int:\n    """A 1 > 0."""\n    pass\n') == []


def test_arguments_of_a_symmetric_call_are_not_swapped() -> None:
    assert "return np.maximum(1, x)" not in lines("def f(x):\n    return np.maximum(x, 1)\n")
    assert "return np.dot(1, x)" in lines("def f(x):\n    return np.dot(x, 1)\n")


def test_names_say_the_function_and_stay_the_same() -> None:
    code = "def f(x):\n    return x + 1\n\n\ndef g(x):\n    return x * 2\n"
    assert "f: return x + 1 -> return x - 1" in names(code)
    assert "g: return x * 2 -> return x / 2" in names(code)
    assert names(code) == names(code)
