"""Studies: seeded, resumable runs of variants of one recipe, and what may be said of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridlab.ablation.runs import RunResult as RunResult
    from hybridlab.ablation.study import Study as Study

# Imported when first asked for: the command line reads this package to print its help.
_NAMES = {"RunResult": "hybridlab.ablation.runs", "Study": "hybridlab.ablation.study"}
__all__ = ["RunResult", "Study"]


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)
