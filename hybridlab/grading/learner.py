"""A learner's code as the grader sees it: functions to call, in a process of their own.

A call gives the value, or raises one of three: the code was not attempted, crashed, or took too
long. None of them says anything about right or wrong.
"""

from __future__ import annotations

import ast
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hybridlab.grading import launch
from hybridlab.grading.blocks import needed
from hybridlab.grading.forkserver import BROKEN
from hybridlab.grading.launch import Limits
from hybridlab.grading.values import HEAD, BadMessageError, pack, sizes, unpack

_START = 60.0  # seconds for a process to be there, which is not the learner's time
_MOST_BYTES = 512 * 2**20  # that a process may send in all


class Stopped(Exception):
    """The learner's code gave no value."""


class NotAttempted(Stopped):
    """The stub is still there, or the function is not; the message says which."""


class Crashed(Stopped):
    """An exception or worse.

    Attributes:
        type: of the exception, or "" where the process ended.
        line, code: of the learner's file, where it is known.
    """

    def __init__(self, words: str, type: str = "", line: int | None = None, code: str = ""):
        super().__init__(words)
        self.type, self.line, self.code = type, line, code


class TookTooLong(Stopped):
    """The time limit."""


@dataclass(frozen=True)
class Source:
    """A learner's file.

    Attributes:
        file: its name, as messages show it.
        text: all of it.
    """

    file: str
    text: str

    @classmethod
    def read(cls, path: Path) -> Source:
        """From disk; what is no UTF-8 is replaced, so that one bad byte costs one exercise."""
        return cls(path.name, path.read_bytes().decode("utf-8", errors="replace")
                   .replace("\r\n", "\n").removeprefix("\ufeff"))


class Called(NamedTuple):
    """What a call gave.

    Attributes:
        value: the result.
        after: the arguments after the call, positional ones first.
        gradients: of the sum of the result for each argument; None where none was asked for, or
            the result does not depend on any that requires one.
    """

    value: Any
    after: list[Any]
    gradients: list[Any] | None


