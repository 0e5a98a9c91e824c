"""A process that has torch loaded and forks a child for each learner: some 20 ms, not 2 seconds.

    python -m hybridlab.grading.forkserver FD

It runs no learner's code. Its children are given a socket each and close everything else.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress

# What learners import besides numpy and torch; loaded when it is first asked for.
KNOWN = {
    "sklearn": "sklearn.metrics", "scipy": "scipy.stats", "torchmetrics": "torchmetrics.functional",
    "torchvision": "torchvision", "timm": "timm.loss", "pandas": "pandas",
    "hybridlab": "hybridlab", "torch.optim": "torch._dynamo",
}
BROKEN = 70  # exit status of a child that could not go on: its code spoilt what Python needs


def main(control: socket.socket) -> None:
    """Fork a child for each socket that comes with a folder, reap by number, end with `control`."""
    import numpy as np
    import torch

    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    torch.zeros(2, requires_grad=True).sum().backward()
    np.zeros(2) @ np.zeros(2)
    gc.collect()
    gc.freeze()  # else the first collection in each child copies every page
    _answer(control, {"ready": os.getpid()})
    while True:
        data, sockets, _, _ = socket.recv_fds(control, 65_536, 4)
        if not data:
            return
        request = json.loads(data)
        if "fork" in request:
            with socket.socket(fileno=sockets[0]) as channel:
                _answer(control, {"pid": _fork(control, channel, request)})
        else:
            _answer(control, {"status": _reap(request["reap"], request["patience"])})


def _fork(control: socket.socket, channel: socket.socket, request: dict[str, object]) -> int:
    new = [name for name in request["imports"] if KNOWN[name] not in sys.modules]  # type: ignore[attr-defined]
    for name in new:
        with suppress(ImportError):
            importlib.import_module(KNOWN[name])
    if new:
        gc.collect()
        gc.freeze()
    pid = os.fork()
    if pid:
        return pid
    try:
        control.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        from hybridlab.grading.child import serve

        serve(channel, str(request["fork"]), int(request["cpu"]), int(request["memory"]))  # type: ignore[call-overload]
        os._exit(0)
    finally:
        os._exit(BROKEN)


def _reap(pid: int, patience: float) -> int | None:
    """The exit status of a child, a signal's negative; None if it had to be ended.

    Args:
        patience: seconds to wait for a child that has closed its socket and may be ending.
    """
    until = time.monotonic() + patience
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.005)


def _answer(control: socket.socket, message: dict[str, object]) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    from hybridlab.grading import child  # noqa: F401  (loaded before the first fork)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the grader's business
    main(socket.socket(fileno=int(sys.argv[1])))
