"""Concatenation and projection."""

from __future__ import annotations

import pytest
import torch

from hybridlab.fusion import build_fusion


def test_it_equals_its_formula():
    torch.manual_seed(0)
    fusion = build_fusion("concat", 4, 6, 5).eval()
    linear, norm = fusion.project[0], fusion.project[1]
    a, b = torch.randn(3, 4), torch.randn(3, 6)
    joined = torch.cat([a, b], 1) @ linear.weight.T + linear.bias
    deviation = (joined.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    normal = (joined - joined.mean(1, keepdim=True)) / deviation
    assert torch.allclose(fusion(a, b), normal * norm.weight + norm.bias, atol=1e-5)


def test_both_views_get_a_gradient_and_dropout_rests_in_eval():
    fusion = build_fusion("concat", 4, 6, 5, dropout=0.5)
    a, b = torch.randn(3, 4, requires_grad=True), torch.randn(3, 6, requires_grad=True)
    (fusion(a, b) * torch.arange(5)).sum().backward()
    assert a.grad.abs().sum() > 0 and b.grad.abs().sum() > 0
    fusion.eval()
    assert torch.equal(fusion(a, b), fusion(a, b))
    assert fusion(torch.zeros(0, 4), torch.zeros(0, 6)).shape == (0, 5)


@pytest.mark.parametrize(
    "shapes", [((3, 4), (2, 6)), ((3, 4), (3, 5)), ((3, 5), (3, 6)), ((4,), (6,))]
)
def test_views_that_do_not_fit_are_named(shapes):
    with pytest.raises(ValueError, match=r"must be \(B, 4\) and \(B, 6\)") as caught:
        build_fusion("concat", 4, 6, 5)(torch.zeros(shapes[0]), torch.zeros(shapes[1]))
    assert str(shapes[0]) in str(caught.value) and str(shapes[1]) in str(caught.value)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="known ones: concat"):
        build_fusion("glue", 4, 6, 5)
