"""A study that runs, seen from a notebook: a table and a figure that are replaced as runs end."""

from __future__ import annotations

import math
import time
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hybridlab.ablation.watching import (
    Glimpse,
    Watcher,
    closing,
    headings,
    progress_line,
    runs_of,
)
from hybridlab.viz.notebook import show

DONE, FAILED, EMPTY, INK = "#0072b2", "#d55e00", "#d9d9d9", "#333333"
_CELL = "text-align: left; padding: .15rem .6rem"
_MOST = 24  # variants that are drawn


class LiveStudy:
    """Progress and running intervals of a study, by its folder alone.

    Either a study runs elsewhere (another process, a cluster), and `follow` looks at its folder
    until it ends; or it runs here, and this is told: `run_study(study, folder, on_event=live)`.
    Static HTML and a picture: no widget, so it is the same in JupyterLab, VS Code and Colab, and
    the last one stays in a saved notebook.

    Args:
        folder: of the study.
        seconds: between two looks.
    """

    def __init__(self, folder: str | Path, seconds: float = 5.0):
        if not seconds > 0:
            raise ValueError(f"seconds is {seconds}; give a number above 0, such as 5")
        self.folder, self.seconds = Path(folder), seconds
        self.watcher = Watcher(self.folder)
        self.shown: list[Any] = []
        self.drawn = -math.inf

    def __call__(self, event: object) -> None:
        """For `run_study`: look again, at most every `seconds`."""
        told = getattr(event, "kind", "") in ("done", "failed")
        last = told and getattr(event, "done", 0) == getattr(event, "total", 1)
        if last or (told and time.monotonic() - self.drawn >= self.seconds):
            self.show()

    def follow(self, limit: float = math.inf) -> Glimpse:
        """Look until the study ends, for `limit` seconds at most; the kernel's stop button ends it.

        Returns:
            how it stands at the end.
        """
        end = time.monotonic() + limit
        while True:
            glimpse = self.show()
            if glimpse.ended or time.monotonic() >= end:
                return glimpse
            try:
                time.sleep(min(self.seconds, max(0.0, end - time.monotonic())))
            except KeyboardInterrupt:
                return glimpse

    def show(self) -> Glimpse:
        """Look now, and draw."""
        from IPython.display import HTML, display

        glimpse = self.watcher.look()
        self.drawn = time.monotonic()
        parts = [HTML(as_html(glimpse, self.folder)),
                 show(progress_figure(glimpse), alt=progress_words(glimpse))]
        if not self.shown:
            self.shown = [display(part, display_id=True) for part in parts]
        else:
            for handle, part in zip(self.shown, parts, strict=True):
                handle.update(part)
        return glimpse


def as_html(glimpse: Glimpse, folder: Path) -> str:
    """Progress, a table of variants, failures, and the warning; every name is only text."""
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(cell)}</th>'
                   for cell in headings(glimpse))
    rows = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in (
            each.name, runs_of(glimpse, each), each.score, each.difference)) + "</tr>"
        for each in glimpse.variants
    )
    failures = "".join(
        f"<li>{escape(each.variant)}, seed {each.seed}: {escape(str(each)[:300])}</li>"
        for each in glimpse.failures[:5]
    )
    return (
        f"<p><strong>{escape(glimpse.question)}</strong><br>{escape(progress_line(glimpse))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        + (f"<p>Failed:</p><ul>{failures}</ul>" if failures else "")
        + f"<p>{escape(closing(glimpse, folder))}</p>"
    )


def progress_figure(glimpse: Glimpse) -> Figure:
    """Runs of each variant, and the differences so far with their intervals, in open marks."""
    variants = glimpse.variants[:_MOST]
    figure = Figure(figsize=(9, 1.6 + 0.34 * len(variants)), layout="constrained",
                    facecolor="white")
    runs, differences = figure.subplots(1, 2, sharey=True, width_ratios=(1, 2))
    for place, each in enumerate(variants):
        runs.barh(place, glimpse.seeds, color=EMPTY, height=0.6)
        runs.barh(place, each.done, color=DONE, height=0.6)
        runs.barh(place, each.failed, left=each.done, color=FAILED, hatch="//", height=0.6)
        row = glimpse.analysis.row(each.name) if glimpse.analysis else None
        other = row.comparison if row is not None else None
        if other is None or math.isnan(other.value):
            continue
        if len(other.seeds) > 1 and not math.isnan(other.low):
            differences.plot([100 * other.low, 100 * other.high], [place, place], color=DONE,
                             linewidth=1.4)
        differences.plot(100 * other.value, place, "o", markerfacecolor="white", color=DONE)
    runs.set_yticks(range(len(variants)), [_short(each.name) for each in variants], fontsize=9,
                    parse_math=False)
    runs.invert_yaxis()
    runs.set(xlabel="runs done (hatched: failed)", xlim=(0, glimpse.seeds))
    differences.axvline(0, color=INK, linewidth=0.8)
    *_, metric, against = headings(glimpse)
    differences.set_xlabel(f"{_short(against, 60)}\n({metric}, points)", parse_math=False)
    for axes in (runs, differences):
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    state = "all runs are done" if glimpse.complete else (
        "PROVISIONAL, seeds are missing: do not stop because it looks good")
    figure.suptitle(f"{glimpse.done} of {glimpse.total} runs: {state}", fontsize=10)
    return figure


def progress_words(glimpse: Glimpse) -> str:
    """The figure for a reader who cannot see it."""
    rows = "; ".join(
        f"{each.name}: {runs_of(glimpse, each)} runs, difference {each.difference}"
        for each in glimpse.variants
    )
    state = "" if glimpse.complete else " Provisional, as seeds are missing."
    return f"{progress_line(glimpse)}. {rows}.{state}"


def _short(text: str, width: int = 28) -> str:
    return text if len(text) <= width else f"{text[:width - 1]}…"
