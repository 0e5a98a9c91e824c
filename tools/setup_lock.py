"""One set-up at a time in a folder: two `make` in two terminals must not fill one .venv.

The lock file lies outside .venv, which a set-up may remove. The operating system drops the lock
with its last holder, so there is no stale lock to explain.
"""

import os
import time

from setup_report import say


class OneAtATime:
    """A lock on the folder that ends with its process, so that a killed set-up leaves none."""

    def __init__(self, root: str):
        folder = os.path.join(root, ".cache")
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "setup.lock")

    def __enter__(self) -> int:
        self.file = open(self.path, "a")
        told = False
        while not self._taken():
            if not told:
                say("another set-up is at work in this folder; waiting for it")
                told = True
            time.sleep(0.2)
        return self.file.fileno()

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _taken(self) -> bool:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(self.file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True  # a network folder without locks: better unlocked than not at all
        return True
