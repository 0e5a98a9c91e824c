"""Pictures that strangers made: every mode becomes the right RGB, every bad file one clear line."""

from __future__ import annotations

import io
import os
import pickle
import random
import socket
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from hybridlab.data.images import (
    ImageError,
    ImageProblem,
    LoadedImage,
    iter_image_paths,
    load_image,
    load_images,
)

NOISE = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
RED, GREEN, BLUE, WHITE, BLACK = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
)


def pixels(path, **options) -> np.ndarray:
    image = load_image(path, **options)
    assert type(image) is Image.Image  # detached from its file
    assert image.mode == "RGB"
    assert image.info == {}
    return np.asarray(image)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, color: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG by hand; `extra` chunks come before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def problem(path, **options) -> ImageError:
    with pytest.raises(ImageError) as caught:
        load_image(path, **options)
    text = str(caught.value)
    assert text == f"{path}: {caught.value.message}"
    assert "\n" not in text
    assert ";" in text  # what is wrong; what to do
    assert isinstance(caught.value, ValueError)
    return caught.value


# --- modes and formats -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpg", "a", "a.txt"])
def test_the_content_decides_not_the_name(tmp_path, name):
    (tmp_path / name).write_bytes(encoded(Image.fromarray(NOISE), "PNG"))
    assert np.array_equal(pixels(tmp_path / name), NOISE)
    assert np.array_equal(pixels(str(tmp_path / name)), NOISE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_plain_colours_in_every_format(tmp_path, kind):
    image = Image.new("RGB", (32, 16), RED)
    image.paste(BLUE, (16, 0, 32, 16))
    path = tmp_path / "a"
    path.write_bytes(encoded(image, kind))
    got = pixels(path).astype(int)
    assert got.shape == (16, 32, 3)
    assert abs(got[8, 4] - RED).max() <= 3
    assert abs(got[8, 28] - BLUE).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF-lzw"])
def test_exif_orientation_is_applied_once(tmp_path, kind, orientation):
    upright = Image.new("RGB", (48, 32), BLACK)
    upright.paste(RED, (0, 0, 16, 16))  # top left
    upright.paste(GREEN, (32, 0, 48, 16))  # top right
    # How a camera stores it: the turn that the viewer will undo.
    store = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    stored = upright if store is None else upright.transpose(store)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"compression": "tiff_lzw"} if kind == "TIFF-lzw" else {}
    if kind == "WEBP":
        options = {"lossless": True}
    path = tmp_path / "a"
    path.write_bytes(encoded(stored, kind.split("-")[0], exif=exif, **options))
    got = pixels(path).astype(int)
    assert got.shape == (32, 48, 3)
    assert abs(got - np.asarray(upright)).mean() < 2


@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0junk", b"Exif\0\0"])
def test_broken_exif_does_not_cost_the_picture(tmp_path, exif):
    image = Image.fromarray(NOISE)
    (tmp_path / "a.png").write_bytes(encoded(image, "PNG", exif=exif))
    (tmp_path / "a.jpg").write_bytes(encoded(image, "JPEG", exif=exif))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of corrupt EXIF
        assert np.array_equal(pixels(tmp_path / "a.png"), NOISE)
        assert pixels(tmp_path / "a.jpg").shape == NOISE.shape


def test_cmyk_jpeg_has_the_right_colours_and_not_their_negative(tmp_path):
    image = Image.new("CMYK", (32, 16), (0, 255, 255, 0))  # red
    image.paste((0, 0, 0, 255), (16, 0, 32, 16))  # black
    data = encoded(image, "JPEG")
    assert b"Adobe" in data  # Pillow writes Adobe's inverted form
    (tmp_path / "a.jpg").write_bytes(data)
    (tmp_path / "a.tif").write_bytes(encoded(image, "TIFF"))
    for name in ("a.jpg", "a.tif"):
        got = pixels(tmp_path / name).astype(int)
        assert abs(got[8, 4] - RED).max() <= 6
        assert got[8, 28].max() <= 6


