"""Fusions of pooled vectors, each against its formula or a library's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.evaluation.metrics import mean_ap
from hybridlab.fusion import build_fusion
from hybridlab.fusion.compact import CountSketch, compressed, convolve
from hybridlab.fusion.late import mix, mix_logits
from hybridlab.fusion.view import View


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.randn(3, 4), torch.randn(3, 6)


def fused(fusion, a, b):
    return fusion.eval()(View(a), View(b)).vector


def normal(x):
    """LayerNorm as it starts."""
    return (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()


def test_concat_equals_its_formula(pair):
    fusion = build_fusion("concat", 4, 6, 5)
    linear = fusion.project[0]
    joined = torch.cat(pair, 1) @ linear.weight.T + linear.bias
    assert torch.allclose(fused(fusion, *pair), normal(joined), atol=1e-5)


def test_a_gate_weighs_two_projections_by_a_softmax(pair):
    fusion = build_fusion("gate", 4, 6, 5).eval()
    a, b = fusion.project_a(pair[0]), fusion.project_b(pair[1])
    e = (torch.cat([a, b], 1) @ fusion.gate.weight.T + fusion.gate.bias).exp()
    expected = (e[:, :1] * a + e[:, 1:] * b) / e.sum(1, keepdim=True)
    found = fusion(View(pair[0]), View(pair[1]))
    assert torch.allclose(found.vector, normal(expected), atol=1e-5)
    assert torch.allclose(found.attention["gate"].flatten(1), e / e.sum(1, keepdim=True))


def test_elementwise_equals_seed_001(pair):
    fusion = build_fusion("elementwise", 4, 6, 5)
    a, b = fusion.project_a(pair[0]), fusion.project_b(pair[1])
    expected = torch.tanh(a + b + fusion.project_both(a * b))
    assert torch.allclose(fused(fusion, *pair), expected, atol=1e-6)


def test_bilinear_equals_torchs(pair):
    fusion = build_fusion("bilinear", 4, 6, 5)
    torch.nn.init.normal_(fusion.bias)
    expected = F.bilinear(*pair, fusion.weight, fusion.bias)
    assert torch.allclose(fused(fusion, *pair), normal(expected), atol=1e-5)


def test_with_a_one_the_views_themselves_are_among_the_products(pair):
    a, b = pair
    fusion = build_fusion("bilinear", 4, 6, 5, one=True).eval()
    assert fusion.weight.shape == (5, 5, 7)
    wide = F.bilinear(a, b, fusion.weight[:, :4, :6])
    linear = a @ fusion.weight[:, :4, 6].T + b @ fusion.weight[:, 4, :6].T
    expected = wide + linear + fusion.weight[:, 4, 6] + fusion.bias
    assert torch.allclose(fused(fusion, a, b), normal(expected), atol=1e-5)
    nothing = torch.zeros_like(a)
    alone = b @ fusion.weight[:, 4, :6].T + fusion.weight[:, 4, 6] + fusion.bias
    assert torch.allclose(fused(fusion, nothing, b), normal(alone), atol=1e-5)
    plain = build_fusion("compact", 4, 6, 5).eval()
    wider = build_fusion("compact", 4, 6, 5, one=True).eval()
    assert not plain.products(nothing, b).abs().max() > 1e-6
    assert wider.products(nothing, b).norm() == pytest.approx(
        torch.cat([b, torch.ones(3, 1)], 1).norm().item(), rel=1e-4)


@pytest.mark.parametrize("rank", [1, 3])
def test_factorised_equals_a_bilinear_form_of_that_rank(pair, rank):
    fusion = build_fusion("factorised", 4, 6, 5, rank=rank)
    u, v = fusion.factor_a[0], fusion.factor_b[0]
    ones = torch.ones(3, 1)
    a, b = (torch.cat([x, ones], 1) for x in pair)  # a 1 for the biases
    wide_u, wide_v = (torch.cat([f.weight, f.bias[:, None]], 1).view(rank, 5, -1) for f in (u, v))
    weight = torch.einsum("kda,kdb->dab", wide_u, wide_v)
    assert max(torch.linalg.matrix_rank(each) for each in weight) == rank
    assert torch.allclose(fused(fusion, *pair), normal(F.bilinear(a, b, weight)), atol=1e-4)


# --- compact bilinear -----------------------------------------------------------------------------


def test_a_sketch_adds_each_feature_with_its_sign_to_its_place():
    sketch = CountSketch(9, 4, torch.Generator().manual_seed(0))
    x = torch.randn(2, 9)
    expected = torch.zeros(2, 4)
    for i in range(9):
        expected[:, sketch.place[i]] += sketch.sign[i] * x[:, i]
    assert torch.allclose(sketch(x), expected, atol=1e-6)
    assert not list(sketch.parameters()) and set(sketch.sign.tolist()) <= {-1.0, 1.0}


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_the_fft_gives_the_circular_convolution(size):
    torch.manual_seed(0)
    a, b = torch.randn(3, size), torch.randn(3, size)
    expected = torch.zeros(3, size)
    for i in range(size):
        for j in range(size):
            expected[:, (i + j) % size] += a[:, i] * b[:, j]
    assert torch.allclose(convolve(a, b), expected, atol=1e-5)
    assert convolve(a.half(), b.half()).dtype == torch.float16  # computed in single precision


def test_the_convolution_of_two_sketches_is_the_sketch_of_all_products(pair):
    a, b = pair
    fusion = build_fusion("compact", 4, 6, 5, sketch=7)
    expected = torch.zeros(3, 7)
    one, other = fusion.sketch_a, fusion.sketch_b
    for i in range(4):
        for j in range(6):
            place = int(one.place[i] + other.place[j]) % 7
            expected[:, place] += one.sign[i] * other.sign[j] * a[:, i] * b[:, j]
    assert torch.allclose(fusion.products(a, b), expected, atol=1e-5)


def products_of_sketches(same_draw: bool, draws: int = 4000):
    """Products of two sketches of products, over many draws, and what they should be."""
    torch.manual_seed(0)
    a, b, x, y = (torch.randn(1, 5) for _ in range(4))
    found = []
    for seed in range(draws):
        draw = torch.Generator().manual_seed(seed)
        one = CountSketch(5, 16, draw)
        other = one if same_draw else CountSketch(5, 16, draw)
        found.append(float((convolve(one(a), other(b)) * convolve(one(x), other(y))).sum()))
    return np.asarray(found), float((a * x).sum() * (b * y).sum())


def test_products_of_sketches_are_unbiased_over_the_draw():
    """E <sketch(a, b), sketch(x, y)> = <a, x> <b, y>: within four standard errors."""
    found, expected = products_of_sketches(same_draw=False)
    error = found.std() / len(found) ** 0.5
    assert abs(found.mean() - expected) < 4 * error
    assert error < 0.2 * max(1, abs(expected))  # the test can tell


def test_with_one_draw_for_both_views_they_are_biased():
    """What trap 24 warns of, and why the test above is not empty."""
    found, expected = products_of_sketches(same_draw=True)
    assert abs(found.mean() - expected) > 6 * found.std() / len(found) ** 0.5


def test_the_two_views_get_draws_of_their_own_and_a_seed_repeats_them():
    one, again = (build_fusion("compact", 64, 64, 5, seed=3) for _ in range(2))
    assert not torch.equal(one.sketch_a.place, one.sketch_b.place)
    assert not torch.equal(one.sketch_a.sign, one.sketch_b.sign)
    assert torch.equal(one.sketch_a.place, again.sketch_a.place)
    other = build_fusion("compact", 64, 64, 5, seed=4)
    assert not torch.equal(one.sketch_a.place, other.sketch_a.place)


def test_compressed_has_unit_length_and_a_finite_gradient_at_0():
    x = torch.tensor([[4.0, -9.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    out = compressed(x)
    root = torch.tensor([4.0001**0.5 - 0.01, -(9.0001**0.5 - 0.01), 0.0])
    assert torch.allclose(out[0], root / root.norm(), atol=1e-6) and not out[1].any()
    out[:, 0].sum().backward()
    assert x.grad.isfinite().all()


# --- late -----------------------------------------------------------------------------------------


def test_late_weights_lie_on_the_simplex_and_vote_with_probabilities(pair):
    fusion = build_fusion("late", 4, 6, 5, n_labels=7, per_label=True).eval()
    torch.nn.init.normal_(fusion.vote)
    weights = fusion.weights()
    assert torch.allclose(weights.sum(0), torch.ones(7)) and (weights >= 0).all()
    each = [d(p(x)).sigmoid() for d, p, x in zip(fusion.decide, fusion.project, pair, strict=True)]
    found = fusion(View(pair[0]), View(pair[1]))
    expected = weights[0] * each[0] + weights[1] * each[1]
    assert torch.allclose(found.logits.sigmoid(), expected, atol=1e-6)


def test_one_pair_of_weights_serves_all_labels_unless_asked_for_more():
    fusion = build_fusion("late", 4, 6, 5, n_labels=7)
    assert fusion.weights().tolist() == [[0.5], [0.5]]


@given(st.floats(-300, 300), st.floats(-300, 300), st.floats(0.001, 0.999))
def test_mixed_logits_stay_between_the_two_and_finite(one, other, weight):
    log_weights = torch.tensor([weight, 1 - weight], dtype=torch.float64).log()[:, None]
    logits = torch.tensor([[one], [other]], dtype=torch.float64)
    found = float(mix_logits(logits, log_weights))
    assert min(one, other) - 1e-6 <= found <= max(one, other) + 1e-6
    expected = (log_weights.exp() * logits.sigmoid()).sum()
    assert float(torch.tensor(found).sigmoid()) == pytest.approx(float(expected), abs=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_at_the_ends_of_alpha_one_view_decides_alone(seed):
    draw = np.random.default_rng(seed)
    one, other = (torch.from_numpy(draw.random((20, 3))) for _ in range(2))
    targets = draw.integers(0, 2, (20, 3))
    for alpha, alone in ((1.0, one), (0.0, other)):
        mixed = mix(one, other, alpha)
        assert torch.equal(mixed, alone)
        assert mean_ap(mixed.numpy(), targets).value == mean_ap(alone.numpy(), targets).value
    half = mix(one, other, 0.5)
    assert torch.allclose(half, (one + other) / 2)


@pytest.mark.parametrize(
    ("other", "alpha", "words"),
    [((2, 3), -0.1, "alpha is -0.1"), ((2, 3), 1.5, "alpha is 1.5"),
     ((2, 3), float("nan"), "alpha is nan"), ((2, 1), 0.5, "one shape")],
)
def test_mix_refuses(other, alpha, words):
    with pytest.raises(ValueError, match=words):
        mix(torch.zeros(2, 3), torch.zeros(other), alpha)


def test_compact_pooling_is_rooted_and_of_unit_length_before_the_projection(pair):
    fusion = build_fusion("compact", 4, 6, 5, sketch=16).eval()
    products = fusion.products(*pair)
    linear = fusion.project[0]
    expected = normal(compressed(products) @ linear.weight.T + linear.bias)
    assert torch.allclose(fused(fusion, *pair), expected, atol=1e-5)


def test_the_vector_of_a_vote_is_weighted_like_the_vote(pair):
    fusion = build_fusion("late", 4, 6, 5, n_labels=7).eval()
    torch.nn.init.constant_(fusion.vote[0], 1.2)
    weights = fusion.weights().flatten()
    own = [project(x) for project, x in zip(fusion.project, pair, strict=True)]
    assert torch.allclose(fused(fusion, *pair), weights[0] * own[0] + weights[1] * own[1])
    alone = fusion(View(pair[0]), View(pair[1]).absent())
    assert torch.allclose(alone.vector, own[0], atol=1e-6)


def test_both_factors_of_a_product_have_dropout(pair):
    fusion = build_fusion("factorised", 4, 6, 5, dropout=0.0, factor_dropout=0.9).train()
    for factor, x in ((fusion.factor_a, pair[0]), (fusion.factor_b, pair[1])):
        assert (factor(x.repeat(50, 1)) == 0).float().mean() > 0.8


def test_mix_takes_probabilities_and_arrays():
    with pytest.raises(ValueError, match="give those, not logits"):
        mix(torch.tensor([5.0]), torch.tensor([0.5]), 0.5)
    assert mix(np.array([1.0]), np.array([0.0]), 0.25).tolist() == [0.25]
