"""Whether a data set can be trained on and measured with: what is wrong, and what is uneven.

Published scores rest on sets with unreadable files, contradictory labels and pictures that stand in
training and test alike. All of that can be found before anything is trained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridlab.data.contents import Content, contents
from hybridlab.data.inside import Listing
from hybridlab.data.photos import PhotoDataset
from hybridlab.data.problems import Problem

FEW = 10  # positives below which neither a threshold nor an AP says much
_UNEVEN = 100  # times as frequent


@dataclass(frozen=True)
class LabelCounts:
    """Of one split: (L,) how many pictures have a label, and of how many it is annotated."""

    present: np.ndarray
    annotated: np.ndarray


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        sizes: split -> N.
        labels: the L names.
        counts: split -> counts of labels.
        problems: the fatal ones first.
    """

    sizes: dict[str, int]
    labels: tuple[str, ...]
    counts: dict[str, LabelCounts]
    problems: tuple[Problem, ...]

    @property
    def fit(self) -> bool:
        """Nothing fatal was found."""
        return not any(problem.fatal for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: every problem, and the counts of every label."""
        return {
            "fit": self.fit,
            "splits": {
                split: {
                    "pictures": size,
                    "labels": {
                        name: {"present": int(present), "annotated": int(annotated)}
                        for name, present, annotated in zip(
                            self.labels, self.counts[split].present, self.counts[split].annotated,
                            strict=True,
                        )
                    },
                }
                for split, size in self.sizes.items()
            },
            "problems": [
                {"kind": each.kind, "fatal": each.fatal, "where": each.where,
                 "message": each.message}
                for each in self.problems
            ],
        }


def check_photos(
    splits: Mapping[str, PhotoDataset], told: Sequence[Problem] = (), *, pixels: bool = True,
    step: Callable[[], None] = lambda: None,
) -> CheckReport:
    """Check the splits of a data set.

    Args:
        splits: with the same labels.
        told: what was found while they were read.
        pixels: decode every picture; otherwise files are only hashed.
        step: called after each file.

    Raises:
        ValueError: no split, or splits with other labels.
    """
    if not splits:
        raise ValueError("there is no split to check; give one or more")
    labels = {data.vocabulary for data in splits.values()}
    if len(labels) > 1:
        raise ValueError(
            f"the splits {', '.join(splits)} have different labels; read them with one vocabulary"
        )
    problems = list(told)
    found = {
        split: list(contents([data.path(row) for row in range(len(data))], pixels=pixels,
                             max_pixels=data.max_pixels, step=step))
        for split, data in splits.items()
    }
    for split, data in splits.items():
        problems += _files(data, found[split])
    problems += _copies(splits, found)
    problems += _unnamed(splits)
    counts = {split: _counts(data) for split, data in splits.items()}
    names = labels.pop().names
    for split, each in counts.items():
        problems += _balance(split, names, each)
    problems.sort(key=lambda problem: not problem.fatal)
    return CheckReport(
        {split: len(data) for split, data in splits.items()}, names, counts, tuple(problems)
    )


def _files(data: PhotoDataset, found: Sequence[Content]) -> Iterator[Problem]:
    sizes = None if data.annotations.boxes is None else data.annotations.boxes.sizes
    for row, (name, content) in enumerate(zip(data.annotations.names, found, strict=True)):
        if content.trouble:
            yield Problem("unreadable file", name, content.trouble)
        elif sizes is not None and 0 not in content.size and 0 not in sizes[row]:
            said = (int(sizes[row][0]), int(sizes[row][1]))
            if said != content.size:
                yield Problem(
                    "other size", name,
                    f"is annotated as {said[0]} x {said[1]} pixels and has {content.size[0]} x "
                    f"{content.size[1]}; its boxes may be in the wrong place", False,
                )


def _copies(
    splits: Mapping[str, PhotoDataset], found: Mapping[str, Sequence[Content]]
) -> Iterator[Problem]:
    """Files of the same content: in two splits, with other labels, or just twice."""
    groups: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for split, each in found.items():
        for row, content in enumerate(each):
            if content.digest and not content.trouble:  # all empty files are the same
                groups[content.digest].append((split, row))
    for (split, row), *others in groups.values():
        first = splits[split]
        for other_split, other_row in others:
            other = splits[other_split]
            name = other.annotations.names[other_row]
            twin = first.annotations.names[row]
            if other_split != split:
                yield Problem(
                    "leakage", name, f"of {other_split} has the content of {twin}, which is in "
                    f"{split}; keep it in one split only",
                )
            if _contradict(first.targets(row), other.targets(other_row)):
                yield Problem(
                    "contradictory labels", name,
                    f"has the content of {twin} and other labels; look which are right",
                )
            elif other_split == split:
                yield Problem(
                    "duplicate", name, f"has the content and the labels of {twin}; one is enough",
                    False,
                )


def _contradict(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether a label is present by one and absent by the other; what is not annotated is no
    contradiction."""
    return bool((((one == 1) & (other == 0)) | ((one == 0) & (other == 1))).any())


def _unnamed(splits: Mapping[str, PhotoDataset]) -> Iterator[Problem]:
    """Pictures that lie in the folder and that no annotation names."""
    named: dict[str, set[str]] = defaultdict(set)
    for data in splits.values():
        named[str(data.root)].update(data.annotations.names)
    for root, names in named.items():
        left = [name for name in Listing(root).pictures() if name not in names]
        if left:
            yield Problem(
                "without annotation", root,
                f"{len(left):,} pictures have none, {left[0]!r} the first; they take no part",
                False,
            )


def _counts(data: PhotoDataset) -> LabelCounts:
    # row by row: the whole matrix of a large set would fill the memory
    present = np.zeros(len(data.vocabulary), np.int64)
    annotated = np.full(len(data.vocabulary), len(data))
    for has, unknown in zip(data.annotations.present, data.annotations.unknown, strict=True):
        present[list(has)] += 1
        annotated[list(unknown)] -= 1
    return LabelCounts(present, annotated)


def _balance(split: str, names: Sequence[str], counts: LabelCounts) -> Iterator[Problem]:
    where = split or "all pictures"

    def listed(mask: np.ndarray) -> str:
        some = [names[at] for at in np.flatnonzero(mask).tolist()]
        return f"{len(some)} labels ({', '.join(some[:5])}{', ...' if len(some) > 5 else ''})"

    present, annotated = counts.present, counts.annotated
    never, always = present == 0, (present == annotated) & (annotated > 0)
    few = ~never & (present < FEW)
    if never.any():
        yield Problem("imbalance", where, f"{listed(never)} are never present: their AP is not "
                                          "defined, and no threshold can be fitted", False)
    if few.any():
        yield Problem("imbalance", where, f"{listed(few)} have fewer than {FEW} positives: their "
                                          "figures are mostly chance", False)
    if always.any():
        yield Problem("imbalance", where, f"{listed(always)} are present wherever annotated: there "
                                          "is nothing to tell apart", False)
    some = present[present > 0]
    if len(some) and some.max() > _UNEVEN * some.min():
        yield Problem(
            "imbalance", where,
            f"{names[int(present.argmax())]} is {some.max() / some.min():,.0f} times as frequent "
            "as the rarest label; report macro figures beside overall ones", False,
        )
