"""A study's folder, made ready before anything is computed: definition, code and room."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from filelock import Timeout

from hybridlab.ablation.definition import (
    NAME,
    check_definition,
    definition_or_why,
    read_definition,
    reworded,
    set_aside,
    write_definition,
)
from hybridlab.ablation.errors import CodeMismatchError, StudyChangedError, StudyFolderError
from hybridlab.ablation.fingerprint import code_fingerprint, differences
from hybridlab.ablation.records import FAILURES, RUNS, check_run
from hybridlab.ablation.state import StudyState, codes_of, mixtures, study_state
from hybridlab.ablation.study import Study
from hybridlab.ablation.worker import lock_in
from hybridlab.files import NotEnoughDiskError, free_space_check, write_text

_SPARE = 50_000_000  # bytes that shall stay free besides the runs
_GUESS = 1_000_000  # bytes of a run, before the first is done


class Ready(NamedTuple):
    """A folder that a study can go on in.

    Attributes:
        state: which runs are done, failed and missing.
        notices: (kind of event, words) of what its user should know.
    """

    state: StudyState
    notices: list[tuple[str, str]]


class _Found(NamedTuple):
    """What a look at the folder gave; `write` tells whether study.json must be written."""

    state: StudyState
    mixed: list[dict[str, Any]]
    reworded: list[dict[str, Any]]
    write: bool
    damaged: str
    notices: list[tuple[str, str]]


def prepare(
    study: Study, folder: Path, code: dict[str, str], allow_mixed_code: bool = False
) -> Ready:
    """Check that `study` can go on in `folder`, and make the folder ready for it.

    Where every run is done and the definition is the same, nothing is written. A study.json that
    is damaged is kept under another name, and written anew if the runs agree with the study.

    Raises:
        StudyChangedError: as `check_definition`.
        CodeMismatchError: runs were done by other code, and `allow_mixed_code` is False.
        StudyFolderError: nothing can be written there.
        NotEnoughDiskError: there is no room for the runs.
    """
    found = _look(study, folder, code, allow_mixed_code)
    if found.write or not found.state.complete:
        _check_writable(
            [folder, folder / RUNS, folder / FAILURES], f"cannot write in {folder}",
            "nothing was started and what is there is kept: choose another place with "
            "--folder PATH",
        )
        if not found.state.complete:
            _check_room(found.state)
    if found.write:
        with _definition_lock(folder):
            # Again, as somebody else may have written in between: what they added must stay.
            found = _look(study, folder, code, allow_mixed_code)
            if found.damaged:
                kept = set_aside(folder)
                found.notices.append(("restored", (
                    f"{NAME} {found.damaged}; it is kept as {kept.name} and written anew, with "
                    "what the runs tell"
                )))
            if found.write:
                write_definition(study, folder, found.mixed, found.reworded)
    return Ready(found.state, found.notices)


def stale_runs(study: Study, folder: str | Path) -> list[str]:
    """How the code of runs that are done differs from the code of now; empty if it does not.

    Returns:
        a line for each difference: "FILE (expected HASH, given HASH) in N runs", the file that
        most runs differ in first.

    Raises:
        StudyFileError: the study file cannot be loaded.
    """
    state = study_state(study, folder)
    return _lines(_other_code(state, code_fingerprint(str(study.run), study.file))[0])


def _look(study: Study, folder: Path, code: dict[str, str], allow_mixed_code: bool) -> _Found:
    stored, damaged = definition_or_why(folder)
    state = study_state(study, folder)
    if stored is None and (strange := _strangers(study, folder)):
        # lost, or written a moment ago by another start, whose runs these are
        stored, damaged = definition_or_why(folder)
        if stored is None:
            raise StudyChangedError(
                f"{folder} has no whole {NAME}, and {len(strange)} of its runs are not of this "
                f"study ({', '.join(strange[:3])}{', ...' if len(strange) > 3 else ''} in {RUNS}): "
                "its recipe, a variant or its seeds have changed. The runs are kept as they are; "
                "give the study as it was, or a new folder with --folder NAME"
            )
    if stored is None:
        write, mixed = True, mixtures(folder, state.done)
    else:
        write, mixed = check_definition(study, stored, folder), list(stored.get("mixed_code", []))
    other, runs = _other_code(state, code)
    notices = []
    if other and state.complete:
        notices.append(("other code", (
            f"{runs} of {state.total} runs were done by other code than now: {_few(other)}. They "
            "stay as they are; give a new folder to do them with the code of now"
        )))
    elif other:
        if not allow_mixed_code:
            raise CodeMismatchError(_told(other, folder))
        if not any(entry["files"] == sorted(other) for entry in mixed):
            when = datetime.now(UTC).isoformat(timespec="seconds")
            mixed.append({"when": when, "runs": runs, "files": sorted(other)})
            write = True
    words = reworded(study, stored, Counter(run.variant for run in state.done))
    return _Found(state, mixed, words, write, damaged, notices)


def _strangers(study: Study, folder: Path) -> list[str]:
    """The runs that count and are none of the study's."""
    known = {run.key for run in study.runs()}
    places = sorted((folder / RUNS).glob("[!.]*")) if (folder / RUNS).is_dir() else []
    return [
        path.name for path in places if path.name not in known and check_run(path).done is not None
    ]


def _other_code(state: StudyState, code: dict[str, str]) -> tuple[Counter[str], int]:
    """What differs from the code of now -> how many runs were done with it; and runs in all."""
    found: Counter[str] = Counter()
    runs = 0
    for given in codes_of(state.folder, state.done).values():
        other = differences(code, given)
        found.update(other)
        runs += bool(other)
    return found, runs


def _lines(other: Counter[str]) -> list[str]:
    return [f"{line} in {count} runs" for line, count in other.most_common()]


def _few(other: Counter[str]) -> str:
    more = f", and {len(other) - 5} more" if len(other) > 5 else ""
    return f"{'; '.join(_lines(other)[:5])}{more}"


def _told(other: Counter[str], folder: Path) -> str:
    return (
        f"runs in {folder} were done by other code than now, so they would not compare: "
        f"{_few(other)}. Give a new folder, go back to that code, or let them mix with "
        "--allow-mixed-code, which is recorded"
    )


@contextmanager
def _definition_lock(folder: Path) -> Iterator[None]:
    """Nobody else reads, merges and writes study.json meanwhile, where there are locks."""
    lock = lock_in(folder, "definition")
    try:
        if lock is not None:
            lock.acquire(timeout=30.0)
    except Timeout as error:
        raise StudyFolderError(
            f"{folder} is held by another process that writes its {NAME}, for 30 seconds now; "
            "try again, or end that process"
        ) from error
    except (OSError, NotImplementedError):
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def check_store(store: Path) -> None:
    """Make the folder of the caches that runs share, and see that it can be written.

    Raises:
        StudyFolderError: it cannot.
        NotEnoughDiskError: the disk is full.
    """
    _check_writable(
        [store], f"cannot keep the caches that runs share in {store}",
        "no run was started: give a folder that can be written, with --store PATH",
    )


def _check_writable(places: list[Path], trouble: str, advice: str) -> None:
    """Make the folders, and write and remove a file in each; else raise, in these words."""
    try:
        for place in places:
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
        raise StudyFolderError(f"{trouble} ({error.strerror or error}); {advice}") from error


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
