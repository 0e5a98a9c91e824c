"""A plot of a training that grows while it runs, in JupyterLab, VS Code and Colab alike."""

from __future__ import annotations

import math
import time
from typing import Any

from matplotlib.figure import Figure

from hybridlab.training.reports import EpochReport, StepReport
from hybridlab.viz.notebook import show

STAGE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


class LivePlot:
    """Loss by step and score by epoch; a `Report` for `train_stages`.

    A static image that is replaced, at most every `seconds`: it needs no widget, which is what
    differs between notebooks, and the last one stays in a saved notebook.

    Args:
        seconds: between two drawings.
        score: what the score is called.
        title: of the figure; it also begins its alternative text.
    """

    def __init__(
        self, seconds: float = 2.0, score: str = "validation mAP", title: str = "Training"
    ):
        self.seconds, self.score, self.title = seconds, score, title
        self.steps: dict[str, list[tuple[int, float]]] = {}
        self.epochs: list[tuple[int, float]] = []
        self.shown: Any = None
        self.drawn = -math.inf

    def __call__(self, told: StepReport | EpochReport) -> None:
        if isinstance(told, EpochReport):
            if math.isfinite(told.score):
                self.epochs.append((told.step, told.score))
        else:
            self.steps.setdefault(told.stage, []).append((told.step, told.loss))
        if time.perf_counter() - self.drawn >= self.seconds:
            self.show()

    def figure(self) -> Figure:
        """What there is so far."""
        figure = Figure(figsize=(8, 2.8), layout="constrained")
        losses, scores = figure.subplots(1, 2)
        for (stage, points), colour in zip(
            self.steps.items(), STAGE_COLOURS * (1 + len(self.steps) // 6), strict=False
        ):
            steps, values = zip(*points, strict=True)
            losses.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            losses.plot(steps, smoothed(values), color=colour, label=stage)
        losses.set(xlabel="step", ylabel="training loss")
        if self.steps:
            losses.legend(fontsize=8, frameon=False)
        if self.epochs:
            scores.plot(*zip(*self.epochs, strict=True), "o-", color="#333333", markersize=3)
        scores.set(xlabel="step", ylabel=self.score)
        for axes in (losses, scores):
            axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(self.title, fontsize=10)
        return figure

    def words(self) -> str:
        """The figure for a reader who cannot see it."""
        told = [f"{stage}: training loss {values[0][1]:.3g} at step {values[0][0]}, "
                f"{values[-1][1]:.3g} at step {values[-1][0]}"
                for stage, values in self.steps.items()]
        if self.epochs:
            told.append(f"{self.score} is {self.epochs[-1][1]:.3g} at the end, "
                        f"{max(value for _, value in self.epochs):.3g} at best")
        return f"{self.title}. " + "; ".join(told or ["no step yet"]) + "."

    def show(self) -> None:
        """Draw now; call it once more when the training is over."""
        from IPython.display import display

        self.drawn = time.perf_counter()
        picture = show(self.figure(), alt=self.words())
        if self.shown is None:
            self.shown = display(picture, display_id=True)
        else:
            self.shown.update(picture)


def smoothed(values: tuple[float, ...], weight: float = 0.9) -> list[float]:
    """An exponential moving average that begins at the first value."""
    found = [values[0]] if values else []
    for value in values[1:]:
        found.append(weight * found[-1] + (1 - weight) * value)
    return found
