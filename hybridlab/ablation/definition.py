"""study.json: the definition that a folder's runs belong to, and what may change about it.

Besides the definition it keeps two lists, where there is something to keep: "mixed_code", the times
that runs of other code were let in, and "reworded", what was expected or to be judged by and was
written or changed after runs were done. Both are told by every report.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybridlab.ablation.errors import StudyChangedError, StudyFileError
from hybridlab.ablation.records import RUNS, check_run
from hybridlab.ablation.study import Study
from hybridlab.files import write_json

NAME = "study.json"
_KEPT = ("mixed_code", "reworded")
_JUDGED_BY = ("metrics", "reference")
_ADVICE = "give the changed study a new folder, or --folder NAME"


def read_definition(folder: Path) -> dict[str, Any] | None:
    """study.json as it is, what it keeps besides included; None where the folder has none.

    Raises:
        StudyFileError: it is damaged.
    """
    stored, why = definition_or_why(folder)
    if why:
        raise StudyFileError(
            f"{folder / NAME} {why}; give `hybridlab ablate` the study once more: it keeps the "
            "damaged file under another name and writes it anew; the runs stay"
        )
    return stored


def definition_or_why(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """study.json (None where there is none, or it is damaged), and what is wrong with it."""
    try:
        stored = json.loads((folder / NAME).read_text("utf-8"))
        Study(**_fields(stored))
        for name, parts in (("mixed_code", {"when", "runs", "files"}),
                            ("reworded", {"when", "runs", "what", "was"})):
            if not all(parts <= set(entry) for entry in stored.get(name, [])):
                raise ValueError(f"an entry of {name} is not whole")
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except IsADirectoryError:
        return None, "is a folder"
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return None, f"is damaged ({' '.join(str(error).split())})"
    return stored, ""


def set_aside(folder: Path) -> Path:
    """Give a damaged study.json another name, that nothing has yet; the new path."""
    number = 1
    while True:
        kept = folder / f"{NAME}.damaged{'' if number == 1 else f'-{number}'}"
        if not os.path.lexists(kept):
            (folder / NAME).rename(kept)
            return kept
        number += 1


def load_definition(folder: str | Path) -> Study:
    """The study of a folder, as it was last run.

    Raises:
        StudyFileError: there is no study.json, or it is damaged.
    """
    stored = read_definition(Path(folder))
    if stored is None:
        raise StudyFileError(
            f"{folder} holds no study ({NAME} is missing); give the folder that "
            "`hybridlab ablate` wrote"
        )
    return Study(**_fields(stored))


def check_definition(study: Study, stored: Mapping[str, Any] | None, folder: Path) -> bool:
    """Whether study.json must be written (it is not there, or something was added).

    Seeds and variants may be added, and whatever is only about words and analysis may change:
    question, hypotheses, metrics, reference, factors (see `reworded` for what is kept of that). A
    variant without a done run, such as one that was a mistake, may go or change.

    Raises:
        StudyChangedError: the runs of the folder would no longer be those of the study; the
            message tells what differs.
    """
    if stored is None:
        return True
    new = study.definition()
    changes = []
    for name in ("name", "run"):
        if new[name] != stored[name]:
            changes.append(f"{name} was {stored[name]!r} and is {new[name]!r}")
    changes += _changed("recipe", stored["recipe"], new["recipe"])
    for variant, given in stored["variants"].items():
        there = variant in new["variants"]
        given_now = new["variants"].get(variant, {})
        other = _changed(f"variants[{variant!r}]", given, given_now) if there else []
        done = 0 if there and not other else _done_runs(stored, variant, folder)
        if done and not there:
            changes.append(
                f"the variant {variant!r} is gone, which has {done} done runs (keep it, and leave "
                f"it out of reports with `hybridlab report --without {variant!r}`)"
            )
        elif done:
            changes += other
    gone = [seed for seed in stored["seeds"] if seed not in new["seeds"]]
    if gone:
        changes.append(f"the seeds {', '.join(map(str, gone))} are gone")
    if changes:
        raise StudyChangedError(
            f"{folder} holds another definition of this study: {'; '.join(changes)}. Its runs are "
            f"kept as they are; {_ADVICE}"
        )
    # Where the study came from is no reason to write into a folder that may be read-only.
    return {**new, "source": ""} != {**_fields(stored), "source": ""}


def write_definition(
    study: Study, folder: Path, mixed_code: list[dict[str, Any]],
    reworded: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write study.json.

    Args:
        mixed_code: the times that runs of other code were let in.
        reworded: as the function of that name gives it.
    """
    kept = {"mixed_code": mixed_code, **({"reworded": list(reworded)} if reworded else {})}
    write_json(folder / NAME, {**study.definition(), **kept}, overwrite=True)


def reworded(
    study: Study, stored: Mapping[str, Any] | None, done: Mapping[str, int]
) -> list[dict[str, Any]]:
    """What was expected, or to be judged by, and is written or changed now that runs are done.

    A hypothesis is one only if it stood there before the runs that it is about.

    Args:
        stored: study.json; None where it is lost, and nobody knows what stood there.
        done: variant -> its done runs.

    Returns:
        what is kept already, and what is new: "when", "runs" that were done by then, "what" was
        changed (the names of `Study`'s attributes), and what it "was"; None where that is not
        known.
    """
    found = [] if stored is None else list(stored.get("reworded", []))
    when = datetime.now(UTC).isoformat(timespec="seconds")

    def note(what: str, was: Any, runs: int) -> None:
        if runs:
            found.append({"when": when, "runs": runs, "what": what, "was": was})

    before = None if stored is None else stored["hypotheses"]
    for variant in study.variants:
        now = study.hypotheses.get(variant, "").split()
        was = None if before is None else before.get(variant, "")
        if now != (was or "").split():
            note(hypothesis_of(variant), was, done.get(variant, 0))
    if stored is not None:
        new = study.definition()
        for name in _JUDGED_BY:
            # metrics behind the first are looked at beside it, and judge nothing
            was, now = (each[0] if isinstance(each, list) else each
                        for each in (stored[name], new[name]))
            if was != now:
                note(name, stored[name], sum(done.values()))
    return found


def hypothesis_of(variant: str) -> str:
    """How an entry of `reworded` names the hypothesis of a variant."""
    return f"hypotheses[{variant!r}]"


def _done_runs(stored: Mapping[str, Any], variant: str, folder: Path) -> int:
    """How many runs of a variant, as study.json has it, are done."""
    runs = [run for run in Study(**_fields(stored)).runs() if run.variant == variant]
    return sum(check_run(folder / RUNS / run.key).done is not None for run in runs)


def _fields(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name not in _KEPT}


def _changed(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    changes = []
    for key in sorted({*old, *new}):
        was = json.dumps(old[key]) if key in old else "not there"
        now = json.dumps(new[key]) if key in new else "gone"
        if was != now:
            changes.append(f"{where}[{key!r}] was {was} and is {now}")
    return changes
