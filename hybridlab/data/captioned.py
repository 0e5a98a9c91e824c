"""Pictures with words: what the tiny CLIP is pretrained on.

Two kinds of picture, both drawn: a *single* emoji, large, on a plain ground; and a *composite* of
1 to 4 emoji on a scene's background. Every nameable emoji may be drawn, but composites never hold
one of the world's 16 held-out labels (`world.HELD_OUT`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hybridlab.data.backgrounds import draw_background
from hybridlab.data.drawing import draw_objects, finish
from hybridlab.data.layout import TIDY_LOOK, Placement, between, place_objects
from hybridlab.data.scenes import stream
from hybridlab.data.sprites import art_path, sprite_bank
from hybridlab.data.world import (
    CONTEXT_NAMES,
    HELD_OUT,
    LABEL_EMOJI,
    LABEL_NAMES,
    with_article,
)

# Pictures of people in many versions, signs, arrows, clocks and flags: no use as *objects*.
_LEFT_OUT = re.compile(
    r"button|arrow|o’clock|thirty|flag|keycap|_sign|symbol|^(man|woman|men|women|person|people|"
    r"family|kiss|couple)_|square|circle|diamond|triangle|medium|Japanese|globe|moon_face|mailbox"
    r"|Aries|Taurus|Gemini|Cancer|Leo|Virgo|Libra|Scorpio|Sagittarius|Capricorn|Aquarius|Pisces"
    r"|Ophiuchus|facing|ZZZ|^(plus|minus|multiply|divide|infinity|copyright|registered)$"
)

TEMPLATES = (
    "{}",
    "a picture of {}",
    "a photo of {}",
    "an emoji of {}",
    "a drawing of {}",
    "a small picture of {}",
    "there is {} in the scene",
    "a scene with {}",
)


@dataclass(frozen=True)
class Catalogue:
    """The emoji that may be drawn, with their names; the world's labels come first."""

    symbols: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]  # each with its article; the first is the usual one
    held_out: frozenset[int]

    def __len__(self) -> int:
        return len(self.symbols)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """All nameable emoji with a Twemoji picture (about 1,000)."""
    import emoji

    def short_name(symbol: str) -> str:
        raw = emoji.EMOJI_DATA[symbol]["en"].strip(":")
        return raw.replace("_", " ").replace("’", "'")

    symbols = list(LABEL_EMOJI)
    names = []
    for name, symbol in zip(LABEL_NAMES, LABEL_EMOJI, strict=True):
        other = with_article(short_name(symbol).lower())
        usual = with_article(name)
        names.append((usual,) if other == usual else (usual, usual, other))
    known = set(symbols)
    for symbol, entry in emoji.EMOJI_DATA.items():
        if entry["status"] != emoji.STATUS["fully_qualified"] or symbol in known:
            continue
        if any(0x1F3FB <= ord(c) <= 0x1F3FF or 0x1F1E6 <= ord(c) <= 0x1F1FF for c in symbol):
            continue  # skin tones, national flags
        if _LEFT_OUT.search(entry["en"].strip(":")):
            continue
        try:
            art_path(symbol)
        except FileNotFoundError:
            continue  # newer than the artwork
        symbols.append(symbol)
        names.append((with_article(short_name(symbol)),))
    held_out = frozenset(LABEL_NAMES.index(name) for name in HELD_OUT)
    return Catalogue(tuple(symbols), tuple(names), held_out)


@dataclass(frozen=True, slots=True)
class CaptionedPicture:
    """image (H, W, 3) uint8, and which emoji of the catalogue it shows."""

    image: np.ndarray
    shown: tuple[int, ...]


