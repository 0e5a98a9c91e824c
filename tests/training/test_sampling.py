"""An epoch is a function of seed and epoch; processes share it out; a curriculum ends uniform."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.training.sampling import (
    Curriculum,
    batches,
    epoch_order,
    epoch_rows,
    own_share,
)


def test_an_order_is_of_its_seed_and_its_epoch():
    first = epoch_order(50, 3, 0)
    assert torch.equal(first.sort().values, torch.arange(50))
    assert torch.equal(first, epoch_order(50, 3, 0))
    assert not torch.equal(first, epoch_order(50, 3, 1))
    assert not torch.equal(epoch_order(50, 3, 1), epoch_order(50, 4, 0))  # no sum of the two
    state = torch.get_rng_state()
    epoch_order(50, 3, 0)
    assert torch.equal(state, torch.get_rng_state())


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 5), st.integers(0, 3))
def test_processes_make_up_each_batch_without_a_row_twice(n, size, world, epoch):
    whole = batches(epoch_rows(n, 0, epoch), size)
    assert sum(map(len, whole)) == n and all(len(each) == size for each in whole[:-1])
    for batch in whole:
        shares = [own_share(batch, rank, world) for rank in range(world)]
        assert sorted(torch.cat(shares).tolist()) == sorted(batch.tolist())
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=40), st.floats(0.01, 1), st.floats(0, 1),
    st.floats(0, 1), st.integers(0, 4),
)
def test_a_curriculum_takes_the_easiest_and_draws_them_alike(hard, begin, full, progress, epoch):
    curriculum = Curriculum(tuple(map(float, hard)), begin, full)
    admitted = curriculum.admitted(progress)
    chosen = set(admitted.tolist())
    left = [hard[at] for at in range(len(hard)) if at not in chosen]
    assert chosen and max(hard[at] for at in chosen) <= min(left, default=9)
    assert len(chosen) >= curriculum.share(progress) * len(hard) - 1e-6
    rows = epoch_rows(len(hard), 5, epoch, curriculum, progress)
    assert len(rows) == len(hard) and set(rows.tolist()) == chosen
    seen = torch.bincount(rows, minlength=len(hard))[admitted]
    assert seen.max() - seen.min() <= 1
    later = set(curriculum.admitted(min(1.0, progress + 0.3)).tolist())
    assert chosen <= later  # what is admitted stays
    if progress >= full:
        assert torch.equal(rows, epoch_rows(len(hard), 5, epoch))  # uniform, to the row


def test_equally_hard_rows_are_drawn_by_lot_and_orders_differ_by_round():
    curriculum = Curriculum((1.0,) * 100, 0.3, 1.0)
    assert curriculum.admitted(0.0).tolist() != list(range(30))
    other = Curriculum((1.0,) * 100, 0.3, 1.0, seed=1)
    assert curriculum.admitted(0.0).tolist() != other.admitted(0.0).tolist()
    rows = epoch_rows(100, 0, 0, curriculum, 0.0)
    assert not torch.equal(rows[:30], rows[30:60])
    assert curriculum.share(0.5) == pytest.approx(0.65) and curriculum.share(1.0) == 1.0


@pytest.mark.parametrize(("call", "words"), [
    (lambda: epoch_rows(0, 0, 0), "there are no rows"),
    (lambda: epoch_rows(3, 0, 0, Curriculum((1.0,))), "ranks 1 rows and there are 3"),
    (lambda: Curriculum(()), "finite number for each row"),
    (lambda: Curriculum((float("nan"),)), "finite number for each row"),
    (lambda: Curriculum((1.0,), begin=0.0), "begin is 0.0"),
    (lambda: Curriculum((1.0,), full=1.1), "full is 1.1"),
    (lambda: Curriculum((1.0,)).admitted(-0.1), "progress is -0.1"),
    (lambda: batches(torch.arange(3), 0), "batch_size is 0"),
    (lambda: own_share(torch.arange(3), 2, 2), "rank is 2 of 2 processes"),
])
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
