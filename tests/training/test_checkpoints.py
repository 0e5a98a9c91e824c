"""A checkpoint is whole or not there, whatever happens while it is written."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from torch import nn

from hybridlab.files import NotEnoughDiskError
from hybridlab.training import checkpoints
from hybridlab.training.checkpoints import (
    CheckpointStore,
    DamagedCheckpointError,
    Snapshot,
    optimiser_tensors,
    restore_optimiser,
)
from hybridlab.training.randomness import random_states, restore_random_states


def snapshot(step: int, size: int = 10) -> Snapshot:
    """All its numbers are the step, so that a mixture of two would show."""
    return Snapshot(
        {"w": torch.full((size,), float(step))}, {"m": torch.full((size,), float(step))},
        {"epoch": step},
    )


def is_step(loaded, step: int) -> bool:
    both = (*loaded.snapshot.weights.values(), *loaded.snapshot.training.values())
    return (loaded.step == step == loaded.snapshot.facts["epoch"]
            and all((each == step).all() for each in both))


def test_the_newest_and_the_best_are_kept(tmp_path):
    store = CheckpointStore(tmp_path / "run")
    assert store.latest() is None and store.best() is None and store.steps() == []
    for step, score in enumerate([0.1, 0.9, 0.9, float("nan"), 0.3, None]):
        store.save(step, snapshot(step), score)
    assert store.steps() == [1, 4, 5]
    assert is_step(store.latest(), 5) and is_step(store.best(), 1) and store.best_score() == 0.9
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == [
        "best.json", "step-00000001", "step-00000004", "step-00000005"]
    store.save(5, snapshot(5, 3))  # a run that went on from step 4
    assert len(store.latest().snapshot.weights["w"]) == 3 and store.steps() == [1, 4, 5]


@pytest.mark.parametrize("file", ["weights.safetensors", "training.safetensors", "facts.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_one_is_passed_over_and_named(tmp_path, file, damage):
    store = CheckpointStore(tmp_path)
    for step in (1, 2):
        store.save(step, snapshot(step))
    path = tmp_path / "step-00000002" / file
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-5] if damage == "cut" else
                         content[:-4] + bytes(255 - each for each in content[-4:]))
    found = store.latest()
    assert is_step(found, 1) and len(found.passed_over) == 1
    assert "step-00000002" in found.passed_over[0]
    store.save(2, snapshot(2))  # the run goes on and writes it anew
    assert is_step(store.latest(), 2) and store.latest().passed_over == ()


def test_none_whole_is_an_error_and_not_a_fresh_start(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(1, snapshot(1))
    (tmp_path / "step-00000001" / "facts.json").write_text("{")
    with pytest.raises(DamagedCheckpointError, match=r"no checkpoint is whole: step-00000001"):
        store.latest()
    with pytest.raises(DamagedCheckpointError, match="step-00000007 cannot be read"):
        store.load(7)
    (tmp_path / "best.json").write_text("[]")
    assert store.best() is None


def test_a_full_disk_leaves_the_last_one_and_nothing_else(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(1, snapshot(1))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "flush", full)
    with pytest.raises(NotEnoughDiskError, match="the checkpoints before it are untouched"):
        store.save(2, snapshot(2))
    assert [each.name for each in tmp_path.iterdir()] == ["step-00000001"]
    assert is_step(store.latest(), 1)


def _save_on(folder, began, size, ready):
    torch.set_num_threads(1)  # a forked child has no other threads, and would wait for them
    store, step = CheckpointStore(folder), began
    while True:
        step += 1
        store.save(step, snapshot(step, size), score=float(step))
        ready.set()  # on a busy machine the first save may take long


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork are POSIX's")
def test_fifty_kills_during_saves_leave_the_old_one_or_the_new_one(tmp_path):
    store, draw = CheckpointStore(tmp_path), random.Random(0)
    store.save(0, snapshot(0))
    fork = multiprocessing.get_context("fork")
    reached, inside = 0, 0
    for _ in range(50):
        ready = fork.Event()
        child = fork.Process(target=_save_on, args=(tmp_path, reached, 20_000, ready))
        child.start()
        assert ready.wait(60)
        time.sleep(draw.uniform(0.0, 0.06))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        inside += any(each.name.startswith(".") for each in tmp_path.iterdir())
        found = store.latest()
        assert is_step(found, found.step) and found.step >= reached
        # at most one, whose rename was cut in two, is missing; none is ever half
        assert found.passed_over == ()
        best = store.best()
        assert best is None or is_step(best, best.step)
        reached = found.step
        store.tidy()
        assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]
    assert reached > 50 and inside > 5  # saves were done, and kills fell within some


def test_every_generator_goes_on_where_it_was():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    random.gauss(0, 1)  # leaves a spare number in store
    np.random.normal()
    states = {name: value.clone() for name, value in random_states().items()}
    draws = [(random.gauss(0, 1), random.random(), np.random.normal(), np.random.rand(),
              float(torch.randn(()))) for _ in range(2) if restore_random_states(states) is None]
    assert draws[0] == draws[1]
    with pytest.raises(ValueError, match=r"lack numpy\.at"):
        restore_random_states({k: v for k, v in states.items() if k != "numpy.at"})


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_an_optimiser_goes_on_bit_for_bit(tmp_path, kind):
    def parts():
        torch.manual_seed(0)
        module = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
        optimiser = kind(module.parameters(), lr=0.1, **options)
        return module, optimiser, {value: name for name, value in module.named_parameters()}

    def step(module, optimiser, seed):
        optimiser.zero_grad()
        images = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
        module(images).square().sum().backward()
        optimiser.step()

    module, optimiser, names = parts()
    step(module, optimiser, 1)
    store = CheckpointStore(tmp_path)
    store.save(1, Snapshot(module.state_dict(), optimiser_tensors(optimiser, names)))
    step(module, optimiser, 2)
    other, fresh, its_names = parts()
    read = store.latest().snapshot
    other.load_state_dict(read.weights)
    restore_optimiser(fresh, its_names, read.training)
    for parameter in other.parameters():
        for value in fresh.state[parameter].values():
            if value is not None and value.dim() == 4:
                assert value.is_contiguous(memory_format=torch.channels_last)
    step(other, fresh, 2)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(),
                                                 strict=True))
    kept = optimiser_tensors(optimiser, names)
    again = optimiser_tensors(fresh, its_names)
    assert kept.keys() == again.keys() and all(torch.equal(kept[key], again[key]) for key in kept)
    with pytest.raises(ValueError, match="1 parameters that are not trained here, such as 'wings'"):
        restore_optimiser(fresh, its_names, {"wings:step": torch.ones(())})


def test_nothing_that_is_kept_can_run_code(tmp_path):
    store = CheckpointStore(tmp_path)
    shared = torch.arange(6.0)
    store.save(3, Snapshot({"a": shared[:3], "b": shared}, random_states(), {"loss": float("nan")}))
    assert {each.suffix for each in tmp_path.rglob("*") if each.is_file()} == {
        ".safetensors", ".json"}
    found = store.latest().snapshot
    assert torch.equal(found.weights["b"], shared) and found.facts == {"loss": None}
    told = json.loads((tmp_path / "step-00000003" / "facts.json").read_text())
    assert told["step"] == 3 and set(told["sha256"]) == {"weights.safetensors",
                                                         "training.safetensors"}


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="keep is 1"):
        CheckpointStore(tmp_path, keep=1)
    with pytest.raises(ValueError, match="step is -1"):
        CheckpointStore(tmp_path).save(-1, snapshot(0))
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file is a file; name a folder"):
        CheckpointStore(tmp_path / "file")
