"""How good a bundle is on labelled images: metrics with intervals, and a table of its labels.

    evaluation = evaluate_images(Predictor(folder), images, targets, names)

takes any images: paths, PIL images or arrays, with targets (N, L) and the labels' names. The names
tell which column is which: their order may be another than the bundle's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hybridlab.bundle import versions_of
from hybridlab.data.images import ImageProblem
from hybridlab.data.photos import PhotoDataset
from hybridlab.data.sample import Vocabulary
from hybridlab.data.scenes import SceneDataset, label_matrix
from hybridlab.evaluation.bootstrap import Interval
from hybridlab.evaluation.calibration import brier_score, expected_calibration_error
from hybridlab.evaluation.inputs import check_targets
from hybridlab.evaluation.intervals import LabelTable, label_table, named_intervals
from hybridlab.evaluation.named import named_metric
from hybridlab.files import write_json, write_text
from hybridlab.growing import check_target
from hybridlab.prediction import Prediction, check_decision, printable
from hybridlab.predictor import Picture, Predictor

METRICS = (
    "mean_ap", "cf1", "of1", "macro_f1", "cp", "cr", "op", "or_", "exact_match", "hamming",
)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A bundle on labelled images. N counts those that were read.

    Attributes:
        names: the L labels that were measured.
        probs, decisions, targets: (N, L).
        thresholds: (L,) that were decided with.
        metrics: name -> value and interval, as shares.
        labels: label by label.
        ece, brier: expected calibration error and Brier score of all entries.
        problems: images that could not be read; they are in no figure.
        unknown: labels of the data that the bundle does not know, left out.
        unused: labels of the bundle that the data does not have, left out.
    """

    names: tuple[str, ...]
    probs: np.ndarray
    decisions: np.ndarray
    targets: np.ndarray
    thresholds: np.ndarray
    metrics: dict[str, Interval]
    labels: LabelTable
    ece: float
    brier: float
    problems: tuple[ImageProblem, ...] = ()
    unknown: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; what is undefined is NaN."""
        table = self.labels
        return {
            "images": len(self.targets),
            "metrics": {name: _spread(found) for name, found in self.metrics.items()},
            "ece": self.ece,
            "brier": self.brier,
            "labels": {
                name: {
                    "threshold": self.thresholds[at], "positives": table.positives[at],
                    "predicted": table.predicted[at], "precision": table.precision[at],
                    "recall": table.recall[at], "ap": _spread(table.ap[at]),
                    "f1": _spread(table.f1[at]),
                }
                for at, name in enumerate(self.names)
            },
            "problems": [
                {"source": os.fspath(each.path), "problem": each.message} for each in self.problems
            ],
            "labels_that_the_bundle_does_not_know": self.unknown,
            "labels_that_the_data_does_not_have": self.unused,
        }


def evaluate_images(
    predictor: Predictor,
    images: Iterable[Picture],
    targets: ArrayLike,
    names: Sequence[str],
    *,
    shared_labels: bool = False,
    threshold: float | None = None,
    metrics: Sequence[str] = METRICS,
    resamples: int = 1000,
    seed: int = 0,
    batch_size: int = 32,
    step: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Label images and hold the labels against their targets.

    Args:
        images: N of them, read one by one; a path that gives no picture is told in `problems`.
        targets: (N, L) in {1, 0, -1 = not annotated}.
        names: of the columns of `targets`, in their order.
        shared_labels: measure the labels that the bundle and the data share, where they are not
            the same ones.
        threshold: one for all labels instead of the bundle's own.
        metrics: of `evaluation.named`.
        resamples, seed: of the bootstrap.
        batch_size: images in one pass through the model.
        step: is called after each image.

    Raises:
        ValueError: targets that do not fit the images or the names, labels that the bundle and the
            data do not share, an unknown metric, or no image that could be read.
    """
    check_decision(None, threshold)
    for name in metrics:
        named_metric(name)  # before the work, not after
    vocabulary = Vocabulary(names)
    shape = np.shape(targets)
    if len(shape) != 2 or shape[1] != len(vocabulary):
        raise ValueError(
            f"targets has shape {shape} but there are {len(vocabulary)} names; give (N, L), a "
            "column for each name"
        )
    truth = check_targets(targets, shape, of="targets")
    own = predictor.bundle.vocabulary
    shared = [name for name in own.names if name in vocabulary]
    unknown = tuple(name for name in vocabulary.names if name not in own)
    unused = tuple(name for name in own.names if name not in vocabulary)
    if not shared or ((unknown or unused) and not shared_labels):
        raise ValueError(_other_labels(shared, unknown, unused))
    rows, probs, problems = _scored(predictor, images, len(truth), batch_size, step)
    if not rows:
        told = f"; the first: {problems[0]}" if problems else ""
        raise ValueError(f"none of {len(truth)} images could be read{told}")
    columns = [own.column(name) for name in shared]
    truth = truth[np.ix_(rows, [vocabulary.column(name) for name in shared])]
    scored = np.stack(probs)[:, columns]
    limits = predictor.bundle.thresholds[columns]
    if threshold is not None:
        limits = np.full(len(columns), threshold)
    decisions = scored >= limits
    return Evaluation(
        names=tuple(shared),
        probs=scored,
        decisions=decisions,
        targets=truth,
        thresholds=limits,
        metrics=named_intervals(metrics, scored, decisions, truth, resamples, seed),
        labels=label_table(scored, decisions, truth, resamples, seed),
        ece=expected_calibration_error(scored, truth),
        brier=brier_score(scored, truth),
        problems=tuple(problems),
        unknown=unknown,
        unused=unused,
    )


