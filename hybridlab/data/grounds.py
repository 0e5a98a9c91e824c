"""Which background was drawn behind each scene: what an audit of a classifier needs to know.

`Sample.context` is the context that the labels were drawn from. The background is another matter:
the dial `background_hint` says how often it is the same, and by default it is drawn at random.
"""

from __future__ import annotations

from hybridlab.data.scenes import (
    MAX_LABELS,
    MAX_OBJECTS,
    SPLITS,
    SceneDataset,
    choose_labels,
    stream,
)
from hybridlab.data.world import CONTEXT_NAMES


def scene_backgrounds(dataset: SceneDataset) -> tuple[str, ...]:
    """The context whose background each scene has, N names, without drawing a pixel.

    It runs through each scene's own stream as `SceneDataset` does; a test holds the two together.
    """
    config = dataset.config
    found = []
    for index in range(len(dataset)):
        draw = stream(config.seed, SPLITS.index(dataset.split) + 1, index)
        context, _ = choose_labels(config, draw)
        repeats = sum(draw() < 0.4 * config.clutter for _ in range(MAX_OBJECTS - MAX_LABELS))
        for _ in range(repeats + 1):  # which labels appear twice, and the turn of the order
            draw()
        hinted = draw() < config.background_hint
        found.append(CONTEXT_NAMES[context if hinted else int(draw() * len(CONTEXT_NAMES))])
    return tuple(found)