def test_gray_jpeg(tmp_path):
    Image.new("L", (16, 16), 77).save(tmp_path / "a.jpg")
    assert np.array_equal(np.unique(pixels(tmp_path / "a.jpg")), [77])


def test_16_bit_gray_png_is_divided_by_256(tmp_path):
    values = np.arange(256 * 16, dtype=np.uint16).reshape(64, 64) * 16 + 15
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    (tmp_path / "a.png").write_bytes(png(64, 64, 16, 0, rows))
    expected = (values >> 8).astype(np.uint8)
    got = pixels(tmp_path / "a.png")
    assert np.array_equal(got, np.stack([expected] * 3, axis=-1))
    assert len(np.unique(got)) == 256  # not clipped to white
    # the same with one grey value declared transparent: that one turns white
    trns = chunk(b"tRNS", struct.pack(">H", int(values[0, 5])))
    (tmp_path / "b.png").write_bytes(png(64, 64, 16, 0, rows, trns))
    expected[0, 5] = 255
    assert np.array_equal(pixels(tmp_path / "b.png")[..., 0], expected)


def test_16_bit_colour_png_with_and_without_alpha(tmp_path):
    colour = np.array([[0x1234, 0x80FF, 0xFFFF], [0x00FF, 0x0100, 0x7F00]], dtype=">u2")
    (tmp_path / "rgb.png").write_bytes(png(2, 1, 16, 2, b"\0" + colour.tobytes()))
    assert np.array_equal(pixels(tmp_path / "rgb.png")[0], [[0x12, 0x80, 0xFF], [0, 1, 0x7F]])
    alpha = np.array([[0xFFFF], [0]], dtype=">u2")
    with_alpha = np.concatenate([colour, alpha], axis=1).astype(">u2")
    (tmp_path / "rgba.png").write_bytes(png(2, 1, 16, 6, b"\0" + with_alpha.tobytes()))
    assert np.array_equal(pixels(tmp_path / "rgba.png")[0], [[0x12, 0x80, 0xFF], WHITE])
    grey_alpha = np.array([[0x4000, 0xFFFF], [0x4000, 0]], dtype=">u2")
    (tmp_path / "la.png").write_bytes(png(2, 1, 16, 4, b"\0" + grey_alpha.tobytes()))
    assert np.array_equal(pixels(tmp_path / "la.png")[0], [[0x40] * 3, WHITE])


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_16_bit_gray_in_other_formats(tmp_path, kind):
    values = np.array([[0, 255, 256, 0x8000, 0xFFFF]], dtype=np.uint16)
    (tmp_path / "a").write_bytes(encoded(Image.fromarray(values), kind))
    assert pixels(tmp_path / "a")[0, :, 0].tolist() == [0, 0, 1, 0x80, 0xFF]


def test_big_endian_16_bit_tiff(tmp_path):
    entries = [(256, 3), (257, 1), (258, 16), (259, 1), (262, 1), (273, 8), (278, 1), (279, 6)]
    directory = struct.pack(">H", len(entries))
    for tag, value in entries:
        directory += struct.pack(">HHIHH", tag, 3, 1, value, 0)
    data = b"MM\0*" + struct.pack(">I", 14) + struct.pack(">3H", 0, 0x1234, 0xFF00)
    (tmp_path / "a.tif").write_bytes(data + directory + bytes(4))
    with Image.open(tmp_path / "a.tif") as image:
        assert image.mode == "I;16B"
    assert pixels(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 0x12, 0xFF]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 256, 0x8000, 0xFFFF], [0, 1, 0x80, 0xFF]),  # fits 16 bits: divided by 256
        ([0, 50_000, 100_000], [0, 128, 255]),  # beyond: stretched
        ([-100, 0, 100], [0, 128, 255]),
        ([-(2**31), 2**31 - 1], [0, 255]),
        ([100_000, 100_000], [0, 0]),  # constant: black, no division by zero
    ],
)
def test_32_bit_integers(tmp_path, values, expected):
    image = Image.fromarray(np.array([values], dtype=np.int32))
    assert image.mode == "I"
    image.save(tmp_path / "a.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as a division by zero
        assert pixels(tmp_path / "a.tif")[0, :, 0].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 1.5, 254.6], [0, 2, 255]),
        ([0.0, 500.0, 1000.0], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([np.nan, -np.inf, np.inf, 0.5], [0, 0, 255, 128]),
        ([np.nan, np.nan], [0, 0]),
        ([-3e38, 3e38], [0, 255]),
    ],
)
def test_floats(tmp_path, values, expected):
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "a.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pixels(tmp_path / "a.tif")[0, :, 0].tolist() == expected


