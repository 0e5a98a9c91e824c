"""`hybridlab reproduce LESSON`: run a lesson's recorded studies and write their figures.

Nothing heavy is imported up here: the command line reads this file to print its help.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from hybridlab.studies import RECORDED

if TYPE_CHECKING:
    from hybridlab.ablation.records import RunRecord
    from hybridlab.ablation.study import Study

RESULTS = Path("notebooks/results")
Further = Callable[[Sequence["RunRecord"]], Mapping[str, Any]]
STUDIES = Path("runs/studies")
NO_COMMIT = "unknown: git did not know the code"


@dataclass(frozen=True)
class Reproduce:
    """Run the studies behind a lesson (hours, some; resumable) and record their figures anew."""

    lesson: Annotated[Positional[int], arg(metavar="LESSON")]
    """Number of the lesson, such as 00."""
    workers: Annotated[int, arg(metavar="N")] = 2
    """Processes on this machine; cores are shared out among them."""
    folder: Annotated[Path, arg(metavar="PATH")] = STUDIES
    """Where the runs are kept, in a folder for each study; what is done is not done again."""
    store: Annotated[Path, arg(metavar="PATH")] = Path("runs/.cache")
    """Folder of the features and trained parts that runs share."""
    results: Annotated[Path, arg(metavar="PATH")] = RESULTS
    """Where the figures go, as STUDY.json."""
    background: bool = False
    """Go on without this terminal; what would be printed is written to a file in --folder."""

    def __post_init__(self) -> None:
        if self.lesson not in RECORDED:
            known = ", ".join(f"{number:02d}" for number in sorted(RECORDED))
            raise ValueError(f"lesson {self.lesson:02d} has no recorded study; known ones: {known}")
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}; give 1 or more")

    def run(self) -> int:
        from importlib import import_module

        if not self.results.is_dir():  # before hours of work, not after
            print(
                f"hybridlab: there is no folder {self.results} for the figures; run this in the "
                "project's folder, or name one with --results", file=sys.stderr,
            )
            return 2
        if self.background:
            self._detach()
            return 0
        for name in RECORDED[self.lesson]:
            module = import_module(name)
            study = replace(module.STUDY, source=name)
            self._one(study, getattr(module, "ALSO_AGAINST", ()), getattr(module, "further", None),
                      getattr(module, "CONTROL", ""))
        return 0

    def _detach(self) -> None:
        """The same command as a process of its own, which outlives the terminal."""
        import subprocess

        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"reproduce-{self.lesson:02d}.log"
        command = [sys.executable, "-m", "hybridlab", "reproduce", f"{self.lesson:02d}"]
        for name in ("workers", "folder", "store", "results"):
            command += [f"--{name}", str(getattr(self, name))]
        with log.open("ab") as told:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        print(f"running as process {child.pid}; what it says is in {log}. To stop it: kill "
              f"{child.pid}; the same command goes on where it stopped")

    def _one(
        self, study: Study, references: Sequence[str], further: Further | None = None,
        control: str = "",
    ) -> None:
        from hybridlab.ablation.command import print_event, stopped_by_sigterm
        from hybridlab.ablation.engine import run_study
        from hybridlab.ablation.errors import CodeMismatchError
        from hybridlab.ablation.folder import stale_runs

        folder = self.folder / study.name
        print(f"{study.question}\n{len(study.variants)} variants x {len(study.seeds)} seeds "
              f"in {folder}", flush=True)
        if changed := stale_runs(study, folder):
            raise CodeMismatchError(
                f"runs in {folder} were done by other code, so they reproduce nothing: "
                f"{'; '.join(changed)}; name a new folder with --folder"
            )
        with stopped_by_sigterm():
            run_study(study, folder, None, self.workers, print_event, self.store)
        command = f"hybridlab reproduce {self.lesson:02d}"
        target = record(
            study, folder, self.results, command, self.workers, references, further, control
        )
        print(f"figures written to {target}; a page of them: hybridlab report {folder}")


def record(
    study: Study, folder: Path, results: Path, command: str, workers: int,
    references: Sequence[str] = (), further: Further | None = None, control: str = "",
) -> Path:
    """Analyse a study that is done, print its table, and write RESULTS/STUDY.json.

    The file holds the command, the times of `run_times`, what `code_of` tells of the code, and the
    figures: those of each metric by its name, those against other references under "also", and what
    else the runs gave, variant by variant and seed by seed, under "extra"; what `further` makes of
    all runs, under "further"; every metric against a control, under "against_control".

    Args:
        command: repeats the study.
        workers: processes that did the runs.
        references: variants that the first metric is compared with besides the study's own.
        further: makes more figures of the runs' predictions, as the study's module defines it.
        control: a variant that all are compared with in every metric, besides the reference.
    """
    from hybridlab.ablation.analysis import analyse
    from hybridlab.ablation.measuring import Kept
    from hybridlab.ablation.state import load_results
    from hybridlab.ablation.tables import markdown
    from hybridlab.files import write_json

    kept: Kept = {}
    found = {metric: analyse(folder, metric=metric, command=command, kept=kept)
             for metric in study.metrics}
    first = study.metrics[0]
    also = {
        reference: analyse(folder, reference, first, command=command, kept=kept).to_json()
        for reference in references
    }
    against = {
        metric: analyse(folder, control, metric, command=command, kept=kept).to_json()
        for metric in study.metrics if control
    }
    records = load_results(folder)
    figures = {metric: analysis.to_json() for metric, analysis in found.items()}
    extra: dict[str, list[Any]] = {}
    for each in sorted(records, key=lambda one: one.seed):
        if each.extra:
            extra.setdefault(each.variant, []).append(each.extra)
    target = results / f"{study.name}.json"
    write_json(
        target,
        {"command": command, "workers": workers, **run_times(records), **code_of(records),
         "metrics": figures, "also": also, **({"extra": extra} if extra else {}),
         **({"further": further(records)} if further else {}),
         **({"against_control": {"control": control, "metrics": against}} if control else {})},
        overwrite=True,
    )
    print(markdown(found[first]))
    return target


def code_of(records: Sequence[RunRecord]) -> dict[str, str | list[str]]:
    """Which code did the runs of a study.

    Returns:
        "commit": of the manifests, with a word where files differed from it, or `NO_COMMIT` where
            git did not know them; a list if there are several.
        "code": a hash of the runs' code fingerprints, for `stale`.
    """
    from hybridlab.ablation.provenance import commit_words

    manifests = [record.manifest() for record in records]
    commits = sorted({commit_words(each) or NO_COMMIT for each in manifests})
    return {
        "commit": commits[0] if len(commits) == 1 else commits,
        "code": _hash_of([each["code"] for each in manifests]),
    }


def stale(record: Mapping[str, Any], study: Study | None = None) -> list[str]:
    """What stands against believing a recorded file; empty if nothing does.

    Args:
        record: of RESULTS/STUDY.json.
        study: asks too whether the code of now is that of the runs.

    Returns:
        a sentence for each: no commit, no code, or another code than that of now.

    Raises:
        StudyFileError: the study's file cannot be loaded.
    """
    again = f"run `{record.get('command', 'hybridlab reproduce LESSON')}` again"
    found = [
        f"{name} is not recorded: {again}" for name in ("commit", "code") if not record.get(name)
    ]
    if study is not None and record.get("code"):
        from hybridlab.ablation.fingerprint import code_fingerprint

        now = _hash_of([code_fingerprint(str(study.run), study.file)])
        if now != record["code"]:
            found.append(
                f"the runs were done by code {record['code']} and the code of now is {now}: {again}"
            )
    return found


def _hash_of(codes: Sequence[Mapping[str, str]]) -> str:
    """One hash of all fingerprints that differ, whatever their order."""
    texts = sorted({json.dumps(code, sort_keys=True) for code in codes})
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def run_times(records: Sequence[RunRecord]) -> dict[str, float]:
    """How long the runs of a study took, in seconds.

    Returns:
        "run_seconds": the sum of the runs' own totals, as if they had been done one after another;
            what shared parts cost is in the run that computed them, and waiting for another run
            to compute one counts too.
        "wall_seconds": how long at least one run was at work. Pauses between sessions are not in
            it; pauses of the machine while a run was at work are.
    """
    from datetime import datetime

    spans = sorted(
        (datetime.fromisoformat(each["started"]), datetime.fromisoformat(each["ended"]))
        for each in (record.manifest() for record in records)
    )
    wall, until = 0.0, None
    for started, ended in spans:
        begun = started if until is None else max(started, until)
        wall += max((ended - begun).total_seconds(), 0.0)
        until = ended if until is None else max(until, ended)
    total = sum(record.seconds["total"] for record in records)
    return {"run_seconds": round(total, 1), "wall_seconds": round(wall, 1)}
