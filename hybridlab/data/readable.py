"""Leaving out the pictures that cannot be read: each is named, none is replaced by another."""

from __future__ import annotations

from hybridlab.data.images import ImageProblem, load_images
from hybridlab.data.photos import PhotoDataset


class TooManyUnreadableError(ValueError):
    """So many pictures cannot be read that something else must be wrong.

    Attributes:
        problems: those found until then.
    """

    def __init__(self, message: str, problems: tuple[ImageProblem, ...]):
        super().__init__(message, problems)
        self.problems = problems

    def __str__(self) -> str:
        return str(self.args[0])


def readable(
    dataset: PhotoDataset, most: float = 0.05
) -> tuple[PhotoDataset, list[ImageProblem]]:
    """The data set without the pictures that cannot be read, and which those are.

    Each picture is decoded once. A loader that takes the next picture in place of a bad one, as
    many do, would show it twice and keep quiet.

    Args:
        most: the share of the pictures that may be left out, in [0, 1].

    Raises:
        ValueError: `most` is no share.
        TooManyUnreadableError: more than that cannot be read; it stops there.
    """
    if not 0 <= most <= 1:
        raise ValueError(f"most is {most}; give a share, from 0 to 1")
    kept: list[int] = []
    problems: list[ImageProblem] = []
    paths = (dataset.path(index) for index in range(len(dataset)))
    for index, found in enumerate(load_images(paths, max_pixels=dataset.max_pixels)):
        if not isinstance(found, ImageProblem):
            kept.append(index)
            continue
        problems.append(found)
        if len(problems) > most * len(dataset):
            raise TooManyUnreadableError(
                f"{len(problems)} of the first {index + 1} pictures cannot be read, more than "
                f"{100 * most:g} % of all {len(dataset)}; the first: {problems[0]}. Copy the data "
                "set again, or let more be left out",
                tuple(problems),
            )
    return (dataset.subset(kept) if problems else dataset), problems
