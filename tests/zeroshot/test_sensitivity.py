"""The spread over prompts: paired by hand, and the optimism of choosing the best."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score, f1_score

from hybridlab.evaluation.bootstrap import paired_bootstrap, resample_counts
from hybridlab.zeroshot.ensembles import ensemble_sizes, some_subsets
from hybridlab.zeroshot.prompts import misspelled
from hybridlab.zeroshot.scores import cosine_scores, fixed_threshold
from hybridlab.zeroshot.sensitivity import choice_gain, paired_differences, prompt_spread


def made(noise: float, seed: int, n: int = 60, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets; the targets are those of the seed, the noise another prompt's."""
    truth = (np.random.default_rng(seed).random((n, labels)) < 0.4).astype(int)
    other = np.random.default_rng([seed, int(100 * noise)])
    return truth + noise * other.normal(size=truth.shape), truth


TARGETS = made(1, 0)[1]
SCORES = {f"noise {noise}": made(noise, 0)[0] for noise in (0.3, 0.7, 1.5)}


def test_every_prompt_has_its_own_value_and_sklearn_agrees():
    spread = prompt_spread(SCORES, TARGETS, resamples=50)
    expected = [average_precision_score(TARGETS, one) for one in SCORES.values()]
    assert np.allclose(spread.values, expected)
    assert spread.range == pytest.approx(max(expected) - min(expected))
    assert spread.sd == pytest.approx(np.std(expected, ddof=1))
    assert spread.best == "noise 0.3" and spread.names == tuple(SCORES)
    for one in spread.each:
        assert 0 <= one.low <= one.high <= 1


def test_differences_are_those_of_the_package_on_the_same_resamples():
    names = list(SCORES)
    decided = {name: one > 0.5 for name, one in SCORES.items()}
    for metric in ("mean_ap", "of1"):
        found = paired_differences(
            SCORES, TARGETS, names[1], metric, decided, resamples=80, seed=3
        )
        assert list(found) == [names[0], names[2]]
        for name, gap in found.items():
            pair = [(SCORES[one], decided[one]) for one in (name, names[1])]
            assert gap == pytest.approx(paired_bootstrap(*pair, TARGETS, 80, 3)[metric])


def test_the_lead_over_the_median_is_paired_by_hand():
    spread = prompt_spread(SCORES, TARGETS, resamples=40, seed=5)
    drawn = []
    for counts in resample_counts(len(TARGETS), 40, 5):
        rows = np.repeat(np.arange(len(TARGETS)), counts)
        each = [average_precision_score(TARGETS[rows], one[rows]) for one in SCORES.values()]
        drawn.append(each[0] - np.median(each))
    whole = spread.values[0] - np.median(spread.values)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert spread.best_minus_median == pytest.approx((whole, low, high))
    # paired: far narrower than two intervals of the values would be
    assert high - low < spread.each[0].high - spread.each[0].low + (
        spread.each[1].high - spread.each[1].low
    )


def test_equal_prompts_have_no_spread():
    same = {"a": SCORES["noise 0.7"], "b": SCORES["noise 0.7"]}
    spread = prompt_spread(same, TARGETS, resamples=30)
    assert spread.range == spread.sd == 0 and spread.best_minus_median == (0, 0, 0)
    one = prompt_spread({"a": SCORES["noise 0.7"]}, TARGETS, resamples=30)
    assert np.isnan(one.sd) and one.best_minus_median.value == 0


def test_of1_follows_the_decisions():
    cut = {name: fixed_threshold(one, TARGETS) for name, one in SCORES.items()}
    decided = {name: SCORES[name] >= cut[name] for name in SCORES}
    spread = prompt_spread(SCORES, TARGETS, "of1", decided, resamples=20)
    expected = [f1_score(TARGETS, one, average="micro") for one in decided.values()]
    assert np.allclose(spread.values, expected)
    best = max(f1_score(TARGETS, SCORES["noise 1.5"] >= t, average="micro")
               for t in SCORES["noise 1.5"].ravel())
    assert expected[2] == pytest.approx(best)  # the threshold is the best there is


def test_choosing_among_equals_promises_a_lead_that_is_not_kept():
    """Twelve prompts of equal worth: the winner's lead on validation is luck."""
    kept, promised, optimism = [], [], []
    for seed in range(8):
        splits = []
        for part in (0, 1):
            truth = made(1, 10 * seed + part)[1]
            rng = np.random.default_rng([seed, part])
            splits += [{f"p{k}": truth + 1.2 * rng.normal(size=truth.shape) for k in range(12)},
                       truth]
        found = choice_gain(*splits, resamples=30)
        assert found.optimism.value == pytest.approx(found.promised.value - found.kept.value)
        assert found.promised.value > 0 and 1 <= found.rank <= 12 and 0 <= found.steady <= 1
        kept.append(found.kept.value)
        promised.append(found.promised.value)
        optimism.append(found.optimism.value)
    assert np.mean(promised) > 0.03 > abs(np.mean(kept)) and np.mean(optimism) > 0.02


def test_a_prompt_that_is_really_better_is_chosen_and_keeps_its_lead():
    val = {f"noise {noise}": made(noise, 7, 150)[0] for noise in (1.5, 0.3, 1.6)}
    test = {f"noise {noise}": made(noise, 8, 150)[0] for noise in (0.3, 1.6, 1.5)}
    found = choice_gain(val, made(1, 7, 150)[1], test, made(1, 8, 150)[1], resamples=40)
    assert found.chosen == "noise 0.3" and found.rank == 1 and found.steady == 1
    assert found.kept.low > 0 and found.optimism.low < 0 < found.optimism.high


