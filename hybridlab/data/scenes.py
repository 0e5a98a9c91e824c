"""Scenes of the small world: index -> sample, by seed, with no files.

The same index gives the same pixels on any worker, in any order and in any process: each sample
has a random stream of its own, keyed by seed, split and index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from hybridlab.data.backgrounds import draw_background
from hybridlab.data.drawing import draw_objects, finish
from hybridlab.data.layout import place_objects, scene_facts
from hybridlab.data.openmoji import art_version
from hybridlab.data.sample import Sample, Vocabulary
from hybridlab.data.sprites import sprite_bank
from hybridlab.data.world import (
    COLOURLESS,
    CONTEXT_NAMES,
    LABEL_EMOJI,
    LABELS_PER_CONTEXT,
    WORLD,
    SceneConfig,
    context_of,
    partner_of,
)

SPLITS = ("train", "val", "test")
MAX_LABELS = 6  # different labels in one scene
MAX_OBJECTS = 8  # objects in one scene: some labels appear twice


def stream(seed: int, *key: int) -> Callable[[], float]:
    """A stream of numbers in [0, 1) that depends on its key alone.

    Philox is a counter-based generator: it counts up in the lowest of four words. That word starts
    at 0 and the key fills the other three, so that no stream ever runs into another.

    Args:
        seed: 0 to 2**128 - 1.
        key: up to three whole numbers, 0 to 2**64 - 1.
    """
    if len(key) > 3:
        raise ValueError(f"a stream has up to three key numbers, got {len(key)}: {key}")
    words = [0, *key, 0, 0, 0][:4]
    generator = np.random.Generator(np.random.Philox(key=seed, counter=words))
    buffer: Iterator[float] = iter(())

    def draw() -> float:
        nonlocal buffer
        for value in buffer:
            return value
        buffer = iter(generator.random(192).tolist())
        return next(buffer)

    return draw


@lru_cache(maxsize=32)
def _rank_cumulative(imbalance: float) -> tuple[float, ...]:
    weights = (np.arange(LABELS_PER_CONTEXT) + 1.0) ** -imbalance
    # partners share a rank, so that liking one's partner leaves frequencies as they are
    weights = weights.reshape(-1, 2).mean(axis=1).repeat(2)
    return tuple(np.cumsum(weights / weights.sum()).tolist())


def _pick(cumulative: tuple[float, ...], value: float) -> int:
    for rank, edge in enumerate(cumulative):
        if value < edge:
            return rank
    return len(cumulative) - 1


def choose_labels(
    config: SceneConfig, draw: Callable[[], float]
) -> tuple[int, list[int]]:
    """Draw a context and the labels of one scene.

    Each label comes from the scene's context with probability `cooccurrence`, otherwise from a
    context drawn anew; with half that probability it is the partner of the label before it.

    Returns:
        context index; 1 to `MAX_LABELS` different columns, in the order drawn.
    """
    context = int(draw() * len(CONTEXT_NAMES))
    chance = 0.15 + 0.6 * config.clutter
    count = 1 + sum(draw() < chance for _ in range(MAX_LABELS - 1))
    cumulative = _rank_cumulative(config.imbalance)
    labels: list[int] = []
    while len(labels) < count:
        inside = draw() < config.cooccurrence
        partner = draw() < 0.5 * config.cooccurrence
        if partner and labels and partner_of(labels[-1]) not in labels:
            labels.append(partner_of(labels[-1]))
            continue
        home = context if inside else int(draw() * len(CONTEXT_NAMES))
        label = home * LABELS_PER_CONTEXT + _pick(cumulative, draw())
        if label not in labels:
            labels.append(label)
    return context, labels


class SceneDataset:
    """A split of the small world.

    Args:
        size: N, the number of scenes.
        split: "train", "val" or "test"; splits share no stream, so they share no scene.
        config: the dials.

    Raises:
        ValueError: unknown split or a negative size.
        IndexError: an index outside 0..N-1 (negative ones count from the end).
    """

    vocabulary: Vocabulary = WORLD

    def __init__(self, size: int, split: str = "train", config: SceneConfig | None = None):
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; known splits: {', '.join(SPLITS)}")
        if size < 0:
            raise ValueError(f"size is {size}; a data set has 0 or more scenes")
        self.size = size
        self.split = split
        self.config = config or SceneConfig()

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Sample:
        if index < 0:
            index += self.size
        if not 0 <= index < self.size:
            raise IndexError(f"scene {index} was asked for, but the data set has {self.size}")
        config = self.config
        draw = stream(config.seed, SPLITS.index(self.split) + 1, index)
        context, labels = choose_labels(config, draw)
        repeats = sum(draw() < 0.4 * config.clutter for _ in range(MAX_OBJECTS - MAX_LABELS))
        shown = labels + [labels[int(draw() * len(labels))] for _ in range(repeats)]
        # the order drawn must not tell the depth: turn it by chance
        start = int(draw() * len(shown))
        shown = shown[start:] + shown[:start]

        hinted = draw() < config.background_hint
        ground = context if hinted else int(draw() * len(CONTEXT_NAMES))
        canvas = draw_background(ground, config.image_size, draw)
        if config.style in COLOURLESS:
            canvas[:] = canvas.mean(axis=2, keepdims=True)
        placements = place_objects(len(shown), config.image_size, config.clutter, draw)
        bank = sprite_bank(LABEL_EMOJI, config.style)
        objects = draw_objects(canvas, bank, shown, placements)

        return Sample(
            image=finish(canvas, draw),
            targets=self._targets(index, labels),
            objects=objects,
            context=CONTEXT_NAMES[context],
            facts=scene_facts(objects),
            index=index,
        )

    def _targets(self, index: int, labels: Sequence[int]) -> np.ndarray:
        targets = np.zeros(len(self.vocabulary), np.float32)
        targets[list(labels)] = 1.0
        if self.config.missing > 0:
            # a stream of its own: turning this dial leaves the pixels as they are
            hide = stream(self.config.seed, SPLITS.index(self.split) + 1, index, 1)
            targets[[hide() < self.config.missing for _ in range(len(targets))]] = -1.0
        return targets

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(self.size))

    @property
    def image_size(self) -> int:
        """Side of the scenes in pixels."""
        return self.config.image_size

    def fingerprint(self) -> str:
        """Names the data exactly: split, size, dials and the version of the drawing code; for
        "openmoji" also those of art and rasteriser."""
        dials = ",".join(f"{name}={value}" for name, value in self.config.to_dict().items())
        art = f":{art_version()}" if self.config.style == "openmoji" else ""
        return f"scenes-v{DRAWING_VERSION}:{self.split}:{self.size}:{dials}{art}"


# Raise this whenever the same index would give other pixels or labels: caches are keyed by it.
DRAWING_VERSION = 3


def label_matrix(dataset: SceneDataset) -> np.ndarray:
    """Targets of a whole split (N, L), those not annotated included, without drawing a pixel."""
    targets = np.zeros((len(dataset), len(dataset.vocabulary)), np.float32)
    for index in range(len(dataset)):
        draw = stream(dataset.config.seed, SPLITS.index(dataset.split) + 1, index)
        targets[index] = dataset._targets(index, choose_labels(dataset.config, draw)[1])
    return targets


__all__ = [
    "SPLITS",
    "SceneDataset",
    "choose_labels",
    "context_of",
    "label_matrix",
    "stream",
]
