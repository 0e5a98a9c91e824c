"""The learner's process: runs the learner's blocks and calls their functions on request.

It judges nothing. Requests and answers are plain data (`values`); whatever the learner's code does
to this process, to torch or to `assert` can at most spoil the answers that it sends.
"""

from __future__ import annotations

import linecache
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from hybridlab.grading.sandbox import confine
from hybridlab.grading.values import HEAD, BadMessageError, pack, sizes, unpack

_MOST_OUTPUT = 16_000  # characters of what is printed
_MOST_WARNED = 300  # characters of one warning
NOT_ATTEMPTED = "Exercise "  # how a stub's NotImplementedError begins


def serve(channel: Any, folder: str, cpu_seconds: int, memory: int) -> None:
    """Answer requests on a connected socket until it closes.

    Args:
        folder: an empty one, for files that the learner's code writes.
        cpu_seconds, memory: as `sandbox.confine`.
    """
    channel = _moved(channel)
    _silence()
    os.chdir(folder)
    held = confine(Path(folder), cpu_seconds, memory)
    send = _Sender(channel)
    sys.stdout = sys.stderr = _Told(send)
    warnings.simplefilter("always")
    warnings.showwarning = _Warned()
    work = _Work()
    send({"kind": "ready", "held": held})
    while True:
        request = _receive(channel)
        if request is None:
            return
        try:
            work_on = work.load if request.pop("op") == "load" else work.call
            answer = work_on(**request)
        except BaseException as error:  # SystemExit and KeyboardInterrupt are theirs, too
            answer = work.raised(error)
        try:
            send(answer)
        except BadMessageError as error:
            send({"kind": "too large", "message": str(error)})


def _moved(channel: Any) -> Any:
    """The socket above the numbers that code closes when it tidies up."""
    import socket

    return socket.socket(fileno=os.dup(channel.fileno())) if os.name != "nt" else channel


def _silence() -> None:
    """What is written past Python goes nowhere; nothing can be read."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)


class _Sender:
    def __init__(self, channel: Any):
        self._sendall = channel.sendall

    def __call__(self, message: dict[str, Any]) -> None:
        self._sendall(pack(message))


class _Told:
    """Standard output and error: the first characters are passed on at once, the rest is lost."""

    encoding = "utf-8"

    def __init__(self, send: _Sender):
        self._send, self._left = send, _MOST_OUTPUT

    def write(self, text: str) -> int:
        if self._left > 0 and text:
            self._send({"kind": "output", "text": str(text)[: self._left]})
            self._left -= len(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


class _Warned:
    """A warning in one line, once: where in torch it arose tells a learner nothing."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(
        self, message: Any, category: Any, filename: str, lineno: int, file: Any = None,
        line: str | None = None,
    ) -> None:
        words = " ".join(str(message).partition("(Triggered internally")[0].split())
        told = f"{category.__name__}: {words[:_MOST_WARNED]}\n"
        if told not in self._said:
            self._said.add(told)
            sys.stderr.write(told)


def _receive(channel: Any) -> dict[str, Any] | None:
    head = _exactly(channel, HEAD)
    if head is None:
        return None
    text, buffers = sizes(head)
    rest = _exactly(channel, text + buffers)
    return None if rest is None else unpack(rest[:text], rest[text:])


def _exactly(channel: Any, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        more = channel.recv(min(size - len(found), 1 << 20))
        if not more:
            return None
        found += more
    return bytes(found)


class _Work:
    """The learner's module, and what is done with it."""

    def __init__(self) -> None:
        self.file = ""
        self.names: dict[str, Any] = {"__name__": "learner", "__builtins__": __builtins__}

    def load(self, file: str, text: str, blocks: list[list[Any]], own: int) -> dict[str, Any]:
        """Run blocks [line, text] in order. A slip in another block than `own` is passed over."""
        self.file = file
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        for at, (line, block) in enumerate(blocks):
            try:
                # empty lines in front, so that errors name the line of the file
                exec(compile("\n" * (line - 1) + block, file, "exec"), self.names)
            except BaseException as error:
                if at in (own, 0):
                    return self.raised(error)
        return {"kind": "loaded"}

    def call(
        self, name: str, args: list[Any], kwargs: dict[str, Any], gradients: bool = False
    ) -> dict[str, Any]:
        """Call a function; with `gradients`, of the sum of its result for all arguments that
        require one."""
        function = self.names.get(name)
        if not callable(function):
            return {"kind": "missing", "name": name}
        given = [*args, *kwargs.values()]
        value = function(*args, **kwargs)
        answer: dict[str, Any] = {"kind": "result", "value": value, "after": given}
        if gradients:
            answer["gradients"] = _gradients(value, given)
        return answer

    def raised(self, error: BaseException) -> dict[str, Any]:
        """What went wrong, and in which line of the learner's file."""
        kind = type(error).__name__
        words = _words(error)
        if isinstance(error, NotImplementedError) and words.startswith(NOT_ATTEMPTED):
            return {"kind": "not attempted"}
        line = None
        if isinstance(error, SyntaxError) and error.filename == self.file:
            line = error.lineno
            words = error.msg
        else:
            frames = [each for each in _frames(error) if each.filename == self.file]
            line = frames[-1].lineno if frames else None
        return {
            "kind": "raised", "type": kind, "message": words, "line": line,
            "code": linecache.getline(self.file, line).strip() if line else "",
        }


def _words(error: BaseException) -> str:
    try:
        return str(error)[:2000]
    except Exception:
        return ""


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    try:
        return list(traceback.extract_tb(error.__traceback__))
    except Exception:
        return []


def _gradients(value: Any, given: list[Any]) -> list[Any] | None:
    """Of sum(value) for each argument: None for one that asks for none, or is not reached.

    Of several tensors, of all their sums together.
    """
    import torch

    values = value if isinstance(value, (tuple, list)) else [value]
    learnt = [v for v in values if isinstance(v, torch.Tensor) and v.requires_grad]
    if not learnt:
        return None
    total = torch.stack([each.sum() for each in learnt]).sum()
    leaves = [each for each in given if isinstance(each, torch.Tensor) and each.requires_grad]
    found = iter(torch.autograd.grad(total, leaves, allow_unused=True))
    return [
        next(found) if isinstance(each, torch.Tensor) and each.requires_grad else None
        for each in given
    ]
