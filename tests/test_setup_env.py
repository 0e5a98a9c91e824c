"""`make setup` as a learner meets it: first call, second call, and each way it can go wrong.

The script runs for real in a folder of its own, and makes a real environment there. Only uv is
a stand-in: it writes down how it was called, and fails, where asked, with uv's own words.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("setup_env.py", "setup_lock.py", "setup_report.py")


class Folder:
    """A small project with the real set-up in it, and a stand-in uv first on PATH."""

    def __init__(self, root: Path):
        self.root = root / "a folder"
        self.log = root / "log"
        self.bin = root / "bin"
        (self.root / "tools").mkdir(parents=True)
        self.bin.mkdir()
        for name in SCRIPTS:
            (self.root / "tools" / name).write_bytes((ROOT / "tools" / name).read_bytes())
        (self.root / "pyproject.toml").write_text("[project]\nname = 'small'\n")
        (self.root / "requirements.lock").write_text("# nothing\n")
        fake = ROOT / "tests" / "fake_uv.py"
        self.executable("uv", f'exec "{sys.executable}" "{fake}" "$@"')

    def executable(self, name: str, line: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.bin / name).chmod(0o755)

    def start(self, code: str = "", **env: str) -> subprocess.Popen:
        """Start the set-up, after `code` where given (to stand in for another machine)."""
        base = {"PATH": f"{self.bin}:/usr/bin:/bin", "HYBRIDLAB_SETUP_GB": "0"}
        load = f"import sys; sys.path.insert(0, {str(self.root / 'tools')!r}); import setup_env\n"
        call = ["-c", f"{load}{code}\nsys.exit(setup_env.main())"]
        return subprocess.Popen(
            [sys.executable, *(call if code else [str(self.root / "tools" / "setup_env.py")])],
            env={**base, "FAKE_LOG": str(self.log), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str = "", **env: str) -> tuple[int, str, str]:
        process = self.start(code, **env)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        """How uv was called since the last look: its arguments and the environment it saw."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [tuple(json.loads(line)) for line in lines]

    def keepsake(self) -> Path:
        """Put a file into .venv: it is gone when .venv was made again."""
        path = self.root / ".venv" / "keepsake"
        path.touch()
        return path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def ready(folder: Folder) -> Folder:
    status, _, err = folder.run()
    assert status == 0, err
    folder.calls()
    return folder


def one_line(err: str, *words: str) -> None:
    """The whole of stderr is one line that has these words."""
    assert err.startswith("set-up: ") and err.count("\n") == 1, err
    for word in words:
        assert word in err


# --- what is installed, and where ---


def test_first_call_installs_by_hash_into_the_projects_own_venv(folder: Folder) -> None:
    elsewhere = {"VIRTUAL_ENV": "/x", "CONDA_PREFIX": "/y", "PYTHONPATH": str(folder.root)}
    status, out, err = folder.run(**elsewhere)
    assert (status, err) == (0, "")
    assert "ready in" in out
    (made, _), (locked, env), (project, _) = folder.calls()
    python = str(folder.root / ".venv/bin/python")
    assert made[0] == "venv" and made[-1] == str(folder.root / ".venv")
    assert locked[:4] == ["pip", "install", "--python", python]
    assert locked[4:] == ["--require-hashes", "-r", "requirements.lock"]
    assert project[4:] == ["--no-deps", "--no-build-isolation", "-e", "."]
    assert env == {}, "another environment must not be seen"


def test_second_call_does_nothing_and_is_quick(ready: Folder) -> None:
    started = time.perf_counter()
    status, out, _ = ready.run()
    assert time.perf_counter() - started < 1
    assert status == 0 and "nothing to do" in out
    assert ready.calls() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_a_changed_file_installs_again_into_the_same_venv(ready: Folder, name: str) -> None:
    kept = ready.keepsake()
    with (ready.root / name).open("a") as file:
        file.write("# changed\n")
    assert ready.run()[0] == 0
    assert [arguments[0] for arguments, _ in ready.calls()] == ["pip", "pip"]
    assert kept.exists()


def test_a_torch_backend_takes_the_path_without_hashes_and_stays(ready: Folder) -> None:
    kept = ready.keepsake()
    assert ready.run(UV_TORCH_BACKEND="cpu")[0] == 0
    (made, _), (installed, env) = ready.calls()
    assert made[0] == "venv" and not kept.exists(), "the large build must not stay behind"
    assert "--require-hashes" not in installed and "--all-extras" in installed
    assert env == {"UV_TORCH_BACKEND": "cpu"}
    assert ready.run()[0] == 0 and ready.calls() == []
    (ready.root / "pyproject.toml").write_text("# changed\n")
    assert ready.run()[0] == 0
    assert [env for _, env in ready.calls()] == [{"UV_TORCH_BACKEND": "cpu"}]


def test_a_moved_folder_gets_a_new_venv(ready: Folder) -> None:
    """Its scripts name the old place in their first line."""
    kept = ready.keepsake()
    ready.root = ready.root.rename(ready.root.with_name("moved"))
    assert ready.run()[0] == 0
    assert not (ready.root / ".venv" / kept.name).exists()


