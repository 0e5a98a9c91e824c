"""Drawing: objects from a sprite bank onto a background, then a little blur and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import cos, sin

import numpy as np

from hybridlab.data.layout import SCENE_LOOK, Look, Placement, between
from hybridlab.data.sample import SceneObject
from hybridlab.data.sprites import SpriteBank, render

Draw = Callable[[], float]

_IDENTITY = np.eye(3, dtype=np.float32)
_GREY = np.array([[0.299], [0.587], [0.114]], np.float32).repeat(3, axis=1)  # to its own luma


@lru_cache(maxsize=4)
def _noise_tile(side: int) -> np.ndarray:
    """One fixed tile of unit Gaussian noise; a scene takes a window of it (drawing 27,000 normal
    numbers for each scene would cost a quarter of its time)."""
    noise = np.random.default_rng(20_26).standard_normal((side, side, 3))
    return noise.astype(np.float32)


def draw_objects(
    canvas: np.ndarray, bank: SpriteBank, which: Sequence[int], placements: Sequence[Placement]
) -> tuple[SceneObject, ...]:
    """Draw objects onto `canvas` (H, W, 3) float32 in place, farthest first.

    Args:
        which: position in the bank of each object; it becomes `SceneObject.label`.
        placements: one for each object.

    Returns:
        The objects with their boxes and the share of each that stays visible.
    """
    height, width = canvas.shape[:2]
    owner = np.full((height, width), -1, np.int8)
    boxes, areas = [], []
    for depth, (index, place) in enumerate(zip(which, placements, strict=True)):
        colour, alpha = render(bank.level(index, place.side), place.side, place.angle, place.flip)
        out = alpha.shape[0]
        left, top = round(place.x - out / 2), round(place.y - out / 2)
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(width, left + out), min(height, top + out)
        if x0 != left or y0 != top or x1 != left + out or y1 != top + out:
            inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
            colour, alpha = colour[inside], alpha[inside]
        region = canvas[y0:y1, x0:x1]
        region *= 1 - np.float32(place.opacity) * alpha
        region += colour @ _tone(place)
        solid = alpha[..., 0] > 0.5
        owner[y0:y1, x0:x1][solid] = depth
        areas.append(max(1, np.count_nonzero(solid)))
        boxes.append(_box(bank.aspect[index], place, width, height))
    seen = np.bincount(owner.ravel() + 1, minlength=len(boxes) + 1)[1:]
    return tuple(
        SceneObject(label=index, box=box, depth=depth, visible=float(seen[depth] / areas[depth]))
        for depth, (index, box) in enumerate(zip(which, boxes, strict=True))
    )


def _tone(place: Placement) -> np.ndarray:
    """Saturation, brightness and opacity as one (3, 3) matrix on rows of colours."""
    mix = place.saturation * _IDENTITY + (1 - place.saturation) * _GREY
    return np.float32(place.opacity * place.brightness) * mix


def _box(
    aspect: tuple[float, float], place: Placement, width: int, height: int
) -> tuple[float, float, float, float]:
    """Box of a turned object, clipped to the image."""
    c, s = abs(cos(place.angle)), abs(sin(place.angle))
    wide, high = aspect[0] * place.side, aspect[1] * place.side
    # an emoji fills its square like an ellipse rather than a rectangle: the turned box of the
    # ellipse is tight where the turned box of the rectangle would be loose
    half_w = 0.5 * ((wide * c) ** 2 + (high * s) ** 2) ** 0.5
    half_h = 0.5 * ((wide * s) ** 2 + (high * c) ** 2) ** 0.5
    return (
        max(0.0, place.x - half_w),
        max(0.0, place.y - half_h),
        min(float(width), place.x + half_w),
        min(float(height), place.y + half_h),
    )


def finish(canvas: np.ndarray, draw: Draw, look: Look = SCENE_LOOK) -> np.ndarray:
    """Mild blur (of some pictures) and mild noise; float32 canvas -> uint8 image."""
    size = canvas.shape[0]
    if draw() < look.blurred:
        amount = np.float32(0.1 + 0.15 * draw())
        canvas[1:-1] += amount * (canvas[:-2] + canvas[2:] - 2 * canvas[1:-1])
        canvas[:, 1:-1] += amount * (canvas[:, :-2] + canvas[:, 2:] - 2 * canvas[:, 1:-1])
    tile = _noise_tile(size + 64)
    y, x = int(64 * draw()), int(64 * draw())
    canvas += tile[y : y + size, x : x + size] * np.float32(between(look.spread, draw()))
    np.clip(canvas, 0, 255, out=canvas)
    return canvas.astype(np.uint8)
