"""One picture's prediction, and predictions as a table or as strict JSON. No torch here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hybridlab.data.images import ImageProblem

_NONE = "no label reaches its threshold"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the hybrid says about one picture.

    Attributes:
        source: the path as it was given, or "image 3" for the fourth picture without one.
        names: the L label names, in the order of the columns.
        labels: names of the labels decided for, most probable first.
        probs: (L,) float32 in [0, 1].
        thresholds: (L,); a label is decided for where `probs >= thresholds`.
        decoder_order: names in the order in which the label decoder wrote them. It decides on its
            own, so these may differ from `labels`. Empty where the model does without it.
        attention: (T, H, W), where the decoder looked at each step, each map summing to 1; the
            last is the step of STOP. None where the CNN's map is not square, or not looked at.
    """

    source: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    probs: np.ndarray
    thresholds: np.ndarray
    decoder_order: tuple[str, ...]
    attention: np.ndarray | None = None

    def scored(self) -> list[tuple[str, float]]:
        """The labels decided for with their probabilities."""
        column = {name: at for at, name in enumerate(self.names)}
        return [(name, float(self.probs[column[name]])) for name in self.labels]

    def decided(self, *, top: int | None = None, threshold: float | None = None) -> Prediction:
        """The same probabilities with another decision.

        Args:
            top: the `top` most probable labels whatever their probability, as in the CNN-RNN
                paper (trap 2); together with `threshold`, at most so many of those above it.
            threshold: one threshold for all labels instead of their own.

        Raises:
            ValueError: `top` is below 1, or `threshold` is outside [0, 1].
        """
        check_decision(top, threshold)
        limits = self.thresholds
        if threshold is not None:
            limits = np.full(len(self.names), threshold, dtype=np.float64)
        all_of_them = top is not None and threshold is None
        chosen = np.ones(len(self.names), bool) if all_of_them else self.probs >= limits
        best = [at for at in np.argsort(-self.probs, kind="stable") if chosen[at]][:top]
        return replace(self, labels=tuple(self.names[at] for at in best), thresholds=limits)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "source": self.source,
            "labels": [{"label": name, "probability": prob} for name, prob in self.scored()],
            "decoder_order": list(self.decoder_order),
            "scores": {
                name: {"probability": float(prob), "threshold": float(limit)}
                for name, prob, limit in zip(self.names, self.probs, self.thresholds, strict=True)
            },
        }


def check_decision(top: int | None, threshold: float | None) -> None:
    """Refuse what `Prediction.decided` cannot take, before any model is loaded.

    Raises:
        ValueError: `top` is below 1, or `threshold` is outside [0, 1].
    """
    if top is not None and top < 1:
        raise ValueError(f"top is {top}; give 1 or more")
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; give a number from 0 to 1")


def format_table(predictions: Sequence[Prediction]) -> str:
    """A picture a line, its labels with their probabilities, most probable first."""
    width = table_width(prediction.source for prediction in predictions)
    return "\n".join([table_head(width), *(table_row(one, width) for one in predictions)])


def table_width(sources: Iterable[str]) -> int:
    """Width of the table's first column in characters; longer names break the column, not more."""
    return min(48, max((len(printable(source)) for source in sources), default=0) + 2)


def table_head(width: int) -> str:
    """The first line of the table."""
    return f"{'picture':<{width}}labels".rstrip()


def table_row(prediction: Prediction, width: int) -> str:
    """One line of the table."""
    found = ", ".join(f"{name} {prob:.2f}" for name, prob in prediction.scored())
    if not found:
        best = int(np.argmax(prediction.probs))
        found = f"({_NONE}; nearest: {prediction.names[best]} {prediction.probs[best]:.2f})"
    return f"{printable(prediction.source) + '  ':<{width}}{found}"


@dataclass
class Outcome:
    """How a run over many files went so far.

    Attributes:
        done: pictures labelled.
        problems: files that gave no picture, in order.
        stopped: Ctrl-C came before the end.
    """

    done: int = 0
    problems: list[ImageProblem] = field(default_factory=list)
    stopped: bool = False


def to_json(predictions: Iterable[Prediction], problems: Iterable[ImageProblem] = ()) -> str:
    """Strict JSON: predictions with every probability and threshold, and the files that failed."""
    return "".join(json_pieces(predictions, Outcome(problems=list(problems))))


def json_pieces(predictions: Iterable[Prediction], outcome: Outcome) -> Iterator[str]:
    """`to_json` piece by piece, for results that come one by one.

    After Ctrl-C the document is closed all the same, with "complete": false. `outcome.problems` is
    read at the end.
    """
    yield '{"predictions": ['
    try:
        for at, prediction in enumerate(predictions):
            yield (",\n" if at else "\n") + _strict(prediction.to_dict())
    except KeyboardInterrupt:
        outcome.stopped = True
    listed = [{"source": os.fspath(one.path), "problem": one.message} for one in outcome.problems]
    yield f'\n], "problems": {_strict(listed)}, "complete": {_strict(not outcome.stopped)}}}\n'


def _strict(value: Any) -> str:
    # ASCII only: a file name that is not UTF-8 holds lone surrogates, which \\udcxx can carry
    return json.dumps(value, allow_nan=False)


def printable(text: str) -> str:
    """Text for a terminal: a name with control characters is escaped, so it cannot drive one."""
    return text if text.isprintable() else repr(text)
