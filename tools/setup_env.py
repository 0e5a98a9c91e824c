"""Make the project's own .venv, or bring it up to date: what `make setup` runs.

Standard library only. A call that has nothing to do reads one stamp file and returns.
The stamp inside .venv says what was installed, where, and whether the installer reached its end:

- finished, and nothing changed: nothing to do;
- finished, but pyproject.toml or requirements.lock changed: install over what is there;
- begun and never finished, moved to another folder, broken, or asked for another torch build:
  make .venv again, for a killed installer leaves half-copied packages that look installed.

A .venv that this script did not make is never removed: it is used if it works, else moved aside.

The user's own Python is read, never written. What went wrong is said in one line that names the
next step; `setup_report.py` beside this file words it. All three files start on Python 3.6 (no
walrus, no `list[str]` outside quotes), so that an old Python can say that it is too old.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from setup_lock import OneAtATime
from setup_report import OLDEST, SetupError, Unreachable, explain_os_error, run_installer, say

VERSION = 1  # raise it when a .venv of an older script must be brought up to date
STAMP = "hybridlab-setup.json"
NEWER_PYTHONS = ("python3.14", "python3.13", "python3.12", "python3.11")
OLDEST_UV = (0, 7)  # the first with `uv pip install --group`

# Any of these would send an install somewhere else than into .venv, or change what is installed.
REDIRECTING = re.compile(
    r"PYTHON(HOME|PATH)|VIRTUAL_ENV|CONDA_(PREFIX|DEFAULT_ENV)|PIP_(USER|ROOT|CONSTRAINT)"
    r"|(UV|PIP)_(TARGET|PREFIX|REQUIRE_HASHES)|UV_(CONSTRAINT|OVERRIDE|EXCLUDE|TORCH_BACKEND)"
    r"|UV_(PYTHON|SYSTEM_PYTHON|BREAK_SYSTEM_PACKAGES|PROJECT|PROJECT_ENVIRONMENT|WORKING_DIR)"
)


def venv_tool(venv: str, name: str) -> str:
    """The path of an executable inside an environment, on this system."""
    windows = os.name == "nt"
    return os.path.join(venv, "Scripts" if windows else "bin", name + ".exe" * windows)


def venv_version(venv: str) -> str:
    """The Python version that .venv was made with, from pyvenv.cfg; empty where there is none."""
    try:
        with open(os.path.join(venv, "pyvenv.cfg"), encoding="utf-8") as file:
            found = re.search(r"^version(?:_info)?\s*=\s*([\d.]+)", file.read(), re.M)
    except OSError:
        return ""
    return found.group(1) if found else ""


def digest(root: str) -> str:
    """One hash of all that decides what is installed: the two files and this script's version."""
    parts = hashlib.sha256(str(VERSION).encode())
    for name in ("pyproject.toml", "requirements.lock"):
        try:
            with open(os.path.join(root, name), "rb") as file:
                parts.update(hashlib.sha256(file.read()).digest())
        except FileNotFoundError:
            raise SetupError(f"{root} has no {name}; clone the course again.") from None
    return parts.hexdigest()


