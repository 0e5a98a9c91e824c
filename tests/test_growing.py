"""A growing file holds whole lines, whatever happened to it, and never takes another's name."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.growing import growing, part_of

LINES = [f"line {at} ä\n" for at in range(8)]


def numbered(held: list[str]):
    """Takes the lines of this test, in order, and no others."""

    def read(text: str) -> None:
        if text not in LINES:
            raise ValueError("no line of ours")
        held.append(text)

    return read


def write(target, *, resume=False, stop_after=None, key="abc") -> list[str]:
    """Write what is left of the lines; the lines that were there."""
    held: list[str] = []
    with growing(target, key, resume=resume, read=numbered(held)) as file:
        for at, line in enumerate(LINES):
            if line not in held:
                file.write(line)
            if at + 1 == stop_after:
                raise KeyboardInterrupt
    return held


def names(folder) -> list[str]:
    return sorted(os.listdir(folder))


def test_the_name_comes_at_the_end(tmp_path):
    target = tmp_path / "a.txt"
    with growing(target, "abc", resume=False, read=numbered([])) as file:
        file.write(LINES[0])
        assert not target.exists()
        assert part_of(target, "abc").read_text(encoding="utf-8") == LINES[0]  # kept at once
    assert names(tmp_path) == ["a.txt"]


def test_what_was_stopped_goes_on(tmp_path):
    target = tmp_path / "a.txt"
    with pytest.raises(KeyboardInterrupt):
        write(target, stop_after=3)
    assert names(tmp_path) == ["a.txt.part-abc"]
    assert write(target, resume=True) == LINES[:3]
    assert target.read_text(encoding="utf-8") == "".join(LINES) and names(tmp_path) == ["a.txt"]


@given(keep=st.integers(0, 80), junk=st.binary(max_size=12))
def test_wherever_it_was_cut(tmp_path_factory, keep, junk):
    folder = tmp_path_factory.mktemp("cut")
    target, whole = folder / "a.txt", "".join(LINES).encode()
    part_of(target, "abc").write_bytes(whole[:keep] + junk)
    held = write(target, resume=True)
    assert held == LINES[: len(held)] and len("".join(held).encode()) <= keep + len(junk)
    assert target.read_bytes() == whole and names(folder) == ["a.txt"]


def test_a_part_is_neither_overwritten_nor_mixed(tmp_path):
    target = tmp_path / "a[1].txt"  # marks of a pattern in its name
    with pytest.raises(KeyboardInterrupt):
        write(target, stop_after=2)
    part = part_of(target, "abc")
    before = part.read_bytes()
    with pytest.raises(FileExistsError, match="go on with --resume"):
        write(target)
    with pytest.raises(ValueError, match="begun with another bundle"):
        write(target, resume=True, key="xyz")
    assert part.read_bytes() == before and names(tmp_path) == [part.name]


def test_a_name_that_was_taken_meanwhile_is_kept(tmp_path):
    target = tmp_path / "a.txt"
    with (
        pytest.raises(FileExistsError, match="is kept"),
        growing(target, "abc", resume=False, read=numbered([])) as file,
    ):
        file.write(LINES[0])
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert part_of(target, "abc").read_text(encoding="utf-8") == LINES[0]  # ours is not lost


@pytest.mark.parametrize("case", ["taken", "no folder"])
def test_what_cannot_be_written_is_told_first(tmp_path, case):
    target = tmp_path / "a.txt" if case == "taken" else tmp_path / "no" / "a.txt"
    if case == "taken":
        target.write_text("mine")
    with pytest.raises((FileExistsError, FileNotFoundError), match=r"is kept|make it first"):
        write(target)


def test_one_writes_at_a_time(tmp_path):
    target = tmp_path / "a.txt"
    with growing(target, "abc", resume=False, read=numbered([])) as file:
        file.write(LINES[0])
        with pytest.raises(BlockingIOError, match="another process"):
            write(target, resume=True)
    assert target.read_text(encoding="utf-8") == LINES[0]
