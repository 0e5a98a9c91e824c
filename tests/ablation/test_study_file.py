"""Study files: found, loaded once, and told about when they are wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hybridlab.ablation.errors import StudyFileError
from hybridlab.ablation.fingerprint import (
    code_fingerprint,
    differences,
    git_facts,
    reachable_source,
)
from hybridlab.ablation.study import load_study
from hybridlab.ablation.study_file import STUDY_FILE, find_function, load_file


def test_a_function_of_the_study_file_is_found_again(write_study, tmp_path):
    study = write_study()
    assert study.run == f"{STUDY_FILE}:run" and study.file == (tmp_path / "study.py").resolve()
    function = find_function(study.run, study.file)
    (tmp_path / "store").mkdir()
    result = function(study.config("less"), 0, tmp_path / "store")
    assert result.scores.shape == (30, 4)


def test_a_study_keeps_its_keys_wherever_its_file_stands(write_study, tmp_path):
    first = write_study()
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "renamed.py"
    moved.write_text((tmp_path / "study.py").read_text())
    again = load_study(moved)
    assert [run.key for run in again.runs()] == [run.key for run in first.runs()]
    assert code_fingerprint(again.run, again.file) == code_fingerprint(first.run, first.file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "has no STUDY"),
        ("STUDY = {}\n", "a STUDY that is a dict"),
        ("x = 1\n\nraise KeyError('a')\n", "study.py raises KeyError in line 3"),
        ("x = (\n", "raises SyntaxError in line 1"),
        ("import sys\nsys.exit(1)\n", "raises SystemExit in line 2"),
        ("import no_such_module_at_all\n", "raises ModuleNotFoundError in line 1"),
    ],
)
def test_a_file_that_is_wrong_is_told(tmp_path, text, words):
    path = tmp_path / "study.py"
    path.write_text(text)
    with pytest.raises(StudyFileError, match=words):
        load_study(path)


def test_a_missing_file_or_module_is_told(tmp_path):
    with pytest.raises(StudyFileError, match=r"there is no study file .*none\.py"):
        load_study(tmp_path / "none.py")
    with pytest.raises(StudyFileError, match=r"no_such_package\.study cannot be imported"):
        load_study("no_such_package.study")
    with pytest.raises(StudyFileError, match=r"hybridlab\.files has no STUDY"):
        load_study("hybridlab.files")
    with pytest.raises(StudyFileError, match="there is no function nothing"):
        find_function("hybridlab.files:nothing", None)


def test_a_changed_file_is_loaded_anew_and_the_same_only_once(tmp_path):
    path = tmp_path / "study.py"
    path.write_text("import pathlib\nVALUE = 1\n")
    first = load_file(path)
    assert load_file(path) is first
    path.write_text("import pathlib\nVALUE = 2\n")
    assert load_file(path).VALUE == 2 and first.VALUE == 1


def test_a_function_typed_into_a_console_is_refused():
    code = (
        "from hybridlab.ablation.study import Study\n"
        "def run(config, seed, store): pass\n"
        "try: Study('a', 'b?', run, {}, {'x': {}}, [0], 'x')\n"
        "except ValueError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "typed into a notebook or console" in told.stdout


def test_only_what_the_function_uses_counts_as_its_code():
    text = (
        '"""Words."""\nimport numpy as np\nimport os\nSEEDS = (0, 1)\nRATE = 3\n\n'
        "def helper(x):\n    return x * RATE\n\n"
        "@staticmethod\ndef run(c, s, store):\n    return helper(np.ones(3))\n\n"
        "def plot():\n    return os.name\n\nSTUDY = make(run, SEEDS)\n"
        'if __name__ == "__main__":\n    go(STUDY)\n'
    )
    used = reachable_source(text, "run")
    for part in ("numpy", "RATE = 3", "def helper", "@staticmethod", "def run"):
        assert part in used
    for part in ("SEEDS", "STUDY", "plot", "import os", "Words"):
        assert part not in used
    assert reachable_source(text.replace("(0, 1)", "(0, 1, 2)"), "run") == used
    assert reachable_source(text.replace("RATE = 3", "RATE = 4"), "run") != used
    patched = text + "np.random.seed(0)\n"  # it runs whenever the file is loaded
    assert "np.random.seed(0)" in reachable_source(patched, "run")


def test_a_fingerprint_holds_what_can_be_reached_and_not_the_rest():
    code = code_fingerprint("hybridlab.pipeline:build_hybrid")
    for name in ("hybridlab/pipeline.py", "hybridlab/decoder/cnn_rnn.py", "hybridlab/files.py",
                 "hybridlab/ablation/worker.py", "hybridlab/evaluation/metrics.py",
                 "hybridlab/assets/tiny_clip/open_clip_model.safetensors"):
        assert len(code[name]) == 12
    for name in ("hybridlab/cli.py", "hybridlab/viz/world.py", "hybridlab/ablation/engine.py",
                 "hybridlab/ablation/study.py", "hybridlab/__init__.py"):
        assert name not in code
    assert all(not name.startswith("/") for name in code)
    other = {**code, "hybridlab/files.py": "0" * 12}
    (line,) = differences(code, other)
    assert line.startswith("hybridlab/files.py (expected ") and line.endswith("given 000000000000)")
    assert differences(code, dict(code)) == []


def test_git_facts_are_those_of_the_package_or_none():
    facts = git_facts()
    if facts is not None:
        assert len(facts["commit"]) == 40 and isinstance(facts["dirty"], bool)
