"""What can go wrong with a study, each with words that say what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridlab.ablation.state import Failure, StudyState


class StudyFileError(ValueError):
    """A study file is missing, raises, or holds no STUDY."""


class StudyChangedError(ValueError):
    """The folder holds another definition of the study, or another study."""


class StudyFolderError(OSError):
    """The study's folder cannot be written; `str()` is one line."""


class MissingExtraError(ImportError):
    """A package that only some need is not installed; the message names the extra."""


class CodeMismatchError(RuntimeError):
    """Code that would do a run differs from the code that the study is run with."""


class StudyIncompleteError(RuntimeError):
    """Some runs of a study are not done; all others are, and are kept.

    Attributes:
        state: what is done, failed and missing.
        failures: the failures of this call, in the order of the study.
    """

    def __init__(self, message: str, state: StudyState, failures: Sequence[Failure] = ()):
        super().__init__(message)
        self.state = state
        self.failures = tuple(failures)
