"""False positives by context: counted by hand, with published intervals and scipy's tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hybridlab.data import scenes
from hybridlab.data.grounds import scene_backgrounds
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import CONTEXT_NAMES, SceneConfig
from hybridlab.evaluation.bootstrap import resample_counts
from hybridlab.evaluation.significance import holm
from hybridlab.zeroshot.audit import audit_companions, audit_contexts, usual_context_gap
from hybridlab.zeroshot.proportions import difference_interval, fisher_p, wilson_interval

LABELS = ("crab", "cow")


def fooled(n: int = 400, seed: int = 0):
    """A classifier that says crab on beaches, whether there is one or not; cow is honest."""
    rng = np.random.default_rng(seed)
    contexts = np.array(["beach", "farm", "town"])[rng.integers(0, 3, n)]
    targets = (rng.random((n, 2)) < 0.3).astype(int)
    chance = np.where(contexts == "beach", 0.4, 0.05)
    decisions = rng.random((n, 2)) < np.stack([chance, np.full(n, 0.1)], axis=1)
    return decisions | (targets == 1), targets, contexts.tolist()


def test_counts_are_those_of_a_slow_loop():
    decisions, targets, contexts = fooled(50)
    targets[3, 0] = targets[4, 1] = -1
    contexts[5] = ""
    found = audit_contexts(decisions, targets, contexts, LABELS)
    assert found.groups == ("beach", "farm", "town") and found.labels == LABELS
    for row, group in enumerate(found.groups):
        for at in range(2):
            counts = [0, 0, 0, 0]
            for n in range(50):
                if targets[n, at] != 0 or not contexts[n]:
                    continue
                side = 0 if contexts[n] == group else 2
                counts[side] += int(decisions[n, at])
                counts[side + 1] += 1
            assert counts == [int(x[row, at]) for x in (
                found.false, found.images, found.others_false, found.others)]
            inside, outside = counts[0] / counts[1], counts[2] / counts[3]
            assert found.difference[row, at] == pytest.approx(inside - outside)


def test_the_background_that_says_yes_is_found_and_the_honest_label_is_not():
    decisions, targets, contexts = fooled()
    found = audit_contexts(decisions, targets, contexts, LABELS)
    first = found.worst(3)[0]
    assert (first.label, first.group) == ("crab", "beach")
    assert first.rate > 0.3 > 0.1 > first.others_rate and first.difference.low > 0.1
    assert first.p_holm < 1e-6
    crab, cow = found.at(["beach", "farm"])
    assert crab.p_holm < 1e-6 and cow.p_holm > 0.05 and cow.group == "farm"
    assert [crab.p_holm, cow.p_holm] == pytest.approx(holm([crab.p, cow.p]))
    corrected = holm(found.p.ravel()).reshape(found.p.shape)
    assert first.p_holm == pytest.approx(corrected[0, 0])


def test_the_gap_of_all_labels_together_is_a_mean_over_labels_and_resampled_by_image():
    decisions, targets, contexts = fooled(200)
    usual = ["beach", "farm"]
    found = usual_context_gap(decisions, targets, contexts, usual, resamples=30, seed=4)
    rows = audit_contexts(decisions, targets, contexts, LABELS).at(usual)
    assert found.value == pytest.approx(np.mean([row.difference.value for row in rows]))
    drawn = []
    for counts in resample_counts(200, 30, 4):
        pick = np.repeat(np.arange(200), counts)
        again = audit_contexts(
            decisions[pick], targets[pick], [contexts[n] for n in pick], LABELS
        ).at(usual)
        drawn.append(np.mean([row.difference.value for row in again]))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_companions_are_labels_and_never_their_own():
    rng = np.random.default_rng(1)
    targets = (rng.random((300, 3)) < 0.4).astype(int)
    decisions = targets == 1
    decisions[:, 0] |= (targets[:, 2] == 1) & (rng.random(300) < 0.7)  # the third is mistaken
    targets[0, 2] = -1  # neither with nor without it
    found = audit_companions(decisions, targets, ("crab", "cow", "octopus"))
    assert np.isnan(np.diag(found.difference)).all() and np.isnan(np.diag(found.p)).all()
    assert (np.diag(found.images) == 0).all()
    first = found.worst(6)[0]
    assert (first.label, first.group) == ("crab", "octopus")
    there = (targets[:, 2] == 1) & (targets[:, 0] == 0)
    assert (first.false, first.images) == (decisions[there, 0].sum(), there.sum())
    away = (targets[:, 2] == 0) & (targets[:, 0] == 0)
    assert first.others == away.sum()


def test_a_side_without_images_is_nan_and_never_leads_the_table():
    found = audit_contexts([[True], [True]], [[0], [1]], ["a", "b"], ["x"])
    assert found.images.tolist() == [[1], [0]] and np.isnan(found.p).all()
    assert found.worst() == () and np.isnan(found.at(["a"])[0].p_holm)
    assert np.isnan(found.at(["b"])[0].rate)


@pytest.mark.parametrize(  # Newcombe 1998, Statistics in Medicine 17:873, table II, method 10
    ("counts", "ends"),
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)), ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)), ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)), ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)), ((10, 10, 0, 10), (0.6075, 1.0)),
    ],
)
def test_intervals_of_differences_are_newcombes(counts, ends):
    assert difference_interval(*counts) == pytest.approx(ends, abs=6e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_shares_are_judged_as_scipy_judges_them(k, n, other_k, other_n):
    k, other_k = min(k, n), min(other_k, other_n)
    expected = stats.binomtest(k, n).proportion_ci(0.9, method="wilson")
    assert wilson_interval(k, n, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-12)
    table = [[k, n - k], [other_k, other_n - other_k]]
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("greater", "less")]
    assert fisher_p(k, n, other_k, other_n) == pytest.approx(min(1, 2 * min(tails)), abs=1e-9)


def test_shares_of_nothing_are_nan():
    assert np.isnan(wilson_interval(0, 0)).all() and np.isnan(fisher_p(0, 0, 1, 2))
    assert np.isnan(difference_interval(0, 0, 1, 2)).all()


@pytest.mark.parametrize("hint", [0.0, 0.5, 1.0])
def test_backgrounds_are_the_ones_that_are_drawn(hint, monkeypatch):
    drawn = []
    paint = scenes.draw_background

    def watched(context, size, draw):
        drawn.append(CONTEXT_NAMES[context])
        return paint(context, size, draw)

    monkeypatch.setattr(scenes, "draw_background", watched)
    data = SceneDataset(40, "val", SceneConfig(background_hint=hint, clutter=0.9, seed=3))
    contexts = [sample.context for sample in data]
    assert scene_backgrounds(data) == tuple(drawn)
    same = np.mean([one == other for one, other in zip(contexts, drawn, strict=True)])
    assert same == 1 if hint == 1 else same < 0.8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(contexts=["a"] * 4), "contexts names 4 images"),
        (dict(contexts=["a"] * 5), "1 known contexts"),
        (dict(labels=["crab"]), "labels has 1 names"),
        (dict(targets=[[2, 0]] * 5), "targets is 2"),
        (dict(decisions=[[0.5, 0]] * 5), "decisions is 0.5"),
        (dict(level=2.0), "level is 2"),
    ],
)
def test_what_cannot_be_audited_is_named(change, words):
    given = {"decisions": [[True, False]] * 5, "targets": [[0, 0]] * 5,
             "contexts": ["a", "b", "a", "b", "a"], "labels": LABELS, **change}
    with pytest.raises(ValueError, match=words):
        audit_contexts(**given)


def test_usual_contexts_must_be_known():
    decisions, targets, contexts = fooled(20)
    found = audit_contexts(decisions, targets, contexts, LABELS)
    with pytest.raises(ValueError, match="'sea'; groups are beach"):
        found.at(["sea", "farm"])
    with pytest.raises(ValueError, match="1 names for 2 labels"):
        found.at(["beach"])
    with pytest.raises(ValueError, match="k is -1"):
        found.worst(-1)
    with pytest.raises(ValueError, match="a name twice"):
        audit_companions(decisions, targets, ["crab", "crab"])
    with pytest.raises(ValueError, match="no image has the context 'sea'"):
        usual_context_gap(decisions, targets, contexts, ["beach", "sea"])
    with pytest.raises(ValueError, match="a usual one for each label"):
        usual_context_gap(decisions, targets, contexts, ["beach"])
