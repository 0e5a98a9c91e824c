"""Each metric by its name is the plain function of the same rows, however often they count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.evaluation.metrics import (
    TOP_K_SENSES,
    coverage,
    map_at_k,
    mean_ap,
    one_error,
    ranking_loss,
    threshold_metrics,
    top_k_decisions,
)
from hybridlab.evaluation.named import named_metric

quick = settings(max_examples=40, deadline=None, derandomize=True)

RATES = ("cp", "cr", "cf1", "op", "or_", "of1", "macro_f1")
PLAIN = {
    "mean_ap": lambda s, d, t: mean_ap(s, t).value,
    "mean_ap_interpolated": lambda s, d, t: mean_ap(s, t, "interpolated").value,
    "mean_ap_voc07": lambda s, d, t: mean_ap(s, t, "voc07").value,
    "one_error": lambda s, d, t: one_error(s, t),
    "coverage": lambda s, d, t: coverage(s, t) / s.shape[1],
    "ranking_loss": lambda s, d, t: ranking_loss(s, t),
    "map@1": lambda s, d, t: map_at_k(s, t, 1).value,
    "map@2": lambda s, d, t: map_at_k(s, t, 2).value,
}


def of_decisions(name, chosen=lambda s, d: d):
    return lambda s, d, t: getattr(threshold_metrics(chosen(s, d), t), name)


PLAIN |= {name: of_decisions(name) for name in (*RATES, "exact_match", "hamming")}
for name in RATES:
    for k in (1, 2):
        PLAIN[f"{name}@{k}"] = of_decisions(name, lambda s, d, k=k: top_k_decisions(s, k))
    for sense in TOP_K_SENSES[1:]:
        PLAIN[f"{name}@2:{sense}"] = of_decisions(
            name, lambda s, d, sense=sense: top_k_decisions(s, 2, sense)
        )


@st.composite
def splits(draw):
    """Scores in [0, 1] with ties, labels without a positive, entries that are not annotated."""
    n, labels = draw(st.integers(1, 15)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.random((n, labels)).round(draw(st.sampled_from([1, 9])))
    values = draw(st.sampled_from([(0, 1), (-1, 0, 1), (0, 0, 0, 0, 1), (-1, 1), (0,), (-1,)]))
    targets = rng.choice(values, size=(n, labels))
    targets[:, rng.random(labels) < 0.2] = 0
    targets[rng.random(n) < 0.15] = -1
    decisions = rng.random((n, labels)) < draw(st.sampled_from([0.0, 0.4, 1.0]))
    counts = rng.poisson(draw(st.sampled_from([0.3, 1.0, 9.0])), size=(3, n))
    return (
        scores.astype(draw(st.sampled_from([np.float32, np.float64]))),
        decisions,
        targets,
        counts,
    )


@pytest.mark.parametrize("name", PLAIN)
def test_counted_rows_are_as_repeated_rows(name):
    @quick
    @given(splits())
    def check(split):
        scores, decisions, targets, counts = split
        if name.endswith("logit>=0"):
            scores = scores - scores.dtype.type(0.5)
            scores[0, 0] = -0.25  # logits: one is below 0
        weigh = named_metric(name).prepare(scores, decisions, targets)
        counts = np.concatenate([np.ones((1, len(scores)), int), counts])
        found = weigh(counts)
        assert found.shape == (4,)
        for row, value in zip(counts, found, strict=True):
            rows = np.repeat(np.arange(len(scores)), row)
            if name.endswith("logit>=0") and not (scores[rows] < 0).any():
                continue  # plain top-k refuses these rows by themselves
            expected = PLAIN[name](scores[rows], decisions[rows], targets[rows])
            assert value == pytest.approx(expected, abs=1e-12, nan_ok=True)
            assert np.isnan(value) or 0 <= value <= 1

    check()


def test_every_metric_of_the_package_has_a_name():
    from hybridlab.evaluation import named

    assert {*named._PLAIN} == {name for name in PLAIN if "@" not in name}


def test_names_in_print_and_what_is_better():
    printed = {
        "mean_ap": "mAP", "mean_ap_voc07": "VOC07 mAP", "mean_ap_interpolated": "interpolated mAP",
        "coverage": "coverage (share of labels)", "map@10": "MAP@10", "or_": "OR",
        "cf1@3": "top-3 CF1", "macro_f1@12:prob>=0.5": "top-12 macro-F1 (prob>=0.5)",
        "hamming": "Hamming loss",
    }  # fmt: skip
    assert {name: named_metric(name).printed for name in printed} == printed
    assert all(named_metric(name).name == name for name in PLAIN)
    losses = {name for name in PLAIN if named_metric(name).lower_is_better}
    assert losses == {"hamming", "one_error", "coverage", "ranking_loss"}
    raised = {name for name in PLAIN if named_metric(name).basic_interval}
    assert raised == {"mean_ap", "mean_ap_interpolated", "mean_ap_voc07"}
    assert len({named_metric(name).printed for name in PLAIN}) == len(PLAIN)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mean_app", r"choose one of mean_ap, cp, .*map@K, .*\(did you mean 'mean_ap'\?\)"),
        ("mAP", "metric is 'mAP'; choose one of"),
        (3, "metric is 3; choose one of"),
        ("cf@3", r"did you mean 'cf1@3'\?"),
        ("hamming@3", "metric is 'hamming@3'; choose one of"),
        ("cf1@", "K is ''; give a whole number from 1, as in cf1@3"),
        ("cf1@03", "K is '03'"),
        ("map@-1", "K is '-1'"),
        ("map@²", "K is '²'"),
        (
            "cf1@3:always",
            "sense is 'always'; write cf1@3 for exactly 3 .* 'logit>=0' or 'prob>=0.5'",
        ),
        ("cf1@3:", "the sense is ''"),
        ("map@3:logit>=0", r"no sense; write map@3"),
    ],
)
def test_a_name_that_is_none_is_told_with_those_that_are(name, words):
    with pytest.raises(ValueError, match=words):
        named_metric(name)


def test_what_cannot_be_computed_is_told():
    scores, targets = np.array([[0.5, 2.0]]), np.array([[1, 0]])
    with pytest.raises(ValueError, match="k is 3 but scores has 2 columns"):
        named_metric("cf1@3").prepare(scores, scores > 1, targets)
    with pytest.raises(ValueError, match="k is 3 but scores has 2 columns"):
        named_metric("map@3").prepare(scores, scores > 1, targets)
    with pytest.raises(ValueError, match=r"'prob>=0.5' expects values in \[0, 1\]"):
        named_metric("cf1@1:prob>=0.5").prepare(scores, scores > 1, targets)
    for name in ("mean_ap", "coverage", "cf1"):
        with pytest.raises(ValueError, match=r"decisions has shape \(1, 1\) but scores"):
            named_metric(name).prepare(scores, [[True]], targets)
        weigh = named_metric(name).prepare(scores, scores > 1, targets)
        with pytest.raises(ValueError, match=r"counts has shape \(1, 2\); expected \(R, 1\)"):
            weigh([[1, 1]])