def test_alpha_is_laid_on_white(tmp_path):
    rgba = np.zeros((1, 3, 4), dtype=np.uint8)
    rgba[0] = [(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)]
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert np.array_equal(pixels(tmp_path / "a.png")[0], [RED, WHITE, (127, 127, 127)])
    Image.fromarray(rgba).save(tmp_path / "a.webp", lossless=True, exact=True)
    assert np.array_equal(pixels(tmp_path / "a.webp")[0], [RED, WHITE, (127, 127, 127)])
    Image.fromarray(rgba[..., 2:]).save(tmp_path / "la.png")  # (H, W, 2): grey and alpha
    assert np.array_equal(pixels(tmp_path / "la.png")[0], [BLACK, WHITE, (127, 127, 127)])


def test_palettes(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2])
    image.save(tmp_path / "plain.png")
    assert np.array_equal(pixels(tmp_path / "plain.png")[0], [RED, GREEN, BLUE])
    image.save(tmp_path / "one.png", transparency=1)  # one colour is see-through
    image.save(tmp_path / "one.gif", transparency=1)
    for name in ("one.png", "one.gif"):
        assert np.array_equal(pixels(tmp_path / name)[0], [RED, WHITE, BLUE])
    image.save(tmp_path / "each.png", transparency=bytes([0, 255, 128]))  # alpha for each colour
    assert np.array_equal(pixels(tmp_path / "each.png")[0], [WHITE, GREEN, (127, 127, 255)])


def test_transparent_colour_of_rgb_gray_and_1_bit(tmp_path):
    data = png(2, 1, 8, 2, b"\0" + bytes([*RED, *BLUE]), chunk(b"tRNS", struct.pack(">3H", *RED)))
    (tmp_path / "rgb.png").write_bytes(data)
    assert np.array_equal(pixels(tmp_path / "rgb.png")[0], [WHITE, BLUE])
    data = png(2, 1, 8, 0, b"\0\x10\x20", chunk(b"tRNS", b"\0\x10"))
    (tmp_path / "l.png").write_bytes(data)
    assert np.array_equal(pixels(tmp_path / "l.png")[0, :, 0], [255, 0x20])
    data = png(2, 1, 1, 0, b"\0\x40", chunk(b"tRNS", b"\0\0"))
    (tmp_path / "bit.png").write_bytes(data)
    assert np.array_equal(pixels(tmp_path / "bit.png")[0], [WHITE, WHITE])


