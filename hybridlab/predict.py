"""`hybridlab predict`: many files in; a table, JSON, lines of JSON or CSV, or pictures out.

The parts are in `predictor` (images -> predictions), `prediction` (one prediction, tables, JSON),
`prediction_lines` (JSON lines, CSV) and `growing` (files that can be gone on with); the public
names of the first two are here as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from hybridlab.bundle import Bundle
from hybridlab.data.images import ImageError, ImageProblem, iter_image_paths, load_image
from hybridlab.encoders.base import weights_hash
from hybridlab.files import atomic_path
from hybridlab.growing import check_target, growing
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
from hybridlab.prediction_lines import LINES, Done, head, line
from hybridlab.predictor import Predictor, predict_files, predict_paths
from hybridlab.viz.annotate import marks_in, picture_mark, save_annotated

__all__ = [
    "Outcome",
    "Prediction",
    "Predictor",
    "format_table",
    "main_predict",
    "predict_paths",
    "to_json",
]

OUTPUTS = ("table", "json", *LINES, "picture")
LABELLED = Path("labelled")


def main_predict(
    bundle: Bundle | str | os.PathLike[str],
    inputs: Sequence[str | Path],
    *,
    output: str = "table",
    out: Path | None = None,
    top: int | None = None,
    threshold: float | None = None,
    resume: bool = False,
    n_labels: int | None = None,
) -> int:
    """What `hybridlab predict` does: results to stdout or `out`, problems to stderr.

    Args:
        inputs: picture files and folders of them.
        output: "table" or "json"; "jsonl" or "csv", a line for each picture, and for each file
            that gave none; or "picture": each picture with its labels under it.
        out: a file, which must not exist; a folder for pictures (default: `labelled`, in which
            nothing is replaced). A file of lines grows as OUT.part-KEY and takes its name at the
            end.
        top, threshold: see `Prediction.decided`.
        resume: go on where a run with the same bundle and options was stopped; for "jsonl" and
            "csv" with `out`, and "picture". What was done is passed over, bad files too.
        n_labels: how many labels the bundle must have; None: as many as it has.

    Returns:
        0: all labelled; 1: some, and the rest failed; 2: none; 130: stopped by Ctrl-C, with what
        was printed or written until then whole.

    Raises:
        BrokenPipeError: nobody reads stdout any more.
    """
    run = _Run(output=output, out=out, top=top, threshold=threshold)
    try:
        _check_options(run, resume)
        paths, problems = iter_image_paths(inputs)
        told = [ImageProblem(path, message) for path, message in problems]
        if not paths:
            for each in told:
                run.note(each)
            return 2
        predictor = Predictor(bundle)
        if n_labels not in (None, len(predictor.bundle.vocabulary)):
            raise ValueError(
                f"{n_labels} classes were asked for, but the bundle knows "
                f"{len(predictor.bundle.vocabulary)} labels; leave the number out"
            )
        if run.grows:
            _grow(run, predictor, told, paths, resume)
        else:
            _write(run, predictor, told, paths, resume)
    except KeyboardInterrupt:
        run.stopped = True
    except BrokenPipeError:
        raise
    except _NothingDone:
        pass
    except (OSError, ValueError, FloatingPointError) as error:
        _say(" ".join(str(error).split()))
        return 1 if run.done else 2
    finally:
        run.close()
    if run.stopped:
        more = "; go on with the same command and --resume" if run.resumable else ""
        _say(f"stopped after {run.done} pictures{more}")
        return 130
    labelled, failed = run.done + run.earlier, len(run.problems) + run.failed_earlier
    if run.grows:
        _say(f"{labelled} pictures labelled, {failed} files gave none; all are in {out}")
    return (1 if labelled else 2) if failed else 0


class _NothingDone(Exception):
    """Leaves `atomic_path` without making a file that holds nothing."""


@dataclass
class _Run(Outcome):
    """What was asked for, and how it went so far.

    Attributes:
        earlier, failed_earlier: pictures and bad files of the run that this one goes on with.
    """

    output: str = "table"
    out: Path | None = None
    top: int | None = None
    threshold: float | None = None
    earlier: int = 0
    failed_earlier: int = 0
    bar: Any = None

    @property
    def grows(self) -> bool:
        """Whether lines go into a file."""
        return self.output in LINES and self.out is not None

    @property
    def resumable(self) -> bool:
        return self.grows or self.output == "picture"

    def begin(self, count: int) -> None:
        """Show a bar on a terminal where nothing else scrolls."""
        from tqdm import tqdm

        scrolls = sys.stdout.isatty() and (self.out is None or self.output == "picture")
        if count and sys.stderr.isatty() and not scrolls:
            self.bar = tqdm(total=count, unit="picture", file=sys.stderr)

    def step(self) -> None:
        if self.bar is not None:
            self.bar.update()

    def note(self, problem: ImageProblem) -> None:
        self.problems.append(problem)
        if self.bar is not None:
            self.bar.clear()
        _say(str(problem))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def settings_key(
    predictor: Predictor, output: str, top: int | None = None, threshold: float | None = None
) -> str:
    """Names what a result depends on beside the picture: 8 hexadecimal characters."""
    model, bundle = predictor.model, predictor.bundle
    parts = [
        output, top, threshold, bundle.vocabulary.names, bundle.thresholds.tolist(),
        weights_hash(model),
        [part.preprocessing.to_dict() for part in (model.cnn, model.clip)],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def _check_options(run: _Run, resume: bool) -> None:
    if run.output not in OUTPUTS:
        raise ValueError(f"output is {run.output!r}; choose one of {', '.join(OUTPUTS)}")
    check_decision(run.top, run.threshold)
    if resume and not run.resumable:
        raise ValueError(
            "a table or JSON cannot be gone on with; give --output jsonl or csv with --out FILE, "
            "or --output picture"
        )
    if run.out is not None and run.output != "picture":
        check_target(run.out)  # before a model is loaded


def _grow(
    run: _Run, predictor: Predictor, told: list[ImageProblem], paths: list[Path], resume: bool
) -> None:
    """Lines into a file that can be gone on with."""
    assert run.out is not None
    names = predictor.bundle.vocabulary.names
    done = Done(run.output, names)
    key = settings_key(predictor, run.output, run.top, run.threshold)
    with growing(run.out, key, resume=resume, read=done) as file:
        run.earlier, run.failed_earlier = done.pictures, done.problems
        if done.nothing:
            file.write(head(run.output, names))
        left = [path for path in paths if not done.holds(path)]
        run.begin(len(left))
        for each in told:
            if not done.holds(each.path):
                run.note(each)
                file.write(line(run.output, each, names))
        for item in _items(run, predictor, left):
            file.write(line(run.output, item, names))


def _write(
    run: _Run, predictor: Predictor, told: list[ImageProblem], paths: list[Path], resume: bool
) -> None:
    """Everything else: to stdout, into a file that is written at once, or as pictures."""
    mark: Callable[[str], str] = str
    if run.output == "picture":
        folder = run.out or LABELLED
        key = settings_key(predictor, run.output, run.top, run.threshold)
        mark = partial(picture_mark, key)
        if resume:
            there = marks_in(folder)
            before = len(paths)
            paths = [path for path in paths if mark(os.fspath(path)) not in there]
            run.earlier = before - len(paths)
    with _stream(run.out if run.output != "picture" else None, run) as stream:
        run.begin(len(paths))
        for each in told:
            run.note(each)
        items = _items(run, predictor, paths)
        results = (item for item in items if isinstance(item, Prediction))
        if run.output == "json":
            pieces = json_pieces(results, run)
        elif run.output == "table":
            pieces = _rows(results, table_width(os.fspath(path) for path in paths))
        elif run.output == "picture":
            pieces = _pictures(run, results, folder, mark)
        else:
            names = predictor.bundle.vocabulary.names
            first = [head(run.output, names), *(line(run.output, each, names) for each in told)]
            pieces = chain(first, (line(run.output, item, names) for item in items))
        _write_all(pieces, stream, run)


@contextmanager
def _stream(out: Path | None, run: _Run) -> Iterator[TextIO]:
    """stdout, or a file that takes its name when all is written."""
    if out is None:
        yield sys.stdout
        return
    with atomic_path(out) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        yield file
        if not run.done:
            raise _NothingDone


def _write_all(pieces: Iterator[str], stream: TextIO, run: _Run) -> None:
    while True:
        try:
            piece = next(pieces, None)
            if piece is None:
                return
            code = getattr(stream, "encoding", None) or "utf-8"
            stream.write(piece.encode(code, "backslashreplace").decode(code))
            stream.flush()
        except KeyboardInterrupt:
            run.stopped = True  # `_items` ends at its next step, and the rest is closed


def _items(
    run: _Run, predictor: Predictor, paths: Sequence[Path]
) -> Iterator[Prediction | ImageProblem]:
    for item in predict_files(predictor, paths):
        if run.stopped:
            return
        if isinstance(item, ImageProblem):
            run.note(item)
        else:
            run.done += 1
            item = item.decided(top=run.top, threshold=run.threshold)
        yield item
        run.step()


def _rows(results: Iterator[Prediction], width: int) -> Iterator[str]:
    yield table_head(width) + "\n"
    for prediction in results:
        yield table_row(prediction, width) + "\n"


def _pictures(
    run: _Run, results: Iterator[Prediction], folder: Path, mark: Callable[[str], str]
) -> Iterator[str]:
    for prediction in results:
        try:
            # read again: holding every picture until its batch is done could fill the memory
            image = load_image(prediction.source)
        except ImageError as error:
            run.done -= 1
            run.note(ImageProblem(error.path, error.message))
            continue
        written = save_annotated(folder, image, prediction, mark(prediction.source))
        yield f"{table_row(prediction, 0)}  -> {printable(os.fspath(written))}\n"


def _say(text: str) -> None:
    print(f"hybridlab: {text}", file=sys.stderr)
