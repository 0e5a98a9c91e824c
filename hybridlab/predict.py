"""`hybridlab predict`: many files in, a table, JSON or annotated pictures out.

The parts are in `predictor` (images -> predictions) and `prediction` (one prediction, tables,
JSON); their public names are here as well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hybridlab.bundle import Bundle
from hybridlab.data.images import ImageError, ImageProblem, iter_image_paths, load_image
from hybridlab.files import atomic_path
from hybridlab.prediction import (
    Outcome,
    Prediction,
    check_decision,
    format_table,
    json_pieces,
    printable,
    table_head,
    table_row,
    table_width,
    to_json,
)
from hybridlab.predictor import Predictor, predict_paths

__all__ = [
    "Outcome",
    "Prediction",
    "Predictor",
    "format_table",
    "main_predict",
    "predict_paths",
    "to_json",
]


def main_predict(
    bundle: Bundle | str | os.PathLike[str],
    inputs: Sequence[str | Path],
    *,
    output: str = "table",
    out: Path | None = None,
    top: int | None = None,
    threshold: float | None = None,
) -> int:
    """What `hybridlab predict` does: results to stdout or `out`, problems to stderr.

    Args:
        inputs: picture files and folders of them.
        output: "table", "json", or "picture": each picture with its labels under it.
        out: a file for the table or JSON, which must not exist; a folder for pictures (default:
            `labelled`, in which nothing is replaced).
        top, threshold: see `Prediction.decided`.

    Returns:
        0: all labelled; 1: some, and the rest failed; 2: none; 130: stopped by Ctrl-C, with what
        was printed or written until then whole.

    Raises:
        BrokenPipeError: nobody reads stdout any more.
    """
    outcome = Outcome()
    try:
        _check_options(output, top, threshold)
        paths, problems = iter_image_paths(inputs)
        for path, message in problems:
            _note(outcome, ImageProblem(path, message))
        if not paths:
            return 2
        with _stream(out if output != "picture" else None, outcome) as stream:
            predictor = Predictor(bundle)
            results = _results(predictor, paths, outcome, top, threshold)
            if output == "json":
                pieces = json_pieces(results, outcome)
            elif output == "table":
                pieces = _rows(results, table_width(os.fspath(path) for path in paths))
            else:
                pieces = _pictures(results, Path("labelled") if out is None else out, outcome)
            _write_all(pieces, stream, outcome)
    except KeyboardInterrupt:
        outcome.stopped = True
    except BrokenPipeError:
        raise
    except _NothingDone:
        pass
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"hybridlab: {' '.join(str(error).split())}", file=sys.stderr)
        return 1 if outcome.done else 2
    if outcome.stopped:
        print(f"hybridlab: stopped after {outcome.done} pictures", file=sys.stderr)
        return 130
    return (1 if outcome.done else 2) if outcome.problems else 0


class _NothingDone(Exception):
    """Leaves `atomic_path` without making a file that holds nothing."""


def _check_options(output: str, top: int | None, threshold: float | None) -> None:
    if output not in ("table", "json", "picture"):
        raise ValueError(f"output is {output!r}; choose table, json or picture")
    check_decision(top, threshold)


@contextmanager
def _stream(out: Path | None, outcome: Outcome) -> Iterator[TextIO]:
    """stdout, or a file that takes its name when all is written."""
    if out is None:
        yield sys.stdout
        return
    with atomic_path(out) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        yield file
        if not outcome.done:
            raise _NothingDone


def _write_all(pieces: Iterator[str], stream: TextIO, outcome: Outcome) -> None:
    while True:
        try:
            piece = next(pieces, None)
            if piece is None:
                return
            code = getattr(stream, "encoding", None) or "utf-8"
            stream.write(piece.encode(code, "backslashreplace").decode(code))
            stream.flush()
        except KeyboardInterrupt:
            outcome.stopped = True  # `_results` ends at its next step, and the rest is closed


def _results(
    predictor: Predictor,
    paths: Sequence[Path],
    outcome: Outcome,
    top: int | None,
    threshold: float | None,
) -> Iterator[Prediction]:
    for item in predict_paths(predictor, paths):
        if outcome.stopped:
            return
        if isinstance(item, ImageProblem):
            _note(outcome, item)
            continue
        outcome.done += 1
        yield item.decided(top=top, threshold=threshold)


def _note(outcome: Outcome, problem: ImageProblem) -> None:
    outcome.problems.append(problem)
    print(f"hybridlab: {problem}", file=sys.stderr)


def _rows(results: Iterator[Prediction], width: int) -> Iterator[str]:
    yield table_head(width) + "\n"
    for prediction in results:
        yield table_row(prediction, width) + "\n"


def _pictures(results: Iterator[Prediction], folder: Path, outcome: Outcome) -> Iterator[str]:
    from hybridlab.viz.annotate import save_annotated

    for prediction in results:
        try:
            # read again: holding every picture until its batch is done could fill the memory
            image = load_image(prediction.source)
        except ImageError as error:
            outcome.done -= 1
            _note(outcome, ImageProblem(error.path, error.message))
            continue
        written = save_annotated(folder, image, prediction)
        yield f"{table_row(prediction, 0)}  -> {printable(os.fspath(written))}\n"
