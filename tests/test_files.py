"""Files are whole or absent: atomic writes, run folders, a full disk."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hybridlab.files import (
    NotEnoughDiskError,
    atomic_path,
    free_space_check,
    new_run_folder,
    run_folder,
    write_json,
    write_text,
)

ROOT = Path(__file__).resolve().parents[1]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def run_python(code: str, *args: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*prefix, sys.executable, "-c", code, *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


# --- atomic_path -------------------------------------------------------------------------------


def test_the_target_appears_only_at_the_end(tmp_path):
    target = tmp_path / "weights.safetensors"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"abc")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert re.fullmatch(r"\.weights\.safetensors\.part-[0-9a-f]+\.safetensors", temporary.name)
    assert target.read_bytes() == b"abc"
    assert names(tmp_path) == ["weights.safetensors"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_data_are_on_the_disk_before_the_name_is(tmp_path, overwrite, monkeypatch):
    target = tmp_path / "a.txt"
    flush = os.fsync
    flushed = []

    def watched(handle: int) -> None:
        flushed.append((os.fstat(handle).st_ino, target.exists()))
        flush(handle)

    monkeypatch.setattr(os, "fsync", watched)
    write_text(target, "abc", overwrite=overwrite)
    file, folder = target.stat().st_ino, tmp_path.stat().st_ino
    assert flushed == [(file, False), (folder, True)]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_exception_leaves_things_as_they_were(tmp_path, kind, overwrite):
    target = tmp_path / "a.txt"
    if overwrite:
        target.write_text("old")
    with pytest.raises(kind), atomic_path(target, overwrite=overwrite) as temporary:
        temporary.write_text("half")
        raise kind
    assert names(tmp_path) == (["a.txt"] if overwrite else [])
    assert not overwrite or target.read_text() == "old"


def test_ctrl_c_and_kill_leave_no_target(tmp_path):
    code = (
        "import signal, sys, time\nfrom hybridlab.files import atomic_path\n"
        # a test run in the background of a shell hands SIGINT down as ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with atomic_path(sys.argv[1]) as part:\n"
        "    part.write_text('half'); print('ready', flush=True); time.sleep(30)\n"
    )
    for number in (signal.SIGINT, signal.SIGKILL):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "a.txt")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdout is not None
        with child.stdout:
            assert child.stdout.readline() == b"ready\n"
            child.send_signal(number)
            assert child.wait(timeout=20) != 0
        assert not (tmp_path / "a.txt").exists()
        left = names(tmp_path)
        # Nothing can tidy up after SIGKILL, but what is left is hidden and plainly named.
        assert left == [] if number == signal.SIGINT else left[0].startswith(".a.txt.part-")


def test_an_existing_file_is_kept_unless_overwrite(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    entered = False
    expected = r"a\.txt exists and is kept; choose another name"
    with pytest.raises(FileExistsError, match=expected), atomic_path(target):
        entered = True
    assert not entered  # refused before any work is done
    with atomic_path(target, overwrite=True) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_came_meanwhile_is_kept(tmp_path, links, monkeypatch):
    if not links:  # a file system without hard links

        def no_link(*args):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_link)
    target = tmp_path / "a.txt"
    kept = pytest.raises(FileExistsError, match="exists and is kept")
    with kept, atomic_path(target) as temporary:
        temporary.write_text("mine")
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]
    write_text(tmp_path / "b.txt", "fresh")  # and the way without a rival works
    assert (tmp_path / "b.txt").read_text() == "fresh"
    assert names(tmp_path) == ["a.txt", "b.txt"]


def test_a_dangling_link_counts_as_taken(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="exists and is kept"):
        write_text(tmp_path / "a.txt", "x")
    assert not (tmp_path / "nowhere").exists()


def test_one_of_many_threads_wins_and_its_file_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    start = threading.Barrier(8)
    won: list[str] = []

    def write(letter: str) -> None:
        start.wait()
        try:
            write_text(target, letter * 50_000)
            won.append(letter)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert target.read_text() == won[0] * 50_000
    assert names(tmp_path) == ["a.txt"]


def test_missing_folder_folder_as_target_and_nothing_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent.*make it first"):
        write_text(tmp_path / "absent" / "a.txt", "x")
    nothing = pytest.raises(FileNotFoundError, match="nothing was written")
    with nothing, atomic_path(tmp_path / "a.txt"):
        pass
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="is a folder"):
            write_text(tmp_path, "x", overwrite=overwrite)
    assert names(tmp_path) == []


def test_a_name_at_the_limit_of_the_file_system(tmp_path):
    name = "é" * 120 + ".json"  # 245 bytes
    write_json(tmp_path / name, [1])
    assert names(tmp_path) == [name]


# --- a full disk -------------------------------------------------------------------------------

_FILL = """
import sys, resource
from pathlib import Path
from hybridlab.files import write_text, atomic_path
folder = Path(sys.argv[1])
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
(folder / "old.txt").write_text("old")
for name, overwrite in (("new.txt", False), ("old.txt", True)):
    try:
        write_text(folder / name, "x" * 500_000, overwrite=overwrite)
        print("written")
    except OSError as error:
        print(type(error).__name__, error)
