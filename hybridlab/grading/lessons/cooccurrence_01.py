"""Check of lesson 01's co-occurrence matrix (1.3)."""

from __future__ import annotations

import numpy as np

from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
nan = float("nan")


def check_cooccurrence(trial: Trial) -> None:
    """The matrix against its definition; labels that never occur; bytes, truth values, floats."""
    title = "share of the images with label i (row) that have label j (column)"
    with trial.part("the worked example"):
        targets = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0]])
        expected = _right_shares(targets)
        trial.equal(trial.call("cooccurrence", targets), expected, "the matrix of the example",
                    own(expected, _shared_wrongly(targets)), picture=title)
    with trial.part("any labels"):
        rng = trial.rng
        targets, expected, mistakes = telling(
            lambda: _multi_hot(rng, int(rng.integers(12, 30))),
            lambda drawn: (_right_shares(drawn), _shared_wrongly(drawn)),
        )
        trial.equal(trial.call("cooccurrence", targets), expected, "the matrix", mistakes,
                    picture=title)
        rows, columns = rng.permutation(len(targets)), rng.permutation(targets.shape[1])
        trial.equal(
            trial.call("cooccurrence", targets[rows]), expected,
            "the matrix of the same images in another order",
            hint="The order of the images does not matter.",
        )
        trial.equal(
            trial.call("cooccurrence", targets[:, columns]), expected[columns][:, columns],
            "the matrix of the same labels in another order",
            hint="Rows and columns follow the order of the labels.",
        )
        trial.equal(trial.call("cooccurrence", np.array([[1]])), np.array([[1.0]]),
                    "the matrix of one image and one label")
    with trial.part("a label that never occurs"):
        rng = trial.rng
        targets, expected, mistakes = telling(
            lambda: _multi_hot(rng, int(rng.integers(8, 15)), absent=2),
            lambda drawn: (_right_shares(drawn), _absent_wrongly(drawn)),
        )
        trial.equal(trial.call("cooccurrence", targets), expected,
                    "the matrix with two labels that never occur", mistakes, picture=title)
    with trial.part("many images, stored as bytes"):
        rng = trial.rng
        targets, expected, mistakes = telling(
            lambda: _multi_hot(rng, int(rng.integers(700, 900))).astype(np.uint8),
            lambda drawn: (_right_shares(drawn), _overflown(drawn)),
        )
        trial.equal(trial.call("cooccurrence", targets), expected,
                    f"the matrix of {len(targets)} images", mistakes, picture=title)
        trial.equal(trial.call("cooccurrence", targets == 1), expected,
                    "the matrix of the same targets as truth values (bool)",
                    [_logical(targets)], picture=title)
        trial.equal(trial.call("cooccurrence", targets.astype(np.float32)), expected,
                    "the matrix of the same targets as float32", picture=title)


def _multi_hot(rng: np.random.Generator, images: int, absent: int = 0) -> Array:
    """Each label on an image or more, one of them on one image only, but for those `absent`."""
    labels = int(rng.integers(5, 9))
    targets = (rng.random((images, labels)) < rng.uniform(0.2, 0.9, labels)).astype(int)
    columns = rng.permutation(labels)
    targets[rng.integers(images), :] = 1
    targets[:, columns[0]] = 0
    targets[rng.integers(images), columns[0]] = 1
    targets[:, columns[1 : 1 + absent]] = 0
    return targets


def _right_shares(targets: Array) -> Array:
    here = targets == 1
    return np.array([
        here[here[:, label]].mean(axis=0) if here[:, label].any() else np.zeros(here.shape[1])
        for label in range(here.shape[1])
    ])


def _counts(targets: Array) -> tuple[Array, Array]:
    present = targets.astype(float)
    return present.T @ present, present.sum(axis=0)


def _shared_wrongly(targets: Array) -> list[Mistake]:
    right = _right_shares(targets)
    together, count = _counts(targets)
    either = count[:, None] + count[None] - together
    off = 1 - np.eye(len(count))
    with np.errstate(invalid="ignore", divide="ignore"):
        return [
            Mistake("Your matrix is transposed: you divided the columns by the labels' counts. "
                    "Row i is divided by the count of label i: count[:, None].", right.T),
            Mistake("You divided by the number of images: that is how often both occur together. "
                    "Divide row i by the images that have label i.", together / len(targets)),
            Mistake("Those are counts of images; divide row i by the images that have label i.",
                    together),
            Mistake("You divided by 4, the example's number of images; divide row i by the images "
                    "that have label i.", together / 4),
            Mistake("You divided by the images that have either label (the Jaccard index); divide "
                    "row i by the images that have label i.", together / np.maximum(either, 1)),
            Mistake("You divided by the root of both labels' counts (the cosine of two columns); "
                    "divide row i by the images that have label i.",
                    together / np.sqrt(np.maximum(np.outer(count, count), 1))),
            Mistake("The diagonal is not 0: every image with label i has label i.", right * off),
            Mistake("You divided by the row's sum, so that rows add up to 1. An image may have "
                    "several labels: divide by the images that have label i.",
                    together / np.maximum(together.sum(axis=1, keepdims=True), 1)),
            Mistake("Those are correlations; the exercise asks for the share of the images with "
                    "label i that have label j.", _correlations(targets)),
        ]


def _correlations(targets: Array) -> Array:
    return np.corrcoef(targets.T) if targets.std(axis=0).all() else np.full(
        (targets.shape[1],) * 2, nan
    )


def _absent_wrongly(targets: Array) -> list[Mistake]:
    right = _right_shares(targets)
    absent = targets.sum(axis=0) == 0
    rows = np.where(absent[:, None], nan, right)
    diagonal = right + np.diag(absent.astype(float))
    both = rows.copy()
    both[:, absent] = nan
    ones = np.where(absent[:, None], 1.0, right)
    return [
        Mistake("0 / 0 gave NaN in the row of a label that never occurs; that row is 0.", rows),
        Mistake("Rows and columns of a label that never occurs became NaN; both are 0.", both),
        Mistake("A label that never occurs has 0 on the diagonal, too.", diagonal),
        Mistake("The row of a label that never occurs is 0, not 1.", ones),
    ]


def _logical(targets: Array) -> Mistake:
    together, count = _counts(targets)
    return Mistake(
        "A product of truth values is a truth value again: it says whether two labels are ever "
        "together, not how often. Convert first: targets.astype(float).",
        (together > 0) / np.maximum(count, 1)[:, None],
    )


def _overflown(targets: Array) -> list[Mistake]:
    small = targets.astype(np.uint8)
    together, count = small.T @ small, small.sum(axis=0)
    return [
        Mistake("Your counts overflowed: a product of bytes (uint8) is a byte again and begins "
                "anew at 256. Convert first: targets.astype(float).",
                together / np.maximum(count, 1)[:, None]),
    ]
