"""What is wrong with a data set, as one line each: raised at once, or collected by a check."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from hybridlab.data.images import shown


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: what it is, in a few words that are the same for all of its kind ("missing file").
        where: the file or picture.
        message: what was found and what to do, without `where`.
        fatal: the data must not be used as it is; otherwise worth knowing.
    """

    kind: str
    where: str
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{shown(self.where)}: {self.message}"


class AnnotationError(ValueError):
    """Annotations that cannot be used. `str()` is one line.

    Attributes:
        problem: the same, with its kind.
    """

    def __init__(self, problem: Problem):
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return str(self.problem)


Tell = Callable[[Problem], None]


def raise_fatal(problem: Problem) -> None:
    """What readers do with a problem unless told otherwise: a fatal one stops them.

    Raises:
        AnnotationError: the problem is fatal.
    """
    if problem.fatal:
        raise AnnotationError(problem)


def must_read(path: str | os.PathLike[str], error: OSError | ValueError) -> AnnotationError:
    """The error for an annotation file that cannot be opened."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return AnnotationError(Problem(
        "annotation file", os.fspath(path),
        f"cannot be read ({reason}); check the name, the folder and the permissions",
    ))
