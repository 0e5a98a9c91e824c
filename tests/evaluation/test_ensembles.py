"""Ensembles: weights on the simplex, as good as brute force, judged where they were not fitted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hybridlab.evaluation.ensembles import ensemble_gain, fit_ensemble, simplex_grid
from hybridlab.evaluation.metrics import mean_ap


def models(seed: int, n: int = 80, labels: int = 5, noises=(0.5, 1.0, 3.0)):
    draw = np.random.default_rng(seed)
    truth = (draw.random((n, labels)) < 0.3).astype(int)
    probs = [1 / (1 + np.exp(-(3 * truth - 1.5 + noise * draw.normal(size=truth.shape))))
             for noise in noises]
    return probs, truth


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), objective=st.sampled_from(["mean_ap", "likelihood"]))
def test_it_is_on_the_simplex_and_at_least_as_good_as_each(seed, objective):
    probs, truth = models(seed, 30, 3)
    found = fit_ensemble(probs, truth, objective, steps=5)
    assert found.weights.min() >= 0 and found.weights.sum() == pytest.approx(1)
    assert found.value >= found.single_value - 1e-9
    mix = found(probs)
    assert mix.shape == truth.shape and 0 <= mix.min() <= mix.max() <= 1
    assert mix == pytest.approx(sum(w * p for w, p in zip(found.weights, probs, strict=True)))


def test_the_grid_finds_what_brute_force_finds():
    probs, truth = models(1)
    found = fit_ensemble(probs, truth, steps=4)
    values = {
        (a, b): mean_ap((a * probs[0] + b * probs[1] + (4 - a - b) * probs[2]) / 4, truth).value
        for a in range(5) for b in range(5 - a)
    }
    assert found.value == pytest.approx(max(values.values()))
    assert found.best_single == int(np.argmax([mean_ap(one, truth).value for one in probs]))
    assert len(list(simplex_grid(3, 4))) == len(values)


def test_the_likelihood_is_at_its_maximum():
    probs, truth = models(2)
    found = fit_ensemble(probs, truth, "likelihood")
    said = [np.where(truth == 1, one, 1 - one).ravel() for one in probs]

    def loss(free):
        weights = np.exp(free) / np.exp(free).sum()
        return -np.log(weights @ said).mean()

    theirs = minimize(loss, np.zeros(3), tol=1e-12)
    assert found.value == pytest.approx(-theirs.fun, abs=1e-6)
    truth[:, 0] = -1
    masked = fit_ensemble(probs, truth, "likelihood")
    assert masked.weights == pytest.approx(
        fit_ensemble([one[:, 1:] for one in probs], truth[:, 1:], "likelihood").weights)


def test_of_equally_good_weights_the_most_even_is_taken():
    probs, truth = models(3, noises=(1.0,))
    found = fit_ensemble([probs[0], probs[0]], truth, steps=4)
    assert found.weights.tolist() == [0.5, 0.5]
    alone = fit_ensemble(probs, truth)
    assert alone.weights.tolist() == [1.0] and alone.value == alone.single_value


def test_all_sure_and_all_wrong_is_defined():
    found = fit_ensemble([np.ones((3, 1)), np.ones((3, 1))], [[0], [0], [1]], "likelihood")
    assert np.isfinite(found.weights).all() and found.weights.sum() == pytest.approx(1)


def test_the_gain_is_measured_on_new_images_against_validations_choice():
    probs, truth = models(4, 400, noises=(1.5, 1.5))
    val, test = slice(0, 200), slice(200, None)
    fitted = fit_ensemble([one[val] for one in probs], truth[val])
    gain = ensemble_gain(fitted, ([one[val] for one in probs], truth[val]),
                         [one[test] for one in probs], truth[test], resamples=200)
    expected = (mean_ap(fitted([one[test] for one in probs]), truth[test]).value
                - mean_ap(probs[fitted.best_single][test], truth[test]).value)
    assert gain["mean_ap"].value == pytest.approx(expected) and expected > 0
    assert 0 < gain["mean_ap"].low < gain["mean_ap"].value < gain["mean_ap"].high
    twin = fit_ensemble([probs[0][val]] * 2, truth[val])
    same = ensemble_gain(twin, ([probs[0][val]] * 2, truth[val]), [probs[0][test]] * 2, truth[test],
                         resamples=50)
    assert same["of1"].value == same["of1"].high == 0


@pytest.mark.parametrize(("change", "told"), [
    (lambda p, t: fit_ensemble([], t), "probs holds no model"),
    (lambda p, t: fit_ensemble(p, t, "of1"), "objective is 'of1'"),
    (lambda p, t: fit_ensemble([p[0], p[1][:5]], t), r"model 1 has probabilities of shape \(5,"),
    (lambda p, t: fit_ensemble([p[0], 2 * p[1]], t), "model 1 has values outside"),
    (lambda p, t: fit_ensemble([p[0] * np.nan], t), "scores is nan"),
    (lambda p, t: fit_ensemble(p, 0 * t), "hold no positive"),
    (lambda p, t: fit_ensemble(p, t, steps=0), "steps 0"),
    (lambda p, t: fit_ensemble(p * 4, t), "points; give fewer steps"),
    (lambda p, t: fit_ensemble(p, t)(p[:2]), "probs holds 2 models, but there are weights for 3"),
])
def test_bad_input_is_named(change, told):
    probs, truth = models(5, 20)
    with pytest.raises(ValueError, match=told):
        change(probs, truth)
