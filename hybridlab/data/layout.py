"""Where the objects of a scene stand: positions, sizes, turns; and the facts that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log, pi

from hybridlab.data.sample import Fact, SceneObject

Draw = Callable[[], float]

@dataclass(frozen=True)
class Look:
    """How much objects vary from picture to picture; each pair is a range.

    Attributes:
        side: side of an object as a share of the image.
        turn: largest turn either way, in radians.
        opacity, saturation, brightness: 1 is the art as it is.
        inset: how near an object's centre may come to the edge, as a share of its side; below a
            half, part of it may lie outside.
        spread: strength of noise, in grey levels.
        blurred: share of pictures that are blurred.
    """

    side: tuple[float, float] = (0.17, 0.42)
    turn: float = 40 * pi / 180
    opacity: tuple[float, float] = (0.65, 1.0)
    saturation: tuple[float, float] = (0.0, 1.1)
    brightness: tuple[float, float] = (0.75, 1.25)
    inset: float = 0.35
    spread: tuple[float, float] = (2.0, 12.0)
    blurred: float = 0.5


SCENE_LOOK = Look()
# The pictures that the tiny CLIP is pretrained on are tidier than the scenes it will meet.
TIDY_LOOK = Look(
    side=(0.22, 0.46),
    turn=25 * pi / 180,
    opacity=(0.8, 1.0),
    saturation=(0.4, 1.2),
    brightness=(0.85, 1.15),
    inset=0.45,
    spread=(1.0, 7.0),
    blurred=1 / 3,
)


def between(span: tuple[float, float], share: float) -> float:
    """The number at `share` of the way through a range."""
    return span[0] + (span[1] - span[0]) * share


@dataclass(slots=True)
class Placement:
    """How one object is drawn: centre and side in pixels, angle in radians, look in shares."""

    x: float
    y: float
    side: float
    angle: float
    flip: bool
    opacity: float
    saturation: float
    brightness: float


def _worst_overlap(x: float, y: float, side: float, placed: Sequence[Placement]) -> float:
    """Largest share of the smaller square that any placed one and this one share."""
    worst = 0.0
    for other in placed:
        reach = (side + other.side) / 2
        wide, high = reach - abs(x - other.x), reach - abs(y - other.y)
        if wide > 0 and high > 0:
            small = min(side, other.side)
            worst = max(worst, min(wide, small) * min(high, small) / (small * small))
    return worst


def place_objects(
    count: int, size: int, clutter: float, draw: Draw, look: Look = SCENE_LOOK
) -> list[Placement]:
    """Place `count` objects on a square of `size` px, farthest first.

    Each object tries several places and keeps the one with least overlap; `clutter` lowers the
    number of tries. One in eight is set on top of an earlier one. Small objects tend to stand in
    front, so that they are not hidden.
    """
    tries = 1 + round(4 * (1 - clutter))
    crowd = 1 - 0.05 * max(0, count - 3)
    sides = [
        size * crowd * exp(between((log(look.side[0]), log(look.side[1])), draw()))
        for _ in range(count)
    ]
    order = sorted(range(count), key=lambda i: -sides[i] * (0.8 + 0.4 * draw()))
    placed: list[Placement] = []
    for i in order:
        side = sides[i]
        low, high = look.inset * side, size - look.inset * side
        candidates = [
            (low + (high - low) * draw(), low + (high - low) * draw()) for _ in range(tries)
        ]
        if placed and draw() < 0.125:
            base = placed[int(draw() * len(placed))]
            y = base.y - 0.46 * (base.side + side)
            if y > low:
                x = min(high, max(low, base.x + 0.15 * base.side * (2 * draw() - 1)))
                candidates = [(x, y)]
        x, y = min(candidates, key=lambda c: _worst_overlap(c[0], c[1], side, placed))
        placed.append(
            Placement(
                x=x,
                y=y,
                side=side,
                angle=look.turn * (2 * draw() - 1),
                flip=draw() < 0.5,
                opacity=between(look.opacity, draw()),
                saturation=between(look.saturation, draw()),
                brightness=between(look.brightness, draw()),
            )
        )
    return placed


def scene_facts(objects: Sequence[SceneObject]) -> tuple[Fact, ...]:
    """What is true of each pair of objects: left of, above, on top of, in front of.

    "left of" and "above" hold where the centres differ by more than half the mean size in that
    direction and less in the other; "on top of" where one stands on the other's upper edge;
    "in front of" where it hides a tenth or more of the smaller box.
    """
    facts = []
    for i, a in enumerate(objects):
        ax, ay = a.centre
        aw, ah = a.size
        for j, b in enumerate(objects):
            if i == j:
                continue
            bx, by = b.centre
            bw, bh = b.size
            dx, dy = bx - ax, by - ay
            beside, over = (aw + bw) / 2, (ah + bh) / 2
            if dx > beside / 2 and abs(dy) < over / 2:
                facts.append(Fact(i, "left of", j))
            if dy > over / 2 and abs(dx) < beside / 2:
                facts.append(Fact(i, "above", j))
                if abs(dy - over) < 0.15 * over and abs(dx) < beside / 3:
                    facts.append(Fact(i, "on top of", j))
            if a.depth > b.depth:
                wide = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
                high = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
                if wide > 0 and high > 0 and wide * high >= 0.1 * min(aw * ah, bw * bh):
                    facts.append(Fact(i, "in front of", j))
    return tuple(facts)