def _scored(
    predictor: Predictor, images: Iterable[Picture], count: int, batch_size: int,
    step: Callable[[], object],
) -> tuple[list[int], list[np.ndarray], list[ImageProblem]]:
    """Which of the images could be read, their probabilities, and what was wrong with the rest."""
    rows: list[int] = []
    probs: list[np.ndarray] = []
    problems: list[ImageProblem] = []
    seen = 0
    for at, item in enumerate(predictor.each(images, batch_size)):
        seen = at + 1
        if seen > count:
            break
        if isinstance(item, Prediction):
            rows.append(at)
            probs.append(item.probs)
        else:
            problems.append(item)
        step()
    if seen != count:
        raise ValueError(
            f"there are {count} rows of targets but {'more' if seen > count else seen} images; "
            "give one row for each image"
        )
    return rows, probs, problems


def _other_labels(shared: list[str], unknown: Sequence[str], unused: Sequence[str]) -> str:
    def some(names: Sequence[str]) -> str:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return ", ".join(map(repr, names[:3])) + more

    parts = [f"the bundle does not know {some(unknown)}"] if unknown else []
    parts += [f"the data does not have {some(unused)}"] if unused else []
    what = " and ".join(parts)
    if not shared:
        return f"bundle and data share no label: {what}; give data with the bundle's labels"
    return (
        f"{what}; check the spelling, or give --shared-labels (shared_labels=True) to measure the "
        f"{len(shared)} labels that both have"
    )


def _spread(found: Interval) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def report(evaluation: Evaluation, about: str) -> str:
    """The metrics and the table of labels, lowest AP first, as text in per cent."""
    lines = [
        f"{len(evaluation.targets):,} images ({about}), {len(evaluation.names)} labels; in "
        "brackets 95 % bootstrap intervals over the images",
        "",
    ]
    width = max(len(named_metric(name).printed) for name in evaluation.metrics) + 2
    for name, found in evaluation.metrics.items():
        lines.append(f"{named_metric(name).printed:<{width}}{_percent(found)}")
    lines.append(f"calibration: ECE {100 * evaluation.ece:.1f}, Brier {evaluation.brier:.3f}")
    table = evaluation.labels
    wide = max(9, *(len(printable(name)) for name in evaluation.names)) + 2
    lines += ["", f"{'label':<{wide}}{'threshold':>10}{'positives':>11}{'predicted':>11}"
                  f"{'precision':>11}{'recall':>8}{'F1':>20}{'AP':>20}"]
    keys = [(each.value if each.value == each.value else np.inf) for each in table.ap]
    for at in np.argsort(keys, kind="stable"):
        lines.append(
            f"{printable(evaluation.names[at]):<{wide}}{evaluation.thresholds[at]:>10.2f}"
            f"{table.positives[at]:>11}{table.predicted[at]:>11}"
            f"{_number(table.precision[at]):>11}{_number(table.recall[at]):>8}"
            f"{_percent(table.f1[at]):>20}{_percent(table.ap[at]):>20}"
        )
    return "\n".join(lines)


