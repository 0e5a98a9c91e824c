"""How the set-up speaks: progress while an installer runs, and one line when it fails.

An installer's own account of a lost network is ten lines that name no next step. It is held
back, matched against the few causes that a learner can act on, and shown only when none fits.
"""

import errno
import queue
import re
import subprocess
import sys
import threading
import time

OLDEST = (3, 11)  # the oldest Python that the course runs on
SILENCE = 20.0  # seconds without a word after which the set-up says that it is still at work

NO_SPACE = r"no space left on device|(os error|errno) (28|122)\b|disk quota|not enough space"
NO_NETWORK = (
    r"error sending request|dns error|connection (refused|reset)|tcp connect|network is unreachable"
    r"|timed out|failed to fetch|newconnectionerror|from versions: none|was not found in the cache"
    r"|network (was|connectivity is) disabled"
)
NO_WHEEL = r"no wheels? with a matching|can't be installed because it doesn't have a source dist"


class SetupError(Exception):
    """A set-up that cannot go on; its text is one line that says what to do."""


class Unreachable(SetupError):
    """The packages could not be fetched; nothing in .venv was changed by that."""


def say(message: object, stream: object = None) -> None:
    """Print one line of the set-up's own, at once."""
    print(f"set-up: {message}", file=stream or sys.stdout, flush=True)


def explain(text: str) -> SetupError:
    """The error for what an installer printed; what has no known cause is shown in full."""
    text_lower = text.lower()
    if re.search(NO_SPACE, text_lower):  # first: a full disk also makes fetching fail
        return SetupError("the disk is full; make room (8 GB) and run `make setup` again.")
    if re.search(NO_NETWORK, text_lower):
        return Unreachable(
            "the package index cannot be reached; connect (behind a proxy set HTTPS_PROXY) and run "
            "`make setup` again, what was fetched is kept."
        )
    if re.search(NO_WHEEL, text_lower):
        found = re.search(r"[\w.-]+==[\w.+-]+", text)
        package = found.group(0) if found else "a package"
        return SetupError(
            f"{package} is not built for this machine and this Python; use a 64-bit CPython 3.11 "
            "to 3.13 on Linux, Windows or an Apple-silicon Mac, by `make setup PYTHON=...`."
        )
    print(text.rstrip(), file=sys.stderr, flush=True)
    return SetupError(
        "the installer stopped, for the reason above; run `make setup` again, and if it stays, "
        "remove the folder .venv first."
    )


def explain_os_error(error: OSError, root: str) -> str:
    """One line for a file operation that failed while setting up the folder `root`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return str(explain("no space left on device"))
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{root} cannot be written by you; copy the course into a folder of your own and run "
            "`make setup` there."
        )
    return f"{error}; put that right, or remove the folder .venv, and run `make setup` again."


def run_installer(
    command: list, env: dict, cwd: "str | None" = None, keep_open: "int | None" = None
) -> None:
    """Run a command, show its progress line by line, and turn its failure into one line.

    Args:
        command: the program and its arguments.
        env: its whole environment.
        cwd: the folder that it runs in.
        keep_open: a file descriptor that the child inherits. With the lock's, an installer that
            outlives a killed set-up still holds the lock until it ends.

    Raises:
        Unreachable: the packages could not be fetched.
        SetupError: any other failure.
    """
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        pass_fds=() if keep_open is None or sys.platform == "win32" else (keep_open,),
    )
    lines = queue.Queue()  # type: queue.Queue

    def read() -> None:
        for line in child.stdout:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    started = time.time()
    held = []
    try:
        while True:
            try:
                line = lines.get(timeout=SILENCE)
            except queue.Empty:
                say(f"still at work, {time.time() - started:.0f} s so far")
                continue
            if line is None:
                break
            if held or re.match(r"\W*error\b|\W*×|Traceback|WARNING: Retrying", line, re.I):
                held.append(line)
            elif not line.startswith((" + ", " - ", " ~ ", "Using Python")):  # 180 names
                print(line, flush=True)
        status = child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if status:
        raise explain("\n".join(held) or f"{command[0]} ended with status {status}")