def test_1_bit_and_low_depth(tmp_path):
    image = Image.new("1", (3, 1))
    image.putdata([1, 0, 1])
    image.save(tmp_path / "a.png")
    assert np.array_equal(pixels(tmp_path / "a.png")[0, :, 0], [255, 0, 255])
    (tmp_path / "b.png").write_bytes(png(4, 1, 2, 0, b"\0" + bytes([0b00011011])))
    assert np.array_equal(pixels(tmp_path / "b.png")[0, :, 0], [0, 85, 170, 255])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_give_the_first_frame(tmp_path, kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    options = {} if kind == "TIFF" else {"duration": 50}
    if kind == "WEBP":
        options["lossless"] = True
    path = tmp_path / "a"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(path) as image:
        assert image.n_frames == 3
    assert np.unique(pixels(path).reshape(-1, 3), axis=0).tolist() == [list(RED)]


def test_icc_profiles_and_metadata_are_dropped(tmp_path):
    image = Image.fromarray(NOISE)
    image.save(tmp_path / "a.png", icc_profile=b"not a profile", dpi=(72, 72))
    assert np.array_equal(pixels(tmp_path / "a.png"), NOISE)


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (65_000, 2)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_odd_shapes_are_allowed(tmp_path, kind, size):
    Image.new("RGB", size, GREEN).save(tmp_path / "a", kind)
    assert load_image(tmp_path / "a").size == size


# --- errors ------------------------------------------------------------------------------------


def test_what_is_not_a_picture_file(tmp_path):
    assert "does not exist" in problem(tmp_path / "absent.jpg").message
    assert "is a folder" in problem(tmp_path).message
    (tmp_path / "empty.jpg").touch()
    assert "is empty (0 bytes)" in problem(tmp_path / "empty.jpg").message
    (tmp_path / "text.jpg").write_text("hello, I am no picture at all\n" * 50)
    assert "not a picture in a known format" in problem(tmp_path / "text.jpg").message
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "absent.jpg")
    assert "link to a file that does not exist" in problem(tmp_path / "dangling.jpg").message
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert "leads back to itself" in problem(tmp_path / "loop.jpg").message
    assert "cannot be opened" in problem(tmp_path / ("x" * 300)).message
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image("a\0b.jpg")
    (tmp_path / "file").touch()
    assert "cannot be opened" in problem(tmp_path / "file" / "a.jpg").message


def test_postscript_is_never_handed_to_another_program(tmp_path):
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.eps").write_bytes(text)
    assert "not a picture in a known format" in problem(tmp_path / "a.eps").message


