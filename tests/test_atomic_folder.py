"""A folder of results takes its name when it is whole."""

from __future__ import annotations

import errno
import os

import pytest

from hybridlab.files import NotEnoughDiskError, atomic_folder


def test_the_folder_appears_only_at_the_end(tmp_path):
    target = tmp_path / "made"
    with atomic_folder(target) as part:
        (part / "a.txt").write_text("a")
        (part / "sub").mkdir()
        assert not target.exists() and part.parent == tmp_path and part.name.startswith(".made")
    assert sorted(os.listdir(target)) == ["a.txt", "sub"] and os.listdir(tmp_path) == ["made"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_exception_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)), atomic_folder(tmp_path / "made") as part:
        (part / "a.txt").write_text("a")
        raise error
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_told_as_such(tmp_path):
    with pytest.raises(NotEnoughDiskError, match="nothing was kept"), atomic_folder(
        tmp_path / "made"
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_a_taken_name_is_kept(tmp_path, kind):
    target = tmp_path / "made"
    if kind == "folder":
        target.mkdir()
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="exists and is kept"), atomic_folder(target):
        raise AssertionError("the block must not run")
    assert os.listdir(tmp_path) == ["made"]


def test_a_folder_that_came_meanwhile_is_kept(tmp_path):
    target = tmp_path / "made"
    with pytest.raises(FileExistsError), atomic_folder(target) as part:
        (part / "a.txt").write_text("a")
        target.mkdir()
    assert os.listdir(tmp_path) == ["made"] and os.listdir(target) == []


def test_the_parent_must_be_there(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="make it first"),
        atomic_folder(tmp_path / "no" / "made"),
    ):
        raise AssertionError("the block must not run")