class Learner:
    """The code of one exercise in a process, started when it is first called. A context manager."""

    def __init__(self, source: Source, exercise: str, limits: Limits):
        self.source, self.exercise, self.limits = source, exercise, limits
        self.output = ""
        self._process: launch.Process | None = None
        self._folder: Path | None = None
        self._asked = 0.0  # when the last request went out
        self._until = 0.0  # of what is being waited for
        self._left = 0.0  # seconds that the code may still take; the grader's own do not count
        self._received = 0

    def __enter__(self) -> Learner:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def call(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], gradients: bool = False
    ) -> Called:
        """Call one of the learner's functions.

        Raises:
            NotAttempted, Crashed, TookTooLong: it gave no value.
        """
        if self._process is None:
            self._start()
        answer = self._ask({"op": "call", "name": name, "args": list(args), "kwargs": kwargs,
                            "gradients": gradients})
        if answer["kind"] == "missing":
            raise NotAttempted(f"{self.source.file} has no function {name} for this exercise")
        after, found = answer.get("after"), answer.get("gradients")
        if found is not None and not _fit(found, [*args, *kwargs.values()]):
            self.end()
            raise Crashed("it disturbed the line to the grader")
        return Called(answer.get("value"), after if isinstance(after, list) else [], found)

    def end(self) -> None:
        """End the process; the next call starts a new one."""
        if self._process is not None:
            self._process.end()
            self._process = None
        if self._folder is not None:
            _remove(self._folder)
            self._folder = None

    def _start(self) -> None:
        blocks = needed(self.source.text, self.exercise)
        own = next((at for at, block in enumerate(blocks) if block.id == self.exercise), 0)
        self._folder = Path(tempfile.mkdtemp(prefix="hybridlab-"))
        self._process = launch.start(
            self._folder, self.limits, _imports([block.text for block in blocks])
        )
        self._until, self._received = time.monotonic() + _START, 0
        try:
            self._receive()  # "ready"
        except (OSError, EOFError) as error:
            self.end()
            raise RuntimeError(
                "a process for the learner's code did not start; the machine may be short of "
                "memory: try again"
            ) from error
        self._left = self.limits.wall_seconds
        self._ask({"op": "load", "file": self.source.file, "text": self.source.text,
                   "blocks": [[block.line, block.text] for block in blocks], "own": own})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        self._asked = began = time.monotonic()
        self._until = began + self._left
        try:
            self._process.channel.settimeout(max(0.01, self._left))
            self._process.channel.sendall(pack(request, longest=None))  # the code, all of it
            answer = self._receive()
            while answer["kind"] == "output":
                self.output += str(answer.get("text"))[:20_000] if len(self.output) < 20_000 else ""
                answer = self._receive()
            self._left -= time.monotonic() - began
        except TimeoutError as error:
            self.end()
            raise TookTooLong(
                f"no result after {self.limits.wall_seconds:g} seconds"
            ) from error
        except (OSError, EOFError) as error:
            raise self._ended() from error
        except (BadMessageError, KeyError) as error:
            self.end()
            raise Crashed("it disturbed the line to the grader") from error
        self._judge(answer)
        return answer

    def _judge(self, answer: dict[str, Any]) -> None:
        kind = answer["kind"]
        if kind == "not attempted":
            raise NotAttempted("not attempted yet")
        if kind == "too large":
            raise Crashed(f"the result is too large to check: {answer.get('message')}")
        if kind == "raised":
            line = answer.get("line")
            raise Crashed(
                _explained(str(answer.get("type")), str(answer.get("message"))),
                str(answer.get("type")), line if isinstance(line, int) else None,
                str(answer.get("code", "")),
            )
        if kind not in ("result", "loaded", "missing", "ready"):
            self.end()
            raise Crashed("it disturbed the line to the grader")

    def _receive(self) -> dict[str, Any]:
        text, buffers = sizes(self._exactly(HEAD))
        self._received += text + buffers
        if self._received > _MOST_BYTES:
            raise BadMessageError("too many bytes")
        answer = unpack(self._exactly(text), self._exactly(buffers))
        if not isinstance(answer.get("kind"), str):
            raise BadMessageError("a message without a kind")
        return answer

    def _exactly(self, size: int) -> bytes:
        assert self._process is not None
        channel: socket.socket = self._process.channel
        found = bytearray()
        while len(found) < size:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            channel.settimeout(left)
            more = channel.recv(min(size - len(found), 1 << 20))
            if not more:
                raise EOFError
            found += more
        return bytes(found)

    def _ended(self) -> Stopped:
        """Why the process is no longer there."""
        assert self._process is not None
        status = self._process.end(patience=0.5)
        self._process = None
        self.end()
        late = time.monotonic() - self._asked >= 0.8 * self.limits.cpu_seconds
        if hasattr(signal, "SIGXCPU") and status in (-signal.SIGXCPU, -signal.SIGKILL) and late:
            return TookTooLong(f"no result after {self.limits.cpu_seconds} seconds of computing")
        if status is not None and status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
            return Crashed(f"it ended Python itself, with the signal {name}")
        if status == BROKEN:
            return Crashed("it replaced or closed something that Python itself needs")
        return Crashed(f"it ended Python itself, with exit status {status}: os._exit() or the like")


def _remove(folder: Path) -> None:
    """Remove what the learner's code left behind, however deep it nested its folders."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        with suppress(OSError):
            subprocess.run(["rm", "-rf", "--", str(folder)], check=False)


def _fit(gradients: Any, given: list[Any]) -> bool:
    """One for each argument: None, or a tensor of its shape where it requires one."""
    return isinstance(gradients, list) and len(gradients) == len(given) and all(
        found is None or (
            getattr(argument, "requires_grad", False)
            and hasattr(found, "detach") and found.shape == argument.shape
        )
        for found, argument in zip(gradients, given, strict=True)
    )


def _explained(type: str, message: str) -> str:
    words = f"{type}: {message}" if message else type
    if type == "SystemExit":
        words += " (sys.exit() or exit() ends the program; return a value instead)"
    elif type == "MemoryError" or "can't allocate memory" in message:
        words += " (it asked for more memory than the grader gives)"
    return words


def _imports(texts: Sequence[str]) -> list[str]:
    """The top-level packages that code imports, and "torch.optim" where it is used.

    An optimiser's first step loads torch's compiler, which takes seconds.
    """
    found = set()
    for text in texts:
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
            names = {alias.name for alias in getattr(node, "names", ()) if hasattr(alias, "name")}
            if getattr(node, "attr", "") == "optim" or names & {"optim", "torch.optim"} or (
                getattr(node, "module", "") == "torch.optim"
            ):
                found.add("torch.optim")
    return sorted(found)
