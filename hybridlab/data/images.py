"""Reading pictures that strangers made: one clean RGB image, or one clear error per file.

Formats are told by content, not by name: JPEG, PNG, GIF, WebP, BMP, TIFF and PPM. The formats
that Pillow hands to another program (EPS to Ghostscript) are not tried at all.

What Pillow does, and what is done about it here, was checked against Pillow 13: its own bomb
limit is a warning up to 179 million pixels and may be switched off by anybody, so the size is
compared here before a pixel is decoded; `ImageFile.LOAD_TRUNCATED_IMAGES`, which some libraries
set, fills the missing rows with grey, so an early end of file is noticed here. No global setting
of Pillow is changed, so threads do not disturb each other.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from hybridlab.data.image_modes import to_rgb

# What `hybridlab predict` promises to read, and what is picked up inside a folder.
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png")

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
_CONVERT = "open it in an image program and save it as .jpg or .png"
_AGAIN = "copy or download it again"
_ORIENTATION = 0x0112  # the EXIF tag
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(ValueError):
    """A file that gives no picture. `str()` is one line: the file, what is wrong, what to do.

    Attributes:
        path: the file as it was given.
        message: the same line without the file's name.
    """

    def __init__(self, path: str | os.PathLike[str], message: str):
        super().__init__(path, message)  # both in args, so that the error crosses processes
        self.path = Path(path)
        self.message = message

    def __str__(self) -> str:
        return f"{shown(self.path)}: {self.message}"


@dataclass(frozen=True)
class LoadedImage:
    """A picture that was read: `path` as given, `image` as `load_image` returns it."""

    path: Path
    image: Image.Image


@dataclass(frozen=True)
class ImageProblem:
    """A picture that was not read: `path` as given, `message` without the file's name."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{shown(self.path)}: {self.message}"


def load_image(path: str | os.PathLike[str], *, max_pixels: int = 50_000_000) -> Image.Image:
    """Read one picture as 8-bit RGB, upright.

    EXIF orientation is applied (a damaged EXIF block is ignored), and an animation gives its
    first frame. Transparency is laid on white, 16-bit samples are divided by 256, ICC profiles
    are ignored: `image_modes.to_rgb` says how each mode is converted.

    Args:
        path: the file; any extension, the content decides.
        max_pixels: largest width x height accepted, read from the header before decoding.
            Pillow's own hard limit (179 million unless changed) holds besides.

    Returns:
        a PIL image of mode RGB without metadata, (height, width, 3) as an array.

    Raises:
        ImageError: the file is missing, a folder, not a regular file (a pipe or device is never
            waited for), not permitted, empty, not a picture, cut off, damaged, or larger than
            `max_pixels`.
        ValueError: `max_pixels` is below 1.
    """
    if max_pixels < 1:
        raise ValueError(f"max_pixels is {max_pixels}; pass a whole number from 1 up")
    with _open_regular(path, max_pixels) as file:
        try:
            return _decode(path, file, max_pixels)
        except ImageError:
            raise
        except UnidentifiedImageError as error:
            raise ImageError(path, _unidentified(file)) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageError(path, f"is too large a picture ({error}); save it smaller") from error
        except MemoryError as error:
            raise ImageError(path, "does not fit into memory; save it smaller") from error
        # A hostile file reaches odd corners of the decoders (struct.error, KeyError,
        # AttributeError, zlib.error, ... have all been seen): whatever it is, it is this file's.
        except Exception as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(path, f"is damaged or cut off ({what}); {_AGAIN}") from error


def load_images(
    paths: Iterable[str | os.PathLike[str]], *, max_pixels: int = 50_000_000
) -> Iterator[LoadedImage | ImageProblem]:
    """Read pictures one by one, in order, as `load_image`; a failure yields an `ImageProblem`."""
    for path in paths:
        try:
            image = load_image(path, max_pixels=max_pixels)
        except ImageError as error:
            yield ImageProblem(Path(path), error.message)
        else:
            yield LoadedImage(Path(path), image)


