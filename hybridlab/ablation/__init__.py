"""Studies: seeded, resumable runs of variants of one recipe, and what may be said of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hybridlab.ablation.analysis import analyse as analyse
    from hybridlab.ablation.engine import run_study as run_study
    from hybridlab.ablation.runs import RunResult as RunResult
    from hybridlab.ablation.study import Study as Study

# Imported when first asked for: the command line reads this package to print its help.
_NAMES = {
    "RunResult": "hybridlab.ablation.runs", "Study": "hybridlab.ablation.study",
    "analyse": "hybridlab.ablation.analysis", "run_study": "hybridlab.ablation.engine",
}
__all__ = ["RunResult", "Study", "analyse", "run_study"]


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)
