"""XML of strangers, read without what XML can do to a reader.

An entity may stand for ten others, each of which stands for ten: a kilobyte becomes gigabytes
("billion laughs"), or a file of this machine. Entities are declared in a DTD, and annotations need
none: a document that has one is refused where it begins.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from hybridlab.data.problems import AnnotationError, Problem, must_read
from hybridlab.files import StrPath

MOST_BYTES = 2**24  # the largest of VOC has 20 kilobytes
_DEPTH = 50


def read_xml(path: StrPath) -> Element:
    """The root element of a file.

    Raises:
        AnnotationError: it cannot be opened, is no XML (line and column are named), has a DTD, is
            larger than 16 MiB, or nested more than 50 deep.
    """
    def refuse(message: str) -> AnnotationError:
        return AnnotationError(Problem("annotation file", os.fspath(path), message))

    def no_dtd(*_: Any) -> None:
        raise refuse("has a DTD, which may hold an entity bomb; take the <!DOCTYPE ...> out")

    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise must_read(path, error) from error
    if len(data) > MOST_BYTES:
        raise refuse("has more than 16 MiB, too many for the annotation of a picture")
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = no_dtd
    parser.EntityDeclHandler = no_dtd
    parser.CharacterDataHandler = builder.data
    parser.StartElementHandler, parser.EndElementHandler = _handlers(builder, refuse)
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise refuse(
            f"is no XML that can be used: {expat.ErrorString(error.code)} (line {error.lineno}, "
            f"column {error.offset + 1}); mend it, or copy it again"
        ) from error
    except (LookupError, ValueError) as error:  # an encoding that nobody knows
        if isinstance(error, AnnotationError):
            raise
        raise refuse(f"is no XML that can be used: {error}; save it as UTF-8") from error
    return builder.close()


def _handlers(
    builder: TreeBuilder, refuse: Callable[[str], AnnotationError]
) -> tuple[Callable[[str, dict[str, str]], None], Callable[[str], None]]:
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise refuse(f"is nested more than {_DEPTH} deep; mend it, or copy it again")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    return start, end
