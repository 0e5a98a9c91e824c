"""Names of pictures that strangers wrote, kept inside the folder that holds the pictures."""

from __future__ import annotations

import ntpath
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from hybridlab.data.images import IMAGE_EXTENSIONS, shown


def safe_name(name: object) -> str:
    """A name relative to the folder, without "." and doubled slashes.

    Raises:
        ValueError: no text, empty, a NUL character, an absolute path (of Windows too), or "..";
            the message begins with what is wrong.
    """
    if not isinstance(name, str):
        raise ValueError(f"the name is {name!r}, which is no text; give a file's name")
    if "\0" in name:
        raise ValueError("the name holds a NUL character; mend the annotation file")
    slashes = name.replace("\\", "/")
    if slashes.startswith("/") or ntpath.splitdrive(name)[0]:
        raise ValueError("is an absolute path; give names relative to the folder of the pictures")
    if ".." in slashes.split("/"):
        raise ValueError('leads out of the folder by ".."; give names inside of it')
    if "/" not in name and name not in ("", "."):
        return name
    plain = "/".join(part for part in name.split("/") if part not in ("", "."))
    if not plain:
        raise ValueError(f"the name {name!r} is empty; give a file's name")
    return plain


class Listing:
    """All files below a folder, read once: a hundred thousand in about a second.

    Names are relative and have slashes. What begins with a dot is passed over, and links to folders
    are not followed.

    Args:
        folder: may itself be a link.

    Attributes:
        root: the folder, without links.
        names: of all files, sorted.

    Raises:
        FileNotFoundError, NotADirectoryError: the folder.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        given = os.fspath(folder)
        if not os.path.isdir(given):
            kind = NotADirectoryError if os.path.lexists(given) else FileNotFoundError
            what = "is not a folder" if os.path.lexists(given) else "does not exist"
            raise kind(f"{shown(given)} {what}; give the folder of the pictures")
        self.root = Path(os.path.realpath(given))
        self._links: set[str] = set()
        found: list[str] = []
        waiting = [""]
        while waiting:
            below = waiting.pop()
            with os.scandir(self.root / below) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    name = below + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(name + "/")
                        continue
                    found.append(name)
                    if entry.is_symlink():
                        self._links.add(name)
        self.names = tuple(sorted(found))
        self._files = frozenset(found)
        self._near: dict[str, str] | None = None

    def pictures(self) -> tuple[str, ...]:
        """The names that end as pictures do."""
        return tuple(name for name in self.names if name.lower().endswith(IMAGE_EXTENSIONS))

    def find(self, name: object, endings: Sequence[str] = ("",)) -> str:
        """The name of the file that an annotation means.

        Args:
            name: as the annotation has it; with backslashes, where it was written on Windows.
            endings: tried in turn behind the name, as in (".jpg", ".png") where it has none.

        Raises:
            FileNotFoundError: there is none; the message says if one differs in case or accents.
            ValueError: a name that leads out of the folder, by itself or through a link.
        """
        plain = safe_name(name)
        for each in (plain, safe_name(plain.replace("\\", "/"))) if "\\" in plain else (plain,):
            for ending in endings:
                if each + ending in self._files:
                    if each + ending in self._links:
                        self._follow(each + ending)
                    return each + ending
        # not in the list: a hidden file, or one behind a link to a folder
        if os.path.lexists(os.path.join(self.root, plain)):
            self._follow(plain)
            return plain
        near = self._nearest(plain)
        hint = f" (there is {near!r}: check case and accents)" if near else ""
        raise FileNotFoundError(
            f"there is no such file in the folder{hint}; copy it there or take it out of the "
            "annotation file"
        )

    def _follow(self, name: str) -> None:
        real = os.path.realpath(self.root / name)
        if os.path.commonpath((real, self.root)) != str(self.root):
            raise ValueError("is reached by a link that leaves the folder; copy the file into it")
        if not os.path.isfile(real):
            raise FileNotFoundError("is a link to a file that does not exist, or no file; mend it")

    def _nearest(self, name: str) -> str | None:
        if self._near is None:
            self._near = {_folded(each): each for each in self.names}
        return self._near.get(_folded(name))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
