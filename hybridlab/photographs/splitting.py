"""From the splits that a data set has to the three that a training needs.

What is missing is taken out of the training split, so that every label has its share in it, and
files of the same content stay together: else a picture would be measured that was learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hybridlab.data.photos import PhotoDataset
from hybridlab.data.scenes import SPLITS
from hybridlab.data.stratify import stratified_split


def roles_of(names: Sequence[str], test_split: str = "") -> dict[str, str]:
    """Which of a set's splits is train, val and test, by their names: role -> name.

    A set of one split has no need of a name. COCO's "train2017" is train, VOC's "trainval", too.

    Args:
        test_split: the name of the one that is test.

    Raises:
        ValueError: a name that tells nothing, two splits of one role, or none to train on.
    """
    if test_split and test_split not in names:
        raise ValueError(f"test_split is {test_split!r}, but the splits are "
                         f"{', '.join(map(repr, names))}")
    if len(names) == 1:
        return {"train": names[0]}
    found: dict[str, str] = {}
    for name in names:
        plain = name.lower().removeprefix("instances_")
        role = "test" if name == test_split else next(
            (each for each in SPLITS if plain.startswith(each)), None)
        if role is None:
            raise ValueError(
                f"the splits are {', '.join(map(repr, names))}, and {name!r} tells no use; let the "
                "names of the files begin with train, val and test"
            )
        if role in found:
            raise ValueError(f"both {found[role]!r} and {name!r} would be the {role} split; leave "
                             "one out")
        found[role] = name
    if "train" not in found:
        raise ValueError(f"none of the splits {', '.join(map(repr, names))} is to train on; give "
                         "one whose name begins with train")
    return found


def dealt(
    train: PhotoDataset, groups: Sequence[object], missing: Sequence[str],
    shares: Sequence[float], seed: int,
) -> dict[str, np.ndarray]:
    """Deal a training split out to itself and to the splits that are missing.

    Args:
        groups: of each of the N pictures, such as a hash of its content; pictures of one group
            stay together.
        missing: of "val" and "test".
        shares: of train, val and test.
        seed: of the dealing.

    Returns:
        "train" and each missing split -> rows, rising; together each row once. A split that would
        get less than half of its share, because most labels are too rare to be shared, gets the
        rest by chance.

    Raises:
        ValueError: groups of another number of pictures.
    """
    if len(groups) != len(train):
        raise ValueError(f"there are {len(groups)} groups of {len(train)} pictures; give one each")
    if not missing:
        return {"train": np.arange(len(train))}
    _, first, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    # in the order of the pictures, not of their hashes: a seed then means the same elsewhere
    order = np.argsort(first)
    rank = np.argsort(order)[group.reshape(-1)]
    names = ("train", *missing)
    wanted = [shares[SPLITS.index(name)] for name in names]
    even = stratified_split(train.label_matrix()[first[order]], wanted, seed)
    parts = _filled(even, wanted, seed)
    return {name: np.flatnonzero(np.isin(rank, part))
            for name, part in zip(names, parts, strict=True)}


def _filled(
    parts: list[np.ndarray], shares: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Where labels are too rare to be shared, stratification leaves a split nearly empty: one with
    less than half its share takes pictures from the first by chance."""
    count, whole = sum(map(len, parts)), sum(shares)
    rng, first, filled = np.random.default_rng(seed), parts[0], []
    for part, share in zip(parts[1:], shares[1:], strict=True):
        size = max(1, round(count * share / whole))
        if len(part) < size / 2:
            first = rng.permutation(first)
            lack = min(size - len(part), max(0, len(first) - 1))
            part, first = np.concatenate([part, first[:lack]]), first[lack:]
        filled.append(part)
    return [first, *filled]


def shared_contents(digests: Mapping[str, Sequence[object]]) -> int:
    """How many pictures have the content of one in another split."""
    where: dict[object, set[str]] = {}
    for split, each in digests.items():
        for digest in each:
            where.setdefault(digest, set()).add(split)
    return sum(len(where[digest]) > 1 for each in digests.values() for digest in each)
