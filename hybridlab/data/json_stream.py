"""JSON read piece by piece, so that a large annotation file needs little memory.

`json.load` holds the whole text and all objects at once: seven times the size of the file.
Here only one value at a time is in memory. Strict UTF-8; a key that is given twice is told, where
Python's reader silently keeps the last.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from hybridlab.data.problems import AnnotationError, Problem

_BLOCK = 2**18
_MOST = 2**23  # characters of one value: no picture has as many labels
_NUMBER = 8  # a number cut this far from its end still reads as another number: 1|.5, 1|e-3
# what a cut may leave of a word, and of a number behind its first digits
_WORDS = ("null", "true", "false", "NaN", "Infinity", "-Infinity", ".", "e+", "e-", "E+", "E-")
_SPACE = " \t\n\r"


class RepeatedKeyError(ValueError):
    """A value holds a key twice; it was read past, and the next may be read."""


class JsonStream:
    """A JSON document, read from its beginning.

    Args:
        file: open in binary mode.
        path: for messages.

    Every method raises `AnnotationError` where the text is not JSON (line and column are named),
    not UTF-8, cut off, nested too deeply, or has a single value of more than 8 million characters.
    """

    def __init__(self, file: BinaryIO, path: str | os.PathLike[str]):
        self._file, self._path = file, os.fspath(path)
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at = "", 0
        self._lines, self._bytes, self._column = 1, 0, 0  # of what is no longer in `_text`
        self._begun = False
        self._repeated: list[str] = []
        self._json = json.JSONDecoder(object_pairs_hook=self._object)

    def begins(self) -> str:
        """The character with which the next value begins; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    self._begun = True
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def members(self) -> Iterator[str]:
        """The keys of an object, one by one; take or skip the value of each before the next."""
        self._expect("{", "an object in braces")
        if self.begins() == "}":
            self._at += 1
            return
        while True:
            if self.begins() != '"':
                raise self._bad("expected a key in double quotes")
            key = self._one()
            self._expect(":", "a colon after the key")
            yield key
            if self._next_or("}"):
                return

    def elements(self) -> Iterator[None]:
        """Stops once before each value of a list; take or skip it."""
        self._expect("[", "a list in brackets")
        if self.begins() == "]":
            self._at += 1
            return
        while True:
            yield
            if self._next_or("]"):
                return

    def value(self) -> Any:
        """The next value, whole.

        Raises:
            RepeatedKeyError: an object in it has a key twice.
        """
        self._repeated.clear()
        value = self._one()
        if self._repeated:
            raise RepeatedKeyError(
                f"the key {self._repeated[0]!r} is given twice; keep one of the two"
            )
        return value

    def skip(self) -> None:
        """Read past the next value; a list or object may have any length."""
        begins = self.begins()
        if begins == "{":
            for _ in self.members():
                self._one()
        elif begins == "[":
            for _ in self.elements():
                self._one()
        else:
            self._one()

    def finish(self) -> None:
        """Nothing must follow."""
        if self.begins():
            raise self._bad("there is more after the end of the document")

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            self._repeated.append(next(key for key in keys if keys.count(key) > 1))
        return found

    def _one(self) -> Any:
        self.begins()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > _MOST:
                    raise self._bad("one value has more than 8 million characters") from error
                if self._more():
                    continue
                cut = _is_cut(error, self._text[error.pos :].rstrip())
                raise self._bad("it is cut off" if cut else error.msg, error.pos) from error
            except RecursionError as error:
                raise self._bad("it is nested too deeply") from error
            except ValueError as error:  # a number of thousands of digits
                raise self._bad(str(error).partition(";")[0]) from error
            if len(self._text) - end < _NUMBER and self._more():
                continue
            self._at = end
            return value

    def _expect(self, mark: str, what: str) -> None:
        if self.begins() != mark:
            raise self._bad(f"expected {what}")
        self._at += 1

    def _next_or(self, end: str) -> bool:
        """Past a comma (False), or past the end (True)."""
        found = self.begins()
        if found not in (",", end) or not found:
            raise self._bad(f"expected a comma or {end!r}")
        self._at += 1
        return found == end

    def _more(self) -> bool:
        """Read on, and drop what was used; False at the end of the file."""
        block = self._file.read(max(_BLOCK, len(self._text) - self._at))
        try:
            new = self._decode.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise self._problem(
                f"is not UTF-8 near byte {self._bytes + error.start:,}; save it as UTF-8"
            ) from error
        if not block:
            return False
        self._bytes += len(block)
        used = self._text[: self._at]
        newlines = used.count("\n")
        self._lines += newlines
        self._column = len(used) - used.rfind("\n") - 1 if newlines else self._column + len(used)
        self._text, self._at = self._text[self._at :] + new, 0
        return True

    def _bad(self, what: str, at: int | None = None) -> AnnotationError:
        place = self._at if at is None else at
        if at is None and place == len(self._text):
            what = "it is cut off" if self._begun else "it is empty"
        before = self._text[:place]
        line = self._lines + before.count("\n")
        column = (len(before) - before.rfind("\n") - 1 if "\n" in before
                  else self._column + len(before))
        return self._problem(
            f"is no JSON that can be used: {what} (line {line}, column {column + 1}); mend it, or "
            "copy it again"
        )

    def _problem(self, message: str) -> AnnotationError:
        return AnnotationError(Problem("annotation file", self._path, message))


def _is_cut(error: json.JSONDecodeError, left: str) -> bool:
    """Whether what is left of the text could have gone on to be right."""
    if not left or "Unterminated" in error.msg:
        return True
    if "escape" in error.msg:
        return len(left) < 8  # as far as \uD83D goes
    return any(word.startswith(left) for word in _WORDS)
