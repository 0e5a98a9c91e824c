"""The labels of annotation files as they are met: by index, by name, or by both."""

from __future__ import annotations

from collections.abc import Iterable

from hybridlab.data.sample import Vocabulary


class UnknownLabelError(ValueError):
    """An index or a name that the labels do not have."""


_MOST = 100_000  # a column beyond is a slip, or meant to fill the memory


def placeholder(column: int) -> str:
    """The name of a column that no file names."""
    return f"class {column}"


class LabelBook:
    """Gathers indices and names while files are read, and then says which column is which.

    Several files may share one book: their columns then agree.

    Args:
        vocabulary: the labels, where they are known beforehand; nothing else is then accepted.
        num_classes: L, where only that is known.

    Raises:
        ValueError: num_classes is out of its range, or is not the size of the vocabulary.
    """

    def __init__(self, vocabulary: Vocabulary | None = None, num_classes: int | None = None):
        if num_classes is not None and not 1 <= num_classes <= _MOST:
            raise ValueError(f"num_classes is {num_classes}; give 1 to {_MOST}")
        if vocabulary is not None and num_classes not in (None, len(vocabulary)):
            raise ValueError(
                f"num_classes is {num_classes}, but {len(vocabulary)} labels are named; give one "
                "of the two"
            )
        self._given, self._size = vocabulary, num_classes
        self._names: dict[int, str] = {}
        self._index: dict[str, int] = {}
        self._alone: dict[str, int] = {}  # names without an index -> their codes, -1 downwards
        self._by_code: list[tuple[str, int]] = []
        self._highest = -1
        for column, name in enumerate(vocabulary or ()):
            self.code(column, name)

    def code(self, index: int | None, name: str | None) -> int:
        """A number that stands for a label until `columns` can tell its column.

        Raises:
            UnknownLabelError: an index or a name that is none of the labels.
            ValueError: one that cannot be, or that went with another before.
        """
        if name is not None and type(index) is int and self._names.get(index) == name:
            return index  # as before
        if index is not None:
            index = self._checked(index)
        if name is not None:
            name = name.strip() if isinstance(name, str) else name
            if not isinstance(name, str) or not name:
                raise ValueError(f"the label's name is {name!r}; give text")
        if index is None:
            assert name is not None
            if name in self._index:
                return self._index[name]
            if self._given is not None:
                raise UnknownLabelError(self._unknown(name))
            if len(self._alone) >= _MOST:
                raise ValueError(f"there are more than {_MOST:,} label names; is it a label?")
            return self._alone.setdefault(name, -1 - len(self._alone))
        if name is not None:
            for known, one, other in (
                (self._names.get(index), name, f"label {index} is {{!r}} here"),
                (self._index.get(name), index, f"{name!r} is label {{!r}} here"),
            ):
                if known is not None and known != one:
                    raise ValueError(
                        f"{other.format(one)} and {known!r} elsewhere; an index and a name must "
                        "always go together"
                    )
            self._names[index], self._index[name] = name, index
        self._highest = max(self._highest, index)
        return index

    def by_place(self, place: int, name: str) -> int:
        """`code` of a label whose file has a column for each; with a vocabulary given, its columns
        may stand in another order.

        Raises:
            ValueError: as `code`.
        """
        return self.code(place if self._given is None else None, name)

    def vocabulary(self) -> Vocabulary:
        """The names of the columns.

        Indices are columns. A column that nothing names is called "class 7"; without any index, the
        names stand in alphabetical order.

        Raises:
            ValueError: no label was met, or more than num_classes.
        """
        if self._given is not None:
            return self._given
        if self._highest < 0:
            names = sorted(self._alone)
        else:
            names = [self._names.get(at, placeholder(at)) for at in range(self._highest + 1)]
        if not names and self._size is None:
            raise ValueError("no picture has a label; give the labels' names, or num_classes")
        if self._size is not None:
            if len(names) > self._size:
                raise ValueError(
                    f"num_classes is {self._size}, but there are {len(names)} labels; raise it"
                )
            names += [placeholder(at) for at in range(len(names), self._size)]
        return Vocabulary(names)

    def columns(self, codes: Iterable[int]) -> tuple[int, ...]:
        """The columns of codes, rising; ask when all files are read.

        Raises:
            UnknownLabelError: a label that was met by name only, while others have an index.
        """
        return tuple(sorted({code if code >= 0 else self._column_of_name(code) for code in codes}))

    def _column_of_name(self, code: int) -> int:
        if len(self._by_code) != len(self._alone):
            # without any index, the columns are in alphabetical order
            order = {name: at for at, name in enumerate(sorted(self._alone))}
            self._by_code = [(name, order[name]) for name in self._alone]
        name, column = self._by_code[-1 - code]
        if self._highest < 0:
            return column
        if name not in self._index:
            raise UnknownLabelError(
                f"label {name!r} has no index, while others have one; give its index, or the names "
                "of all labels in the order of their indices"
            )
        return self._index[name]

    def _checked(self, index: int) -> int:
        if isinstance(index, bool) or not isinstance(index, int):
            raise ValueError(f"the label's index is {index!r}; give a whole number")
        most = self._size or (_MOST if self._given is None else len(self._given))
        if not 0 <= index < most:
            raise UnknownLabelError(f"unknown label {index}; labels are 0 to {most - 1:,}")
        return index

    def _unknown(self, name: str) -> str:
        assert self._given is not None
        try:
            self._given.column(name)
        except KeyError as error:
            return str(error.args[0])
        raise AssertionError(name)
