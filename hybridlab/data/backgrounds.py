"""Drawn backgrounds: one simple picture per context, in colours that vary from scene to scene.

A background says which context it belongs to; whether a scene gets its own or a stranger's is the
dial `background_hint`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

Draw = Callable[[], float]  # the next number in [0, 1) of a scene's own stream
Colour = tuple[int, int, int]

# context index -> (upper colour, lower colour), pale enough to see objects on
PALETTES: tuple[tuple[Colour, Colour], ...] = (
    ((190, 222, 240), (176, 205, 130)),  # farm: sky, meadow
    ((245, 232, 210), (214, 184, 150)),  # kitchen: wall, table
    ((200, 214, 226), (150, 152, 158)),  # street: sky, asphalt
    ((178, 222, 238), (70, 150, 190)),  # ocean: air, water
    ((38, 36, 72), (70, 58, 110)),  # space: dark, darker
    ((196, 220, 188), (120, 150, 96)),  # forest: leaves, ground
    ((120, 60, 84), (150, 104, 84)),  # stage: curtain, boards
    ((226, 230, 234), (186, 174, 160)),  # office: wall, desk
    ((196, 226, 244), (98, 170, 92)),  # sports field: sky, grass
    ((206, 222, 240), (238, 243, 250)),  # winter: sky, snow
)


def _shift(colour: Colour, amount: float) -> Colour:
    """Lighter (amount > 0) or darker, kept in range."""
    red, green, blue = (min(255, max(0, int(c + amount))) for c in colour)
    return red, green, blue


def _motif(pen: ImageDraw.ImageDraw, context: int, size: int, horizon: int, draw: Draw) -> None:
    """A few shapes that belong to the context."""
    upper, lower = PALETTES[context]
    amount = 14 + 14 * draw()
    if context in (0, 9):  # hills, or drifts of snow
        for _ in range(2):
            middle, width = size * draw(), size * (0.5 + 0.5 * draw())
            top = horizon - size * (0.04 + 0.12 * draw())
            hill = (middle - width, top, middle + width, size * 1.8)
            pen.ellipse(hill, _shift(lower, -amount / 2))
            amount = -amount
    elif context == 1:  # wall tiles
        step = max(6, size // 8)
        for line in range(int(step * draw()), size, step):
            pen.line((line, 0, line, horizon), _shift(upper, -amount))
        for line in range(horizon, 0, -step):
            pen.line((0, line, size, line), _shift(upper, -amount))
    elif context == 2:  # houses and a lane marking
        left = -size * 0.1
        while left < size:
            width = size * (0.12 + 0.16 * draw())
            top = horizon * (0.25 + 0.6 * draw())
            pen.rectangle((left, top, left + width, horizon), _shift(upper, -amount - 20 * draw()))
            left += width
        row = horizon + (size - horizon) * 0.6
        for left in range(0, size, max(8, size // 6)):
            pen.line((left, row, left + size // 12, row), (235, 235, 225), max(1, size // 48))
    elif context == 3:  # waves
        for _ in range(4):
            row = horizon + (size - horizon) * draw()
            left, width = size * draw() - size / 4, size * (0.2 + 0.3 * draw())
            pen.arc((left, row, left + width, row + size * 0.08), 180, 360, _shift(lower, 30), 2)
    elif context == 4:  # stars
        for _ in range(14):
            x, y, r = size * draw(), size * draw(), size * (0.004 + 0.008 * draw())
            pen.ellipse((x - r, y - r, x + r, y + r), (225, 225, 200))
    elif context == 5:  # trunks
        for _ in range(4):
            left, width = size * draw(), size * (0.03 + 0.05 * draw())
            pen.rectangle((left, 0, left + width, horizon + size * 0.1 * draw()), (150, 138, 110))
    elif context == 6:  # folds of a curtain, a cone of light
        for line in range(int(10 * draw()), size, max(6, size // 9)):
            pen.line((line, 0, line, horizon), _shift(upper, -amount), max(1, size // 40))
        x, spread = size * draw(), size * (0.12 + 0.15 * draw())
        pen.polygon(((x, 0), (x - spread, size), (x + spread, size)), _shift(lower, 26))
    elif context == 7:  # a window and a shelf
        left, width = size * 0.7 * draw(), size * (0.2 + 0.2 * draw())
        pen.rectangle((left, horizon * 0.15, left + width, horizon * 0.7), (206, 226, 240))
        pen.line((0, horizon, size, horizon), _shift(lower, -40), max(1, size // 40))
    else:  # mown stripes and a chalk line
        step = max(6, size // 6)
        for left in range(0, size, 2 * step):
            pen.rectangle((left, horizon, left + step, size), _shift(lower, 12))
        row = horizon + (size - horizon) * draw()
        pen.line((0, row, size, row), (230, 240, 230), max(1, size // 48))


def draw_background(context: int, size: int, draw: Draw) -> np.ndarray:
    """One background.

    Args:
        context: index of the context it belongs to.
        size: side in pixels.
        draw: returns the next number of the scene's stream; the picture depends on nothing else.

    Returns:
        (size, size, 3) float32, 0..255, with a soft change of light over it.
    """
    upper, lower = PALETTES[context]
    tone = 36 * draw() - 18
    tint = (16 * draw() - 8, 16 * draw() - 8, 16 * draw() - 8)
    horizon = int(size * (0.35 + 0.35 * draw()))
    picture = Image.new("RGB", (size, size), _shift(upper, tone))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, horizon, size, size), _shift(lower, tone))
    _motif(pen, context, size, horizon, draw)
    light_x = _ramp(size) * np.float32(24 * draw() - 12)
    light_y = _ramp(size) * np.float32(24 * draw() - 12)
    # as (H, W * 3): numpy is several times faster along long rows than along three channels
    rows = np.asarray(picture).reshape(size, 3 * size).astype(np.float32)
    rows += (light_x[:, None] + np.array(tint, np.float32)).reshape(1, 3 * size)
    rows += light_y[:, None]
    return rows.reshape(size, size, 3)


@lru_cache(maxsize=8)
def _ramp(size: int) -> np.ndarray:
    return np.linspace(-1, 1, size, dtype=np.float32)
