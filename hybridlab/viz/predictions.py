"""Scenes with what was found, missed and wrongly given under each.

Told apart by a sign and a word as well as by colour, so that the figure also serves in grey print
and to colour-blind eyes. Matplotlib's objects, not pyplot: nothing global is changed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike

from hybridlab.data.sample import Vocabulary
from hybridlab.files import atomic_path

FONT = "DejaVu Sans"
INK, QUIET = "#222222", "#6a6a6a"
# Okabe and Ito's blue and vermilion, and a brown darker than both; all are readable on white
COLOURS = {"found": "#0067a5", "missed": "#b84a00", "wrong": "#5c2100", "unknown": QUIET}
SIGNS = {"found": "+", "missed": "−", "wrong": "×", "unknown": "?"}
REMARKS = {"found": "", "missed": " (missed)", "wrong": " (wrong)", "unknown": " (not annotated)"}
_WORDS = {**{kind: kind for kind in SIGNS}, "unknown": "not annotated"}
ACROSS = 4  # scenes in a row
MOST_LINES = 9
# inches
SIDE, GAP, LINE, MARGIN, HEAD, FOOT = 2.55, 0.28, 0.185, 0.2, 0.62, 0.56


@dataclass(frozen=True)
class _Line:
    kind: str
    name: str
    prob: float


def prediction_figure(
    images: Sequence[np.ndarray],
    vocabulary: Vocabulary,
    targets: ArrayLike,
    decisions: ArrayLike,
    probs: ArrayLike,
    title: str | None = None,
) -> Figure:
    """Scenes in rows of four; under each its labels, with their probabilities on the right.

    "+ cow" was found, "− egg (missed)" is there and was not, "× bus (wrong)" is not there. A label
    that was decided for but not annotated is "?". Each kind stands in order of probability, and a
    scene with more than nine lines says how many are left out.

    Args:
        images: n uint8 arrays (H, W, 3), of any sizes.
        targets: (n, L) in {1, 0, -1 = not annotated}.
        decisions: (n, L) bool.
        probs: (n, L) in [0, 1].
        title: the first line; None: how many labels were found, missed and wrong.

    Returns:
        A figure for `save_figure`, or to be shown as it is in a notebook.

    Raises:
        ValueError: no scenes, or shapes that disagree.
    """
    truth, said, scores = (np.asarray(part) for part in (targets, decisions, probs))
    expected = (len(images), len(vocabulary))
    for name, part in (("targets", truth), ("decisions", said), ("probs", scores)):
        if part.shape != expected:
            raise ValueError(
                f"{name} has shape {part.shape}, expected {expected}: one row per image, one "
                "column per label"
            )
    if not len(images):
        raise ValueError("there is no scene to draw; pass one or more images")
    for at, image in enumerate(images):
        if getattr(image, "ndim", 0) != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image {at} must be a uint8 array (H, W, 3)")
    lines = [
        _lines(vocabulary, *row) for row in zip(truth, said.astype(bool), scores, strict=True)
    ]
    return _draw(images, lines, title or _count(truth, said.astype(bool)))


def in_words(vocabulary: Vocabulary, targets: ArrayLike, decisions: ArrayLike) -> str:
    """The figure for those who cannot see it: "Scene 1: found cow; missed egg; wrong bus."

    Shape:
        targets (n, L), decisions (n, L)
    """
    truth, said = np.asarray(targets), np.asarray(decisions, dtype=bool)
    told = []
    for number, row in enumerate(zip(truth, said, strict=True), start=1):
        lines = _lines(vocabulary, *row, np.zeros(len(vocabulary)))
        kinds = {kind: [line.name for line in lines if line.kind == kind] for kind in SIGNS}
        parts = [f"{_WORDS[kind]} {', '.join(names)}" for kind, names in kinds.items() if names]
        told.append(f"Scene {number}: {'; '.join(parts) or 'no labels, and none given'}.")
    return " ".join(told)


def save_figure(
    figure: Figure, path: str | os.PathLike[str], *, alt: str, overwrite: bool = False
) -> Path:
    """Write a figure, whole or not at all, with `alt` as its description for screen readers.

    Args:
        path: ends in .png or .svg.
        alt: what the figure shows, in one or two sentences.

    Raises:
        ValueError: `alt` is empty, or another ending.
        FileExistsError: the file exists and `overwrite` is False.
        NotEnoughDiskError: the disk is full; nothing is left behind.
    """
    path = Path(path)
    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the figure shows")
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise ValueError(f"{path.name} ends in {path.suffix!r}; choose .png or .svg")
    # without the date, the same figure gives the same file
    metadata = {"Description": alt, **({"Date": None} if kind == "svg" else {})}
    with atomic_path(path, overwrite) as part:
        figure.savefig(part, format=kind, metadata=metadata, facecolor="white")
    return path


def _lines(
    vocabulary: Vocabulary, truth: np.ndarray, said: np.ndarray, scores: np.ndarray
) -> list[_Line]:
    kinds = {
        "found": (truth > 0) & said,
        "missed": (truth > 0) & ~said,
        "wrong": (truth == 0) & said,
        "unknown": (truth < 0) & said,
    }
    found: list[_Line] = []
    for kind, mask in kinds.items():
        columns = sorted(np.flatnonzero(mask), key=lambda at: (-scores[at], at))
        found += [_Line(kind, vocabulary.names[at], float(scores[at])) for at in columns]
    return found


def _count(truth: np.ndarray, said: np.ndarray) -> str:
    there, found = int((truth > 0).sum()), int(((truth > 0) & said).sum())
    wrong = int(((truth == 0) & said).sum())
    return f"{found} of {there} labels found, {there - found} missed, {wrong} wrongly given"


def _draw(images: Sequence[np.ndarray], lines: list[list[_Line]], title: str) -> Figure:
    """Everything is placed in inches from the top left, so that no text meets another."""
    across = min(ACROSS, len(images))
    rows = [range(at, min(at + across, len(images))) for at in range(0, len(images), across)]
    depths = [
        SIDE + 0.06 + LINE * max(1, min(MOST_LINES, max(len(lines[at]) for at in row))) + GAP
        for row in rows
    ]
    # a single column must still hold the title and the legend
    width = max(2 * MARGIN + across * SIDE + (across - 1) * GAP, 5.6)
    height = HEAD + sum(depths) - GAP + FOOT
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)  # gives the letters' widths
    sheet = _Sheet(figure, width, height)
    start = (width - across * SIDE - (across - 1) * GAP) / 2
    sheet.write(min(start, MARGIN), HEAD / 2 - 0.03, title, INK, size=12, weight="bold")
    top = HEAD
    for row, depth in zip(rows, depths, strict=True):
        for place, at in enumerate(row):
            left = start + place * (SIDE + GAP)
            sheet.picture(left, top, images[at])
            _write_lines(sheet, left, top + SIDE + 0.06, lines[at])
        top += depth
    _write_legend(sheet, min(start, MARGIN), height - 0.22, lines)
    return figure


def _write_lines(sheet: _Sheet, left: float, top: float, lines: list[_Line]) -> None:
    if not lines:
        sheet.write(left, top + LINE / 2, "no labels, and none given", QUIET)
    shown = lines if len(lines) <= MOST_LINES else lines[: MOST_LINES - 1]
    for at, line in enumerate(shown):
        middle, colour = top + (at + 0.5) * LINE, COLOURS[line.kind]
        sheet.write(left + 0.06, middle, SIGNS[line.kind], colour, weight="bold", align="center")
        sheet.write(left + SIDE, middle, f"{line.prob:.2f}", colour, align="right")
        remark = REMARKS[line.kind]
        sheet.write(left + 0.17, middle, line.name, colour, end=remark, room=SIDE - 0.17 - 0.36)
    if len(shown) < len(lines):
        middle = top + (MOST_LINES - 0.5) * LINE
        sheet.write(left + 0.17, middle, f"and {len(lines) - len(shown)} more", QUIET)


def _write_legend(sheet: _Sheet, left: float, middle: float, lines: list[list[_Line]]) -> None:
    kinds = ["found", "missed", "wrong"]
    if any(line.kind == "unknown" for scene in lines for line in scene):
        kinds.append("unknown")
    for kind in kinds:
        text = f"{SIGNS[kind]} {_WORDS[kind]}"
        left += sheet.write(left, middle, text, COLOURS[kind], weight="bold") + 0.22
    sheet.write(left, middle, "numbers: the model's probability", QUIET)


class _Sheet:
    """A figure addressed in inches from its top left corner."""

    def __init__(self, figure: Figure, width: float, height: float):
        self.figure, self.width, self.height = figure, width, height

    def picture(self, left: float, top: float, image: np.ndarray) -> None:
        """An image in a square of `SIDE`, centred, its shape kept."""
        box = (
            left / self.width,
            1 - (top + SIDE) / self.height,
            SIDE / self.width,
            SIDE / self.height,
        )
        axes = self.figure.add_axes(box)
        axes.imshow(image, interpolation="antialiased", aspect="equal")
        axes.set_axis_off()

    def write(
        self,
        left: float,
        middle: float,
        text: str,
        colour: str,
        *,
        size: float = 9,
        weight: str = "normal",
        align: str = "left",
        end: str = "",
        room: float = float("inf"),
    ) -> float:
        """One line of text, cut with an ellipsis before `end` where it needs more than `room`.

        Returns:
            Its width in inches.
        """
        # a $ would begin a formula
        item = self.figure.text(
            left / self.width, 1 - middle / self.height, text + end, color=colour, size=size,
            weight=weight, family=FONT, ha=align, va="center", parse_math=False,
        )
        wide = self._inches(item)
        while wide > room and text:
            text = text[:-1]
            item.set_text(text.rstrip() + "…" + end)
            wide = self._inches(item)
        return wide

    def _inches(self, item: Text) -> float:
        return item.get_window_extent().width / self.figure.dpi
