"""Any of Pillow's modes as 8-bit RGB.

Pillow's own `convert("RGB")` clips 16-bit and float samples, so that most of such a picture turns
white, and drops transparency, so that hidden colours come to light.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_MAX_16_BIT = 0xFFFF


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to a new one of mode RGB and the same size.

    - Transparency (RGBA, LA, in a palette, or one transparent colour): laid on white.
    - Grey of 16 bits (I;16): divided by 256. Pillow has done so already for 16-bit RGB.
    - I (32 bits): as 16 bits if all values lie in 0..65535, otherwise stretched, the smallest
      value to black and the largest to white.
    - F (float): read as 0..1 if all values lie there, as 0..255 if all lie there, otherwise
      stretched. NaN becomes black, infinities black and white; a constant outside 0..255, black.
    - CMYK (Pillow has turned Adobe's inverted JPEG the right way): the plain formula, no profile.
    - All else (1, L, P, YCbCr, ...): Pillow's conversion.

    Raises:
        ValueError: Pillow knows no conversion from this mode.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_grey_to_8_bit(image)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb = Image.new("RGB", image.size, "white")
        rgb.paste(rgba, mask=rgba.getchannel("A"))
        return rgb
    return image.convert("RGB")


def _grey_to_8_bit(image: Image.Image) -> np.ndarray:
    """Samples of mode I;16*, I or F, (H, W) -> uint8 (H, W)."""
    values = np.asarray(image)
    if image.mode != "F" and values.min() >= 0 and values.max() <= _MAX_16_BIT:
        grey = (values >> 8).astype(np.uint8)
        transparent = image.info.get("transparency")  # a PNG may name one grey value
        if isinstance(transparent, int):
            grey[values == transparent] = 255
        return grey
    values = values.astype(np.float64)  # the span of float32's extremes overflows float32
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if image.mode == "F" and low >= 0 and high <= 255:
        low, high = 0.0, (1.0 if high <= 1 else 255.0)
    scaled = (values - low) / ((high - low) or 1.0) * 255.0
    return np.nan_to_num(scaled, nan=0.0).clip(0, 255).round().astype(np.uint8)
