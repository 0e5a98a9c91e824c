"""The files around the package agree with each other: names, pins, targets, licences."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ("help", "setup", "lab", "demo", "test", "prove", "lint", "bench", "lock")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def canonical(requirement: str) -> str:
    """The package's name in the index's own spelling, without version, extra or marker."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement.strip()).group(0)
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> list[str]:
    """Every requirement that pyproject.toml names: dependencies, extras and groups."""
    pyproject = tomllib.loads(read("pyproject.toml"))
    project = pyproject["project"]
    groups = [
        project["dependencies"],
        *project.get("optional-dependencies", {}).values(),
        *pyproject["dependency-groups"].values(),
    ]
    return [requirement for group in groups for requirement in group]


def lock_entries(name: str) -> list[str]:
    """Each pin of a lock file with its hashes, comments left out."""
    lines = [line for line in read(name).splitlines() if not line.lstrip().startswith("#")]
    return re.split(r"\n(?=\S)", "\n".join(lines).strip())


def conda_packages() -> tuple[list[str], list[str]]:
    """What environment.yml takes from conda, and what by pip."""
    dependencies = yaml.safe_load(read("environment.yml"))["dependencies"]
    by_pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    return [entry for entry in dependencies if isinstance(entry, str)], by_pip


# --- the lock ---


@pytest.mark.parametrize("name", ["requirements.lock", "tools/uv.txt"])
def test_every_pin_has_a_version_and_hashes(name: str) -> None:
    entries = lock_entries(name)
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[\w.]+", entry), entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry.splitlines()[0]


@pytest.mark.parametrize("name", ["requirements.lock", "tools/uv.txt"])
def test_locks_name_no_address(name: str) -> None:
    text = read(name)
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)
    assert " @ " not in text


def test_the_lock_holds_all_that_pyproject_names() -> None:
    locked = {canonical(entry) for entry in lock_entries("requirements.lock")}
    wanted = {canonical(requirement) for requirement in declared()}
    assert wanted - locked == set(), "run `make lock`"


def test_what_builds_the_project_is_locked_too() -> None:
    """The project is installed without build isolation, so its builder comes from the lock."""
    requires = tomllib.loads(read("pyproject.toml"))["build-system"]["requires"]
    locked = {canonical(entry) for entry in lock_entries("requirements.lock")}
    assert {canonical(requirement) for requirement in requires} | {"editables"} <= locked


# --- conda ---


def test_environment_yml_is_in_step_with_pyproject() -> None:
    _, by_pip = conda_packages()
    assert sorted(by_pip) == sorted([*declared(), "-e ."])


def test_conda_gives_python_and_pip_only() -> None:
    from_conda, _ = conda_packages()
    requires = tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    assert sorted(canonical(entry) for entry in from_conda) == ["pip", "python"]
    assert any(entry.startswith(f"python{requires}") for entry in from_conda)
    assert "conda-forge" in yaml.safe_load(read("environment.yml"))["channels"]


@pytest.mark.parametrize(
    "name",
    [
        *("jupyterlab", "torch", "torchvision", "open_clip_torch", "matplotlib", "seaborn"),
        *("nbval", "ipywidgets", "pytest"),
    ],
)
def test_environment_yml_names(name: str) -> None:
    _, by_pip = conda_packages()
    assert any(re.match(rf"{name}\b(?![-_])", entry) for entry in by_pip)


# --- make ---


def make(*arguments: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_alone_prints_every_target() -> None:
    printed = make()
    assert printed == make("help")
    for target in TARGETS:
        assert re.search(rf"^  make {target} +\S", printed, re.M), target


def test_every_target_of_the_makefile_is_in_its_help() -> None:
    found = re.findall(r"^([a-z][\w-]*):(?!=)", read("Makefile"), re.M)
    assert sorted(found) == sorted(TARGETS)


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("lab", "/hybridlab lab"),
        ("demo", "/hybridlab demo"),
        ("test", "/python -m pytest"),
        ("prove", "/python tools/prove.py"),
        ("lint", "/python -m mypy hybridlab"),
        ("bench", "/python -m benchmarks all"),
    ],
)
def test_targets_set_up_first_and_then_run_inside_venv(target: str, command: str) -> None:
    plan = make("--dry-run", target)
    assert 0 <= plan.index("tools/setup_env.py") < plan.index(command)
    before = plan[: plan.index(command)]
    assert before.endswith((".venv/bin", ".venv/Scripts"))


def test_make_lock_is_the_documented_command() -> None:
    plan = " ".join(make("--dry-run", "lock").replace("\\\n", " ").split())
    assert "pip compile pyproject.toml" in plan
    for option in ("--universal", "--all-extras", "--group dev", "--python-version 3.11"):
        assert option in plan
    for option in ("--generate-hashes", "--no-emit-index-url", "--no-header"):
        assert plan.count(option) == 2, "both locks need it"
    assert "-o requirements.lock" in plan


def test_ci_runs_make_test_from_any_folder(tmp_path: Path) -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    fake = tmp_path / "make"
    fake.write_text('#!/bin/sh\necho "$PWD|$*"\n')
    fake.chmod(0o755)
    env = dict(os.environ, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run([script], cwd=tmp_path, env=env, capture_output=True, text=True)
    folder, arguments = done.stdout.strip().split("|")
    assert (Path(folder).resolve(), arguments) == (ROOT, "test")


# --- licences and citation ---


def test_licence_names_both_licences() -> None:
    text = read("LICENSE")
    assert "MIT License" in text
    assert "Creative Commons Attribution 4.0" in text
    assert "WITHOUT WARRANTY OF ANY KIND" in text


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("Twemoji art", ["CC BY 4.0", "Twitter", "jdecked", "contributors", "changed"]),
        ("EfficientNet-Lite weights", ["Apache-2.0", "LICENSES/Apache-2.0.txt"]),
        ("The weights shipped in hybridlab/assets", ["Apache-2.0", "CC BY 4.0", "Twemoji"]),
        ("open_clip", ["MIT", "Ilharco", "OpenAI"]),
        ("timm", ["Apache-2.0", "Wightman"]),
    ],
)
def test_notice_gives_its_due_to(section: str, words: list[str]) -> None:
    found = [part for part in read("NOTICE").split("\n\n") if part.startswith(section)]
    assert len(found) == 1
    for word in words:
        assert word in found[0]


def test_the_apache_licence_goes_with_the_weights() -> None:
    text = read("LICENSES/Apache-2.0.txt")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_citation_agrees_with_pyproject() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project["version"]
    assert citation["authors"][0]["name"] == project["authors"][0]["name"]
    assert project["license"] in citation["license"]
    assert {"message", "title", "authors"} <= citation.keys()