def _percent(found: Interval) -> str:
    return f"{_number(found.value)} [{_number(found.low)}, {_number(found.high)}]"


def _number(share: float) -> str:
    return f"{100 * share:.1f}" if share == share else "-"


def main_evaluate(
    bundle: str | os.PathLike[str],
    dataset: SceneDataset,
    *,
    out: Path | None = None,
    **options: Any,
) -> int:
    """What `hybridlab evaluate` does on scenes of the small world.

    Args:
        out: a JSON file, which must not exist.
        options: of `evaluate_images`.

    Returns:
        0; 1 where images could not be read.

    Raises:
        as `evaluate_images`, and FileExistsError for `out`.
    """
    about = f"small world, {dataset.split}"
    if dataset.split != "test":
        print(
            f"hybridlab: a bundle may have learnt from scenes of {dataset.split!r}, or fitted its "
            "thresholds on them: report figures of test", file=sys.stderr,
        )
    return run_evaluation(
        bundle, (scene.image for scene in dataset), label_matrix(dataset),
        dataset.vocabulary.names, about=about, source=dataset.fingerprint(), out=out,
        split=dataset.split, **options,
    )


def evaluate_photos(
    bundle: str | os.PathLike[str],
    photos: PhotoDataset,
    *,
    out: Path | None = None,
    **options: Any,
) -> int:
    """What `hybridlab evaluate BUNDLE --images FOLDER` does on pictures with annotations; a file
    that gives no picture is named, and counts nowhere. Args, returns, raises: as `main_evaluate`.
    """
    return run_evaluation(
        bundle, (photos.path(row) for row in range(len(photos))), photos.label_matrix(),
        photos.vocabulary.names, about=f"{photos.root.name}/{photos.split}".rstrip("/"),
        source=photos.fingerprint(), out=out, split=photos.split, **options,
    )


def run_evaluation(
    bundle: str | os.PathLike[str],
    images: Iterable[Picture],
    targets: ArrayLike,
    names: Sequence[str],
    *,
    about: str,
    source: str,
    out: Path | None = None,
    card: Path | None = None,
    command: str = "",
    split: str = "",
    guessed: bool = False,
    **options: Any,
) -> int:
    """Evaluate, print the report, write the JSON and the model card: for any data set.

    Args:
        images, targets, names: as `evaluate_images`.
        about: the data in a few words, for the report.
        source: names the data exactly, for the JSON.
        out: a JSON file, which must not exist.
        card: a Markdown file, which must not exist.
        command, split, guessed: for the card; see `card.Measuring`.
        options: of `evaluate_images`.

    Returns:
        0; 1 where images could not be read.

    Raises:
        as `evaluate_images`, and FileExistsError for `out` and `card`.
    """
    for target in (out, card):
        if target is not None:
            check_target(target)  # before the work, not after
    predictor = Predictor(bundle)
    from tqdm import tqdm

    with tqdm(total=len(np.asarray(targets)), unit="image", leave=False,
              disable=not sys.stderr.isatty()) as bar:
        found = evaluate_images(predictor, images, targets, names, step=bar.update, **options)
    for problem in found.problems:
        print(f"hybridlab: {problem}", file=sys.stderr)
    print(report(found, about))
    if out is not None:
        write_json(out, {
            "data": source, "bundle": predictor.bundle.info, **found.to_dict(),
            "intervals": f"95 % bootstrap over images, {options.get('resamples', 1000)} resamples; "
                         "basic for AP and mAP, percentiles for the rest",
            "versions": versions_of("torch", "numpy"),
        })
        print(f"\nwritten to {out}")
    if card is not None:
        from hybridlab.card import Measuring, model_card

        how = Measuring(
            about, source, command, split, options.get("threshold"),
            options.get("resamples", 1000), options.get("seed", 0), guessed,
        )
        write_text(card, model_card(predictor.bundle, found, how))
        print(f"\nmodel card written to {card}")
    return 1 if found.problems else 0
