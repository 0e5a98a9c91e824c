"""What the disk says comes through as what it is."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from hybridlab.tensor_files import save_tensors

SMALL_DISK = """
import sys, torch
from pathlib import Path
from hybridlab.files import NotEnoughDiskError
from hybridlab.training.checkpoints import CheckpointStore, Snapshot
from hybridlab.training.feature_cache import cached
place = Path(sys.argv[1])
store = CheckpointStore(place / "run")
store.save(1, Snapshot({"w": torch.ones(1000)}))
try:
    store.save(2, Snapshot({"w": torch.ones(2_000_000)}))
except NotEnoughDiskError as error:
    print("told:", "the checkpoints before it are untouched" in str(error))
print("kept:", store.latest().step, sorted(each.name for each in (place / "run").iterdir()))
large = cached(place / "cache", "features", lambda: {"x": torch.ones(2_000_000)})
print("went on:", len(large["x"]), [each.name for each in (place / "cache").glob("f*")])
"""


def test_tensors_come_back_and_errors_have_their_number(tmp_path):
    written = {"a": torch.arange(6.0).view(2, 3).T, "b": torch.tensor([1, 2])}
    save_tensors(tmp_path / "x.safetensors", written, {"told": "1"})
    back = load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(back[name], value) for name, value in written.items())
    with pytest.raises(FileNotFoundError) as caught:
        save_tensors(tmp_path / "none" / "x.safetensors", written)
    assert caught.value.errno == errno.ENOENT and "x.safetensors" in str(caught.value)
    twice = torch.ones(3)
    with pytest.raises((SafetensorError, RuntimeError)):
        save_tensors(tmp_path / "y.safetensors", {"a": twice, "b": twice})


def can_mount() -> bool:
    if sys.platform != "linux":
        return False
    tried = subprocess.run(["unshare", "--mount", "--map-root-user", "true"], capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs a disk of its own, which Linux may give")
def test_a_disk_that_is_full_indeed(tmp_path: Path):
    script = tmp_path / "job.py"
    script.write_text(SMALL_DISK)
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c",
         f"mount -t tmpfs -o size=1m tmpfs {place} && {sys.executable} {script} {place}"],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.splitlines() == [
        "told: True", "kept: 1 ['step-00000001']", "went on: 2000000 []"]
