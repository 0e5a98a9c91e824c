"""Fusions that attend to tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.fusion import build_fusion
from hybridlab.fusion.cost import cost_of
from hybridlab.fusion.cross_attention import (
    CrossBlock,
    MultiHeadAttention,
    masked_softmax,
    split_softmax,
)
from hybridlab.fusion.view import View
from hybridlab.training.independent_heads import LookingHead


def torchs(ours: MultiHeadAttention, dim: int, heads: int) -> torch.nn.MultiheadAttention:
    """PyTorch's attention with the same weights."""
    other = torch.nn.MultiheadAttention(dim, heads, batch_first=True).eval()
    parts = (ours.query, ours.key, ours.value)
    other.in_proj_weight.data = torch.cat([p.weight for p in parts]).detach()
    other.in_proj_bias.data = torch.cat([p.bias for p in parts]).detach()
    other.out_proj.load_state_dict(ours.out.state_dict())
    return other


@pytest.mark.parametrize("heads", [1, 4])
def test_attention_equals_torchs_in_values_weights_and_gradients(heads):
    torch.manual_seed(0)
    ours = MultiHeadAttention(16, heads)
    for part in (ours.query, ours.key, ours.value, ours.out):
        torch.nn.init.normal_(part.bias)
    other = torchs(ours, 16, heads)
    mask = torch.rand(3, 7) < 0.6
    mask[:, 2] = True
    queries = torch.randn(3, 5, 16)
    found = []
    for run in (lambda q, m: ours(q, m, mask),
                lambda q, m: other(q, m, m, key_padding_mask=~mask, average_attn_weights=False)):
        torch.manual_seed(1)
        q, memory = queries.clone().requires_grad_(), torch.randn(3, 7, 16, requires_grad=True)
        out, weights = run(q, memory)
        out.square().sum().backward()
        found.append((out, weights, q.grad, memory.grad))
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_where_nothing_counts_attention_is_0_and_not_nan():
    attention = MultiHeadAttention(8, 2)
    memory = torch.randn(2, 3, 8, requires_grad=True)
    mask = torch.tensor([[True, False, True], [False, False, False]])
    out, weights = attention(torch.randn(2, 4, 8), memory, mask)
    assert not weights[1].any() and torch.allclose(out[1], attention.out.bias.expand(4, 8))
    assert torch.allclose(weights[0].sum(-1), torch.ones(2, 4))
    out.sum().backward()
    assert memory.grad.isfinite().all() and not memory.grad[1].any()
    assert masked_softmax(torch.tensor([[1e4, 3.0]]), torch.tensor([[False, True]])).tolist() == [
        [0.0, 1.0]]


# --- the degenerate case (trap 3) -----------------------------------------------------------------


def test_over_a_single_key_the_query_has_no_say():
    """One vector asks one vector: softmax over one key is 1, and the block is a linear map."""
    torch.manual_seed(0)
    attention = MultiHeadAttention(8, 2)
    key, one = torch.randn(2, 1, 8), torch.ones(2, 1).bool()
    first, weights = attention(torch.randn(2, 1, 8), key, one)
    second, _ = attention(100 * torch.randn(2, 1, 8), key, one)
    assert torch.equal(first, second) and (weights == 1).all()
    linear = attention.out(attention.value(key))
    assert torch.allclose(first, linear, atol=1e-6)
    _, several = attention(torch.randn(2, 1, 8), torch.randn(2, 3, 8), one.expand(2, 3))
    assert several.std() > 0


def test_the_single_vector_form_attends_to_nothing_and_the_real_one_does():
    torch.manual_seed(0)
    a = View(torch.randn(3, 12), torch.randn(3, 4, 12))
    b = View(torch.randn(3, 20), torch.randn(3, 7, 20))
    single = build_fusion("cross_attention", 12, 20, 16, single_vector=True).eval()
    found = single(a, b)
    assert (found.attention["a to b"] == 1).all() and found.attention["a to b"].shape[2:] == (1, 1)
    assert torch.equal(found.vector, single(View(a.pooled), View(b.pooled)).vector)
    real = build_fusion("cross_attention", 12, 20, 16).eval()(a, b).attention
    assert real["a to b"].shape == (3, 4, 5, 8) and real["b to a"].shape == (3, 4, 8, 5)
    assert torch.allclose(real["a to b"].sum(-1), torch.ones(3, 4, 5))


# --- co-attention ---------------------------------------------------------------------------------