def read_stamp(venv: str) -> dict:
    """What the last set-up wrote down; empty where there is no stamp or it cannot be read."""
    try:
        with open(os.path.join(venv, STAMP), encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(venv: str, stamp: dict) -> None:
    """Replace the stamp in one step, so that no reader sees half of one."""
    path = os.path.join(venv, STAMP)
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(stamp, file, indent=1)
    os.replace(path + ".part", path)


def restore_stamp(venv: str, stamp: dict) -> None:
    """Put back the stamp of before; where there was none, take ours away."""
    if stamp:
        write_stamp(venv, stamp)
    else:
        os.remove(os.path.join(venv, STAMP))


def is_current(root: str, venv: str, wanted: str) -> bool:
    """Whether .venv holds what the project asks for; `wanted` is a torch backend or empty."""
    stamp = read_stamp(venv)
    return bool(
        stamp.get("complete")
        and stamp.get("inputs") == digest(root)
        and stamp.get("root") == root
        and stamp.get("python") == venv_version(venv)
        and wanted in ("", stamp.get("torch_backend"))
        and os.path.exists(venv_tool(venv, "python"))
    )


def works(venv: str) -> bool:
    """Whether an environment's Python starts and is new enough."""
    code = f"import sys; sys.exit(sys.version_info < {OLDEST} or sys.prefix == sys.base_prefix)"
    return _succeeds([venv_tool(venv, "python"), "-I", "-c", code])


def find_uv(venv: str) -> str:
    """The first uv that runs and is new enough: the one on PATH, then .venv's own; or empty."""
    for path in (shutil.which("uv"), venv_tool(venv, "uv")):
        try:
            answer = subprocess.check_output(
                [path or "", "--version"], stderr=subprocess.DEVNULL, universal_newlines=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue  # absent, or a version manager's shim with nothing behind it
        found = re.match(r"uv (\d+)\.(\d+)", answer)
        if found and (int(found.group(1)), int(found.group(2))) >= OLDEST_UV:
            return path
    return ""


def check_space(folder: str, backend: str) -> None:
    """Refuse a first install that cannot end well (HYBRIDLAB_SETUP_GB sets the gigabytes)."""
    small = backend == "cpu" or not sys.platform.startswith("linux")  # no CUDA libraries
    needed = float(os.environ.get("HYBRIDLAB_SETUP_GB") or (3 if small else 8))
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed:
        raise SetupError(
            f"{free:.1f} GB are free at {folder} and a first set-up needs {needed:g} GB; make "
            "room, or take the small build with `UV_TORCH_BACKEND=cpu make setup` (3 GB)."
        )


def make_venv(venv: str, uv: str, python: str, env: dict) -> None:
    """Make an empty environment in the folder `venv`, which holds only the stamp."""
    if uv:
        run_installer([uv, "venv", "--quiet", "--allow-existing", "--python", python, venv], env)
        return
    if not _succeeds([python, "-I", "-c", "import ensurepip, venv"]):
        raise SetupError(
            f"{python} cannot make environments (Debian and Ubuntu pack that apart); install "
            f"python{sys.version_info[0]}.{sys.version_info[1]}-venv with apt, or install uv, and "
            "run `make setup` again."
        )
    run_installer([python, "-m", "venv", venv], env)


def fetch_uv(root: str, venv: str, env: dict, keep_open: int) -> str:
    """Install uv into .venv, by its hashes in tools/uv.txt, and return its path."""
    say("fetching uv into .venv")
    pip = [venv_tool(venv, "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    wanted = os.path.join(root, "tools", "uv.txt")
    run_installer([*pip, "--require-hashes", "-r", wanted], env, root, keep_open)
    return venv_tool(venv, "uv")


def install(root: str, venv: str, uv: str, backend: str, env: dict, keep_open: int) -> None:
    """Put the locked packages (or, with a torch backend, fresh ones) and the project into .venv."""
    base = [uv, "pip", "install", "--python", venv_tool(venv, "python")]
    if backend:  # other wheels, so other hashes than the lock's: none are checked
        steps = [["-r", "pyproject.toml", "--all-extras", "--group", "dev", "-e", "."]]
        env = dict(env, UV_TORCH_BACKEND=backend)
    else:
        steps = [
            ["--require-hashes", "-r", "requirements.lock"],
            ["--no-deps", "--no-build-isolation", "-e", "."],
        ]
    for step in steps:
        try:
            run_installer([*base, *step], env, root, keep_open)
        except Unreachable:
            say("no network; trying what uv kept from earlier")
            run_installer([*base, "--offline", *step], env, root, keep_open)


def clear_away(root: str, venv: str, stamp: dict) -> None:
    """Make room for a new .venv: remove one that set-up made, move any other into .cache."""
    if not os.path.lexists(venv):
        return
    if stamp.get("made_here"):
        say(".venv is unfinished, moved, broken or another torch build: making it again")
        shutil.rmtree(venv)
        return
    aside = os.path.join(root, ".cache", f"venv-{time.time():.0f}")
    say(f"the .venv here was not made by set-up and cannot be used; moving it to {aside}")
    os.rename(venv, aside)


def build(root: str, venv: str, wanted: str, keep_open: int) -> None:
    """Bring .venv from whatever it is to what the project asks for. Call it under the lock."""
    started = time.time()
    stamp = read_stamp(venv)
    backend = wanted or stamp.get("torch_backend", "")
    env = {name: value for name, value in os.environ.items() if not REDIRECTING.fullmatch(name)}
    # In a virtual environment this is the Python below it: .venv must outlive that environment.
    python = getattr(sys, "_base_executable", None) or sys.executable

    uv = find_uv(venv)
    kept = works(venv) and (
        # no stamp: made by hand, as the README also shows
        stamp["complete"] and (stamp["root"], stamp["torch_backend"]) == (root, backend)
        if stamp
        else not wanted
    )
    begun = {
        "complete": False,
        "made_here": not kept or bool(stamp.get("made_here")),
        "inputs": digest(root),
        "root": root,
        "torch_backend": backend,
    }
    if not kept:
        clear_away(root, venv, stamp)
        check_space(root, backend)
        os.makedirs(venv)
        write_stamp(venv, begun)
        uv = find_uv(venv)  # the uv found before may have been the old environment's own
        make_venv(venv, uv, python, env)
    if not uv:
        uv = fetch_uv(root, venv, env, keep_open)
    # Nothing in a kept environment has changed up to here, so a failure above leaves it as it was.
    write_stamp(venv, begun)
    try:
        install(root, venv, uv, backend, env, keep_open)
    except Unreachable:
        if kept:
            restore_stamp(venv, stamp)  # uv copies only when all is fetched: it still works
        raise
    write_stamp(venv, dict(begun, complete=True, python=venv_version(venv)))
    say(f"ready in {time.time() - started:.0f} s: .venv, Python {venv_version(venv)}")


def hand_over(script: str) -> int:
    """Run this script under a newer Python of PATH, or say that there is none."""
    code = f"import sys; sys.exit(sys.version_info < {OLDEST})"
    for name in NEWER_PYTHONS:
        path = shutil.which(name)
        if path and _succeeds([path, "-I", "-c", code]):
            return subprocess.call([path, script])
    raise SetupError(
        f"this is Python {sys.version_info[0]}.{sys.version_info[1]} and HybridLab needs "
        f"{OLDEST[0]}.{OLDEST[1]} or newer; install one (with uv: `uv python install 3.13`) or "
        "name yours: `make setup PYTHON=/path/to/python3.12`."
    )


def _succeeds(command: list) -> bool:
    try:
        quiet = subprocess.DEVNULL
        return subprocess.call(command, stdin=quiet, stdout=quiet, stderr=quiet) == 0
    except OSError:
        return False


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Set up the folder above this script; 0 when .venv is ready, 1 or 130 after one line."""
    script = os.path.realpath(__file__)
    root = os.path.dirname(os.path.dirname(script))
    venv = os.path.realpath(os.path.join(root, ".venv"))
    wanted = os.environ.get("UV_TORCH_BACKEND", "").strip()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _stop)
    try:
        if is_current(root, venv, wanted):
            say(f"nothing to do: .venv, Python {venv_version(venv)}")
            return 0
        if sys.version_info < OLDEST:
            return hand_over(script)
        with OneAtATime(root) as keep_open:
            if not is_current(root, venv, wanted):
                build(root, venv, wanted, keep_open)
    except KeyboardInterrupt:
        say("stopped; run `make setup` again, what was fetched is kept.", sys.stderr)
        return 130
    except (SetupError, OSError) as error:
        say(explain_os_error(error, root) if isinstance(error, OSError) else error, sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
