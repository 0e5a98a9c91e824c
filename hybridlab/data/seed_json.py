"""The annotation file of seed 002: `{"image1.jpg": {"labels": [0, 5], "label_names": [...]}}`.

Either list may be left out; where both are there they are held against each other, in this file
and over all files read with one `LabelBook`. One key is our own: "not_annotated", indices or names
of labels of which nobody has looked whether they are there (-1 in targets).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from hybridlab.data.json_stream import JsonStream, RepeatedKeyError
from hybridlab.data.label_book import LabelBook, UnknownLabelError
from hybridlab.data.photos import Annotations
from hybridlab.data.problems import AnnotationError, Tell, must_read, raise_fatal
from hybridlab.data.sample import Vocabulary
from hybridlab.data.table import LabelTable
from hybridlab.files import StrPath, atomic_path

_KEYS = {"labels", "label_names", "not_annotated"}


def read_seed_json(path: StrPath, book: LabelBook, tell: Tell = raise_fatal) -> LabelTable:
    """Read an annotation file of seed 002, one picture at a time.

    Args:
        book: learns the labels.
        tell: is told what is wrong; what it does not raise is left out.

    Raises:
        AnnotationError: whatever `tell` raises.
    """
    table = LabelTable(path, tell)
    try:
        with open(path, "rb") as file:
            _read(JsonStream(file, path), table, book)
    except (OSError, ValueError) as error:
        if not isinstance(error, AnnotationError):
            error = must_read(path, error)
        tell(error.problem)  # lines before a cut have been read, and may still be checked
    return table


def _read(stream: JsonStream, table: LabelTable, book: LabelBook) -> None:
    for name in stream.members():
        try:
            entry = stream.value()
        except RepeatedKeyError as error:
            table.problem("repeated key", name, str(error))
            continue
        try:
            present, unknown = _codes(entry, book)
        except TypeError as error:
            table.problem("wrong type", name, str(error))
        except UnknownLabelError as error:
            table.problem("unknown label", name, str(error))
        except ValueError as error:
            table.problem("contradictory labels", name, str(error))
        else:
            table.add(name, present, unknown)
    stream.finish()


def _codes(entry: Any, book: LabelBook) -> tuple[list[int], list[int]]:
    """Codes of the labels that are there, and of those not annotated."""
    if not isinstance(entry, dict):
        raise TypeError(f'is {_short(entry)}; expected {{"labels": [...], "label_names": [...]}}')
    if not entry.keys() <= _KEYS or not entry.keys() & {"labels", "label_names"}:
        raise TypeError(
            f'has the keys {_short(sorted(entry))}; expected "labels", "label_names" or both, and '
            'perhaps "not_annotated"'
        )
    for key, value in entry.items():
        if not isinstance(value, list):
            raise TypeError(f"{key} is {_short(value)}; expected a list")
    indices, names = entry.get("labels"), entry.get("label_names")
    if names is None and indices and all(isinstance(each, str) for each in indices):
        indices, names = None, indices
    if indices is not None and names is not None and len(indices) != len(names):
        raise ValueError(
            f"has {len(indices)} labels and {len(names)} label_names; give each index its name"
        )
    count = len(names or ()) if indices is None else len(indices)
    codes = [
        book.code(None if indices is None else indices[at], None if names is None else names[at])
        for at in range(count)
    ]
    unknown = [
        book.code(None, each) if isinstance(each, str) else book.code(each, None)
        for each in entry.get("not_annotated", ())
    ]
    return codes, unknown


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def write_seed_json(
    path: StrPath, annotations: Annotations, vocabulary: Vocabulary, overwrite: bool = False
) -> None:
    """Write an annotation file of seed 002, whole or not at all: a line for each picture.

    Raises:
        FileExistsError: the file is there and `overwrite` is False; and as `files.atomic_path`.
    """
    rows = zip(annotations.names, annotations.present, annotations.unknown, strict=True)
    with atomic_path(path, overwrite) as part, open(part, "w", encoding="utf-8") as file:
        file.writelines(_lines(rows, vocabulary))


def _lines(rows: Iterable[Any], vocabulary: Vocabulary) -> Iterable[str]:
    begin = "{\n"
    for name, present, unknown in rows:
        entry: dict[str, list[Any]] = {
            "labels": list(present), "label_names": [vocabulary.names[at] for at in present]
        }
        if unknown:
            entry["not_annotated"] = list(unknown)
        # ASCII: a name on disk that is not UTF-8 holds lone surrogates, which only \udcxx can write
        yield f"{begin}  {json.dumps(os.fspath(name))}: {json.dumps(entry)}"
        begin = ",\n"
    yield "{}\n" if begin == "{\n" else "\n}\n"


