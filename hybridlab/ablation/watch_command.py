"""`hybridlab ablate STUDY --watch`: the running study in a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from hybridlab.ablation.watching import Watcher, told

EVERY = 5.0  # seconds between two looks
_CLEAR = "\x1b[H\x1b[2J"


def watch(folder: Path) -> int:
    """Show how the study stands, again and again until it ends; once where nobody looks on.

    Returns:
        0; 1 if it ended with failures.

    Raises:
        StudyFileError: the folder holds no study.
    """
    watcher = Watcher(folder)
    looked_at = sys.stdout.isatty()
    while True:
        glimpse = watcher.look()
        text = "\n".join(told(glimpse, folder, shutil.get_terminal_size().columns))
        # names of variants and messages of errors may hold anything, and a terminal obeys
        text = "".join(c for c in text if c == "\n" or c.isprintable())
        print(f"{_CLEAR if looked_at else ''}{text}", flush=True)
        if glimpse.ended or not looked_at:
            return 1 if glimpse.ended and not glimpse.complete else 0
        print("(Ctrl-C stops looking, not the study)", flush=True)
        try:
            time.sleep(EVERY)
        except KeyboardInterrupt:
            return 0
