"""Starts learners' processes: forked on Linux (`forkserver`), fresh ones elsewhere (`spawned`)."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from hybridlab.grading.forkserver import KNOWN

ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
}


@dataclass(frozen=True)
class Limits:
    """What a learner's code may use in one part of an exercise.

    Attributes:
        cpu_seconds: processor time, which a busy machine does not shorten (Linux only).
        wall_seconds: time on the clock.
        memory: bytes (Linux only).
    """

    cpu_seconds: int = 5
    wall_seconds: float = 15.0
    memory: int = 2 * 2**30


class Process(Protocol):
    """A learner's process and the socket that leads to it."""

    channel: socket.socket

    def end(self, patience: float = 0.0) -> int | None:
        """End it, and give its exit status: a signal's is negative, None if it still ran."""
        ...


def start(folder: Path, limits: Limits, imports: Sequence[str] = ()) -> Process:
    """A new process that serves on its channel.

    Args:
        folder: an empty one, which it may write in.
        imports: packages that the learner's code imports; known ones are loaded beforehand.
    """
    if sys.platform.startswith("linux"):
        known = [name for name in imports if name in KNOWN]
        for attempt in (0, 1):
            try:
                return _server().fork(folder, limits, known)
            except (OSError, ValueError):  # it was ended from outside
                _server().close()
                _server.cache_clear()
                if attempt:
                    raise
    return _Spawned(folder, limits)


@cache
def _server() -> _ForkServer:
    server = _ForkServer()
    atexit.register(server.close)
    return server


class _ForkServer:
    def __init__(self) -> None:
        self.control, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                # -P: a numpy.py or random.py that lies in the current folder is not ours
                [sys.executable, "-P", "-m", "hybridlab.grading.forkserver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                env={**os.environ, **ONE_THREAD}, start_new_session=True,
            )
        self._answers = self.control.makefile("rb")
        self._read()

    def fork(self, folder: Path, limits: Limits, imports: Sequence[str]) -> Process:
        ours, theirs = socket.socketpair()
        request = {"fork": str(folder), "cpu": limits.cpu_seconds, "memory": limits.memory,
                   "imports": list(imports)}
        with theirs, self._lock:
            socket.send_fds(self.control, [json.dumps(request).encode()], [theirs.fileno()])
            return _Forked(self, ours, self._read()["pid"])

    def reap(self, pid: int, patience: float) -> int | None:
        with self._lock:
            self.control.sendall(json.dumps({"reap": pid, "patience": patience}).encode())
            return self._read()["status"]

    def _read(self) -> dict[str, Any]:
        return json.loads(self._answers.readline())

    def close(self) -> None:
        with suppress(OSError):
            self._answers.close()
            self.control.close()
        self._process.kill()
        self._process.wait()


class _Forked:
    def __init__(self, server: _ForkServer, channel: socket.socket, pid: int):
        self._server, self.channel, self._pid = server, channel, pid

    def end(self, patience: float = 0.0) -> int | None:
        self.channel.close()
        try:
            return self._server.reap(self._pid, patience)
        except (OSError, ValueError):
            return None


class _Spawned:
    def __init__(self, folder: Path, limits: Limits):
        token = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hybridlab.grading.spawned",
                 str(listener.getsockname()[1]), str(folder), str(limits.cpu_seconds),
                 str(limits.memory)],
                stdin=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD},
            )
            assert self._process.stdin is not None
            self._process.stdin.write(token + "\n")
            self._process.stdin.close()
            listener.settimeout(120)
            self.channel, _ = listener.accept()
        self.channel.settimeout(120)
        given = b""
        while len(given) < len(token):
            more = self.channel.recv(len(token) - len(given))
            if not more:
                break
            given += more
        if given.decode(errors="replace") != token:
            self.end()
            raise OSError("another process answered instead of the learner's; try again")

    def end(self, patience: float = 0.0) -> int | None:
        self.channel.close()
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None
