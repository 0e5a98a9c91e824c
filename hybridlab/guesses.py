"""What a model guessed of pictures, decided and written line by line. No torch here.

Beside `annotations.json`, which looks as if somebody had looked at the pictures, stands
`annotations.guesses.jsonl`, which says who said so: its first line names the model, the sentences
and the threshold; then each picture has a line with all its log-odds, and each bad file one with
its problem.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridlab.data.images import shown
from hybridlab.files import StrPath

FORMAT = "hybridlab guesses"
GUESSES, LABELS, REVIEW = "guesses.jsonl", "labels.txt", "review.csv"
NOTE = "guesses of a model from words alone, not annotations: nobody has looked at these pictures"


@dataclass(frozen=True, eq=False)
class Guess:
    """What was guessed of one picture.

    Attributes:
        picture: its name below the folder, with slashes.
        columns: of the labels given, most probable first.
        log_odds: (L,).
        margin: how far a probability must move, at least, for another set of labels; 1 where no
            move of a single one can.
        nearest: the column of that probability.
    """

    picture: str
    columns: tuple[int, ...]
    log_odds: np.ndarray
    margin: float
    nearest: int

    @property
    def probs(self) -> np.ndarray:
        """(L,), in [0, 1]."""
        return np.exp(-np.logaddexp(0, -self.log_odds))


@dataclass(frozen=True)
class BadFile:
    """A file that gave no picture."""

    picture: str
    problem: str


def decide(
    picture: str, log_odds: np.ndarray, threshold: float | None, top_k: int | None
) -> Guess:
    """Labels by a threshold, the `top_k` most probable, or at most so many above it.

    Args:
        log_odds: (L,), finite.
        threshold: on the probability, in [0, 1]; None: none.
        top_k: 1 or more; None: any number.

    Raises:
        ValueError: neither is given.
    """
    if threshold is None and top_k is None:
        raise ValueError("neither a threshold nor top_k was given; give one of them, or both")
    probs = np.exp(-np.logaddexp(0, -log_odds))
    order = np.argsort(-log_odds, kind="stable")  # equal ones: the lowest column first
    above = probs >= (-np.inf if threshold is None else threshold)
    chosen = [int(at) for at in order if above[at]][:top_k]
    moves: list[tuple[float, int]] = []
    if threshold is not None:
        # below a full set, whatever passes the threshold is still kept out
        free = top_k is None or len(chosen) < top_k
        looked = range(len(probs)) if free else chosen
        moves += [(abs(float(probs[at]) - threshold), int(at)) for at in looked]
    if top_k is not None and len(chosen) == top_k < len(probs):
        last, next_ = chosen[-1], int(order[top_k])
        moves.append((float(probs[last] - probs[next_]), next_))
    margin, nearest = min(moves, default=(1.0, int(order[0])))
    return Guess(picture, tuple(chosen), log_odds, min(margin, 1.0), nearest)


def head_line(settings: Mapping[str, Any]) -> str:
    """The first line: what all guesses of the file were made with."""
    return _line({"format": FORMAT, "version": 1, "note": NOTE, **settings})


def guess_line(item: Guess | BadFile, labels: Sequence[str]) -> str:
    """One picture, or what was wrong with it."""
    if isinstance(item, BadFile):
        return _line({"picture": item.picture, "problem": item.problem})
    probs = item.probs
    return _line({
        "picture": item.picture,
        "labels": [labels[at] for at in item.columns],
        "probabilities": [_short(probs[at]) for at in item.columns],
        "margin": _short(item.margin), "nearest": labels[item.nearest],
        "log_odds": [_short(value) for value in item.log_odds],
    })


class GuessLines:
    """Takes the lines of an earlier run, and says what they hold.

    Args:
        head: the first line that is expected.
        labels: L names.

    Attributes:
        names: of the pictures and bad files so far.
        pictures, problems: how many of each.
    """

    def __init__(self, head: str, labels: Sequence[str]):
        self.head, self.column = head, {name: at for at, name in enumerate(labels)}
        self.names: set[str] = set()
        self.pictures = self.problems = 0
        self.begun = False

    def __call__(self, text: str) -> None:
        """Take one line.

        Raises:
            ValueError: it is none of such a file.
        """
        if not self.begun:
            if text != self.head:
                raise ValueError("the first line names another model, other labels or options")
            self.begun = True
            return
        item = parse_line(text, self.column)
        self.names.add(item.picture)
        self.problems += isinstance(item, BadFile)
        self.pictures += isinstance(item, Guess)


def parse_line(text: str, column: Mapping[str, int]) -> Guess | BadFile:
    """A line of a picture or a bad file.

    Args:
        column: label -> column.

    Raises:
        ValueError: it is none, or does not fit the labels.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("picture"), str):
        raise ValueError("a line without a picture")
    if isinstance(found.get("problem"), str):
        return BadFile(found["picture"], found["problem"])
    try:
        columns = tuple(column[name] for name in found["labels"])
        log_odds = np.array(found["log_odds"], np.float64)
        margin, nearest = float(found["margin"]), column[found["nearest"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"a line of a picture without what belongs to it ({error})") from error
    if log_odds.shape != (len(column),) or not np.isfinite(log_odds).all():
        raise ValueError(f"a line with log_odds of shape {log_odds.shape}, not ({len(column)},)")
    return Guess(found["picture"], columns, log_odds, margin, nearest)


@dataclass(frozen=True, eq=False)
class Guesses:
    """A whole file of guesses.

    Attributes:
        settings: its first line.
        labels: L names.
        guesses: N of them.
        problems: files that gave no picture.
    """

    settings: dict[str, Any]
    labels: tuple[str, ...]
    guesses: tuple[Guess, ...]
    problems: tuple[BadFile, ...]

    @property
    def probs(self) -> np.ndarray:
        """(N, L)."""
        return np.stack([each.probs for each in self.guesses]) if self.guesses else np.zeros(
            (0, len(self.labels))
        )


def read_guesses(path: StrPath) -> Guesses:
    """Read a file of guesses, as `hybridlab data label` writes it.

    Raises:
        ValueError: it is none, or is damaged; the line is told.
        OSError: it cannot be read.
    """
    with open(path, encoding="utf-8") as file:
        try:
            settings = json.loads(file.readline() or "null")
            labels = settings["labels"] if settings["format"] == FORMAT else None
        except (ValueError, TypeError, KeyError):
            labels = None
        if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
            raise ValueError(
                f"{shown(Path(path))} does not begin as a file of guesses; give the .guesses.jsonl "
                "that `hybridlab data label` wrote"
            )
        items = list(_items(file, path, labels))
    return Guesses(
        settings, tuple(labels),
        tuple(each for each in items if isinstance(each, Guess)),
        tuple(each for each in items if isinstance(each, BadFile)),
    )


def _items(
    lines: Iterable[str], path: StrPath, labels: Sequence[str]
) -> Iterator[Guess | BadFile]:
    column = {name: at for at, name in enumerate(labels)}
    for number, text in enumerate(lines, 2):
        try:
            yield parse_line(text, column)
        except ValueError as error:
            raise ValueError(
                f"{shown(Path(path))}: line {number} cannot be used ({error}); make the guesses "
                "anew"
            ) from error


def beside(output: Path, ending: str) -> Path:
    """A file that goes with `annotations.json`: `annotations.ENDING`."""
    return output.with_name(f"{output.stem}.{ending}")


def _line(found: Mapping[str, Any]) -> str:
    # ASCII only: a file name that is not UTF-8 holds lone surrogates, which \udcxx can carry
    return json.dumps(found, allow_nan=False) + "\n"


def _short(value: float) -> float:
    """Six digits: enough for any use, and a file of half the size."""
    return float(f"{float(value):.6g}")
