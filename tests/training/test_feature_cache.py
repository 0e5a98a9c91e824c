"""A cache goes on after a kill, is mapped into memory, and refuses what is not its own."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from hybridlab.data.scenes import SceneDataset
from hybridlab.encoders.cnn import build_cnn
from hybridlab.training.feature_cache import (
    StaleFeaturesError,
    cached,
    feature_facts,
    feature_key,
    in_shards,
    key_of,
)

ROWS = 23


def features(begin: int, end: int) -> dict[str, torch.Tensor]:
    rows = torch.arange(begin, end).float()
    return {"tokens": rows[:, None, None].expand(-1, 2, 3).half(), "pooled": rows[:, None]}


def counted(calls, die_after=0):
    def encode(begin, end):
        calls.append((begin, end))
        if die_after and len(calls) > die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return features(begin, end)

    return encode


def make(folder, encode):
    return cached(folder, "key", lambda: in_shards(folder, "key", ROWS, encode, shard=5))


def killed(folder):
    make(folder, counted([], die_after=3))


def test_after_a_kill_only_what_is_missing_is_encoded(tmp_path):
    child = multiprocessing.get_context("fork").Process(target=killed, args=(tmp_path,))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert not (tmp_path / "key.safetensors").exists()
    calls = []
    found = make(tmp_path, counted(calls))
    assert calls == [(15, 20), (20, 23)]
    for name, value in features(0, ROWS).items():
        assert torch.equal(found[name], value)
    assert sorted(each.name for each in tmp_path.iterdir() if "lock" not in each.name) == [
        "key.safetensors"]  # the pieces are gone
    calls.clear()
    assert torch.equal(make(tmp_path, counted(calls))["pooled"], found["pooled"]) and not calls


def test_a_damaged_piece_is_encoded_again(tmp_path):
    place = tmp_path / ".key.shards"
    place.mkdir()
    (place / "000000005-000000010.safetensors").write_bytes(b"half a file")
    calls = []
    assert torch.equal(make(tmp_path, counted(calls))["pooled"], features(0, ROWS)["pooled"])
    assert (5, 10) in calls and len(calls) == 5


def test_without_a_folder_or_a_place_to_write_it_only_computes(tmp_path):
    calls = []
    found = in_shards(None, "key", ROWS, counted(calls), shard=5)
    assert calls == [(0, ROWS)] and torch.equal(found["pooled"], features(0, ROWS)["pooled"])
    (tmp_path / "file").write_text("no folder")
    found = make(tmp_path / "file", counted([]))
    assert torch.equal(found["pooled"], features(0, ROWS)["pooled"])


def test_a_file_of_something_else_is_refused_and_kept(tmp_path):
    cnn, data = build_cnn("efficientnet_lite0", stage="stage1"), SceneDataset(5)
    facts = feature_facts(cnn, data)
    assert key_of(facts) == feature_key(cnn, data)
    cached(tmp_path, "my photos", lambda: features(0, 5), facts)
    assert torch.equal(cached(tmp_path, "my photos", lambda: 1 / 0, facts)["pooled"],
                       features(0, 5)["pooled"])
    before = (tmp_path / "my photos.safetensors").read_bytes()
    other = feature_facts(build_cnn("efficientnet_lite0", stage="stage1", pretrained=False),
                          SceneDataset(6))
    with pytest.raises(StaleFeaturesError, match=r"weights was \w+ and is \w+; data was .*:5:.*"
                       r"is .*:6:") as told:
        cached(tmp_path, "my photos", lambda: 1 / 0, other)
    assert "Delete it, or give another folder or name" in str(told.value)
    assert (tmp_path / "my photos.safetensors").read_bytes() == before


def resident_mb() -> float:
    with open("/proc/self/status") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux for its memory")
def test_reading_maps_the_file_and_takes_no_memory_of_its_own(tmp_path):
    big = {"tokens": torch.ones(2000, 50, 320).half()}  # 64 MB
    cached(tmp_path, "big", lambda: big)
    before = resident_mb()
    readers = [cached(tmp_path, "big", lambda: 1 / 0) for _ in range(3)]
    rows = torch.arange(0, 2000, 7)
    assert all(float(each["tokens"][rows].float().mean()) == 1 for each in readers)
    assert resident_mb() - before < 40
    assert readers[0].keys() == load_file(tmp_path / "big.safetensors").keys()