class CaptionedPictures:
    """Index -> captioned picture, by seed; endless and without files.

    Args:
        image_size: side in pixels.
        seed: another seed draws other pictures.
        singles: share of single-emoji pictures.
        never: positions in the catalogue that are never drawn (`data.never.never_drawn`). Pictures
            that would not have shown them stay as they are.
        emoji: only the first so many of the catalogue are drawn; None: all. The world's 80 labels
            come first. Another number draws other pictures.

    Raises:
        ValueError: `never` leaves nothing to draw, or `emoji` is below 1 or more than there are.
    """

    def __init__(
        self,
        image_size: int = 96,
        seed: int = 0,
        singles: float = 0.35,
        never: frozenset[int] = frozenset(),
        emoji: int | None = None,
    ):
        self.image_size, self.seed, self.singles = image_size, seed, singles
        self.never = never
        self.catalogue = catalogue()
        known = len(self.catalogue)
        if emoji is not None and not 1 <= emoji <= known:
            raise ValueError(f"emoji is {emoji}; give 1 to {known}, or None for all of them")
        self.emoji = known if emoji is None else emoji
        self._world = range(min(len(LABEL_NAMES), self.emoji))
        self._allowed = [label for label in self._world if label not in self.catalogue.held_out]
        self._others = range(len(self._world), self.emoji)
        for pool in (self._allowed, self._others):
            if pool and never.issuperset(pool):
                raise ValueError(
                    f"never holds all {len(pool)} emoji that composites choose from; leave some"
                )
        # with so few emoji that a composite of four different ones cannot be had, it holds fewer
        self._most = len({*self._allowed, *self._others} - never)

    def __getitem__(self, index: int) -> CaptionedPicture:
        draw = stream(self.seed, 77, index)
        size = self.image_size
        if draw() < self.singles:
            world = draw() < 0.4 or not self._others
            pool = self._world if world else self._others
            shown = [self._pick(pool, draw)]
            base = np.array([60 + 195 * draw() for _ in range(3)], np.float32)
            slope = np.linspace(-1, 1, size, dtype=np.float32)[:, None, None] * (40 * draw())
            canvas = np.broadcast_to(base + slope, (size, size, 3)).copy()
            side = size * (0.3 + 0.65 * draw())
            room = (size - 0.9 * side) / 2
            placements = [
                Placement(
                    x=size / 2 + room * (2 * draw() - 1),
                    y=size / 2 + room * (2 * draw() - 1),
                    side=side,
                    angle=TIDY_LOOK.turn * (2 * draw() - 1),
                    flip=draw() < 0.5,
                    opacity=between(TIDY_LOOK.opacity, draw()),
                    saturation=between(TIDY_LOOK.saturation, draw()),
                    brightness=between(TIDY_LOOK.brightness, draw()),
                )
            ]
        else:
            count = min(1 + int(4 * draw()), self._most)
            shown = []
            while len(shown) < count:
                world = draw() < 0.6 or not self._others
                some: Sequence[int] = self._allowed if world else self._others
                pick = self._pick(some, draw)
                if pick not in shown:
                    shown.append(pick)
            canvas = draw_background(int(draw() * len(CONTEXT_NAMES)), size, draw)
            placements = place_objects(count, size, 0.5, draw, TIDY_LOOK)
        bank = sprite_bank(self.catalogue.symbols[: self.emoji])
        draw_objects(canvas, bank, shown, placements)
        return CaptionedPicture(finish(canvas, draw, TIDY_LOOK), tuple(shown))

    def _pick(self, pool: Sequence[int], draw: Callable[[], float]) -> int:
        """One of a pool at random; drawn again where it is one of `never`."""
        while (pick := pool[int(draw() * len(pool))]) in self.never:
            pass
        return pick

    def words(self, which: int, draw: Callable[[], float]) -> str:
        """A caption of one emoji: one of its names in one of the templates."""
        names = self.catalogue.names[which]
        template = TEMPLATES[int(draw() * len(TEMPLATES))]
        return template.format(names[int(draw() * len(names))])

    def caption(self, shown: tuple[int, ...], draw: Callable[[], float]) -> str:
        """A caption of the whole picture: "a picture of a cow, an egg and a kite"."""
        names = [self.catalogue.names[which] for which in shown]
        chosen = [options[int(draw() * len(options))] for options in names]
        start = int(draw() * len(chosen))
        chosen = chosen[start:] + chosen[:start]
        listed = chosen[0] if len(chosen) == 1 else f"{', '.join(chosen[:-1])} and {chosen[-1]}"
        return TEMPLATES[int(draw() * len(TEMPLATES))].format(listed)
