"""Scores against brute force, and what each of them does to rankings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from torch.utils._python_dispatch import TorchDispatchMode

from hybridlab.evaluation.metrics import average_precision_per_label
from hybridlab.zeroshot import scores as S


def units(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("n", "k", "labels", "dim"), [(5, 3, 4, 7), (1, 1, 1, 2), (0, 2, 3, 4)])
def test_scores_are_cosines_of_every_pair(n, k, labels, dim):
    images, texts = units(n, dim), units(k, labels, dim, seed=1)
    whole = S.prompt_scores(images, texts)
    assert whole.shape == (n, k, labels) and S.cosine_scores(images, texts[0]).shape == (n, labels)
    for i in range(n):
        for j in range(k):
            for at in range(labels):
                a, b = images[i].numpy(), texts[j, at].numpy()
                cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
                assert float(whole[i, j, at]) == pytest.approx(cosine, abs=1e-6)
    assert torch.allclose(whole[:, 0], S.cosine_scores(images, texts[0]), atol=1e-6)


def test_ten_thousand_images_take_one_matrix_product():
    texts = units(8, 1000, 16, seed=1)
    with Operations() as few:
        S.prompt_scores(units(10, 16), texts)
    with Operations() as many:
        scores = S.prompt_scores(units(10_000, 16), texts)
    assert scores.shape == (10_000, 8, 1000)
    products = [name for name in many.names if name in ("mm", "bmm", "matmul", "addmm")]
    assert products == ["mm"]
    assert len(many.names) == len(few.names)  # nothing is done image by image
    with Operations() as one:
        assert S.cosine_scores(units(10_000, 16), texts[0]).shape == (10_000, 1000)
    assert one.names.count("mm") == 1


def test_the_mean_over_prompts_ranks_images_as_the_ensemble_does():
    images, texts = units(50, 6), units(5, 4, 6, seed=1)
    mean = texts.mean(0)
    ensemble = S.cosine_scores(images, F.normalize(mean, dim=1))
    each = S.prompt_scores(images, texts).mean(1)
    assert torch.allclose(each, ensemble * mean.norm(dim=1), atol=1e-6)


def test_vectors_that_are_not_unit_length_are_refused():
    images, texts = units(3, 4), units(2, 4, seed=1)
    for left, right, words in (
        (2 * images, texts, "image_emb holds a vector of length 2"),
        (images, 100 * texts, "text_emb holds a vector of length 100"),
        (torch.zeros(3, 4), texts, "length 0"),
        (images, units(2, 5), r"\(3, 4\) but text_emb has shape \(2, 5\)"),
        (images[0], texts, "vectors in rows"),
        (images, texts[None], r"expected \(L, D\)"),
        (images * float("nan"), texts, r"image_emb is nan at \(0, 0\)"),
    ):
        with pytest.raises(ValueError, match=words):
            S.cosine_scores(left, right)
    with pytest.raises(TypeError, match="floating"):
        S.cosine_scores(torch.ones(1, 1).long(), texts)
    with pytest.raises(ValueError, match=r"expected \(K, L, D\)"):
        S.prompt_scores(images, texts)
    assert S.cosine_scores(images.half(), texts).dtype == torch.float32


def test_softmax_lets_labels_compete_and_the_sigmoid_does_not():
    """trap 9: a second object as visible as the first halves the first; the cosine stays."""
    alone, both = torch.tensor([[0.3, 0.1, 0.1]]), torch.tensor([[0.3, 0.3, 0.1]])
    assert float(S.softmax_scores(alone)[0, 0]) > 0.99
    assert float(S.softmax_scores(both)[0, 0]) == pytest.approx(0.5, abs=1e-6)
    assert torch.equal(*(S.sigmoid_scores(x, 100, -20)[:, 0] for x in (alone, both)))


def test_sigmoids_keep_ap_and_softmax_changes_it():
    generator = torch.Generator().manual_seed(3)
    cosines = (torch.rand(60, 5, generator=generator) - 0.5).double()
    targets = (torch.rand(60, 5, generator=generator) < 0.3).int()
    plain = average_precision_per_label(cosines, targets)
    sigmoid = average_precision_per_label(S.sigmoid_scores(cosines, 20, -2), targets)
    assert np.allclose(plain, sigmoid)
    assert not np.allclose(plain, average_precision_per_label(S.softmax_scores(cosines), targets))
    assert float(S.sigmoid_scores(torch.tensor(0.2), 1.0)) == pytest.approx(0.55, abs=0.01)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_scales_that_turn_rankings_round_are_refused(scale):
    for function in (S.softmax_scores, S.sigmoid_scores):
        with pytest.raises(ValueError, match="scale is"):
            function(torch.zeros(1, 2), scale)


def test_decisions_by_threshold_and_by_rank():
    scores = torch.tensor([[0.1, 0.5, 0.5], [0.9, 0.2, 0.3]])
    assert S.above(scores, 0.5).tolist() == [[False, True, True], [True, False, False]]
    by_label = S.above(scores, torch.tensor([0.05, 0.6, 0.3]))
    assert by_label.tolist() == [[True, False, True], [True, False, True]]
    assert S.top_k(scores, 1).tolist() == [[False, True, False], [True, False, False]]
    with pytest.raises(ValueError, match="one for each label"):
        S.above(scores, torch.zeros(2))
    with pytest.raises(ValueError, match="NaN"):
        S.above(scores, float("nan"))
    with pytest.raises(ValueError, match="from 1 to 3"):
        S.top_k(scores, 4)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99)
)
def test_rank_scores_are_scipys_ranks(n, k, labels, levels, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, (n, k, labels), generator=generator).double()  # many ties
    ranks = np.zeros((n, k, labels))
    for i in range(n):
        for j in range(k):
            ranks[i, j] = rankdata(-scores[i, j].numpy())  # 1 is the best
    borda = (labels - ranks).mean(1) / max(labels - 1, 1)
    assert np.allclose(S.rank_scores(scores), borda)
    assert np.allclose(S.rank_scores(scores, "reciprocal"), (1 / ranks).mean(1))


def test_rank_scores_do_not_feel_a_prompts_offset():
    scores = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0))
    shifted = scores * torch.tensor([1.0, 5, 0.1])[:, None] + torch.tensor([0.0, 9, -3])[:, None]
    assert torch.equal(S.rank_scores(scores), S.rank_scores(shifted))
    with pytest.raises(ValueError, match="kind is 'mean'"):
        S.rank_scores(scores, "mean")
    with pytest.raises(ValueError, match=r"\(N, K, L\)"):
        S.rank_scores(scores[0])


def test_a_prior_is_bayes_rule_and_moves_no_ap():
    frequency, ratio = torch.tensor([0.5, 0.1, 0.9]).double(), torch.tensor([3.0, 3.0, 3.0])
    with_prior = torch.sigmoid(S.add_prior(ratio.log().double()[None], frequency))[0]
    bayes = frequency * ratio / (frequency * ratio + 1 - frequency)
    assert torch.allclose(with_prior, bayes)
    logits = torch.randn(30, 3, generator=torch.Generator().manual_seed(0)).double()
    targets = (torch.rand(30, 3, generator=torch.Generator().manual_seed(1)) < 0.4).int()
    assert torch.equal(S.add_prior(logits, frequency, 0.0), logits)
    assert np.allclose(
        average_precision_per_label(logits, targets),
        average_precision_per_label(S.add_prior(logits, frequency, 2.0), targets),
    )


def test_frequencies_leave_out_what_is_not_annotated():
    targets = torch.tensor([[1, 0, -1], [1, -1, -1], [0, 0, -1]])
    assert torch.allclose(S.label_frequency(targets), torch.tensor([3 / 5, 1 / 4, 1 / 2]))
    zero = torch.tensor([0.0, 0.5])
    for bad, words in ((zero, "not between 0 and 1"), (torch.ones(3), "labels")):
        with pytest.raises(ValueError, match=words):
            S.add_prior(torch.zeros(1, 2), bad)
    with pytest.raises(ValueError, match="smoothing"):
        S.label_frequency(targets, 0)


def test_what_is_no_number_is_named():
    scores = torch.rand(2, 3)
    with pytest.raises(TypeError, match="threshold is a NoneType"):
        S.above(scores, None)
    with pytest.raises(ValueError, match="scale is None"):
        S.softmax_scores(scores, None)
