"""The states of all random generators of a process, as tensors: no pickle is needed to keep them.

A resumed run restores them last, after its sampler has been brought to the right batch: whatever
is drawn in between would move them on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

_NONE = float("nan")  # Python keeps no second normal number in store


def random_states() -> dict[str, Tensor]:
    """Python's, NumPy's and torch's, and that of each CUDA device that is in use."""
    _, words, spare = random.getstate()
    name, keys, at, has_spare, cached = np.random.get_state(legacy=True)
    assert name == "MT19937"  # the only one that NumPy's legacy interface has by default
    states = {
        "python.words": torch.tensor(words, dtype=torch.int64),
        "python.spare": torch.tensor(_NONE if spare is None else spare, dtype=torch.float64),
        "numpy.keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy.at": torch.tensor([int(at), int(has_spare)]),
        "numpy.cached": torch.tensor(float(cached), dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            states[f"cuda.{device}"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: Mapping[str, Tensor]) -> None:
    """Bring all generators back to where `random_states` found them.

    A CUDA device that this machine lacks is passed over.

    Raises:
        ValueError: a state is missing.
    """
    needed = {"python.words", "python.spare", "numpy.keys", "numpy.at", "numpy.cached", "torch"}
    if missing := sorted(needed - set(states)):
        raise ValueError(f"the random states lack {', '.join(missing)}; they come from elsewhere")
    spare = float(states["python.spare"])
    random.setstate((
        3, tuple(int(word) for word in states["python.words"]), None if spare != spare else spare,
    ))
    at, has_spare = (int(each) for each in states["numpy.at"])
    keys = states["numpy.keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, at, has_spare, float(states["numpy.cached"])))
    torch.set_rng_state(states["torch"].to(torch.uint8).cpu())
    if torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            if f"cuda.{device}" in states:
                torch.cuda.set_rng_state(states[f"cuda.{device}"].cpu(), device)


@contextmanager
def seeded_everywhere(seed: int) -> Iterator[None]:
    """All generators begin at a seed for the length of a block; then they are as they were."""
    before = random_states()
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        yield
    finally:
        restore_random_states(before)
