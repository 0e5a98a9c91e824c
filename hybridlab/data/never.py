"""Labels that a CLIP is never shown in pretraining: neither their emoji nor their names.

One of the two meanings of "never trained" (lesson 04). The other, labels that are absent from scene
training, is a matter of targets: see `zeroshot.splits`.
"""

from __future__ import annotations

from functools import lru_cache

from hybridlab.data.captioned import catalogue
from hybridlab.data.world import LABEL_NAMES


@lru_cache(maxsize=16)
def never_drawn(names: tuple[str, ...]) -> frozenset[int]:
    """What must not be drawn, as positions in the catalogue of `data.captioned`.

    The labels themselves, and emoji outside the world one of whose names holds one of theirs: a
    "satellite antenna" would teach the word "satellite". Other labels of the world stay: a "table
    tennis paddle" is drawn although the Unicode name of the tennis ball is "tennis". Single words
    that names share ("glass", "ball") stay too.

    Args:
        names: labels, as `data.labels.label_names` gives them.
    """
    emoji = catalogue()
    labels = {LABEL_NAMES.index(name) for name in names}
    theirs = {_bare(name) for label in labels for name in emoji.names[label]}
    others = {
        which for which in range(len(LABEL_NAMES), len(emoji))
        if any(
            f" {name} " in f" {_bare(other)} " for other in emoji.names[which] for name in theirs
        )
    }
    return frozenset(labels | others)


def _bare(name: str) -> str:
    """Without its article, in lower case."""
    return name.lower().removeprefix("a ").removeprefix("an ")
