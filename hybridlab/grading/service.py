"""A grader in a process of its own, for notebooks: nothing that a learner does to the kernel, to
torch, to `assert` or to a seed reaches it.

    python -m hybridlab.grading.service PARENT

It reads requests and writes answers, a line of JSON each: {"id", "grade", "file", "text", "seed",
"limits"} gives {"id", "verdict"} or {"id", "error"}; the first line it writes is {"ready"}. It
ends with its input or its parent, and the learners' processes with it.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO, Any

from hybridlab.grading.launch import Limits
from hybridlab.grading.learner import Source
from hybridlab.grading.verdict import Verdict

_PATIENCE = 3.0  # seconds that it may take to tidy up


class ServiceError(RuntimeError):
    """The grader itself failed, twice: no verdict about anybody's code."""


class Service:
    """The grader's process, seen from the notebook. Started when it is needed, and again if it
    ended; it can be used by several threads, one after the other. A context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started it: a fork must not write into its pipes
        self._errors: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._number = 0
        self._closed = False

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process; None where there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process unless it runs. Does not wait until it is ready."""
        if self._running() or self._closed:
            return
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            # -P: a torch.py that lies beside the notebook is not the grader's torch
            [sys.executable, "-P", "-m", "hybridlab.grading.service", str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True,  # an interrupt of the notebook is not meant for it
        )
        self._owner = os.getpid()
        atexit.register(self.close)

    def grade(
        self, exercise: str, source: Source, seed: int | None = None, limits: Limits | None = None
    ) -> Verdict:
        """As `grader.grade`, elsewhere.

        Args:
            exercise: its id.
            limits: lower ones than the exercise's own.

        Raises:
            ServiceError: the grader failed; that is our mistake, not the learner's.
            KeyboardInterrupt: the user's. The check is dropped, and the next one works.
        """
        with self._lock:
            request: dict[str, Any] = {
                "grade": exercise, "file": source.file, "text": source.text, "seed": seed
            }
            if limits is not None:
                request["limits"] = [limits.cpu_seconds, limits.wall_seconds, limits.memory]
            try:
                return self._verdict(request)
            except Exception:
                raise
            except BaseException:  # an interrupt
                self._drop()  # it still works at what nobody waits for
                self.start()
                raise

    def close(self) -> None:
        """End the process for good."""
        self._closed = True
        self._drop()
        atexit.unregister(self.close)

    def _verdict(self, request: dict[str, Any]) -> Verdict:
        for attempt in (0, 1):
            self.start()
            try:
                answer = self._ask(request)
                break
            except (OSError, ValueError, EOFError) as error:
                if self._closed:
                    raise ServiceError("the grader was closed while it worked") from error
                told = self._last_words()
                self._drop()
                if attempt:
                    raise ServiceError(
                        f"the grader's own process ended twice while it checked exercise "
                        f"{request['grade']}; please report this. Its last words: {told}"
                    ) from error
        if "verdict" not in answer:
            raise ServiceError(str(answer.get("error")))
        return Verdict.from_json(answer["verdict"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EOFError
        self._number += 1
        process.stdin.write(json.dumps({"id": self._number, **request}).encode() + b"\n")
        process.stdin.flush()
        while True:
            line = process.stdout.readline()
            if not line.endswith(b"\n"):
                raise EOFError
            with suppress(ValueError):  # a line that is no answer: Python itself may have printed
                answer = json.loads(line)
                if isinstance(answer, dict) and answer.get("id") == self._number:
                    return answer

    def _running(self) -> bool:
        if self._process is not None and self._owner != os.getpid():
            self._process = None
        return self._process is not None and self._process.poll() is None

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 2000))
        return self._errors.read().decode(errors="replace").strip()

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        try:
            with suppress(OSError):
                process.terminate()
                process.stdin.close()  # type: ignore[union-attr]
            process.wait(_PATIENCE)
        except BaseException:
            process.kill()
            process.wait()
        finally:
            for pipe in (process.stdout, self._errors):
                if pipe is not None:
                    pipe.close()
            self._errors = None


@cache
def shared() -> Service:
    """The one of this notebook."""
    return Service()


# --- in the process ---------------------------------------------------------------------------


def main(parent: int) -> None:
    """Answer until the input ends, or the parent."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what anybody prints is no answer
    sys.stdout = sys.stderr
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines, parent), daemon=True).start()
    _warm_up()
    _say(out, {"ready": os.getpid()})
    while True:
        request = json.loads(lines.get())
        try:
            _say(out, {"id": request["id"], **_answer(request)})
        except BrokenPipeError:
            return


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: tidying up is not to be disturbed
    sys.exit(0)


def _listen(lines: queue.SimpleQueue[bytes], parent: int) -> None:
    """Input, line by line, also while a check runs. Its end is the end of everything."""
    for line in _lines(parent):
        lines.put(line)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_PATIENCE)
    os._exit(1)


def _lines(parent: int) -> Iterator[bytes]:
    # not sys.stdin: its lock would be held by this thread when Python ends
    rest = b""
    while True:
        if os.name == "posix":
            # a process that the notebook forked may hold the input open when the notebook is gone
            while not select.select([0], [], [], 1.0)[0]:
                if os.getppid() != parent:
                    return
        more = os.read(0, 1 << 16)
        if not more:
            return
        *whole, rest = (rest + more).split(b"\n")
        yield from whole


def _warm_up() -> None:
    """Load the checks, and beside it the process that learners' processes are forked from."""
    from hybridlab.grading import manifest

    other = threading.Thread(target=_first_process)
    other.start()
    manifest.exercises()
    import torch  # noqa: F401  (checks of tensors need it)

    other.join()


def _first_process() -> None:
    from hybridlab.grading import launch

    with tempfile.TemporaryDirectory() as folder, suppress(OSError, ValueError):
        launch.start(Path(folder), Limits()).end()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from hybridlab.grading.grader import grade
    from hybridlab.grading.manifest import exercise

    try:
        entry = exercise(request["grade"])
        if request.get("limits"):
            cpu, wall, memory = request["limits"]
            entry = replace(entry, limits=_lower(entry.limits, Limits(cpu, wall, memory)))
        source = Source(request["file"], request["text"])
        return {"verdict": grade(entry, source, request.get("seed")).to_json()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _lower(one: Limits, other: Limits) -> Limits:
    return Limits(
        min(one.cpu_seconds, other.cpu_seconds), min(one.wall_seconds, other.wall_seconds),
        min(one.memory, other.memory),
    )


def _say(out: IO[str], message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
