"""The failures of a study in one message: whole variants first, as they matter most."""

from __future__ import annotations

from collections.abc import Sequence

from hybridlab.ablation.errors import StudyIncompleteError
from hybridlab.ablation.records import FAILURES
from hybridlab.ablation.state import Failure, StudyState
from hybridlab.ablation.study import Study

_MOST = 8  # variants told of in full


def incomplete(
    study: Study, state: StudyState, failures: Sequence[Failure]
) -> StudyIncompleteError:
    """The error for a study of which some runs are not done."""
    by_variant: dict[str, list[Failure]] = {}
    for name in study.variants:
        mine = [failure for failure in failures if failure.variant == name]
        if mine:
            by_variant[name] = mine
    seeds = len(study.seeds)
    whole = {name: found for name, found in by_variant.items() if len(found) == seeds}
    parts = [_whole(name, found, seeds) for name, found in whole.items()]
    parts += [
        f"variant {name!r} failed in {len(found)} of {seeds} seeds "
        f"({', '.join(str(failure.seed) for failure in found)}): {found[0]}"
        for name, found in by_variant.items()
        if name not in whole
    ]
    if len(parts) > _MOST:
        parts[_MOST:] = [f"and {len(parts) - _MOST} more variants"]
    if not parts:
        parts = [f"{len(state.missing)} runs were not done"]
    return StudyIncompleteError(
        f"{'; '.join(parts)}. {len(state.done)} of {state.total} runs are done and kept; "
        f"tracebacks are in {state.folder / FAILURES}; run the same command again to try the rest",
        state,
        failures,
    )


def _whole(name: str, found: list[Failure], seeds: int) -> str:
    words = f"all {seeds} seeds" if seeds > 1 else "its only seed"
    return f"variant {name!r} failed in {words}: {found[0]}"
