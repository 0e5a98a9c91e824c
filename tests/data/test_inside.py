"""Names of strangers: what leads out of the folder is refused, what is in it is found."""

from __future__ import annotations

import os
import time

import pytest

from hybridlab.data.inside import Listing, safe_name

from .photo_files import pictures


@pytest.mark.parametrize(
    ("name", "plain"),
    [("a.jpg", "a.jpg"), ("./a.jpg", "a.jpg"), ("x//y/./a.jpg", "x/y/a.jpg"),
     ("..a.jpg", "..a.jpg"), ("a..jpg", "a..jpg"), ("é ü.jpg", "é ü.jpg"),
     ("a\\b.jpg", "a\\b.jpg")],
)
def test_a_name_inside_the_folder_is_made_plain(name, plain):
    assert safe_name(name) == plain


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "absolute"), ("\\\\server\\share\\a.jpg", "absolute"),
        ("C:\\a.jpg", "absolute"), ("c:/a.jpg", "absolute"), ("C:a.jpg", "absolute"),
        ("../a.jpg", "leads out"), ("x/../../a.jpg", "leads out"), ("x\\..\\a.jpg", "leads out"),
        ("..", "leads out"), ("a\0.jpg", "NUL"), ("", "empty"), ("./", "empty"),
        (None, "no text"), (3, "no text"), (["a.jpg"], "no text"),
    ],
)
def test_a_name_that_leads_out_is_refused(name, words):
    with pytest.raises(ValueError, match=words):
        safe_name(name)


def test_files_are_found_below_and_hidden_ones_passed_over(tmp_path):
    folder = pictures(tmp_path, "b.jpg", "x/a.PNG", "x/y/c.jpeg", ".hidden.jpg", ".git/d.jpg")
    (folder / "notes.txt").write_text("no picture")
    listing = Listing(folder)
    assert listing.names == ("b.jpg", "notes.txt", "x/a.PNG", "x/y/c.jpeg")
    assert listing.pictures() == ("b.jpg", "x/a.PNG", "x/y/c.jpeg")
    assert listing.find("./x//a.PNG") == "x/a.PNG"
    assert listing.find("x\\y\\c.jpeg") == "x/y/c.jpeg"  # written on Windows
    assert listing.find("b", ("", ".png", ".jpg")) == "b.jpg"


def test_a_missing_file_is_told_with_the_name_that_is_meant(tmp_path):
    listing = Listing(pictures(tmp_path, "Cow.JPG", "cafe\u0301.jpg"))
    for name, near in (("cow.jpg", "Cow.JPG"), ("caf\u00e9.jpg", "cafe\u0301.jpg")):
        with pytest.raises(FileNotFoundError, match="no such file") as caught:
            listing.find(name)
        assert repr(near) in str(caught.value)
    with pytest.raises(FileNotFoundError) as caught:
        listing.find("owl.jpg")
    assert "there is '" not in str(caught.value)


def test_links_may_stay_in_the_folder_and_not_leave_it(tmp_path):
    folder = pictures(tmp_path / "in", "a.jpg", "sub/b.jpg")
    outside = pictures(tmp_path / "out", "c.jpg")
    (folder / "stays.jpg").symlink_to("sub/b.jpg")
    (folder / "leaves.jpg").symlink_to(outside / "c.jpg")
    (folder / "dangles.jpg").symlink_to("nothing.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "door").symlink_to(outside)
    (folder / "again").symlink_to("sub")
    (folder / "up").symlink_to("..")
    listing = Listing(folder)
    assert listing.find("stays.jpg") == "stays.jpg"
    assert listing.find("again/b.jpg") == "again/b.jpg"
    for name in ("leaves.jpg", "door/c.jpg", "up/out/c.jpg"):
        with pytest.raises(ValueError, match="leaves the folder"):
            listing.find(name)
    for name in ("dangles.jpg", "loop.jpg"):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            listing.find(name)
    # the folder itself may be a link, and a name that begins like its own is no way in
    (tmp_path / "link").symlink_to(folder)
    assert Listing(tmp_path / "link").find("a.jpg") == "a.jpg"
    pictures(tmp_path / "in2", "d.jpg")
    (folder / "beside.jpg").symlink_to(tmp_path / "in2" / "d.jpg")
    with pytest.raises(ValueError, match="leaves the folder"):
        Listing(folder).find("beside.jpg")


def test_names_that_are_not_utf8(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(raw, "wb") as file:
        file.write(b"x")
    listing = Listing(tmp_path)
    assert listing.names == ("caf\udce9.jpg",) and listing.find("caf\udce9.jpg")


def test_no_folder(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(FileNotFoundError, match="does not exist; give the folder"):
        Listing(tmp_path / "b")
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        Listing(tmp_path / "a")


def test_a_hundred_thousand_files_are_listed_and_found_fast(tmp_path):
    for part in range(100):
        (tmp_path / f"{part:02d}").mkdir()
        for number in range(1000):
            os.close(os.open(tmp_path / f"{part:02d}" / f"{number:03d}.jpg", os.O_CREAT, 0o600))
    began = time.process_time()
    listing = Listing(tmp_path)
    assert len([listing.find(name) for name in listing.names]) == 100_000
    assert time.process_time() - began < 6, "it takes 0.6 s of a core"
