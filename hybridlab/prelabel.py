"""`hybridlab data label`: a folder of pictures and some words in, guessed annotations out.

Seed 002's repository makes up labels where no annotation file is given. Here a CLIP guesses them
from the labels' names; what it writes says so, and a list of the pictures it is least sure of helps
to look them through. The parts: `zeroshot.labelling` (probabilities), `guesses` (decisions and
lines), `guesses_text` (what is told of them).
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

from hybridlab.bundle_format import check_names
from hybridlab.data.folder import unlabelled_photos
from hybridlab.data.images import ImageError, load_image, shown
from hybridlab.data.layouts import read_labels
from hybridlab.data.photos import Annotations, PhotoDataset
from hybridlab.data.problems import Problem
from hybridlab.data.sample import Vocabulary
from hybridlab.data.seed_json import write_seed_json
from hybridlab.encoders.clip import TINY, ClipEncoder
from hybridlab.encoders.clip_hub import build_clip, recorded_preprocessing
from hybridlab.files import write_text
from hybridlab.growing import check_target, growing
from hybridlab.guesses import (
    GUESSES,
    LABELS,
    REVIEW,
    BadFile,
    Guess,
    Guesses,
    GuessLines,
    beside,
    decide,
    guess_line,
    head_line,
    read_guesses,
)
from hybridlab.guesses_text import review_csv, summary
from hybridlab.zeroshot.labelling import WordLabeller, word_labeller
from hybridlab.zeroshot.prompts import DEFAULT_PROMPTS

THRESHOLD = 0.5


def main_label(
    folder: Path,
    labels: Sequence[str],
    output: Path,
    *,
    model: str = TINY,
    weights: Path | None = None,
    view: str | None = None,
    templates: Sequence[str] = DEFAULT_PROMPTS,
    threshold: float | None = None,
    top_k: int | None = None,
    review: bool = False,
    resume: bool = False,
) -> int:
    """Guess the labels of all pictures of a folder; the arguments are those of `command.Label`.

    Files beside OUTPUT.json: OUTPUT.guesses.jsonl, which grows as OUTPUT.guesses.jsonl.part-KEY and
    holds every probability and who gave it; OUTPUT.labels.txt, the columns; OUTPUT.review.csv. The
    annotation file comes last, so where it is, all is.

    Args:
        labels: names; or one text file of names, one on each line.
        threshold, top_k: as `guesses.decide`; neither: `THRESHOLD`.

    Returns:
        0: all labelled; 1: some, and the rest is told; 2: none; 130: stopped by Ctrl-C.

    Raises:
        FileExistsError: a file that would be written is there.
        ValueError, OSError: no picture, labels that cannot be told apart, no such model.
        MissingWeightsError: the model's weights are not here.
    """
    names = label_names(labels)
    _check_decision(threshold, top_k, len(names))
    if threshold is None and top_k is None:
        threshold = THRESHOLD
    _check_output(output, review, resume)
    problems: list[Problem] = []
    photos = unlabelled_photos(folder, Vocabulary(names), tell=problems.append)
    labeller = word_labeller(load_clip(model, weights), names, templates, view)
    told = settings_of(labeller, threshold=threshold, top_k=top_k)
    run = _Run(photos, labeller, threshold, top_k, head_line(told))
    try:
        path = beside(output, GUESSES)
        if not path.exists():
            _grow(run, path, problems, resume)
        return _finish(run, path, output, review, folder)
    except KeyboardInterrupt:
        _say(f"stopped after {run.done} pictures; go on with the same command and --resume")
        return 130


@dataclass
class _Run:
    """What was asked for, and how many pictures were labelled."""

    photos: PhotoDataset
    labeller: WordLabeller
    threshold: float | None
    top_k: int | None
    head: str
    done: int = 0


def label_names(given: Sequence[str]) -> tuple[str, ...]:
    """The labels' names, from a text file if one is given.

    Raises:
        AnnotationError: the file cannot be read.
        ValueError: no name, one that is given twice, or one that a file of names cannot hold.
    """
    if len(given) == 1 and (given[0].endswith(".txt") or os.path.isfile(given[0])):
        return read_labels(given[0]).names
    names = Vocabulary(given).names
    check_names(names)  # no line ends: they stand in a file, one on each line
    return names


def load_clip(model: str, weights: Path | None = None) -> ClipEncoder:
    """A CLIP or SigLIP by the name that `encoders.clip_hub.build_clip` takes.

    Args:
        weights: a local file with the weights of MODEL:TAG; the tag tells how images are prepared.

    Raises:
        ValueError, MissingWeightsError, ImportError: as `build_clip`.
    """
    if weights is None:
        return build_clip(model)
    if model == TINY:
        raise ValueError("the tiny CLIP brings its weights; give --model MODEL:TAG with --weights")
    return build_clip(model, weights_path=weights, preprocessing=recorded_preprocessing(model))


def settings_of(
    labeller: WordLabeller, *, threshold: float | None, top_k: int | None
) -> dict[str, Any]:
    """Whatever a guess depends on beside the picture, as plain values for JSON."""
    encoder = labeller.encoder
    bias = encoder.logit_bias
    return {
        "model": encoder.name, "weights_hash": encoder.weights_hash(),
        "preprocessing": encoder.preprocessing.to_dict(),
        "templates": list(labeller.templates), "view": labeller.view,
        "probability": labeller.kind, "background": list(labeller.background),
        "scale": encoder.logit_scale.item(), "bias": None if bias is None else bias.item(),
        "threshold": threshold, "top_k": top_k, "labels": list(labeller.labels),
    }


def guess_files(
    labeller: WordLabeller,
    paths: Sequence[tuple[str, Path]],
    *,
    threshold: float | None,
    top_k: int | None,
    batch_size: int = 32,
) -> Iterator[Guess | BadFile]:
    """One result for each picture, in order; memory holds one full picture at a time.

    Args:
        paths: (name, file) of each.
        threshold, top_k: as `guesses.decide`.
        batch_size: pictures in one pass through the model.

    Raises:
        FloatingPointError: the model gave a value that is no number.
    """
    for at in range(0, len(paths), batch_size):
        ready = [_ready(labeller, name, path) for name, path in paths[at : at + batch_size]]
        pixels = [each for _, each in ready if isinstance(each, Tensor)]
        found = iter(labeller.log_odds(torch.cat(pixels)).numpy() if pixels else ())
        for name, each in ready:
            yield each if isinstance(each, BadFile) else decide(
                name, np.array(next(found)), threshold, top_k
            )


def _ready(labeller: WordLabeller, name: str, path: Path) -> tuple[str, Tensor | BadFile]:
    try:
        return name, labeller.encoder.preprocessing([load_image(path)])
    except ImageError as error:
        return name, BadFile(name, error.message)
    except (MemoryError, RuntimeError, ValueError) as error:
        what = " ".join(str(error).split())
        return name, BadFile(name, f"cannot be resized ({what})")


def _grow(run: _Run, path: Path, problems: Sequence[Problem], resume: bool) -> None:
    names = run.labeller.labels
    read = GuessLines(run.head, names)
    # the folder counts: names in the file are relative to it
    key = hashlib.sha256(f"{run.photos.root}\n{run.head}".encode("utf-8", "surrogateescape"))
    with ExitStack() as stack:
        file = stack.enter_context(
            growing(path, key.hexdigest()[:8], resume=resume, read=read)
        )
        if not read.begun:
            file.write(run.head)
        run.done = read.pictures
        for each in problems:
            if each.where not in read.names:
                _say(str(each))
                file.write(guess_line(BadFile(each.where, each.message), names))
        left = [(name, run.photos.path(at)) for at, name in enumerate(run.photos.annotations.names)
                if name not in read.names]
        step = _bar(stack, len(left))
        for item in guess_files(
            run.labeller, left, threshold=run.threshold, top_k=run.top_k
        ):
            if isinstance(item, BadFile):
                _say(f"{shown(item.picture)}: {item.problem}")
            file.write(guess_line(item, names))
            run.done += isinstance(item, Guess)
            step()


def _finish(run: _Run, path: Path, output: Path, review: bool, folder: Path) -> int:
    """From the lines to the other files; what a stopped run has made of them already is kept."""
    found = read_guesses(path)
    if head_line_of(found) != run.head:
        raise ValueError(
            f"{path} was made with another model, other labels or other options; repeat those, or "
            "delete it"
        )
    if not found.guesses:
        _say(f"none of {len(found.problems)} files gave a picture; {path} says why")
        return 2
    order = {name: at for at, name in enumerate(run.photos.annotations.names)}
    gone = [each.picture for each in found.guesses if each.picture not in order]
    if gone:
        raise ValueError(
            f"{path} has guesses of pictures that {shown(folder)} does not hold ({gone[0]!r} "
            "first); give the folder that it was made for, or delete it"
        )
    listed = sorted(found.guesses, key=lambda each: order[each.picture])
    _write_once(beside(output, LABELS), "".join(f"{name}\n" for name in found.labels))
    if review:
        _write_once(beside(output, REVIEW), review_csv(found.guesses, found.labels))
    write_seed_json(output, annotations_of(listed), Vocabulary(found.labels))
    _print(summary(found, output, folder, review))
    return 1 if found.problems else 0


def annotations_of(guesses: Sequence[Guess]) -> Annotations:
    """As if somebody had said so: names and columns."""
    return Annotations(
        tuple(each.picture for each in guesses),
        tuple(tuple(sorted(each.columns)) for each in guesses),
        ((),) * len(guesses),
    )


def head_line_of(found: Guesses) -> str:
    """The first line of a file of guesses, as it was written."""
    more = ("format", "version", "note")
    return head_line({key: value for key, value in found.settings.items() if key not in more})


def _check_decision(threshold: float | None, top_k: int | None, n_labels: int) -> None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}; give a number from 0 to 1")
    if top_k is not None and not 1 <= top_k <= n_labels:
        raise ValueError(f"top_k is {top_k}; give 1 to {n_labels}, the number of labels")


def _check_output(output: Path, review: bool, resume: bool) -> None:
    """Before any work: the folder is there, and nothing would be replaced."""
    if output.suffix.lower() != ".json":
        raise ValueError(f"output is {output}; give a name that ends in .json")
    check_target(output)
    if not resume:
        for ending in (GUESSES, LABELS, *([REVIEW] if review else [])):
            check_target(beside(output, ending))


def _write_once(path: Path, text: str) -> None:
    """Write a file that only a run that was stopped at its very end can have made before."""
    if not path.exists():
        write_text(path, text)


def _bar(stack: ExitStack, count: int) -> Callable[[], object]:
    from tqdm import tqdm

    bar = stack.enter_context(
        tqdm(total=count, unit="picture", leave=False, disable=not sys.stderr.isatty())
    )
    return bar.update


def _print(text: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    code = stream.encoding or "utf-8"
    print(text.encode(code, "backslashreplace").decode(code), file=stream)


def _say(line: str) -> None:
    _print(f"hybridlab: {line}", sys.stderr)

