"""Predictions one a line, as JSON or CSV, and the same lines read back to go on. No torch here."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridlab.data.images import ImageProblem
from hybridlab.prediction import Prediction, printable

LINES = ("jsonl", "csv")
_FIRST = ("picture", "labels", "problem")


def head(output: str, names: Sequence[str]) -> str:
    """What stands before the first picture: the names of CSV's columns; nothing in JSON lines."""
    return "" if output == "jsonl" else _row([*_FIRST, *(f"p({name})" for name in names)])


def line(output: str, item: Prediction | ImageProblem, names: Sequence[str]) -> str:
    """One picture, or what was wrong with it, as a line that ends in a line end.

    "jsonl" gives what `Prediction.to_dict` gives, or source and problem. "csv" gives the labels,
    joined by "; ", and every probability. In CSV a name with control characters, or one that is no
    text, is written as Python writes it, in quotes and with escapes; in JSON any name is as it is.
    """
    if output == "jsonl":
        return _json(item) + "\n"
    if isinstance(item, ImageProblem):
        cells = [printable(os.fspath(item.path)), "", printable(item.message)]
        return _row([*cells, *("" for _ in names)])
    cells = [printable(item.source), "; ".join(item.labels), ""]
    return _row([*cells, *(f"{prob:.6g}" for prob in item.probs)])


class Done:
    """What an earlier run did, told line by line.

    Attributes:
        pictures: how many were labelled.
        problems: how many files gave no picture; they are not tried again.
    """

    def __init__(self, output: str, names: Sequence[str]):
        self.output, self.width = output, len(_FIRST) + len(names)
        self.begins = head(output, names)
        self.pictures = self.problems = 0
        self._first, self._sources = True, set[str]()

    def __call__(self, text: str) -> None:
        """Take one line.

        Raises:
            ValueError: it is none of such a file.
        """
        if self._first and self.begins:
            if text != self.begins:
                raise ValueError("the first line does not name the columns")
        elif self.output == "jsonl":
            found = json.loads(text)
            if not isinstance(found, dict) or not isinstance(found.get("source"), str):
                raise ValueError("a line without a source")
            self._take(found["source"], "problem" in found)
        else:
            (row,) = csv.reader([text], strict=True)
            if len(row) != self.width:
                raise ValueError(f"a line of {len(row)} cells, expected {self.width}")
            self._take(row[0], bool(row[2]))
        self._first = False

    @property
    def nothing(self) -> bool:
        """Whether not even the first line is there."""
        return self._first

    def holds(self, path: Path) -> bool:
        """Whether a file was done."""
        name = os.fspath(path)
        return (name if self.output == "jsonl" else printable(name)) in self._sources

    def _take(self, source: str, failed: bool) -> None:
        self._sources.add(source)
        self.problems += failed
        self.pictures += not failed


def _json(item: Prediction | ImageProblem) -> str:
    found: dict[str, Any] = (
        {"source": os.fspath(item.path), "problem": item.message}
        if isinstance(item, ImageProblem) else item.to_dict()
    )
    # ASCII only: a file name that is not UTF-8 holds lone surrogates, which \udcxx can carry
    return json.dumps(found, allow_nan=False)


def _row(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
