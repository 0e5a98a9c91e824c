"""A student's report as sections, table rows and sentences: as much of Markdown as a check needs.

Whatever it is given, it takes time in proportion to its length, and nothing of it is run.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MOST = 1_000_000  # characters
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_BULLET = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+")
_NUMBERING = re.compile(r"^\d{1,2}(?:\.\d{1,2})*[.)]?\s+")
# A name of a variant may begin a sentence with a small letter; "e.g." ends none.
_SENTENCE = re.compile(
    r"(?:(?<=[^\W\d]{2}[.!?])|(?<=[\d\])”\"'’%][.!?])|(?<=[.!?][)”\"'’]))"
    r"(?<!\bvs\.)(?<!\bcf\.)(?<!\bca\.)(?<!approx\.)(?<!\bFig\.)(?<!\bNo\.)(?<!\betc\.)\s+"
)
_DASH = re.compile(r"(?<![\w.)\]])[–‒](?=\d)")


@dataclass
class Section:
    """What stands under one heading, and under its smaller ones.

    Attributes:
        title: of the heading, without its number; "" for what stands before the first.
        level: 1 to 6; 0 before the first.
        lines: without the heading.
    """

    title: str
    level: int
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)

    def rows(self) -> list[list[str]]:
        """Cells of every row of every table, headers included, as plain text."""
        return [cells(line) for line in self.lines if _is_row(line)]

    def sentences(self) -> list[str]:
        """The prose as plain text, tables left out."""
        found = []
        for block in self._blocks():
            found += [part.strip() for part in _SENTENCE.split(plain(block)) if part.strip()]
        return found

    def _blocks(self) -> Iterator[str]:
        """Paragraphs and items of lists, their wrapped lines joined."""
        block: list[str] = []
        for line in [*self.lines, ""]:
            bullet = _BULLET.match(line)
            if not line.strip() or bullet or _is_row(line) or _HEADING.match(line):
                if block:
                    yield " ".join(block)
                block = []
            if line.strip() and not _is_row(line) and not _FENCE.match(line):
                heading = _HEADING.match(line)
                block.append(heading[2] or "" if heading else
                             line[bullet.end():] if bullet else line.strip())


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title: the first heading of level 1; "" if there is none.
        sections: in their order, what stands before the first heading too.
        troubles: what a reader should know, such as a comment that is never closed.
    """

    title: str
    sections: tuple[Section, ...]
    troubles: tuple[str, ...]

    def section(self, names: frozenset[str]) -> Section | None:
        """All that stands under headings of these names (lower case), as one section."""
        found = [each for each in self.sections if each.title.casefold() in names]
        if not found:
            return None
        lines = [line for each in found for line in ["", *each.lines]]
        return Section(found[0].title, found[0].level, lines)

    @property
    def text(self) -> str:
        """Everything but comments."""
        return "\n".join(f"{each.title}\n{each.text}" for each in self.sections)


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: as `open`.
        ValueError: not UTF-8, or longer than `MOST` characters.
    """
    with path.open("rb") as file:
        data = file.read(4 * MOST + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) > 4 * MOST:
            raise _too_long() from error
        raise ValueError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as a Markdown file, in UTF-8"
        ) from error
    return parse(text)


def parse(text: str) -> Document:
    """The sections of a text, comments taken out.

    Raises:
        ValueError: it is longer than `MOST` characters.
    """
    if len(text) > MOST:
        raise _too_long()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(c for c in text if c in "\n\t" or c.isprintable())
    text, troubles = _without_comments(text)
    names: dict[int, str] = {}
    sections = [Section("", 0)]
    fence = ""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1][:3]
        heading = None if fence else _heading(line, lines[at + 1] if at + 1 < len(lines) else "")
        if heading is None:
            if not (at and not fence and _heading(lines[at - 1], line) and _underline(line)):
                sections[-1].lines.append(line)
            continue
        level, name = heading
        names.setdefault(level, name)
        if sections[-1].level and level > sections[-1].level and sections[-1].level > 1:
            sections[-1].lines += ["", line if line.lstrip().startswith("#") else f"### {name}"]
        else:
            sections.append(Section(name, level))
    return Document(names.get(1, ""), tuple(sections), tuple(troubles))


def plain(text: str) -> str:
    """Text without marks of Markdown, entities and odd spaces: one line."""
    text = html.unescape(text)
    text = re.sub(r"\\([\\`*_{}\[\]()#+.!|~$<>-])", "\\1", text)
    text = text.replace("**", "").replace("__", "").replace("`", "")
    text = re.sub(r"(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)", "", text)
    text = _DASH.sub("-", text.replace("\u2212", "-"))
    return " ".join(text.split())


def folded(text: str) -> str:
    """`plain` text for comparing: lower case, quotes of one kind, no full stop at its end."""
    text = plain(text).casefold()
    for mark in "“”„«»\"‘’‚":
        text = text.replace(mark, "'")
    return text.rstrip(". ")


def cells(line: str) -> list[str]:
    """The cells of a table's row, as plain text; an escaped bar is text."""
    inner = line.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [plain(cell) for cell in re.split(r"(?<!\\)\|", inner)]


def _is_row(line: str) -> bool:
    return line.count("|") >= 2 and line.lstrip().startswith("|")


def _heading(line: str, after: str) -> tuple[int, str] | None:
    """Level and name of a heading, in either of Markdown's forms."""
    found = _HEADING.match(line)
    if found:
        name = re.sub(r"[ \t]+#+[ \t]*$", "", (found[2] or "").strip())
        return len(found[1]), _NUMBERING.sub("", plain(name)).strip(": ")
    level = _underline(after)
    # "1. Results" over a line is a list to Markdown, and a heading to whoever wrote it
    if level and line.strip() and not _is_row(line) and not re.match(r"\s*[-*+]\s", line):
        return level, _NUMBERING.sub("", plain(line)).strip(": ")
    return None


def _underline(line: str) -> int:
    """1 for a line of "=", 2 for one of "-", else 0."""
    text = line.strip()
    return (set(text) == {"="}) + 2 * (set(text) == {"-"} and len(text) > 1)


def _without_comments(text: str) -> tuple[str, list[str]]:
    parts, at, troubles = [], 0, []
    while (begin := text.find("<!--", at)) >= 0:
        parts.append(text[at:begin])
        end = text.find("-->", begin + 4)
        if end < 0:
            number = text.count("\n", 0, begin) + 1
            troubles.append(f"the comment of line {number} is never closed, so nothing behind it "
                            "is read: write --> where it ends")
            return "".join(parts), troubles
        parts.append("\n" * text.count("\n", begin, end))  # lines keep their numbers
        at = end + 3
    return "".join([*parts, text[at:]]), troubles


def _too_long() -> ValueError:
    return ValueError(f"the report is longer than {MOST:,} characters; is this the right file?")