# --- a .venv that is not right ---


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_set_up_is_made_good(folder: Folder, sign: signal.Signals) -> None:
    process = folder.start(FAKE_UV="hang")
    assert "Resolved" in process.stdout.readline()
    kept = folder.keepsake()
    process.send_signal(sign)
    _, err = process.communicate(timeout=10)
    assert process.returncode != 0
    if sign is not signal.SIGKILL:
        one_line(err, "run `make setup` again")
    else:  # the orphaned installer holds the lock; end it, as the closed terminal would
        os.kill(int(folder.log.with_name("log.pid").read_text()), signal.SIGKILL)
    status, out, _ = folder.run()
    assert status == 0 and "making it again" in out
    assert not kept.exists()


def test_a_venv_without_its_python_is_made_again(ready: Folder) -> None:
    (ready.root / ".venv/bin/python").unlink()
    assert ready.run()[0] == 0
    assert (ready.root / ".venv/bin/python").exists()


def test_a_working_venv_made_by_hand_is_used_and_never_removed(ready: Folder) -> None:
    (ready.root / ".venv/hybridlab-setup.json").unlink()
    kept = ready.keepsake()
    one_line(ready.run(FAKE_UV="network")[2], "cannot be reached")
    assert kept.exists()
    assert ready.run()[0] == 0
    assert kept.exists()


def test_a_broken_venv_made_by_hand_is_moved_aside(folder: Folder) -> None:
    (folder.root / ".venv").mkdir()
    folder.keepsake()
    status, out, _ = folder.run()
    assert status == 0 and "moving it to" in out
    assert list((folder.root / ".cache").glob("venv-*/keepsake"))


def test_two_at_once_set_up_once(folder: Folder) -> None:
    both = [folder.start(FAKE_UV="slow") for _ in range(2)]
    said = "".join("".join(process.communicate(timeout=30)) for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert "another set-up is at work" in said
    assert [arguments[0] for arguments, _ in folder.calls()].count("venv") == 1


# --- one line that says what to do ---


def test_no_network(folder: Folder) -> None:
    status, _, err = folder.run(FAKE_UV="network")
    assert status == 1
    one_line(err, "cannot be reached", "HTTPS_PROXY", "make setup")
    assert any("--offline" in arguments for arguments, _ in folder.calls())
    assert folder.run()[0] == 0


def test_no_network_leaves_a_working_venv_alone(ready: Folder) -> None:
    kept = ready.keepsake()
    (ready.root / "requirements.lock").write_text("# changed\n")
    assert ready.run(FAKE_UV="network")[0] == 1
    assert ready.run()[0] == 0
    assert kept.exists()


def test_the_disk_fills(folder: Folder) -> None:
    status, _, err = folder.run(FAKE_UV="disk")
    assert status == 1
    one_line(err, "disk is full", "make room")


def test_too_little_space_is_said_before_anything_is_made(folder: Folder) -> None:
    status, _, err = folder.run(HYBRIDLAB_SETUP_GB="1e9")
    assert status == 1
    one_line(err, "GB are free", "UV_TORCH_BACKEND=cpu make setup")
    assert not (folder.root / ".venv").exists()


def test_an_unknown_failure_is_shown_in_full(folder: Folder) -> None:
    status, _, err = folder.run(FAKE_UV="strange")
    assert status == 1
    assert "the moon is in the wrong house" in err and "remove the folder .venv" in err


def test_a_folder_that_cannot_be_written(folder: Folder) -> None:
    for path in (folder.root, *folder.root.parents[:2]):
        path.chmod(0o555)
    drop = "import os\nif os.geteuid() == 0: os.seteuid(65534)"  # root may write anywhere
    status, _, err = folder.run(drop)
    for path in (folder.root, *folder.root.parents[:2]):
        path.chmod(0o755)
    assert status == 1
    one_line(err, "cannot be written by you", "a folder of your own")


def test_a_missing_lock(folder: Folder) -> None:
    (folder.root / "requirements.lock").unlink()
    status, _, err = folder.run()
    assert status == 1
    one_line(err, "has no requirements.lock")


def test_a_python_without_ensurepip_and_no_uv(folder: Folder) -> None:
    folder.executable("bare", "exit 1")
    status, _, err = folder.run(
        f"sys._base_executable = {str(folder.bin / 'bare')!r}", FAKE_VERSION="0.1.0"
    )
    assert status == 1
    one_line(err, "-venv with apt", "or install uv")


# --- an old Python ---

OLD = "sys.version_info = (3, 9, 18, 'final', 0)"


def test_an_old_python_says_so_in_one_line(folder: Folder) -> None:
    status, _, err = folder.run(OLD, PATH=str(folder.bin))
    assert status == 1
    one_line(err, "this is Python 3.9", "3.11 or newer", "make setup PYTHON=")
    assert not (folder.root / ".venv").exists()


def test_an_old_python_hands_over_to_the_newest_that_works(folder: Folder) -> None:
    folder.executable("python3.14", "exit 127")  # a shim with nothing behind it
    folder.executable("python3.12", f'echo by 3.12; exec "{sys.executable}" "$@"')
    status, out, _ = folder.run(OLD)
    assert status == 0 and "by 3.12" in out
    assert (folder.root / ".venv/bin/python").exists()
