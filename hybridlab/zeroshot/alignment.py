"""Do the vectors of an image tower and of a text tower lie in one space? Measured on pairs.

Two towers that were trained together are aligned by their loss. Others are not until it is shown:
Gemma 3's vision tower began as a SigLIP's, was trained on for another end, and lost its pooling
head, so nothing says that SigLIP's texts still point where its images do (trap 11).

Three questions, on pairs that the map has not seen:

1. Does an image find its text as the vectors are (`direct`)? Only where the widths agree.
2. Does it after one linear map, fitted on other pairs (`mapped`)? Then the two know the same things
   and have other axes. `control` fits the same map to shuffled pairs: it must stay at `chance`.
3. How alike are the two geometries, whatever the axes (`cka`)?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hybridlab.contrastive.retrieval import Recall, recall_table
from hybridlab.zeroshot.kernels import linear_cka

Floats = NDArray[np.float64]
PENALTIES = tuple(10.0**power for power in range(-4, 4))  # for unit vectors, spread to variance 1


@dataclass(frozen=True)
class Alignment:
    """How well images and texts of two towers fit, on pairs kept from the fit.

    Attributes:
        train, test: pairs in each half.
        direct: R@k both ways of the vectors as they are; None where widths differ.
        mapped: R@k after the map from images to texts that was fitted on the train half.
        control: R@k after maps that were fitted on shuffled pairs, the mean over them.
        chance: R@k of a blind guess.
        cka: debiased linear CKA of the test half; 1 for equal geometries, about 0 for unrelated.
        cka_control: the same, with the texts shuffled.
    """

    train: int
    test: int
    direct: dict[int, Recall] | None
    mapped: dict[int, Recall]
    control: dict[int, Recall]
    chance: dict[int, Recall]
    cka: float
    cka_control: float


def measure_alignment(
    images: ArrayLike | Tensor,
    texts: ArrayLike | Tensor,
    *,
    groups: Sequence[int] | None = None,
    at: Sequence[int] = (1, 5, 10),
    shuffles: int = 5,
    seed: int = 0,
) -> Alignment:
    """Measure how well image vectors fit the vectors of their texts.

    The map is a ridge regression from centred, spread image vectors to centred text vectors, its
    penalty chosen on the train half. Retrieval compares by cosine; vectors of both may be of any
    length.

    Args:
        images: (N, D1), such as `GemmaFeatures.pooled` or `image_emb`.
        texts: (N, D2), row i belongs to image i, such as `ClipEncoder.encode_text` gives.
        groups: (N,) numbers; pairs of one number count as right for each other, and are kept in one
            half. Needed where several images have one text.
        at: the k of R@k.
        shuffles: of pairs, for the controls.
        seed: of the halves and the shuffles.

    Raises:
        TypeError: values that are no numbers.
        ValueError: another shape, NaN, a vector of zeros, too few pairs, or repeated texts without
            `groups`.
    """
    x, y = _vectors(images, "images"), _vectors(texts, "texts")
    if len(x) != len(y):
        raise ValueError(f"got {len(x)} images and {len(y)} texts; expected pairs, row by row")
    if shuffles < 1 or not at or min(at) < 1:
        raise ValueError(f"shuffles is {shuffles} and at {tuple(at)}; expected 1 or more of each")
    group = _grouped(groups, y)
    rng = np.random.default_rng(seed)
    fit, held = _halves(group, max(at), rng)
    positives = torch.from_numpy(group[held][:, None] == group[held][None, :])

    def recalls(left: Floats, right: Floats) -> dict[int, Recall]:
        similarity = torch.from_numpy(_unit(left) @ _unit(right).T)
        return recall_table(similarity, at, positives)

    def after_map(order: NDArray[np.int64]) -> dict[int, Recall]:
        return recalls(*_mapped(x[fit], y[fit][order], x[held], y[held]))

    orders = [rng.permutation(len(fit)) for _ in range(shuffles)]
    blind = [rng.permutation(len(held)) for _ in range(shuffles)]
    return Alignment(
        train=len(fit),
        test=len(held),
        direct=recalls(x[held], y[held]) if x.shape[1] == y.shape[1] else None,
        mapped=after_map(np.arange(len(fit))),
        control=_mean([after_map(order) for order in orders]),
        chance={k: Recall(*[_chance(positives, k)] * 2) for k in at},
        cka=linear_cka(x[held], y[held]),
        cka_control=float(np.mean([linear_cka(x[held], y[held][order]) for order in blind])),
    )


def _mapped(x: Floats, y: Floats, new_x: Floats, new_y: Floats) -> tuple[Floats, Floats]:
    """Fit the map on x, y; the new images in the texts' space, and the new texts, both centred."""
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    spread = StandardScaler().fit(x)  # unit vectors of a wide space differ by little
    middle = y.mean(axis=0)
    # towers' vectors fill a narrow cone; ridge pulls predictions to its middle, and uncentred
    # cosines would then favour the texts that are near it
    ridge = RidgeCV(alphas=np.array(PENALTIES) * len(x), fit_intercept=False)
    ridge.fit(spread.transform(x), y - middle)
    return ridge.predict(spread.transform(new_x)), new_y - middle