def test_co_attention_equals_its_formulas_written_out():
    torch.manual_seed(0)
    fusion = build_fusion("co_attention", 5, 6, 4, hidden=3).eval()
    a, b = torch.randn(1, 2, 5), torch.randn(1, 3, 6)
    whole = torch.randn(1, 5), torch.randn(1, 6)
    found = fusion(View(whole[0], a), View(whole[1], b))
    w_c, w_a, w_b = (m.weight.detach().numpy().astype(float)
                     for m in (fusion.affinity, fusion.hidden_a, fusion.hidden_b))
    x, y = a[0].numpy().astype(float), b[0].numpy().astype(float)
    c = np.tanh(x @ w_c @ y.T / 5**0.5)
    h_a, h_b = np.tanh(x @ w_a.T + c @ (y @ w_b.T)), np.tanh(y @ w_b.T + c.T @ (x @ w_a.T))
    s_a = np.exp(h_a @ fusion.weigh_a.weight.detach().numpy()[0])
    s_b = np.exp(h_b @ fusion.weigh_b.weight.detach().numpy()[0])
    means = s_a / s_a.sum() @ x, s_b / s_b.sum() @ y
    both = np.concatenate([*(each[0].numpy() for each in whole), *means])
    expected = fusion.project(torch.from_numpy(both).float()[None])
    assert torch.allclose(found.vector, expected, atol=1e-5)
    assert np.allclose(found.attention["a"][0, 0, 0].detach(), s_a / s_a.sum(), atol=1e-6)
    assert np.allclose(found.attention["a with b"][0, 0].detach(), c, atol=1e-6)


# --- label queries --------------------------------------------------------------------------------


def label_query(**options):
    torch.manual_seed(0)
    return build_fusion("label_query", 12, 20, 16, n_labels=5, **options).eval()


@pytest.fixture
def pair():
    torch.manual_seed(3)
    return (View(torch.randn(3, 12), torch.randn(3, 4, 12)),
            View(torch.randn(3, 20), torch.randn(3, 7, 20)))


def test_one_softmax_covers_both_views(pair):
    found = label_query()(*pair).attention
    total = found["labels to a"].sum(-1) + found["labels to b"].sum(-1)
    assert torch.allclose(total, torch.ones(3, 4, 5), atol=1e-6)


def test_labels_do_not_read_each_other_unless_together(pair):
    """Change the query of label 0: with `together` the other labels' vectors move."""
    for together in (False, True):
        fusion = label_query(together=together)
        before = fusion(*pair).per_label
        fusion.queries.data[0] += torch.randn(16)
        moved = (fusion(*pair).per_label - before).abs().amax(dim=(0, 2))
        assert moved[0] > 1e-3 and bool((moved[1:] > 1e-6).any()) == together


def test_queries_of_texts_ask_for_labels_that_were_never_trained(pair):
    torch.manual_seed(2)
    texts = torch.nn.functional.normalize(torch.randn(5, 9), dim=-1)
    fusion = label_query(queries="texts", texts=texts)
    other = torch.nn.functional.normalize(torch.randn(2, 9), dim=-1)
    found = fusion(*pair, texts=torch.cat([other, texts]))
    assert found.per_label.shape == (3, 7, 16)
    assert torch.allclose(found.per_label[:, 2:], fusion(*pair).per_label, atol=1e-6)
    with pytest.raises(ValueError, match="queries='texts'"):
        label_query()(*pair, texts=other)
    for options in ({"queries": "texts"}, {"queries": "words", "texts": texts}):
        with pytest.raises(ValueError, match="choose one of learnt, texts"):
            label_query(**options)


def test_a_narrow_block_gives_vectors_of_the_same_width_for_fewer_weights(pair):
    whole, narrow = label_query(), label_query(width=8)
    found = narrow(*pair)
    assert found.vector.shape == (3, 16) and found.per_label.shape == (3, 5, 16)
    count = [sum(each.numel() for each in fusion.parameters()) for fusion in (whole, narrow)]
    assert count[1] < count[0] / 2
    cost = [cost_of(fusion, *pair).flop for fusion in (whole, narrow)]
    assert cost[1] < cost[0] / 2
    with pytest.raises(ValueError, match="width is 0"):
        label_query(width=0)


# --- class attention, and a softmax for each view -------------------------------------------------


def class_attention(**options):
    torch.manual_seed(0)
    return build_fusion("class_attention", 12, 20, 16, n_labels=5, **options).eval()


def test_split_softmax_gives_each_side_a_half_or_all_where_the_other_has_nothing():
    scores = torch.tensor([[0.0, 1.0, 9.0, 2.0, 2.0]] * 4)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    found = split_softmax(scores, mask, 2)
    two = torch.tensor([0.0, 1.0]).softmax(0)
    assert torch.allclose(found[0, :2], two / 2)
    assert torch.allclose(found[0, 2:], torch.tensor([9.0, 2.0, 2.0]).softmax(0) / 2)
    assert torch.allclose(found[1], torch.cat([two / 2, torch.tensor([0.0, 0.25, 0.25])]))
    assert torch.allclose(found[2], torch.cat([two, torch.zeros(3)]))
    assert not found[3].any()


