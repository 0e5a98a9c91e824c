"""A study's folder, made ready before anything is computed: definition, code and room."""

from __future__ import annotations

import secrets
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybridlab.ablation.definition import (
    check_definition,
    read_definition,
    write_definition,
)
from hybridlab.ablation.errors import CodeMismatchError, StudyFolderError
from hybridlab.ablation.fingerprint import differences
from hybridlab.ablation.records import FAILURES, RUNS
from hybridlab.ablation.state import StudyState, codes_of, study_state
from hybridlab.ablation.study import Study
from hybridlab.files import NotEnoughDiskError, free_space_check, write_text

_SPARE = 50_000_000  # bytes that shall stay free besides the runs
_GUESS = 1_000_000  # bytes of a run, before the first is done


def prepare(
    study: Study, folder: Path, code: dict[str, str], allow_mixed_code: bool = False
) -> StudyState:
    """Check that `study` can go on in `folder`, and make the folder ready for it.

    Where every run is done and the definition is the same, nothing is written.

    Raises:
        StudyFileError, StudyChangedError: as `read_definition` and `check_definition`.
        CodeMismatchError: runs were done by other code, and `allow_mixed_code` is False.
        StudyFolderError: nothing can be written there.
        NotEnoughDiskError: there is no room for the runs.
    """
    stored = read_definition(folder)
    write = check_definition(study, stored, folder)
    state = study_state(study, folder)
    mixed = list(stored.get("mixed_code", [])) if stored else []
    other = _other_code(state, code)
    if other and not state.complete:
        if not allow_mixed_code:
            raise CodeMismatchError(_told(other, folder))
        if not any(entry["files"] == sorted(other) for entry in mixed):
            when = datetime.now(UTC).isoformat(timespec="seconds")
            mixed.append({"when": when, "runs": max(other.values()), "files": sorted(other)})
            write = True
    if write or not state.complete:
        _probe(folder)
        if not state.complete:
            _check_room(state)
    if write:
        write_definition(study, folder, mixed)
    return state


def _other_code(state: StudyState, code: dict[str, str]) -> Counter[str]:
    """What differs from the code of today -> how many runs were done with it."""
    found: Counter[str] = Counter()
    for given in codes_of(state.folder, state.done).values():
        found.update(differences(code, given))
    return found


def _told(other: Counter[str], folder: Path) -> str:
    lines = [f"{line} in {count} runs" for line, count in other.most_common(5)]
    more = f", and {len(other) - 5} more" if len(other) > 5 else ""
    return (
        f"runs in {folder} were done by other code than now, so they would not compare: "
        f"{'; '.join(lines)}{more}. Give a new folder, go back to that code, or let them mix with "
        "--allow-mixed-code, which is recorded"
    )


def _probe(folder: Path) -> None:
    """Make the folders, and write and remove a file in each."""
    try:
        for place in (folder, folder / RUNS, folder / FAILURES):
            place.mkdir(parents=True, exist_ok=True)
            probe = place / f".probe-{secrets.token_hex(4)}"
            try:
                write_text(probe, "can this folder be written?\n")
            finally:
                with suppress(OSError):
                    probe.unlink()
    except NotEnoughDiskError:
        raise
    except OSError as error:
        raise StudyFolderError(
            f"cannot write in {folder} ({error.strerror or error}); nothing was started and what "
            "is there is kept: choose another place with --folder PATH"
        ) from error


def _check_room(state: StudyState) -> None:
    sizes = [_size(state.folder / RUNS / run.key) for run in state.done]
    each = max(sizes, default=_GUESS)
    free_space_check(state.folder, _SPARE + each * (state.total - len(state.done)))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def mixed_code(folder: str | Path) -> list[dict[str, Any]]:
    """The times that runs of other code were let into the study of a folder; usually none."""
    stored = read_definition(Path(folder))
    return list(stored.get("mixed_code", [])) if stored else []
