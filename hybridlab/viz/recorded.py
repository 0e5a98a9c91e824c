"""A recorded study as a few lines of text: what a lesson shows before it says what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybridlab.ablation.findings import Analysis
from hybridlab.viz.gains import PRINTED

LONG = 36  # characters of a name above which its row alone tells it, not the title as well


def recorded_table(
    record: Mapping[str, Any], metrics: Sequence[str], only: Sequence[str] | None = None
) -> str:
    """The means of a study over its seeds, and what each variant changes.

    Args:
        record: as `course.recorded` gives it.
        metrics: a column of means for each, in percent; the change is that of the first, with its
            paired 95 % interval and the study's verdict.
        only: variants to show, in this order; all if None.

    Returns:
        a line that tells seeds and command, one of titles, and one for each variant.

    Raises:
        ValueError: no metric, or one that was not recorded, or an unknown variant.
    """
    unknown = [metric for metric in metrics if metric not in record["metrics"]]
    if unknown or not metrics:
        raise ValueError(
            f"metrics is {list(metrics)}; give one or more of {', '.join(record['metrics'])}"
        )
    found = [Analysis.from_json(record["metrics"][metric]) for metric in metrics]
    first = found[0]
    known = [row.name for row in first.rows]
    names = known if only is None else list(only)
    if strange := [name for name in names if name not in known]:
        raise ValueError(f"{strange} are no variants of this study; there are {', '.join(known)}")
    width = max(map(len, names), default=0)
    titles = [PRINTED.get(metric, metric) for metric in metrics]
    columns = [max(6, len(title) + 2) for title in titles]
    told = repr(first.reference)
    lines = [
        f"means of {len(first.seeds)} seeds, in percent; `{record['command']}` repeats them",
        " " * width + "".join(f"{title:>{wide}}" for title, wide in zip(titles, columns,
                                                                        strict=True))
        + f"   {titles[0]} against {told if len(told) <= LONG else 'the reference'}",
    ]
    for name in names:
        means = "".join(f"{100 * each.row(name).mean:{wide}.1f}"
                        for each, wide in zip(found, columns, strict=True))
        change = first.row(name).comparison
        told = "the reference" if change is None else (
            f"{100 * change.value:+5.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}] "
            f"{change.verdict}"
        )
        lines.append(f"{name:{width}}{means}   {told}")
    return "\n".join(lines)


def against(record: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """A recorded study with its variants compared with another of its references, for
    `recorded_table`: with its control in all metrics, with others in the first one.

    Raises:
        ValueError: nothing was compared with it; the message lists what there is.
    """
    control = record.get("against_control", {})
    if control.get("control") == reference:
        return {**record, "metrics": control["metrics"]}
    if reference in record["also"]:
        first = next(iter(record["metrics"]))
        return {**record, "metrics": {first: record["also"][reference]}}
    known = [*record["also"], *([control["control"]] if control else [])]
    raise ValueError(
        f"nothing was compared with {reference!r} besides the study's own reference; there are "
        f"{', '.join(known) or 'no others'}"
    )