def test_few_images_have_values_and_no_intervals():
    spread = prompt_spread({"a": [[0.9, 0.1]], "b": [[0.1, 0.9]]}, [[1, 0]], resamples=10)
    assert spread.values.tolist() == [1.0, 1.0] and np.isnan(spread.each[0].low)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(scores={}), "scores is empty"),
        (dict(metric="of1"), "give decisions= for every prompt"),
        (dict(metric="hamming"), "less is better"),
        (dict(metric="maep"), "choose one of"),
        (dict(targets=np.zeros_like(TARGETS)), "no positive"),
        (dict(targets=TARGETS[:5]), "targets has shape"),
        (dict(level=1.0), "level is 1.0"),
        (dict(resamples=0), "resamples is 0"),
        (dict(decisions={"a": TARGETS}, metric="of1"), "not of the same prompts"),
    ],
)
def test_what_cannot_be_measured_is_named(change, words):
    given = {"scores": SCORES, "targets": TARGETS, "metric": "mean_ap", **change}
    with pytest.raises(ValueError, match=words):
        prompt_spread(given.pop("scores"), given.pop("targets"), given.pop("metric"), **given)


def test_references_and_splits_must_fit():
    with pytest.raises(ValueError, match="reference is 'c'"):
        paired_differences(SCORES, TARGETS, "c")
    with pytest.raises(ValueError, match="only one split has scores of a"):
        choice_gain({"a": TARGETS}, TARGETS, SCORES, TARGETS)


def test_ensembles_of_every_subset_are_the_normalised_means():
    emb = F.normalize(torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    images = F.normalize(torch.randn(60, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    score = lambda text_emb: cosine_scores(images, text_emb).numpy()  # noqa: E731
    found = ensemble_sizes(emb, score, TARGETS, (1, 2, 4), subsets=50)
    assert [one.size for one in found] == [1, 2, 4] and all(one.all_there_are for one in found)
    assert found[1].subsets == tuple(combinations(range(4), 2))
    for one in found:
        for chosen, value in zip(one.subsets, one.values, strict=True):
            mean = F.normalize(emb[list(chosen)].mean(0), dim=1)
            expected = average_precision_score(TARGETS, (images @ mean.T).numpy())
            assert value == pytest.approx(expected, abs=1e-6)
    assert np.isnan(found[2].sd) and found[0].mean == pytest.approx(np.mean(found[0].values))
    of1 = ensemble_sizes(emb, score, TARGETS, (2,), "of1", lambda scored: scored > 0)
    mean = F.normalize(emb[:2].mean(0), dim=1)
    micro = f1_score(TARGETS, (images @ mean.T).numpy() > 0, average="micro")
    assert of1[0].values[0] == pytest.approx(micro)


def test_subsets_are_all_or_drawn_by_the_seed():
    assert some_subsets(4, 4, 5) == ((0, 1, 2, 3),)
    drawn = some_subsets(12, 6, 20, seed=1)
    assert len(set(drawn)) == 20 and all(len(set(one)) == 6 for one in drawn)
    assert drawn == some_subsets(12, 6, 20, seed=1) != some_subsets(12, 6, 20, seed=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(sizes=(0,)), "sizes holds 0"), (dict(sizes=(5,)), "from 1 to 4"),
        (dict(subsets=0), "subsets is 0"), (dict(per_prompt=torch.ones(4, 3, 8)), "length"),
        (dict(per_prompt=F.normalize(torch.ones(4, 8), dim=1)), r"\(K, L, D\)"),
    ],
)
def test_ensembles_that_cannot_be_are_refused(change, words):
    emb = F.normalize(torch.ones(4, 3, 8), dim=-1)
    given = {"per_prompt": emb, "sizes": (1,), "subsets": 3, **change}
    with pytest.raises(ValueError, match=words):
        ensemble_sizes(
            given["per_prompt"], lambda text_emb: np.zeros((60, 3)), TARGETS, given["sizes"],
            subsets=given["subsets"],
        )


@pytest.mark.parametrize(
    ("label", "wrong"),
    [("owl", "wol"), ("cow", "ocw"), ("egg", "geg"), ("glass of milk", "galss of milk"),
     ("tractor", "trcator"), ("ab", "ba")],
)
def test_a_misspelt_label_has_two_letters_swapped(label, wrong):
    assert misspelled(label) == wrong and sorted(wrong) == sorted(label)


def test_labels_without_two_different_neighbours_cannot_be_misspelt():
    for label in ("a", "oo", ""):
        with pytest.raises(ValueError, match="no two neighbouring letters"):
            misspelled(label)


def test_a_threshold_takes_any_scores_and_leaves_out_what_is_not_known():
    scores, truth = torch.tensor([[-3.0, 5.0], [2.0, -1.0]]), torch.tensor([[0, 1], [1, -1]])
    cut = fixed_threshold(scores, truth)
    assert cut == pytest.approx(-0.5)  # between 2 and -3; the -1 is not annotated
    for bad, words in ((torch.zeros(2, 2), "no positive"), (truth[:1], "val_scores has shape")):
        with pytest.raises(ValueError, match=words):
            fixed_threshold(scores, bad)