@pytest.mark.parametrize("build", [class_attention, label_query])
def test_apart_each_view_has_half_of_a_labels_weight(build, pair):
    for apart in (True, False):
        found = build(apart=apart)(*pair).attention
        share = found["labels to a"].sum(-1)
        assert torch.allclose(share + found["labels to b"].sum(-1), torch.ones_like(share))
        assert torch.allclose(share, torch.full_like(share, 0.5)) == apart


def test_with_one_view_class_attention_is_the_looking_head(pair):
    """The independent heads of lesson 02, with the same weights, on that view's tokens and, one
    more, its pooled vector."""
    fusion, (a, b) = class_attention(), pair
    head = LookingHead(20, 5, dim=16).eval()
    head.read.load_state_dict(fusion.read_b.state_dict())
    fusion.project_b.load_state_dict(fusion.read_b.state_dict())
    head.score.load_state_dict(fusion.decide.state_dict())
    head.weigh.load_state_dict(fusion.weigh_b.state_dict())
    expected = head(torch.cat([b.pooled[:, None], b.tokens], dim=1))
    assert torch.allclose(fusion(a.absent(), b).logits, expected, atol=1e-5)
    both, other = fusion(a, b).logits, fusion(a, b.absent()).logits
    assert torch.allclose(both, (expected + other) / 2, atol=1e-5)  # apart: the mean of the two
    assert not torch.allclose(class_attention(apart=False)(a, b).logits, both, atol=1e-3)


def block_by_hand(block: CrossBlock, tokens, memory, mask):
    """A pre-norm block with PyTorch's own attention."""
    attention = torchs(block.attention, tokens.shape[-1], block.attention.heads)
    read, _ = attention(block.norm_tokens(tokens), *[block.norm_memory(memory)] * 2,
                        key_padding_mask=~mask)
    tokens = tokens + read
    norm, first, gelu, _, second = block.network
    return tokens + second(gelu(first(norm(tokens))))


def shaken(module):
    """With weights that are not those of the start, norms and biases too."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()


def test_a_block_equals_its_parts_written_out():
    torch.manual_seed(0)
    block = shaken(CrossBlock(16, 4))
    mask = torch.tensor([[True, True, False], [True, True, True]])
    tokens, memory = torch.randn(2, 5, 16), 3 + 2 * torch.randn(2, 3, 16)
    found, _ = block(tokens, memory, mask)
    assert torch.allclose(found, block_by_hand(block, tokens, memory, mask), atol=1e-5)


@pytest.mark.parametrize("together", [True, False])
def test_label_queries_equal_their_parts_written_out(pair, together):
    a, b = pair
    torch.manual_seed(0)
    fusion = shaken(build_fusion("label_query", *(view.widths[0] for view in pair), 16, n_labels=5,
                                 a_tokens=a.widths[1], b_tokens=b.widths[1], together=together))
    tokens, masks = [], []
    for view, whole, part, kind in ((a, fusion.project_a, fusion.read_a, fusion.kind[0]),
                                    (b, fusion.project_b, fusion.read_b, fusion.kind[1])):
        _, mask = view.parts()
        tokens += [whole(view.pooled)[:, None] + kind[0], part(view.tokens) + kind[1]]
        masks += [torch.ones(len(view), 1, dtype=torch.bool), mask]
    memory, mask = torch.cat(tokens, 1), torch.cat(masks, 1)
    asked = fusion.queries.expand(len(a), -1, -1)
    if together:
        asked = block_by_hand(fusion.first, asked, asked,
                              torch.ones(asked.shape[:2], dtype=torch.bool))
    found = fusion(a, b)
    expected = fusion.finish[0](block_by_hand(fusion.read, asked, memory, mask))
    assert torch.allclose(found.per_label, expected, atol=1e-5)


def test_class_attention_starts_near_rare(pair):
    a, b = pair
    fusion = build_fusion("class_attention", a.widths[0], b.widths[0], 16, n_labels=5,
                          a_tokens=a.widths[1], b_tokens=b.widths[1]).eval()
    assert 0.02 < fusion(a, b).logits.sigmoid().mean().item() < 0.12


def test_texts_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="texts has 7 rows for n_labels 5"):
        build_fusion("label_query", 4, 6, 16, n_labels=5, queries="texts", texts=torch.randn(7, 9))
    fusion = build_fusion("label_query", 4, 6, 16, n_labels=5, queries="texts",
                          texts=torch.randn(5, 9))
    with pytest.raises(ValueError, match=r"texts has shape \(2, 8\), expected \(U, 9\)"):
        fusion(View(torch.zeros(1, 4)), View(torch.zeros(1, 6)), texts=torch.randn(2, 8))
