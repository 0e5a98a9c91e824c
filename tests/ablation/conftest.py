"""A tiny study in a file of its own: NumPy only, and every execution leaves a file behind."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path

import pytest

from hybridlab.ablation.state import load_results
from hybridlab.ablation.study import load_study

STUDY = '''
"""A study for tests."""
import os
import secrets
import signal
import time

import numpy as np

from hybridlab.ablation.runs import RunResult
from hybridlab.ablation.study import Study


def noise(shape, seed, level):
    return np.random.default_rng([seed, level]).normal(size=shape)


def run(config, seed, store):
    """Scores of noise and signal; leaves a file for each execution, kills itself if told to."""
    level = config["level"]
    mark = store / f"{level}-{seed}.{os.getpid()}-{secrets.token_hex(3)}"
    mark.write_text("begun")
    trouble = config["trouble"]
    if trouble == "raise" and (config["bad_seed"] in (None, seed)):
        raise ArithmeticError(f"level {level} cannot be done")
    if trouble == "die" or (trouble == "die once" and len(list(store.glob(f"{level}-*"))) < 2):
        time.sleep(config["sleep"])
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "exit":
        raise SystemExit(3)
    clock = time.perf_counter()
    time.sleep(config["sleep"])
    targets = (np.random.default_rng(seed).random((30, 4)) < 0.4).astype(np.int8)
    scores = targets + (2.0 / (1 + level)) * noise((30, 4), seed, level)
    if trouble == "nan":
        scores[3, 2] = np.nan
    if trouble == "no positives":
        targets[:] = 0
    if trouble == "full":
        raise OSError(28, "No space left on device")
    if trouble == "interrupt" and (store / "armed").exists():
        (store / "armed").unlink()
        os.kill(int((store / "pid").read_text()), signal.SIGINT)
        time.sleep(20)
    mark.write_text("through")
    return RunResult(
        scores, scores > 0.5, targets, np.arange(30), parameters=10 * level,
        seconds={"train": time.perf_counter() - clock}, extra={"level": level},
    )


STUDY = Study(
    name="tiny",
    question="Does less noise help?",
    run=run,
    recipe={"level": 0, "sleep": SLEEP, "trouble": "", "bad_seed": None},
    variants=VARIANTS,
    seeds=SEEDS,
    reference="plain",
    hypotheses={"plain": "The noisiest of all."},
)
'''


@pytest.fixture
def write_study(tmp_path):
    """write_study(variants, seeds, sleep) -> the study of a file in the test's own folder."""

    def write(variants=None, seeds=(0, 1), sleep=0.0, name="study.py", change=lambda text: text):
        text = STUDY.replace("SLEEP", repr(sleep)).replace("SEEDS", repr(tuple(seeds)))
        text = text.replace("VARIANTS", repr(variants or {"plain": {}, "less": {"level": 1}}))
        path = tmp_path / name
        path.write_text(change(textwrap.dedent(text)))
        return load_study(path)

    return write


@pytest.fixture
def four():
    """Four variants without trouble."""
    return {"plain": {}, **{f"level {k}": {"level": k} for k in (1, 2, 3)}}


def executions(store: Path) -> Counter[str]:
    """"LEVEL-SEED" -> how often it was begun."""
    return Counter(path.name.split(".")[0] for path in store.glob("*-*.*"))


def arrays_of(folder: Path) -> dict[tuple[str, int], list[bytes]]:
    """(variant, seed) -> the bytes of each array of its predictions."""
    return {
        (record.variant, record.seed): [array.tobytes() for array in record.predictions()]
        for record in load_results(folder)
    }
