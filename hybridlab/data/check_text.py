"""A check's report for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from hybridlab.data.check import CheckReport
from hybridlab.data.problems import Problem

_SIGN = {True: "FAIL", False: "note"}


def as_text(report: CheckReport, show: int = 10) -> str:
    """Sizes and labels of the splits, then what was found, kind by kind.

    Args:
        show: how many of each kind are listed; JSON has them all.
    """
    lines = [_split(report, split) for split in report.sizes]
    lines += problem_lines(report.problems, show)
    fatal = sum(each.fatal for each in report.problems)
    end = (f"{fatal:,} problem{'s' * (fatal > 1)} to mend before this data is used." if fatal
           else "Nothing stands against using this data.")
    return "\n".join([*lines, "", end])


def problem_lines(problems: Sequence[Problem], show: int = 10) -> list[str]:
    """Problems kind by kind, the fatal ones first.

    Args:
        show: how many of each kind.
    """
    lines = []
    ordered = sorted(problems, key=lambda each: (not each.fatal, each.kind))
    for (fatal, kind), group in groupby(ordered, key=lambda each: (each.fatal, each.kind)):
        found = list(group)
        lines += ["", f"{_SIGN[fatal]}  {kind}: {len(found):,}"]
        lines += [f"      {each}" for each in found[:show]]
        if len(found) > show:
            lines.append(f"      ... and {len(found) - show:,} more; --out FILE writes all of them")
    return lines


def _split(report: CheckReport, split: str) -> str:
    counts, size = report.counts[split], report.sizes[split]
    annotated = counts.annotated.sum()
    text = f"{split or 'pictures'}: {size:,} pictures, {len(report.labels)} labels"
    if not size or not annotated:
        return text
    most, least = int(np.argmax(counts.present)), int(np.argmin(counts.present))
    text += (
        f", {counts.present.sum() / size:.2f} present in a picture; most frequent "
        f"{report.labels[most]} ({counts.present[most]:,}), rarest {report.labels[least]} "
        f"({counts.present[least]:,})"
    )
    missing = 1 - annotated / (size * len(report.labels))
    return text + (f"; {100 * missing:.1f} % not annotated" if missing else "")
