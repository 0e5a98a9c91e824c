"""Alignment of two towers, on vectors whose relation is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import binom

from hybridlab.zeroshot.alignment import Alignment, measure_alignment

N, D = 240, 12


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def rotation(width: int) -> np.ndarray:
    return np.linalg.qr(draw(width, width, seed=9))[0]


def within_chance(share: float, chance: float, trials: int) -> bool:
    """Whether a share of independent guesses may be chance's, at 99.9 %."""
    low, high = binom.interval(0.999, trials, chance)
    return low <= round(share * trials) <= high


def shares(table: dict) -> list[float]:
    return [share for recall in table.values() for share in recall]


def test_one_space_is_found_to_be_one():
    x = draw(N, D)
    found = measure_alignment(torch.from_numpy(x), 3 * x)  # length does not count
    assert (found.train, found.test) == (120, 120)
    assert set(found.direct) == set(found.mapped) == set(found.chance) == {1, 5, 10}
    assert shares(found.direct) == [1] * 6 and min(shares(found.mapped)) > 0.99
    assert found.cka == pytest.approx(1, abs=1e-9)
    assert abs(found.cka_control) < 0.05
    assert found.chance[1] == pytest.approx((1 / 120, 1 / 120))
    assert found.chance[10] == pytest.approx((10 / 120, 10 / 120))


def test_unrelated_vectors_stay_at_chance():
    found = measure_alignment(draw(N, D), draw(N, D, seed=1))
    for table in (found.direct, found.mapped, found.control):
        for k, recall in table.items():
            for share in recall:
                assert within_chance(share, k / 120, 120), (k, recall)
    assert abs(found.cka) < 0.06


def test_a_turned_space_is_seen_by_the_map_and_not_directly():
    x = draw(N, D)
    found = measure_alignment(x, x @ rotation(D) + 0.05 * draw(N, D, seed=2))
    assert within_chance(found.direct[1].image_to_text, 1 / 120, 120)
    assert min(found.mapped[1]) > 0.95
    for share in found.control[1]:
        assert share < 0.05
    assert found.cka > 0.9 > 0.1 > abs(found.cka_control)


def test_other_widths_and_a_part_that_is_shared():
    shared = draw(N, 6)
    x = np.hstack([shared, 2 * draw(N, 6, seed=3)]) @ rotation(12)
    y = np.hstack([shared, 0.1 * draw(N, 3, seed=4)]) @ rotation(9)
    found = measure_alignment(x, y)
    assert found.direct is None
    assert min(found.mapped[1]) > 0.5 > max(found.control[10])


def test_a_narrow_cone_does_not_hide_the_pairs():
    """Towers' vectors share a large mean; cosines around the origin are then all near 1."""
    x = draw(N, D)
    seen = x + draw(N, D, seed=7)
    found = measure_alignment(seen + 40, x @ rotation(D) + 40)
    # held against the uncentred texts, predictions find those near the middle: 0.63
    assert found.mapped[10].image_to_text > 0.8


def test_more_axes_than_pairs():
    x = draw(N, 300)
    found = measure_alignment(x, x @ rotation(300))
    assert found.mapped[10].image_to_text > 0.2
    assert max(shares({1: found.control[1]})) < 0.06
    assert abs(found.cka_control) < 0.05


def test_the_seed_decides_and_order_of_pairs_is_kept():
    x, y = draw(N, D), draw(N, D, seed=1)
    y[:, 0] += 3 * x[:, 0]
    one, same, other = (measure_alignment(x, y, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert dataclasses.is_dataclass(Alignment) and Alignment.__dataclass_params__.frozen


def test_images_that_share_a_text_count_for_each_other():
    """40 texts, 6 images each; with one right answer only, a perfect R@1 would be 1 in 6."""
    kind = np.repeat(np.arange(40), 6)
    texts = draw(40, D)[kind]
    images = texts + 0.01 * draw(N, D, seed=5)
    with pytest.raises(ValueError, match=r"texts 0 and 1 have the same vector.*groups="):
        measure_alignment(images, texts)
    found = measure_alignment(images, texts, groups=kind)
    assert (found.train, found.test) == (120, 120)
    assert shares(found.direct)[:2] == [1, 1]
    assert found.chance[1] == pytest.approx((6 / 120, 6 / 120))
    exact = 1 - np.prod([(114 - i) / (120 - i) for i in range(5)])
    assert found.chance[5] == pytest.approx((exact, exact))
    # a group is never in both halves: texts that the map was fitted on would be no test
    fitted = measure_alignment(draw(N, D, seed=6), texts, groups=kind)
    assert max(fitted.mapped[1]) < 0.25


@pytest.mark.parametrize(("images", "texts", "options", "says"), [
    (draw(39, 4), draw(39, 4), {}, "39 different pairs are too few.*R@10.*give 40 or more"),
    (draw(15, 4), draw(15, 4), {"at": (1,)}, "15 different pairs are too few.*give 16"),
    (draw(40, 4), draw(41, 4), {}, "40 images and 41 texts"),
    (draw(40), draw(40, 4), {}, r"images has shape \(40,\)"),
    (np.zeros((0, 4)), np.zeros((0, 4)), {}, r"images has shape \(0, 4\)"),
    (np.where(draw(40, 4) > 2, np.nan, 1.0), draw(40, 4), {}, r"images row \d+ holds NaN"),
    (draw(40, 4), np.zeros((40, 4)), {}, "texts row 0 is a vector of zeros"),
    (draw(40, 4), draw(40, 4), {"shuffles": 0}, "shuffles is 0"),
    (draw(40, 4), draw(40, 4), {"at": ()}, r"at \(\)"),
    (draw(40, 4), draw(40, 4), {"at": (0, 1)}, r"at \(0, 1\)"),
    (draw(40, 4), draw(40, 4), {"groups": [1, 2]}, r"groups has shape \(2,\); expected \(40,\)"),
])
def test_what_cannot_be_measured_is_refused(images, texts, options, says):
    with pytest.raises(ValueError, match=says):
        measure_alignment(images, texts, **options)


def test_no_numbers():
    with pytest.raises(TypeError, match="images holds something else than numbers"):
        measure_alignment([["a", "b"]] * 40, draw(40, 2))


def test_the_least_number_of_pairs_is_enough():
    x = draw(40, 4)
    assert shares(measure_alignment(x, x).direct) == [1] * 6
    assert measure_alignment(draw(16, 3), draw(16, 3, seed=1), at=[1]).test == 8
