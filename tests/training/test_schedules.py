"""Schedules are shares of the peak, and those that torch has, too, are torch's."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.training import stage
from hybridlab.training.schedules import SCHEDULES, one_cycle, share_at, warmup_cosine


@given(
    st.sampled_from(sorted(SCHEDULES)), st.integers(1, 300),
    st.floats(0, 0.99, allow_nan=False), st.data(),
)
def test_a_share_lies_between_0_and_1_and_the_peak_is_reached(name, steps, warmup, data):
    shares = [share_at(name, step, steps, warmup) for step in range(steps)]
    assert all(0 <= share <= 1 for share in shares)
    if name != "one_cycle":  # whose peak may fall between two steps
        assert max(shares) == pytest.approx(1.0)
        top = shares.index(max(shares))
        assert all(a <= b for a, b in pairwise(shares[: top + 1]))
    top = shares.index(max(shares))
    assert all(a >= b - 1e-12 for a, b in pairwise(shares[top:]))


@pytest.mark.parametrize("warmup", [0.2, 0.3, 0.5])
@pytest.mark.parametrize("steps", [10, 40, 101])
def test_one_cycle_is_torchs(steps, warmup):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=1.0, total_steps=steps, pct_start=warmup
    )
    for step in range(steps):
        assert one_cycle(step, steps, warmup) == pytest.approx(torchs.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        if step + 1 < steps:
            torchs.step()


def test_the_cosine_is_torchs_after_the_warm_up():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=90)
    for step in range(10, 100):
        assert warmup_cosine(step, 100) == pytest.approx(torchs.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        torchs.step()


def test_a_stage_can_name_every_schedule():
    assert tuple(SCHEDULES) == stage.SCHEDULES  # which is read without torch


def test_warm_up_is_linear_and_then_the_peak():
    rates = [warmup_cosine(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * at for at in range(1, 11)]) and rates[-1] < 0.001
    assert rates[55] == pytest.approx(0.5, abs=0.01)
    assert share_at("constant", 0, 100, 0.0) == share_at("cosine", 0, 1, 0.0) == 1.0
    assert share_at("one_cycle", 0, 10, 0.1) == 1.0  # where torch divides by zero


@pytest.mark.parametrize(("arguments", "words"), [
    (("line", 0, 10, 0.1), "schedule is 'line'; known ones: constant, cosine, one_cycle"),
    (("cosine", 10, 10, 0.1), "step is 10 of 10; expected 0 to 9"),
    (("cosine", -1, 10, 0.1), "step is -1"), (("cosine", 0, 10, 1.0), "warmup is 1.0"),
])
def test_mistakes_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        share_at(*arguments)
