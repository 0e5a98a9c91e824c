"""Study files: found, loaded once, and told about when they are wrong."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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


def test_several_threads_may_read_code_at_once():
    """Collecting garbage lets another thread in, and CPython before 3.11.8 miscounts the depth."""
    source = Path(__file__).read_text()

    def give_way(phase, info):
        time.sleep(0)

    def read(name):
        return {reachable_source(source, name) for _ in range(20)}

    threshold = gc.get_threshold()
    gc.callbacks.append(give_way)
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(2) as threads:
            found = list(threads.map(read, ["write_study", "find_function"] * 2))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(give_way)
    assert all(len(texts) == 1 for texts in found)


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


_TELL = (
    "import json, sys; from hybridlab.ablation.study import load_study;"
    "from hybridlab.ablation.fingerprint import code_fingerprint;"
    "study = load_study(sys.argv[1]);"
    "print(json.dumps(code_fingerprint(study.run, study.file)))"
)


def _marks(study, **paths):
    """The fingerprint as a fresh process takes it: modules are read once a process."""
    told = subprocess.run(
        [sys.executable, "-c", _TELL, str(study)], capture_output=True, text=True, check=True,
        env={**os.environ, **{name: str(path) for name, path in paths.items()}},
    )
    return json.loads(told.stdout)


@pytest.fixture
def own_modules(tmp_path):
    """A study file whose function uses modules of its user: beside it and on a path."""
    (tmp_path / "lib" / "mylab" / "deep").mkdir(parents=True)
    (tmp_path / "lib" / "mylab" / "__init__.py").write_text("")
    (tmp_path / "lib" / "mylab" / "train.py").write_text("from .deep import loss\nRATE = 1\n")
    (tmp_path / "lib" / "mylab" / "deep" / "loss.py").write_text("import statistics\nW = 1\n")
    (tmp_path / "lib" / "mylab" / "plot.py").write_text("COLOUR = 1\n")
    (tmp_path / "beside.py").write_text("import othertop\nSIZE = 1\n")
    (tmp_path / "lib" / "othertop.py").write_text("X = 1\n")
    study = tmp_path / "study.py"
    study.write_text(
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent))\n"
        "import numpy, mylab.train\nfrom hybridlab.ablation.study import Study\n"
        "def run(config, seed, store):\n    import beside\n    return mylab.train.RATE\n"
        "STUDY = Study('a', 'b?', run, {'a': 1}, {'x': {}}, [0], 'x')\n"
    )
    return study


def test_the_users_own_modules_count_wherever_they_stand(own_modules, tmp_path):
    before = _marks(own_modules, PYTHONPATH=tmp_path / "lib")
    own = {name for name in before if not name.startswith("hybridlab/")}
    assert own == {STUDY_FILE, "beside.py", "othertop.py", "mylab/__init__.py", "mylab/train.py",
                   "mylab/deep/loss.py"}  # neither numpy nor Python's own, no absolute path
    for name in ("beside.py", "lib/othertop.py", "lib/mylab/deep/loss.py"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace("1", "2"))
        after = _marks(own_modules, PYTHONPATH=tmp_path / "lib")
        assert [line.split(" ")[0] for line in differences(before, after)] == [
            name.removeprefix("lib/")]
        (tmp_path / name).write_text(text)
    (tmp_path / "lib" / "mylab" / "plot.py").write_text("COLOUR = 2\n")
    assert _marks(own_modules, PYTHONPATH=tmp_path / "lib") == before
    (tmp_path / "lib").rename(tmp_path / "elsewhere")
    assert _marks(own_modules, PYTHONPATH=tmp_path / "elsewhere") == before


def test_a_second_package_behind_a_named_function_counts(tmp_path):
    (tmp_path / "mylab").mkdir()
    (tmp_path / "mylab" / "x.py").write_text("import tools_of_mine\nNAME = 'mylab.late:f'\n")
    (tmp_path / "mylab" / "late.py").write_text("def f(): pass\n")
    (tmp_path / "tools_of_mine.py").write_text("A = 1\n")
    code = (
        "import json; from hybridlab.ablation.fingerprint import code_fingerprint;"
        "print(json.dumps(code_fingerprint('mylab.x:run')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(tmp_path)})
    own = {name for name in json.loads(told.stdout) if not name.startswith("hybridlab/")}
    assert own == {"mylab/x.py", "mylab/late.py", "tools_of_mine.py"}


def test_installed_packages_do_not_count_unless_the_function_stands_in_one():
    own = {name.partition("/")[0] for name in code_fingerprint("hybridlab.pipeline:build_hybrid")}
    assert own == {"hybridlab"}
    assert any(name.startswith("filelock/") for name in code_fingerprint("filelock._api:f"))
