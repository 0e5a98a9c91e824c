"""SIGTERM, and SLURM's warning before a job's time is over: finish the step, save, leave."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether somebody asked the run to stop, and how."""

    def __init__(self) -> None:
        self.asked = ""

    def ask(self, why: str) -> None:
        """Stop at the end of the step."""
        self.asked = self.asked or why


@contextmanager
def stop_on_signals(stop: Stop) -> Iterator[Stop]:
    """For the length of a block, SIGTERM and SIGUSR1 ask to stop; the handlers before come back.

    `sbatch --signal=USR1@120` sends SIGUSR1 two minutes before the end. Outside the main thread no
    handler can be set, and none is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        stop.ask(signal.Signals(number).name)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
