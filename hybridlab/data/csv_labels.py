"""Labels in a CSV file, in the two forms that Kaggle's competitions use.

One column of labels, parted by spaces, "|", ";" or ",": `image_name,tags` / `train_0,haze primary`.
Or one column for each label, with 1, 0, and -1 or nothing where it is not annotated:
`filename,cat,dog` / `a.jpg,1,0`. Pictures may be named without their ending.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence

from hybridlab.data.label_book import LabelBook, UnknownLabelError
from hybridlab.data.problems import AnnotationError, Problem, Tell, must_read, raise_fatal
from hybridlab.data.table import LabelTable
from hybridlab.files import StrPath

_LISTS = {"labels", "label", "tags", "tag", "target", "targets", "classes", "class", "label_names",
          "attribute_ids"}
_PRESENT = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1, "": -1}


def read_csv(path: StrPath, book: LabelBook, tell: Tell = raise_fatal) -> LabelTable:
    """Read a CSV file with a header; its first column names the picture.

    Args:
        book: learns the labels.
        tell: is told what is wrong; what it does not raise is left out.

    Raises:
        AnnotationError: whatever `tell` raises.
    """
    table = LabelTable(path, tell)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            _read(csv.reader(file, strict=True), table, book)
        with open(path, "rb") as raw:
            raw.seek(-1, os.SEEK_END)
            if raw.read(1) not in b"\r\n":
                table.problem("annotation file", table.path,
                              "ends within a line; see whether it was cut off", False)
    except UnicodeDecodeError as error:
        tell(_problem(
            table,
            f"is not UTF-8 after {len(table):,} pictures ({error.reason}); save it as UTF-8",
        ))
    except csv.Error as error:
        tell(_problem(table, f"is no CSV that can be used after {len(table):,} pictures: {error}"))
    except (OSError, ValueError) as error:
        if not isinstance(error, AnnotationError):
            error = must_read(path, error)
        tell(error.problem)
    return table


def _problem(table: LabelTable, message: str) -> Problem:
    return Problem("annotation file", table.path, message)


def _read(lines: Iterator[list[str]], table: LabelTable, book: LabelBook) -> None:
    header = [name.strip() for name in next(lines, [])]
    if len(header) < 2 or "" in header[1:]:
        raise AnnotationError(_problem(
            table, f"begins with {header}; expected a header: the picture's column, then labels"
        ))
    listed = len(header) == 2 and header[1].lower() in _LISTS
    columns = [] if listed else _columns(header[1:], table, book)
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        if len(line) != len(header):
            table.problem("wrong type", line[0],
                          f"line {number} has {len(line)} fields, the header {len(header)}")
            continue
        try:
            codes = _listed(line[1], book) if listed else _marked(line[1:], header[1:], columns)
        except UnknownLabelError as error:
            table.problem("unknown label", line[0], f"line {number}: {error}")
            continue
        except ValueError as error:
            table.problem("wrong type", line[0], f"line {number}: {error}")
            continue
        table.add(line[0].strip(), *codes)


def _columns(names: Sequence[str], table: LabelTable, book: LabelBook) -> list[int]:
    """The codes of the header's labels: their order is that of the columns."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise AnnotationError(_problem(table, f"has the column {twice!r} twice; keep one of them"))
    try:
        return [book.by_place(at, name) for at, name in enumerate(names)]
    except ValueError as error:
        raise AnnotationError(_problem(table, f"header: {error}")) from error


def _listed(field: str, book: LabelBook) -> tuple[list[int], list[int]]:
    marks = re.split(r"[|;,]" if re.search(r"[|;,]", field) else r"\s+", field.strip())
    words = [word.strip() for word in marks if word.strip()]
    if all(re.fullmatch(r"[0-9]{1,9}", word) for word in words):
        return [book.code(int(word), None) for word in words], []
    return [book.code(None, word) for word in words], []


def _marked(
    fields: Sequence[str], names: Sequence[str], columns: Sequence[int]
) -> tuple[list[int], list[int]]:
    found: dict[int, list[int]] = {1: [], 0: [], -1: []}
    for field, name, code in zip(fields, names, columns, strict=True):
        mark = _PRESENT.get(field.strip())
        if mark is None:
            raise ValueError(f"{name} is {field!r}; expected 1, 0, or -1 or nothing where it is "
                             "not annotated")
        found[mark].append(code)
    return found[1], found[-1]
