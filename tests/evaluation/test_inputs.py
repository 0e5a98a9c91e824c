"""Whatever a model hands over is taken: bfloat16, tensors with a gradient, whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.evaluation.accumulate import MetricAccumulator
from hybridlab.evaluation.bootstrap import bootstrap_metrics
from hybridlab.evaluation.hierarchical import RunMetric, hierarchical_interval
from hybridlab.evaluation.inputs import as_array, check_counts
from hybridlab.evaluation.metrics import mean_ap, threshold_metrics, top_k_decisions
from hybridlab.evaluation.named import named_metric
from hybridlab.evaluation.significance import holm, paired_t

TARGETS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
SCORES = torch.tensor([[0.5, -0.25], [-1.0, 2.0], [1.5, 0.125], [0.75, -3.0]])  # exact in bfloat16
KINDS = {
    "bfloat16": SCORES.to(torch.bfloat16), "float16": SCORES.half(),
    "with a gradient": SCORES.clone().requires_grad_(),
    "both": SCORES.to(torch.bfloat16).requires_grad_(),
    "of an operation": SCORES.clone().requires_grad_() * 1,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tensor_gives_the_figures_of_its_array(kind):
    given, plain = KINDS[kind], SCORES.numpy()
    assert np.array_equal(as_array(given), plain)
    found = mean_ap(given, torch.tensor(TARGETS).to(torch.bfloat16))
    assert found.value == mean_ap(plain, TARGETS).value
    decided = top_k_decisions(given, 1)
    assert np.array_equal(decided, top_k_decisions(plain, 1))
    assert threshold_metrics(torch.tensor(decided).to(torch.bfloat16), TARGETS) == (
        threshold_metrics(decided, TARGETS)
    )
    assert bootstrap_metrics(given, given > 0, TARGETS, 20) == (
        bootstrap_metrics(plain, plain > 0, TARGETS, 20)
    )
    weigh = named_metric("map@2").prepare(given, given > 0, TARGETS)
    assert weigh(torch.ones(1, 4, dtype=torch.bfloat16)) == weigh(np.ones((1, 4), int))
    gathered = MetricAccumulator().add(torch.arange(4), given, torch.tensor(TARGETS)).compute()
    assert np.array_equal(gathered.scores, plain)


def test_tests_over_seeds_take_them_too():
    a, b = KINDS["both"][:, 0], KINDS["with a gradient"][:, 1]
    assert paired_t(a, b) == paired_t(as_array(a), as_array(b))
    p = torch.tensor([0.5, 0.25], requires_grad=True)
    assert holm(p).tolist() == [0.5, 0.5]
    side = RunMetric(KINDS["both"][0], KINDS["with a gradient"].T)
    assert hierarchical_interval(side).value == pytest.approx(0.125)
    assert check_counts(torch.ones(2, 3), 3).dtype == np.int64


def test_ids_are_told_as_plain_values():
    gathered = MetricAccumulator().add(np.array([1]), [[0.5]], [[1]])
    with pytest.raises(ValueError, match=r"ids is 'b' but earlier ids are like 1;"):
        gathered.add(["b"], [[0.5]], [[1]])
    with pytest.raises(ValueError, match=r"image 1 was added more than once"):
        gathered.add(np.array([1]), [[0.5]], [[0]]).compute()
    with pytest.raises(ValueError, match=r"ids holds 1\.5 \(dtype"):
        MetricAccumulator().add(np.array([1.5]), [[0.5]], [[1]])
