"""How the set-up reads an installer's words, and that an old Python can read the set-up."""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load(name: str) -> ModuleType:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize("name", ["setup_env.py", "setup_lock.py", "setup_report.py"])
def test_the_scripts_can_be_read_by_python_3_6(name: str) -> None:
    ast.parse((ROOT / "tools" / name).read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("text", ["connection refused", "ERROR: (from versions: none)"])
def test_words_of_a_lost_network_are_known(text: str) -> None:
    assert "cannot be reached" in str(load("setup_report").explain(text))


def test_a_machine_without_wheels_is_told_what_to_use() -> None:
    text = "error: torch==2.15.0 has no wheels with a matching platform tag"
    assert "torch==2.15.0 is not built for this machine" in str(load("setup_report").explain(text))