def _halves(
    group: NDArray[np.int64], largest: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to fit on and rows to measure on; a group is in one of them."""
    kinds = rng.permutation(np.unique(group))
    for_fit = np.isin(group, kinds[: len(kinds) // 2])
    fit, held = np.flatnonzero(for_fit), np.flatnonzero(~for_fit)
    least = max(2 * largest, 8)
    if min(len(kinds) // 2, len(kinds) - len(kinds) // 2) < least:
        raise ValueError(
            f"{len(kinds)} different pairs are too few: half is for fitting the map, and R@"
            f"{largest} needs {least} or more in the other half; give {2 * least} or more, or "
            "smaller at="
        )
    return fit, held


def _grouped(groups: Sequence[int] | None, texts: Floats) -> NDArray[np.int64]:
    if groups is None:
        _, first, same = np.unique(texts, axis=0, return_index=True, return_inverse=True)
        original = first[same.reshape(-1)]  # the first row with this very vector
        again = np.flatnonzero(original < np.arange(len(texts)))
        if len(again):
            raise ValueError(
                f"texts {original[again[0]]} and {again[0]} have the same vector, so no image can "
                "be told to belong to one of them; pass groups=, one number for each text"
            )
        return np.arange(len(texts))
    _, found = np.unique(np.asarray(groups), return_inverse=True)
    if found.shape != (len(texts),):
        raise ValueError(f"groups has shape {np.shape(groups)}; expected ({len(texts)},)")
    return found


def _vectors(given: ArrayLike | Tensor, name: str) -> Floats:
    values = given.detach().cpu().double().numpy() if isinstance(given, Tensor) else given
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} holds something else than numbers ({error})") from error
    if found.ndim != 2 or 0 in found.shape:
        raise ValueError(f"{name} has shape {found.shape}; expected (N, D), a vector in each row")
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ValueError(f"{name} row {row} holds NaN or infinity; look at what encoded it")
    if not np.linalg.norm(found, axis=1).all():
        row = int(np.flatnonzero(np.linalg.norm(found, axis=1) == 0)[0])
        raise ValueError(f"{name} row {row} is a vector of zeros, which has no direction")
    return _unit(found)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _chance(positives: Tensor, k: int) -> float:
    """Share of queries that find one of their own among k drawn blindly: hypergeometric."""
    from scipy.stats import hypergeom

    total = positives.shape[1]
    return float(np.mean(hypergeom.sf(0, total, positives.sum(dim=1).numpy(), min(k, total))))


def _mean(tables: list[dict[int, Recall]]) -> dict[int, Recall]:
    return {k: Recall(*np.mean([table[k] for table in tables], axis=0).tolist()) for k in tables[0]}
