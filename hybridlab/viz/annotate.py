"""A picture with its labels and their probabilities on a strip under it.

The picture itself is never drawn on, and no file is ever replaced.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from hybridlab.data.image_modes import to_rgb
from hybridlab.files import atomic_path

if TYPE_CHECKING:
    from hybridlab.prediction import Prediction

SMALLEST, LARGEST = 240, 4000  # pixels of the longer side, as shown
MOST_ROWS = 8
INK, QUIET, BLUE, PALE, PAPER = "#16324a", "#5b6770", "#0072b2", "#dcebf5", "#ffffff"
MARK = "hybridlab"  # the name of a text in the file
NOTHING = "no label reaches its threshold"


@dataclass(frozen=True)
class _Chip:
    """One label on the strip: where it stands, in pixels from the strip's corner."""

    name: str
    prob: float | None  # None: a remark, not a label
    left: int
    top: int
    width: int


def annotate(image: Image.Image | np.ndarray, prediction: Prediction) -> Image.Image:
    """The picture with a strip of labels under it, most probable first.

    A small picture is enlarged in whole steps (so that its pixels stay square) and one above
    4000 pixels is reduced, so that picture and letters can be read together at any size. Each
    label has its probability as a number and as a bar. Letters are those of DejaVu Sans (Latin,
    Greek, Cyrillic and more, no Chinese or Japanese).

    Args:
        image: any mode, or a uint8 array (H, W, 3).

    Returns:
        RGB.
    """
    picture = _shown(Image.fromarray(image) if isinstance(image, np.ndarray) else image)
    size = max(14, round(max(picture.size) / 30))  # height of the letters, in pixels
    width = max(picture.width, 17 * size)
    pad = size // 2
    chips = _layout(prediction.scored(), size, width - 2 * pad)
    row = _row_height(size)
    height = 2 * pad + row * (1 + max(chip.top for chip in chips)) + pad * max(
        chip.top for chip in chips
    )
    sheet = Image.new("RGB", (width, picture.height + height), PAPER)
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    thick = max(1, size // 10)  # a line, so that a white picture ends somewhere
    draw.rectangle((0, picture.height, width, picture.height + thick - 1), fill=PALE)
    for chip in chips:
        top = picture.height + pad + chip.top * (row + pad)
        _draw_chip(draw, chip, pad + chip.left, top, size)
    return sheet


def save_annotated(
    folder: str | os.PathLike[str],
    image: Image.Image | np.ndarray,
    prediction: Prediction,
    mark: str = "",
) -> Path:
    """Write `annotate`'s picture as `STEM-labels.png`; a taken name gets -2, -3, ...

    Nothing is ever replaced, the source least of all. The labels also stand in the PNG's
    description, for those who cannot see them.

    Args:
        folder: where to write; made if it is not there.
        mark: of `picture_mark`, kept in the file for `marks_in`.

    Returns:
        The file written.

    Raises:
        NotADirectoryError: `folder` is a file.
        NotEnoughDiskError: the disk is full; nothing is left behind.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(f"{folder} is a file; choose another folder") from error
    described = PngInfo()
    described.add_itxt("Description", _in_words(prediction))
    if mark:
        described.add_text(MARK, mark)
    buffer = io.BytesIO()
    annotate(image, prediction).save(buffer, "PNG", pnginfo=described)
    stem = re.sub(r"[^\w .()+-]", "_", Path(prediction.source).stem).strip(" .")[:60] or "picture"
    number = 1
    while True:
        target = folder / f"{stem}-labels{'' if number == 1 else f'-{number}'}.png"
        try:
            with atomic_path(target) as part:
                part.write_bytes(buffer.getvalue())
            return target
        except FileExistsError:
            number += 1


def picture_mark(settings: str, source: str) -> str:
    """Names a picture and the settings that it was labelled with, without telling its path: 32
    hexadecimal characters."""
    told = f"{settings}|{source}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(told).hexdigest()[:32]


def marks_in(folder: str | os.PathLike[str]) -> set[str]:
    """The marks of all annotated pictures in a folder; none where there is no folder."""
    found: set[str] = set()
    for path in Path(folder).glob("*-labels*.png"):
        # the mark stands before the pixels, which are not read
        with suppress(OSError, ValueError, SyntaxError), Image.open(path, formats=["PNG"]) as image:
            found.add(str(image.info.get(MARK, "")))
    return found - {""}


def _shown(image: Image.Image) -> Image.Image:
    image = to_rgb(image)
    longest = max(image.size)
    if longest > LARGEST:
        scale = LARGEST / longest
        smaller = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return image.resize(smaller, Image.Resampling.LANCZOS)
    times = -(-SMALLEST // longest)
    if times > 1:
        larger = (image.width * times, image.height * times)
        return image.resize(larger, Image.Resampling.NEAREST)
    return image


@lru_cache(maxsize=16)
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _row_height(size: int) -> int:
    return round(1.9 * size)


def _layout(scored: list[tuple[str, float]], size: int, width: int) -> list[_Chip]:
    """Chips from left to right, row by row; what does not fit into `MOST_ROWS` is counted."""
    if not scored:
        return [_Chip(_fitted(NOTHING, size, width), None, 0, 0, width)]
    gap, chips, left, row = size // 2, list[_Chip](), 0, 0
    for at, (name, prob) in enumerate(scored):
        frame = size + _figure_width(size) + size // 2
        name = _fitted(name, size, width - frame)
        wide = frame + round(_font(size).getlength(name))
        if left and left + wide > width:
            left, row = 0, row + 1
        if row == MOST_ROWS - 1 and at < len(scored) - 1:  # the last row says how many more
            chips.append(_Chip(f"and {len(scored) - at} more", None, 0, row, width))
            break
        chips.append(_Chip(name, prob, left, row, wide))
        left += wide + gap
    return chips


def _figure_width(size: int) -> int:
    return round(_font(size, bold=True).getlength("0.00"))


def _fitted(text: str, size: int, width: int) -> str:
    text = " ".join(text.split())
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _draw_chip(draw: ImageDraw.ImageDraw, chip: _Chip, left: int, top: int, size: int) -> None:
    height = _row_height(size)
    middle = top + height // 2
    if chip.prob is None:
        draw.text((left, middle), chip.name, QUIET, _font(size), anchor="lm")
        return
    box = (left, top, left + chip.width - 1, top + height - 1)
    draw.rounded_rectangle(box, radius=size // 3, fill=PALE)
    inner, thick = size // 2, max(2, size // 7)
    low, reach = top + height - thick - max(1, size // 6), chip.width - 2 * inner
    draw.rectangle((left + inner, low, left + inner + reach - 1, low + thick - 1), fill=PAPER)
    filled = max(1, round(reach * chip.prob))
    draw.rectangle((left + inner, low, left + inner + filled - 1, low + thick - 1), fill=BLUE)
    middle -= size // 7
    draw.text((left + inner, middle), chip.name, INK, _font(size), anchor="lm")
    right = left + chip.width - inner
    draw.text((right, middle), f"{chip.prob:.2f}", INK, _font(size, bold=True), anchor="rm")


def _in_words(prediction: Prediction) -> str:
    found = ", ".join(f"{name} {prob:.2f}" for name, prob in prediction.scored())
    return f"Labels with probabilities: {found}" if found else f"Labels: {NOTHING}"
