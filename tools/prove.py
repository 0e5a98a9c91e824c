"""Prove that the exercises' checks judge well: `python tools/prove.py [1 | 1.2] [--sample]`.

Wrong answers of `tests/exercises/answers` must fail with their diagnosis, right ones must pass with
many seeds, and mutants of the solutions must fail; those that pass stand, each with its
explanation, in `tests/exercises/survivors`. Exit status 1 if any of that does not hold, or fewer
than 95 % of the mutants are killed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hybridlab.grading import proof
from hybridlab.grading.manifest import UnknownExerciseError, chosen

ROOT = Path(__file__).resolve().parents[1]
FULL = {"wrong_seeds": 10, "right_seeds": 200, "mutant_seeds": 3, "mutants": None}
SAMPLE = {"wrong_seeds": 2, "right_seeds": 5, "mutant_seeds": 1, "mutants": 15}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove, print the report, and give the exit status."""
    options = _options(arguments)
    folder = proof.Folder.of(ROOT)
    try:
        entries = chosen(options.what)
        pieces = [
            piece for entry in entries for piece in (
                *proof.answers_of(entry, folder, options.wrong_seeds, options.right_seeds),
                *proof.mutants_of(entry, folder, options.mutant_seeds, options.mutants),
            )
        ]
    except (UnknownExerciseError, ValueError, OSError) as error:
        print(f"prove: {error}", file=sys.stderr)
        return 2
    began = time.perf_counter()
    count = 0

    def done(outcome: proof.Outcome) -> None:
        nonlocal count
        count += 1
        if sys.stderr.isatty():
            print(f"\r{count}/{len(pieces)} {outcome.piece.exercise} {outcome.piece.kind}    ",
                  end="", file=sys.stderr, flush=True)
        elif count % max(1, len(pieces) // 10) == 0:
            print(f"{count}/{len(pieces)}", file=sys.stderr, flush=True)

    found = proof.reports(
        entries, folder, pieces, options.jobs, options.mutants is None, done
    )
    print(_told(found, options, time.perf_counter() - began))
    hits, total, _ = proof.killed(found)
    return 0 if all(report.sound for report in found) and hits >= proof.KILLED * total else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="?", help="a lesson (1) or an exercise (1.2); all without it")
    parser.add_argument("--sample", action="store_true", help="few seeds and mutants: a minute")
    parser.add_argument("--wrong-seeds", type=int, help="for each wrong answer (10)")
    parser.add_argument("--right-seeds", type=int, help="for each right answer (200)")
    parser.add_argument("--mutant-seeds", type=int, help="that all must kill a mutant (3)")
    parser.add_argument("--mutants", type=int, help="of each exercise, drawn (all)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    options = parser.parse_args(arguments)
    usual = SAMPLE if options.sample else FULL
    for name, value in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _told(
    found: Sequence[proof.Report], options: argparse.Namespace, seconds: float
) -> str:
    lines = [
        f"wrong answers: {options.wrong_seeds} seeds each; right ones: {options.right_seeds}; "
        f"mutants: {options.mutant_seeds}, all must kill. {seconds:.0f} s",
        "",
        "exercise  wrong answers  right answers  faults  mutants killed",
    ]
    for report in found:
        hits = report.mutants - len(report.survivors)
        lines.append(
            f"{report.exercise:8s}  {report.answers[proof.WRONG]:13d}  "
            f"{report.answers[proof.RIGHT]:13d}  {len(report.faults):6d}  "
            f"{hits}/{report.mutants}"
        )
    hits, total, same = proof.killed(found)
    lines.append(f"in all: {hits} of {total} mutants killed, {hits / max(total, 1):.1%}")
    if same:
        lines.append(f"without the {same} equivalent ones: {hits} of {total - same}, "
                     f"{hits / max(total - same, 1):.1%}")
    for report in found:
        for each in report.faults:
            lines += ["", f"FAULT {report.exercise}, {each.piece.kind} {each.piece.name!r}: "
                      f"{each.fault}"]
        for each in report.survivors:
            why = report.explained.get(each.piece.name)
            lines += ["", f"survivor {report.exercise}: {each.piece.name}",
                      f"    {why or 'NOT EXPLAINED: ' + each.fault}"]
        lines += [f"OUTDATED explanation {report.exercise}: {name}" for name in report.outdated]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