@pytest.mark.timeout(10)
def test_pipes_sockets_and_devices_do_not_hang(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "pipe, socket or device" in problem(tmp_path / "pipe.jpg").message
    assert "pipe, socket or device" in problem("/dev/zero").message
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.jpg")
        assert "pipe, socket or device" in problem("s.jpg").message


def test_permission_denied(tmp_path, monkeypatch):
    """In a child without root's rights, which would read everything."""
    Image.new("RGB", (4, 4)).save(tmp_path / "open.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "locked.png")
    (tmp_path / "locked.png").chmod(0)
    tmp_path.chmod(0o755)
    (tmp_path / "open.png").chmod(0o644)
    monkeypatch.chdir(tmp_path)  # the folders above may be closed to others
    load_image("open.png")  # imports what is needed while it may still be read
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            answers = load_images(["locked.png", "open.png"])
            text = "|".join(str(getattr(answer, "message", "loaded")) for answer in answers)
            os.write(writer, text.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert answer == "may not be read by this user; change its permissions|loaded"


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("name", ["jpeg", "progressive", "cmyk", "png", "interlaced", "apng"])
def test_a_file_cut_anywhere_raises_or_is_the_same_picture(tmp_path, name, lenient, monkeypatch):
    """Also where a library has told Pillow to fill cut-off pictures with grey."""
    image = Image.fromarray(NOISE)
    data = {
        "jpeg": lambda: encoded(image, "JPEG"),
        "progressive": lambda: encoded(image, "JPEG", progressive=True),
        "cmyk": lambda: encoded(image.convert("CMYK"), "JPEG"),
        "png": lambda: encoded(image, "PNG"),
        "interlaced": lambda: _interlaced_png(),
        "apng": lambda: encoded(
            image, "PNG", save_all=True, append_images=[image.rotate(90)], duration=9
        ),
    }[name]()
    path = tmp_path / "a"
    path.write_bytes(data)
    whole = pixels(path)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    assert np.array_equal(pixels(path), whole)
    raised = 0
    for length in range(1, len(data), 7):
        path.write_bytes(data[:length])
        try:
            assert np.array_equal(pixels(path), whole), length
        except ImageError:
            raised += 1
    # An APNG's second half is its second frame, which nobody asks for.
    assert raised > (0.4 if name == "apng" else 0.9) * len(data) / 7


def _interlaced_png() -> bytes:
    """Adam7 of an 8 x 8 grey picture: seven small pictures in a row."""
    grey = NOISE[:8, :8, 0]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    rows = b""
    for top, left, down, right in [*passes, (1, 0, 2, 1)]:
        rows += b"".join(b"\0" + row.tobytes() for row in grey[top::down, left::right])
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def test_a_large_jpeg_that_ends_on_a_block_boundary_is_whole(tmp_path):
    data = encoded(Image.fromarray(np.tile(NOISE, (12, 12, 1))), "JPEG", quality=95)
    gap = -len(data) % 65536  # Pillow reads JPEGs in blocks of 65,536 bytes
    comment = b"\xff\xfe" + struct.pack(">H", gap - 2) + b"c" * (gap - 4)
    data = data[:2] + comment + data[2:]
    assert len(data) % 65536 == 0
    (tmp_path / "a.jpg").write_bytes(data)
    assert pixels(tmp_path / "a.jpg").shape == (240, 288, 3)
    (tmp_path / "a.jpg").write_bytes(data[: len(data) * 3 // 4])
    assert "damaged or cut off" in problem(tmp_path / "a.jpg").message


def test_a_damaged_png_raises(tmp_path):
    data = bytearray(encoded(Image.fromarray(NOISE), "PNG"))
    data[len(data) // 2] ^= 0x10
    (tmp_path / "a.png").write_bytes(data)
    assert "damaged or cut off" in problem(tmp_path / "a.png").message
    data[20] ^= 0x10  # in the width, whose checksum tells
    (tmp_path / "b.png").write_bytes(data)
    assert "its header is damaged" in problem(tmp_path / "b.png").message


def bomb(side: int) -> bytes:
    """A small PNG whose header promises side x side pixels."""
    return png(side, side, 8, 0, zlib.compress(bytes(1000)))


@pytest.mark.parametrize("limit", [None, 1_000_000_000])
@pytest.mark.parametrize("side", [8_000, 12_000, 20_000, 60_000, 2**31 - 1])
def test_bombs_are_refused_from_the_header(tmp_path, side, limit, monkeypatch):
    """Whether Pillow only warns (12,000), raises (20,000) or has had its limit taken away."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    (tmp_path / "a.png").write_bytes(bomb(side))
    decoded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", lambda *a: decoded.append(a))
    message = problem(tmp_path / "a.png").message
    assert "pixels" in message
    assert "smaller" in message
    assert decoded == []  # nothing was allocated
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("action", ["error", "ignore"])
@pytest.mark.parametrize("side", [8_000, 12_000, 20_000])
def test_bombs_whatever_becomes_of_warnings(tmp_path, side, action):
    before = Image.MAX_IMAGE_PIXELS
    (tmp_path / "a.png").write_bytes(bomb(side))
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        message = problem(tmp_path / "a.png").message
    assert "pixels" in message
    assert "damaged" not in message
    assert before == Image.MAX_IMAGE_PIXELS


def test_the_limit_is_exact_and_can_be_set(tmp_path):
    Image.new("L", (100, 50)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png", max_pixels=5_000).size == (100, 50)
    message = problem(tmp_path / "a.png", max_pixels=4_999).message
    assert "has 100 x 50 = 5,000 pixels, more than the 4,999 allowed" in message
    with pytest.raises(ValueError, match="max_pixels is 0"):
        load_image(tmp_path / "a.png", max_pixels=0)


def test_bombs_and_good_pictures_side_by_side_in_threads(tmp_path):
    (tmp_path / "bomb.png").write_bytes(bomb(8_000))
    Image.fromarray(NOISE).save(tmp_path / "good.png")
    wrong: list[str] = []

    def work(name: str) -> None:
        for _ in range(30):
            (answer,) = load_images([tmp_path / name])
            if isinstance(answer, LoadedImage) != (name == "good.png"):
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(n,)) for n in ["bomb.png", "good.png"] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_file_far_too_long_for_a_picture_is_not_read(tmp_path):
    with open(tmp_path / "film.jpg", "wb") as file:
        file.write(encoded(Image.fromarray(NOISE), "JPEG"))
        file.truncate(2 * 10**9)  # a hole: no disk is used
    assert "too many for a picture" in problem(tmp_path / "film.jpg").message


HUGE = zlib.compress(bytes(50_000_000))
HOSTILE = {
    "zTXt": [chunk(b"zTXt", b"Comment\0\0" + HUGE)],
    "iTXt": [chunk(b"iTXt", b"Comment\0\1\0en\0\0" + HUGE)],
    "iCCP": [chunk(b"iCCP", b"profile\0\0" + HUGE)],
    "many zTXt": [chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**6)))] * 80,
    "unknown method": [chunk(b"zTXt", b"Comment\0\x09xx")],
    "length": [struct.pack(">I", 0x7FFFFFFF) + b"tEXt" + b"x" * 50],
    "no width": [],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_png_chunks(tmp_path, name):
    width = 0 if name == "no width" else 1
    (tmp_path / "a.png").write_bytes(png(width, 1, 8, 0, b"\0\0", *HOSTILE[name]))
    problem(tmp_path / "a.png")


def test_a_hostile_chunk_after_the_pixels(tmp_path):
    data = png(1, 1, 8, 0, b"\0\0")[:-12] + HOSTILE["zTXt"][0] + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    problem(tmp_path / "a.png")


def test_random_damage_gives_a_picture_or_an_image_error(tmp_path):
    image = Image.fromarray(NOISE)
    exif = Image.Exif()
    exif[0x0112] = 6
    sources = [
        encoded(image, "JPEG", exif=exif),
        encoded(image.convert("P"), "PNG", transparency=3, exif=exif),
        encoded(image, "PNG", save_all=True, append_images=[image.rotate(90)], duration=9),
        encoded(image, "GIF", save_all=True, append_images=[image.rotate(90)]),
        encoded(image, "WEBP"),
        encoded(image, "TIFF"),
        encoded(image.convert("F"), "TIFF"),
    ]
    source = random.Random(0)
    outcomes = {True: 0, False: 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(350):
            data = bytearray(source.choice(sources))
            for _ in range(source.choice([1, 2, 8])):
                data[source.randrange(min(len(data), 400))] = source.randrange(256)
            (tmp_path / "a").write_bytes(data)
            (answer,) = load_images([tmp_path / "a"])
            outcomes[isinstance(answer, LoadedImage)] += 1
    assert min(outcomes.values()) > 30


def test_the_error_crosses_processes_and_names_cannot_drive_a_terminal(tmp_path):
    name = str(tmp_path / "a\x1b[2Jb\n.jpg")
    with pytest.raises(ImageError) as caught:
        load_image(name)
    error = caught.value
    assert "\x1b" not in str(error)
    assert "\n" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.path, again.message, str(again)) == (error.path, error.message, str(error))


def test_files_are_closed(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n junk")
    (tmp_path / "empty.png").touch()
    before = len(os.listdir("/dev/fd"))
    for _ in load_images([tmp_path / name for name in ("good.png", "bad.png", "empty.png")] * 5):
        pass
    assert len(os.listdir("/dev/fd")) == before


# --- streams and folders -----------------------------------------------------------------------


def test_one_failure_never_stops_the_rest(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(bomb(60_000))
    (tmp_path / "c.png").touch()
    Image.fromarray(NOISE[::-1].copy()).save(tmp_path / "d.png")
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png", "absent.png", "d.png")]
    answers = list(load_images(iter(paths)))
    assert [answer.path for answer in answers] == paths
    kinds = [type(answer) for answer in answers]
    assert kinds == [LoadedImage, ImageProblem, ImageProblem, ImageProblem, LoadedImage]
    assert isinstance(answers[4], LoadedImage)
    assert np.array_equal(np.asarray(answers[4].image), NOISE[::-1])
    assert str(answers[2]) == f"{tmp_path / 'c.png'}: is empty (0 bytes); copy or download it again"
    small = list(load_images(paths[:1], max_pixels=10))
    assert isinstance(small[0], ImageProblem)


def test_reading_is_lazy(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a.png")

    def paths():
        yield tmp_path / "a.png"
        raise AssertionError("asked for more than was needed")

    assert isinstance(next(load_images(paths())), LoadedImage)


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_folders_are_expanded_in_a_stable_order(tmp_path):
    top = tmp_path / "photos"
    wanted = ["B.JPG", "a.png", "a/z.jpeg", "b/c/d.PnG", "c.jpg"]
    others = ["notes.txt", ".hidden.png", ".cache/x.png", "b/.git/y.jpg", "x.jpg.part", "gif.gif"]
    touch(*(top / name for name in [*reversed(wanted), *others]))
    paths, problems = iter_image_paths([top])
    expected = sorted((top / name for name in wanted), key=lambda path: path.parts)
    assert paths == expected
    assert problems == []
    flat, problems = iter_image_paths([str(top)], recursive=False)
    assert flat == [top / "B.JPG", top / "a.png", top / "c.jpg"]
    assert problems == []


def test_files_keep_their_order_and_come_once(tmp_path, monkeypatch):
    touch(*(tmp_path / name for name in ("b.jpg", "a.jpg", "odd.bin", ".dot.png")))
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    monkeypatch.chdir(tmp_path)
    given = ["odd.bin", "b.jpg", "./b.jpg", ".dot.png", str(tmp_path / "b.jpg"), tmp_path]
    paths, problems = iter_image_paths(given)
    assert [str(path) for path in paths[:3]] == ["odd.bin", "b.jpg", ".dot.png"]
    assert paths[3:] == [tmp_path / "a.jpg"]  # b.jpg and the link to a.jpg are there already
    assert problems == []


def test_problems_do_not_stop_the_rest(tmp_path):
    touch(tmp_path / "good" / "a.jpg", tmp_path / "sub" / "deep" / "a.png")
    (tmp_path / "bare").mkdir()
    given = [tmp_path / "absent", tmp_path / "bare", "", tmp_path / "good", "a\0b"]
    paths, problems = iter_image_paths(given)
    assert paths == [tmp_path / "good" / "a.jpg"]
    assert [path for path, _ in problems] == [
        tmp_path / "absent",
        tmp_path / "bare",
        Path(),
        Path("a\0b"),
    ]
    assert "does not exist" in problems[0][1]
    assert "without .jpg, .jpeg or .png files in it or its subfolders" in problems[1][1]
    assert "does not exist" in problems[2][1]
    paths, problems = iter_image_paths([tmp_path / "sub"], recursive=False)
    assert paths == []
    assert "its subfolders were not searched" in problems[0][1]
    assert iter_image_paths([]) == ([], [])


@pytest.mark.timeout(10)
def test_link_loops_are_harmless(tmp_path):
    touch(tmp_path / "top" / "sub" / "a.jpg", tmp_path / "outside.jpg")
    (tmp_path / "top" / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "top" / "self").symlink_to(tmp_path / "top")
    (tmp_path / "top" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    paths, problems = iter_image_paths([tmp_path / "top", tmp_path / "top" / "self"])
    # The broken link is kept, so that reading it tells what is wrong with it.
    assert paths == [tmp_path / "top" / "gone.jpg", tmp_path / "top" / "sub" / "a.jpg"]
    assert problems == []


def test_a_single_path_is_a_mistake():
    for given in ("photos", Path("photos")):
        with pytest.raises(TypeError, match="pass a list of paths"):
            iter_image_paths(given)
