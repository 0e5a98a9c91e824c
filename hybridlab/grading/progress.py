"""A student's progress on disk: `exercises/.progress.json`.

What this version does not know (exercises of another one, further fields) is kept. Several
processes may write at once. A damaged file is set aside, never thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hybridlab.files import write_json
from hybridlab.grading.verdict import KINDS, NOT_ATTEMPTED, Verdict
from hybridlab.grading.workbook import held

NAME, FORMAT = ".progress.json", 1


@dataclass(frozen=True)
class Record:
    """What is known of one exercise.

    Attributes:
        best, points: the most that was earned, and of how many points.
        kind: of the last verdict.
        attempts: checks of something else than the stub.
        solved: when it was right for the first time, ISO 8601 in local time; None before.
        hints: how many were taken.
    """

    best: int = 0
    points: int = 0
    kind: str = NOT_ATTEMPTED
    attempts: int = 0
    solved: str | None = None
    hints: int = 0

    def after(self, verdict: Verdict, now: str) -> Record:
        """With one more check."""
        share = self.best / self.points if self.points else -1.0
        better = verdict.earned / max(1, verdict.points) >= share
        return replace(
            self,
            best=verdict.earned if better else self.best,
            points=verdict.points if better else self.points,
            kind=verdict.kind,
            attempts=self.attempts + (verdict.kind != NOT_ATTEMPTED),
            solved=self.solved or (now if verdict.right else None),
        )


class Progress:
    """The records of one folder of exercises.

    Attributes:
        path: of the file.
        notices: what went wrong with the file, in words for the student.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self.notices: list[str] = []

    def records(self) -> dict[str, Record]:
        """Exercise -> its record; empty without a file. A damaged file counts as none."""
        data, whole = self._load()
        if not whole:
            self._tell(f"{self.path} is damaged; the next check sets it aside and begins a new one")
        return self._records(data)

    def add(self, verdict: Verdict) -> Record:
        """Write a verdict down; where that cannot be, say so in `notices`."""
        now = datetime.now().isoformat(timespec="seconds")
        return self._change(verdict.exercise, lambda record: record.after(verdict, now))

    def hinted(self, exercise: str, number: int) -> Record:
        """Hint `number` was taken."""
        return self._change(
            exercise, lambda record: replace(record, hints=max(record.hints, number))
        )

    def _change(self, exercise: str, change: Callable[[Record], Record]) -> Record:
        try:
            with held(self.path.parent):
                data, whole = self._load()
                if not whole:
                    self._set_aside()
                record = change(self._records(data).get(exercise, Record()))
                if data.get("format", FORMAT) > FORMAT:
                    self._tell(f"{self.path} was written by a newer version of the course; it is "
                               "left as it is, and this check is not in it")
                    return record
                kept = data.get("exercises", {})
                known = kept.get(exercise)
                entry = {**(known if isinstance(known, dict) else {}), **asdict(record)}
                data = {**data, "format": FORMAT, "exercises": {**kept, exercise: entry}}
                write_json(self.path, data, overwrite=True)
                return record
        except OSError as error:
            self._tell(f"progress was not saved: {error}")
            return change(Record())

    def _load(self) -> tuple[dict[str, Any], bool]:
        """The file's data, and whether it is as it should be."""
        try:
            data = json.loads(self.path.read_bytes(), parse_constant=_refuse)
        except FileNotFoundError:
            return {}, True
        except OSError as error:
            self._tell(f"progress cannot be read: {error}")
            return {}, True
        except (ValueError, RecursionError):
            return {}, False
        if not isinstance(data, dict) or type(data.get("format")) is not int:
            return {}, False
        if data["format"] <= FORMAT and not isinstance(data.get("exercises"), dict):
            return {}, False
        return data, True

    def _set_aside(self) -> None:
        now = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
        aside = self.path.with_name(f".progress-damaged-{now}.json")
        self.path.rename(aside)
        self._tell(f"{self.path} was damaged; it is now {aside.name}, and a new one was begun")

    def _records(self, data: dict[str, Any]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        entries = data.get("exercises", {})
        for exercise, entry in entries.items() if isinstance(entries, dict) else ():
            record = _record(entry)
            if record is not None:
                found[exercise] = record
        return found

    def _tell(self, words: str) -> None:
        if words not in self.notices:
            self.notices.append(words)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _record(entry: Any) -> Record | None:
    """An entry of the file; a field that cannot be is taken as not there."""
    if not isinstance(entry, dict):
        return None
    good: dict[str, Any] = {}
    for field in fields(Record):
        value = entry.get(field.name)
        if field.name == "kind":
            fits = value in KINDS
        elif field.name == "solved":
            fits = isinstance(value, str)
        else:
            fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if fits:
            good[field.name] = value
    return Record(**good)
