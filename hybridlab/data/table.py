"""Lines of annotation files, gathered until it is known which label is which column."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hybridlab.data.inside import Listing, safe_name
from hybridlab.data.label_book import LabelBook
from hybridlab.data.photos import Annotations, Columns
from hybridlab.data.problems import Problem, Tell


class LabelTable:
    """Pictures by name, with codes of their labels.

    Args:
        path: the annotation file.
        tell: is told of each line that cannot be used, which is then left out.
    """

    def __init__(self, path: str | os.PathLike[str], tell: Tell):
        self.path, self.tell = os.fspath(path), tell
        self._rows: dict[str, tuple[Columns, Columns]] = {}
        # many pictures have the same labels: one object serves them all
        self._same: dict[tuple[Columns, Columns], tuple[Columns, Columns]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def problem(self, kind: str, name: object, message: str, fatal: bool = True) -> None:
        """Tell of a line."""
        where = name if isinstance(name, str) and name else self.path
        self.tell(Problem(kind, where, message, fatal))

    def add(self, name: object, present: Sequence[int], unknown: Sequence[int] = ()) -> None:
        """One line: a picture and the codes of its labels, and of those not annotated."""
        try:
            plain = safe_name(name)
        except ValueError as error:
            self.problem("unsafe path", name, str(error))
            return
        if plain in self._rows:
            self.problem(
                "repeated picture", plain, f"stands twice in {self.path}; keep one of the two"
            )
            return
        if set(present) & set(unknown):
            self.problem("contradictory labels", plain,
                         "has a label that is also said to be not annotated; keep one of the two")
            return
        if len(set(present)) < len(present):
            self.problem("repeated label", plain, "has a label twice; one of them is enough", False)
        row = (tuple(dict.fromkeys(present)), tuple(dict.fromkeys(unknown)))
        self._rows[plain] = self._same.setdefault(row, row)

    def annotations(
        self, book: LabelBook, listing: Listing, endings: Sequence[str] = ("",)
    ) -> Annotations:
        """Names of files and columns of labels.

        Args:
            endings: as `Listing.find`.
        """
        columns: dict[Columns, Columns] = {}
        renamed: dict[str, str] = {}
        names, present, unknown = [], [], []
        for name, rows in self._rows.items():
            try:
                found = listing.find(name, endings)
            except FileNotFoundError as error:
                self.problem("missing file", name, str(error))
                continue
            except ValueError as error:
                self.problem("unsafe path", name, str(error))
                continue
            twin = found if found != name and found in self._rows else renamed.get(found)
            if twin is not None:
                self.problem("repeated picture", name,
                             f"is the same file as {twin!r}; keep one of the two")
                continue
            if found != name:
                renamed[found] = name
            try:
                for codes in rows:
                    if codes not in columns:
                        columns[codes] = book.columns(codes)
            except ValueError as error:
                self.problem("unknown label", name, str(error))
                continue
            names.append(found)
            present.append(columns[rows[0]])
            unknown.append(columns[rows[1]])
        return Annotations(tuple(names), tuple(present), tuple(unknown))