def iter_image_paths(
    inputs: Sequence[str | Path], *, recursive: bool = True
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Expand files and folders into picture files; what cannot be used is told, not raised.

    Files stay in the order given, whatever their extension. A folder gives its .jpg, .jpeg and
    .png files (any case), sorted by path; names that begin with a dot are passed over, and links
    to folders inside it are not followed (so loops are harmless). The same file given twice, or
    through a link, is kept once, where it came first.

    Returns:
        (paths, problems): problems holds (path, message) for an input that does not exist, and
        for a folder that cannot be read or holds no picture.

    Raises:
        TypeError: `inputs` is a single path instead of a sequence of them.
    """
    if isinstance(inputs, (str, bytes, os.PathLike)):
        raise TypeError(f"inputs is the single path {str(inputs)!r}; pass a list of paths")
    paths: list[Path] = []
    problems: list[tuple[Path, str]] = []
    seen: set[str] = set()
    for given in inputs:
        path = Path(given)
        try:
            # Path("") is the current folder, which nobody means by an empty name.
            is_folder = stat.S_ISDIR(os.stat(path if str(given) else "").st_mode)
        except (OSError, ValueError) as error:
            problems.append((path, _why_not_opened(path, error)))
            continue
        if is_folder:
            found, trouble = _pictures_in(path, recursive)
            problems += trouble
        else:
            found = [path]
        for file in found:
            identity = os.path.normcase(os.path.realpath(file))
            if identity not in seen:
                seen.add(identity)
                paths.append(file)
    return paths, problems


def _pictures_in(folder: Path, recursive: bool) -> tuple[list[Path], list[tuple[Path, str]]]:
    found: list[Path] = []
    trouble: list[tuple[Path, str]] = []

    def unreadable(error: OSError) -> None:
        path = Path(error.filename)
        trouble.append((path, _why_not_opened(path, error)))

    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name.lower().endswith(IMAGE_EXTENSIONS):
                found.append(Path(root, name))
    if not found and not trouble:
        where = "it or its subfolders" if recursive else "it (its subfolders were not searched)"
        trouble.append((folder, f"is a folder without .jpg, .jpeg or .png files in {where}"))
    return sorted(found, key=lambda path: path.parts), trouble


class _StrictFile(io.BufferedReader):
    """A file whose `read` at the end of the data can be made an error instead of b""."""

    strict = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self.strict and not data and size != 0:
            raise OSError("the file ends too early")
        return data


def _open_regular(path: str | os.PathLike[str], max_pixels: int) -> _StrictFile:
    """Open a regular file for reading; anything else is an ImageError, and nothing blocks."""
    try:
        # Looked at before opening, since opening alone can act on a device, and again after,
        # since a name may change hands in between. O_NONBLOCK: a pipe has no writer to wait for.
        _check_regular(path, os.stat(path).st_mode)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        file = _StrictFile(io.FileIO(os.open(path, flags), "rb"))
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        raise ImageError(path, _why_not_opened(Path(path), error)) from error
    try:
        info = os.fstat(file.fileno())
        _check_regular(path, info.st_mode)
        if info.st_size == 0:
            raise ImageError(path, f"is empty (0 bytes); {_AGAIN}")
        # 16 bytes hold a pixel of any format uncompressed; the rest is for metadata.
        if info.st_size > 16 * max_pixels + 2**26:
            raise ImageError(
                path, f"has {info.st_size / 1e6:,.0f} MB, too many for a picture; {_CONVERT}"
            )
    except BaseException:
        file.close()
        raise
    return file


def _check_regular(path: str | os.PathLike[str], mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise ImageError(path, "is a folder; pass the picture files in it")
    if not stat.S_ISREG(mode):
        raise ImageError(path, "is a pipe, socket or device; pass a picture file")


def _decode(path: str | os.PathLike[str], file: _StrictFile, max_pixels: int) -> Image.Image:
    Image.init()  # registers the formats once; later calls return at once
    # A picture without width or height is refused by Pillow itself as unknown.
    with Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN]) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(
                path,
                f"has {width} x {height} = {width * height:,} pixels, more than the "
                f"{max_pixels:,} allowed; save it smaller",
            )
        # A whole JPEG or PNG is decoded before its last byte; reading on means rows are missing.
        file.strict = image.format in ("JPEG", "MPO", "PNG")
        image.load()
        file.strict = False
        rgb = to_rgb(image)
        # After load(): a TIFF turns itself there and then drops the tag.
        turn = _TURN.get(_orientation(image))
    if turn is not None:
        rgb = rgb.transpose(turn)
    rgb.info = {}
    return rgb


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block must not cost the picture
        return 1


def _unidentified(file: io.BufferedReader) -> str:
    file.seek(0)
    if file.read(16).startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        return f"begins like a picture but its header is damaged or cut off; {_AGAIN}"
    return f"is not a picture in a known format ({', '.join(_FORMATS)}); {_CONVERT}"


def _why_not_opened(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return "is a link to a file that does not exist; mend the link or leave it out"
        return "does not exist; check the spelling and the folder"
    if isinstance(error, PermissionError):
        return "may not be read by this user; change its permissions"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "is a link that leads back to itself; mend the link or leave it out"
    what = error.strerror if isinstance(error, OSError) else str(error)
    return f"cannot be opened ({what}); check the name and the disk"


def shown(path: str | Path) -> str:
    """The path for a message; control characters are escaped, so a name cannot drive a terminal."""
    text = str(path)
    return text if text.isprintable() else repr(text)