try:
    with atomic_path(folder / "slow.bin") as part, open(part, "wb") as file:
        for _ in range(100):
            file.write(b"y" * 5_000)
            file.flush()
    print("written")
except OSError as error:
    print(type(error).__name__, error)
write_text(folder / "small.txt", "still works")
print(sorted(p.name for p in folder.iterdir()), (folder / "old.txt").read_text())
"""


def test_a_file_size_limit_leaves_nothing_half_written(tmp_path):
    done = run_python(_FILL, str(tmp_path), "limit")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["OSError"] * 3  # EFBIG
    assert lines[3] == "['old.txt', 'small.txt'] old"


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    """On a real full disk of 100 kB where one may be mounted, otherwise by the error it gives."""
    mount = f'mount -t tmpfs -o size=100k none {shlex.quote(str(tmp_path))} && exec "$0" "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount)
    can_mount = shutil.which("unshare") and run_python("pass", prefix=prefix).returncode == 0
    if can_mount:
        done = run_python(_FILL, str(tmp_path), "disk", prefix=prefix)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        for line, name in zip(lines[:3], ("new.txt", "old.txt", "slow.bin"), strict=True):
            assert line.startswith("NotEnoughDiskError the disk became full while writing")
            assert name in line
        assert lines[3] == "['old.txt', 'small.txt'] old"
    else:
        full = pytest.raises(NotEnoughDiskError, match="became full while writing")
        with full, atomic_path(tmp_path / "new.txt") as part:
            part.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert names(tmp_path) == []


def test_other_errors_of_the_block_come_through_unchanged(tmp_path):
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "no")


def test_free_space_check(tmp_path):
    free_space_check(tmp_path / "not" / "made" / "yet", 1)
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(NotEnoughDiskError) as caught:
        free_space_check(tmp_path / "run", free + 10**12)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOSPC
    text = str(caught.value)
    assert "\n" not in text
    assert re.search(r"run: [\d.]+ GB needed, [\d.]+ [GM]B free; free some space", text)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == text
    assert again.errno == errno.ENOSPC
    with pytest.raises(ValueError, match="needed_bytes is -1"):
        free_space_check(tmp_path, -1)


# --- text and JSON -----------------------------------------------------------------------------


def test_text_is_utf8_with_unix_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "é\n🐄\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n🐄\n".encode()
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "b.txt", "\udc80")
    assert names(tmp_path) == ["a.txt"]


def test_json_is_strict_and_takes_what_metrics_hold(tmp_path):
    data = {
        "mean_ap": np.float32(0.5),
        "ap": np.array([0.25, np.nan]),
        "count": np.int64(3),
        "scalar": np.array(2.0),
        "undefined": float("nan"),
        "flag": np.bool_(True),
        "pair": (1, 2.5),
        "where": Path("runs/x"),
        7: None,
        "name": "vache 🐄",
    }
    write_json(tmp_path / "m.json", data)

    def no_constant(name: str):
        raise AssertionError(f"{name} is not JSON")

    text = (tmp_path / "m.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=no_constant) == {
        "mean_ap": 0.5,
        "ap": [0.25, None],
        "count": 3,
        "scalar": 2.0,
        "undefined": None,
        "flag": True,
        "pair": [1, 2.5],
        "where": str(Path("runs/x")),
        "7": None,
        "name": "vache 🐄",
    }
    assert "🐄" in text
    assert text.endswith("}\n")


def test_json_of_a_file_name_that_is_not_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    write_json(tmp_path / "m.json", {"path": name})
    assert json.loads((tmp_path / "m.json").read_text(encoding="utf-8")) == {"path": name}


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ({"a": [1.0, float("inf")]}, ValueError, r"data\['a'\]\[1\] is infinite"),
        ({"a": np.array([-np.inf])}, ValueError, r"data\['a'\]\[0\] is infinite"),
        ({"a": {1, 2}}, TypeError, r"data\['a'\] is a set"),
        ({"a": b"raw"}, TypeError, "is a bytes"),
        ({(1, 2): 3}, TypeError, r"key of data is \(1, 2\)"),
        ({True: 3}, TypeError, "key of data is True"),
        ({1: 3, "1": 4}, TypeError, "'1' twice"),
    ],
)
def test_json_refuses_what_it_cannot_hold(tmp_path, data, kind, message):
    (tmp_path / "m.json").write_text("old")
    with pytest.raises(kind, match=message):
        write_json(tmp_path / "m.json", data, overwrite=True)
    assert (tmp_path / "m.json").read_text() == "old"
    assert names(tmp_path) == ["m.json"]


def test_json_keeps_an_existing_file(tmp_path):
    write_json(tmp_path / "m.json", 1)
    with pytest.raises(FileExistsError):
        write_json(tmp_path / "m.json", 2)
    assert (tmp_path / "m.json").read_text() == "1\n"
    write_json(tmp_path / "m.json", 2, overwrite=True)
    assert (tmp_path / "m.json").read_text() == "2\n"


# --- run folders -------------------------------------------------------------------------------


def test_run_folders_are_named_by_the_time(tmp_path):
    before = time.strftime("%Y%m%d-%H%M%S")
    folder = new_run_folder(tmp_path / "runs" / "deep")
    after = time.strftime("%Y%m%d-%H%M%S")
    assert folder.is_dir()
    assert folder.parent == tmp_path / "runs" / "deep"
    assert re.fullmatch(r"\d{8}-\d{6}", folder.name)
    assert before <= folder.name <= after


def test_taken_names_get_a_number(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kept.txt").write_text("kept")
    (tmp_path / "a-2").write_text("a file takes the name as well")
    assert new_run_folder(tmp_path, "a").name == "a-3"
    assert new_run_folder(tmp_path, "a").name == "a-4"
    assert names(tmp_path / "a") == ["kept.txt"]


def test_run_folders_are_unique_across_threads(tmp_path):
    start = threading.Barrier(12)
    made: list[Path] = []

    def make() -> None:
        start.wait()
        for _ in range(5):
            made.append(new_run_folder(tmp_path, "run"))

    threads = [threading.Thread(target=make) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 60
    assert len(set(made)) == 60
    assert names(tmp_path) == sorted(path.name for path in made)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_failed_run_takes_its_folder_and_the_parents_made_for_it(tmp_path, error, capsys):
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind), run_folder(tmp_path / "runs" / "deep") as folder:
        (folder / "half").write_text("x")
        raise error
    assert names(tmp_path) == []
    assert "nothing of this run was kept" in capsys.readouterr().err
    with pytest.raises(kind), run_folder(tmp_path / "runs") as folder:
        (folder.parent / "cache").write_text("of use to the next run")
        raise error
    assert names(tmp_path / "runs") == ["cache"]
    with run_folder(tmp_path / "runs") as folder:
        (folder / "whole").write_text("x")
    assert names(folder) == ["whole"]


def test_a_folder_that_cannot_be_written_is_named_by_its_file(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(PermissionError) as error:
        write_json(tmp_path / "metrics.json", {})
    assert error.value.filename == str(tmp_path / "metrics.json")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b"])
def test_a_run_name_is_one_component(tmp_path, name):
    with pytest.raises(ValueError, match="one folder name without slashes"):
        new_run_folder(tmp_path, name)
    assert names(tmp_path) == []


def test_a_file_in_place_of_the_runs_folder(tmp_path):
    (tmp_path / "runs").write_text("x")
    for parent in (tmp_path / "runs", tmp_path / "runs" / "deep"):
        with pytest.raises(NotADirectoryError):
            new_run_folder(parent)
