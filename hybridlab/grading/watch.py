"""Re-checks exercises when their file is saved: only those whose code changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hybridlab.grading.blocks import needed
from hybridlab.grading.learner import Source
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.workbook import read

PAUSE = 0.3  # seconds between two looks: quick to the eye, and no load


class Watch:
    """What stands in files, and what of it is new.

    Args:
        files: each exercise and the file that holds it.
    """

    def __init__(self, files: Sequence[tuple[Exercise, Path]]):
        self._files = files
        self._stamps: dict[Path, tuple[int, int, int]] = {}
        self._seen: dict[str, list[str]] = {}

    def changed(self) -> Iterator[tuple[Exercise, Source]]:
        """Exercises whose code is another than at the last look; at the first look, all.

        An exercise's code is its block, the heading, and the blocks whose names it uses. A file
        that is away for the moment (some editors write so) is looked at again next time.
        """
        for path in dict.fromkeys(path for _, path in self._files):
            try:
                stat = path.stat()
                stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                if self._stamps.get(path) == stamp:
                    continue
                source = read(path)
            except (OSError, ValueError):
                continue
            self._stamps[path] = stamp
            for exercise in (each for each, where in self._files if where == path):
                code = [block.text.rstrip() for block in needed(source.text, exercise.id)]
                if self._seen.get(exercise.id) != code:
                    self._seen[exercise.id] = code
                    yield exercise, source

    def run(self, check: Callable[[Exercise, Source], None], pause: float = PAUSE) -> None:
        """Check what changes, until Ctrl-C."""
        try:
            while True:
                for exercise, source in self.changed():
                    check(exercise, source)
                time.sleep(pause)
        except KeyboardInterrupt:
            return
