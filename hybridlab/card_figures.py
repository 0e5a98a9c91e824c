"""The part of a model card that an evaluation fills: data, metrics, thresholds, labels, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridlab.bundle import Bundle
from hybridlab.evaluate import Evaluation
from hybridlab.evaluation.calibration import reliability
from hybridlab.evaluation.named import named_metric
from hybridlab.markdown import ends, listed, percent, plain, short, table_lines

UNKNOWN = "unknown"
FEW = 10  # positives of a label, below which its figures are mostly chance


@dataclass(frozen=True)
class Measuring:
    """How an evaluation was made.

    Attributes:
        about: the data in a few words.
        source: names the data exactly.
        command: that repeats it; "" where it was made in Python.
        split: of the data; "" where it has none.
        threshold: one for all labels; None: the bundle's own.
        resamples, seed: of the bootstrap.
        guessed: the labels were guessed by a model (`hybridlab data label`).
    """

    about: str
    source: str
    command: str = ""
    split: str = ""
    threshold: float | None = None
    resamples: int = 1000
    seed: int = 0
    guessed: bool = False


def evaluation_data(found: Evaluation, how: Measuring) -> Iterator[str]:
    """What was measured on."""
    truth = found.targets
    annotated = truth >= 0
    yield "## Evaluation data"
    yield ""
    yield from table_lines(("", ""), [
        ("data", how.about), ("fingerprint", how.source),
        ("pictures", f"{len(truth):,} measured, {len(found.problems):,} could not be read"),
        ("labels", f"{len(found.names)} measured"
                   + (f"; {len(found.unknown)} of the data that the bundle does not know left out"
                      if found.unknown else "")
                   + (f"; {len(found.unused)} of the bundle that the data does not have left out"
                      if found.unused else "")),
        ("labels in a picture", f"{(truth == 1).sum() / max(len(truth), 1):.2f} on average"),
        ("annotated", f"{100 * annotated.mean():.1f} % of all entries; the rest is in no figure"),
        ("who annotated it, and how well", _annotator(how)),
    ])


def _annotator(how: Measuring) -> str:
    if how.source.startswith("scenes-"):
        return "nobody: scenes are drawn, so their labels are known"
    if how.guessed:
        return ("a model guessed the labels (a .guesses.jsonl stands beside them); whether anybody "
                f"has looked them through since: {UNKNOWN}")
    return UNKNOWN


def metrics(found: Evaluation) -> Iterator[str]:
    """The metrics with their intervals."""
    yield "## Metrics"
    yield ""
    yield "In per cent, with 95 % bootstrap intervals over the pictures."
    yield ""
    yield from table_lines(("metric", "value", "interval"), [
        (named_metric(name).printed, percent(each.value), ends(each))
        for name, each in found.metrics.items()
    ])


def thresholds(found: Evaluation, how: Measuring) -> Iterator[str]:
    """What was decided with."""
    limits = found.thresholds
    yield "## Thresholds"
    yield ""
    if how.threshold is not None:
        yield (f"One for all labels, {how.threshold:g}, given to the evaluation in place of the "
               "bundle's own.")
    elif len(np.unique(limits)) == 1:
        yield f"The bundle's own: {limits[0]:.4g} for every label."
    else:
        yield (f"The bundle's own, one for each label: {limits.min():.3f} to {limits.max():.3f}, "
               f"median {np.median(limits):.3f}; the table of labels has them all.")
    yield (f"On which pictures they were fitted, and for which measure: {UNKNOWN}; the bundle does "
           "not say. mAP and AP do not depend on them.")
    yield ""


def calibration(found: Evaluation) -> Iterator[str]:
    """Whether a probability of 0.7 came true seven times in ten."""
    bins = reliability(found.probs, found.targets, 10)
    yield "## Calibration"
    yield ""
    yield (f"Expected calibration error {100 * found.ece:.1f} % (15 bins of equal width, all "
           f"entries together), Brier score {found.brier:.4f}. An average over all entries is "
           "mostly one of low probabilities:")
    yield ""
    yield from table_lines(("probability", "entries", "mean probability", "came true"), [
        (f"{low:.1f} to {high:.1f}", f"{count:,}", percent(forecast), percent(frequency))
        for low, high, count, forecast, frequency in zip(
            bins.edges, bins.edges[1:], bins.count, bins.forecast, bins.frequency,
            strict=False,
        ) if count
    ])


def labels(bundle: Bundle, found: Evaluation) -> Iterator[str]:
    """Every label, the lowest AP first."""
    table, trained = found.labels, train_positives(bundle)
    annotated = (found.targets >= 0).sum(axis=0)
    yield "## Labels"
    yield ""
    yield "The lowest AP first; in per cent, intervals as above. A dash: not defined."
    yield ""
    keys = [np.inf if np.isnan(each.value) else each.value for each in table.ap]
    rows = [
        (found.names[at], *([short(trained.get(found.names[at], UNKNOWN))] if trained else []),
         f"{table.positives[at]:,} of {annotated[at]:,}", f"{table.predicted[at]:,}",
         f"{found.thresholds[at]:.3f}", percent(table.precision[at]), percent(table.recall[at]),
         f"{percent(table.f1[at].value)} {ends(table.f1[at])}",
         f"{percent(table.ap[at].value)} {ends(table.ap[at])}")
        for at in np.argsort(keys, kind="stable")
    ]
    yield from table_lines(
        ("label", *(["in training"] if trained else []), "present", "given", "threshold",
         "precision", "recall", "F1", "AP"), rows,
    )


def limits(bundle: Bundle, found: Evaluation, how: Measuring) -> Iterator[str]:
    """What the figures do not show, or show only weakly."""
    table = found.labels
    yield "## Limits"
    yield ""
    if how.guessed:
        yield ("- **The labels are guesses of a model** unless somebody has looked them through: "
               "the figures then say how alike two models are, not how right one is.")
    if how.split.startswith(("train", "val")):
        yield (f"- **These are pictures of \"{plain(how.split)}\".** The model may have learnt "
               "from them, or its thresholds may have been fitted on them: the figures flatter.")
    absent = [name for name, count in zip(found.names, table.positives, strict=True) if not count]
    few = [name for name, count in zip(found.names, table.positives, strict=True)
           if 0 < count < FEW]
    never = [name for name, count, given in
             zip(found.names, table.positives, table.predicted, strict=True)
             if count and not given]
    if absent:
        yield f"- Not measured, for no picture has them: {listed(absent)}."
    if few:
        yield (f"- Fewer than {FEW} pictures have them, so their figures are mostly chance: "
               f"{listed(few)}.")
    if never:
        yield f"- Never given, though pictures have them: {listed(never)}."
    unmeasured = [*found.unused]
    if unmeasured:
        yield f"- Labels of the model that these pictures cannot measure: {listed(unmeasured)}."
    if found.problems:
        yield f"- {len(found.problems)} pictures could not be read; they are in no figure."
    yield (
        "- One model of one training run. The intervals say how the figures vary with the "
        "pictures, not how another run of the same training would come out."
    )
    yield (
        "- Whether the evaluation's pictures, or copies of them, were in training is "
        f"{UNKNOWN} to this card; `hybridlab data check` finds equal files in two splits."
    )
    yield "- Pictures of another kind than the evaluation's may give other figures, and often do."
    yield ""


def train_positives(bundle: Bundle) -> dict[str, Any]:
    """Label -> pictures in training, where the bundle says so."""
    data = bundle.info.get("data")
    train = data.get("train") if isinstance(data, Mapping) else None
    found = train.get("positives") if isinstance(train, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}
