"""What holds for every fusion, by name."""

from __future__ import annotations

import pytest
import torch

from hybridlab.fusion import ATTENTIVE, DECIDING, FUSIONS, build_fusion
from hybridlab.fusion.cost import cost_of
from hybridlab.fusion.view import View

A, B, D, L = 12, 20, 16, 5
A_TOKENS, B_TOKENS = 10, 20


def built(name: str, **options):
    torch.manual_seed(0)
    return build_fusion(name, A, B, D, a_tokens=A_TOKENS, n_labels=L, **options).eval()


def views(batch: int = 3, seed: int = 0) -> tuple[View, View]:
    draw = torch.Generator().manual_seed(seed)
    mask = torch.rand(batch, 4, generator=draw) < 0.6
    mask[:, 0] = True
    a, a_tokens, b, b_tokens = (
        torch.randn(batch, *shape, generator=draw)
        for shape in ((A,), (4, A_TOKENS), (B,), (7, B_TOKENS))
    )
    return View(a, a_tokens, mask), View(b, b_tokens)


def outputs(fusion, a, b):
    found = fusion(a, b)
    return [each for each in (found.vector, found.per_label, found.logits) if each is not None]


@pytest.mark.parametrize("name", FUSIONS)
def test_shapes_and_finite_attention(name):
    fusion, (a, b) = built(name), views()
    found = fusion(a, b)
    assert found.vector.shape == (3, D)
    assert found.per_label is None or found.per_label.shape == (3, L, D)
    assert found.logits is None or found.logits.shape == (3, L)
    assert (found.per_label is not None) == (name == "label_query")
    assert (found.logits is not None) == (name in DECIDING)
    assert bool(found.attention) == (name in (*ATTENTIVE, "gate"))
    assert all(len(each) == 3 and each.dim() == 4 for each in found.attention.values())


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("tokens", [True, False])
def test_any_view_can_be_left_out_and_nothing_is_nan(name, tokens):
    """Zeros, and no token that counts: values and gradients are finite."""
    fusion, (a, b) = built(name), views()
    if not tokens:
        fusion = build_fusion(name, A, B, D, n_labels=L).eval()
        a, b = View(a.pooled), View(b.pooled)
    for one, other in ((a.absent(), b), (a, b.absent()), (a.absent(), b.absent())):
        found = outputs(fusion, one, other)
        assert all(each.isfinite().all() for each in found)
        sum(each.square().sum() for each in found).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in fusion.parameters())


@pytest.mark.parametrize("name", FUSIONS)
def test_a_view_without_tokens_where_tokens_are_of_another_width(name):
    """As the hybrid leaves out a view of which it has seen nothing."""
    fusion = build_fusion(name, A, B, D, n_labels=L, a_tokens=A + 3, b_tokens=B + 2).eval()
    a, b = views()
    wide = View(b.pooled, torch.randn(3, 4, B + 2))
    for one, other in ((View(a.pooled), wide), (View(a.pooled).absent(), wide),
                       (View(a.pooled), View(b.pooled)),
                       (View(a.pooled, torch.randn(3, 5, A + 3)), View(b.pooled).absent())):
        found = outputs(fusion, one, other)
        assert all(each.isfinite().all() for each in found)
        sum(each.square().sum() for each in found).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in fusion.parameters())


@pytest.mark.parametrize("name", FUSIONS)
def test_a_view_that_was_left_out_tells_nothing(name):
    """Of an absent view the fused vector is the same whatever the view was."""
    fusion, (a, b), (other, _) = built(name), views(), views(seed=1)
    for one, two in zip(outputs(fusion, a.absent(), b), outputs(fusion, other.absent(), b),
                        strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", ["late", "gate"])
def test_where_a_view_is_left_out_the_other_has_all_the_weight(name):
    """Image by image: of the batch, the first has both views, the others one each."""
    fusion, (a, b) = built(name), views()
    for weight in fusion.parameters():
        torch.nn.init.normal_(weight)
    there = torch.tensor([[True, True], [False, True], [True, False]])
    one = View(a.pooled * there[:, :1], None, there[:, :1])
    two = View(b.pooled * there[:, 1:], None, there[:, 1:])
    found = fusion(one, two)
    if name == "gate":
        alpha = found.attention["gate"].flatten(1)
        assert alpha[1].tolist() == [0, 1] and alpha[2].tolist() == [1, 0]
        assert 0 < alpha[0, 0] < 1
        return
    own = [decide(project(view.pooled)) for decide, project, view in zip(
        fusion.decide, fusion.project, (one, two), strict=True)]
    assert torch.allclose(found.logits[1], own[1][1], atol=1e-5)
    assert torch.allclose(found.logits[2], own[0][2], atol=1e-5)
    weights = fusion.weights()
    both = weights[0] * own[0][0].sigmoid() + weights[1] * own[1][0].sigmoid()
    assert torch.allclose(found.logits[0].sigmoid(), both, atol=1e-5)
    found.logits.sum().backward()
    assert fusion.vote.grad.isfinite().all()


@pytest.mark.parametrize("name", FUSIONS)
def test_both_views_get_a_gradient_and_so_do_all_weights(name):
    fusion, (a, b) = built(name), views()
    leaves = [each.clone().requires_grad_() for each in (a.pooled, a.tokens, b.pooled, b.tokens)]
    found = outputs(fusion, View(*leaves[:2], a.mask), View(*leaves[2:]))
    torch.manual_seed(1)
    sum((each * torch.randn_like(each)).sum() for each in found).backward()
    for leaf, is_tokens in zip(leaves, (False, True, False, True), strict=True):
        heard = name in ATTENTIVE or not is_tokens
        assert (leaf.grad is not None and bool(leaf.grad.abs().sum() > 0)) == heard
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


@pytest.mark.parametrize("name", ATTENTIVE)
def test_tokens_that_do_not_count_change_nothing_and_get_no_gradient(name):
    fusion, (a, b) = built(name), views()
    noise = torch.where(a.mask[..., None], a.tokens, 100 * torch.randn_like(a.tokens))
    noise.requires_grad_()
    one, two = outputs(fusion, a, b), outputs(fusion, View(a.pooled, noise, a.mask), b)
    assert all(torch.allclose(x, y, atol=1e-5) for x, y in zip(one, two, strict=True))
    sum(each.square().sum() for each in two).backward()
    assert not noise.grad[~a.mask].any() and noise.grad[a.mask].abs().sum() > 0


@pytest.mark.parametrize("name", ATTENTIVE)
def test_padding_changes_nothing(name):
    fusion, (a, b) = built(name), views()
    padded = View(a.pooled, torch.cat([a.tokens, torch.randn(3, 5, A_TOKENS)], 1),
                  torch.cat([a.mask, torch.zeros(3, 5).bool()], 1))
    for one, two in zip(outputs(fusion, a, b), outputs(fusion, padded, b), strict=True):
        assert torch.allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("name", FUSIONS)
def test_images_do_not_see_each_other(name):
    fusion, (a, b) = built(name), views(5)
    whole = outputs(fusion, a, b)
    some = torch.tensor([4, 1])
    for one, two in zip(whole, outputs(fusion, a.rows(some), b.rows(some)), strict=True):
        assert torch.allclose(one[some], two, atol=1e-5)


@pytest.mark.parametrize("name", FUSIONS)
def test_no_image_gives_nothing(name):
    fusion, (a, b) = built(name), views()
    none = torch.tensor([], dtype=torch.long)
    assert all(len(each) == 0 for each in outputs(fusion, a.rows(none), b.rows(none)))


@pytest.mark.parametrize("name", FUSIONS)
def test_dropout_rests_in_eval_and_works_in_training(name):
    fusion, (a, b) = built(name), views()
    assert torch.equal(fusion(a, b).vector, fusion(a, b).vector)
    fusion.train()
    assert not torch.equal(fusion(a, b).vector, fusion(a, b).vector)


@pytest.mark.parametrize("name", FUSIONS)
def test_weights_load_into_another_of_the_same_name(name):
    fusion, (a, b) = built(name), views()
    torch.manual_seed(7)
    other = build_fusion(name, A, B, D, a_tokens=A_TOKENS, n_labels=L).eval()
    other.load_state_dict(fusion.state_dict())
    assert torch.equal(fusion(a, b).vector, other(a, b).vector)


@pytest.mark.parametrize("name", FUSIONS)
def test_it_can_be_built_without_memory(name):
    """As bundles are: shapes first, weights later."""
    with torch.device("meta"):
        shapes = build_fusion(name, A, B, D, a_tokens=A_TOKENS, n_labels=L)
    weights = built(name).state_dict()
    assert {k: v.shape for k, v in shapes.state_dict().items()} == {
        k: v.shape for k, v in weights.items()}


@pytest.mark.parametrize("name", FUSIONS)
def test_what_it_costs_is_counted_on_the_module_itself(name):
    fusion, (a, b) = built(name), views()
    fusion.train()
    cost = cost_of(fusion, a, b)
    assert fusion.training  # as it was
    assert cost.parameters == sum(p.numel() for p in fusion.parameters())
    assert cost.flop > 0 and cost_of(fusion, *views(1)).flop == cost.flop


@pytest.mark.parametrize("name", FUSIONS)
def test_views_that_do_not_fit_are_named(name):
    a, b = views()
    for one, other in ((b, a), (a, b.rows(torch.tensor([0, 1])))):
        with pytest.raises(ValueError, match=rf"must be \(B, {A}\) and \(B, {B}\)"):
            built(name)(one, other)


@pytest.mark.parametrize("name", ATTENTIVE)
def test_tokens_of_another_width_are_named(name):
    a, b = views()
    with pytest.raises(ValueError, match=r"tokens of view a are 11 wide, expected 10"):
        built(name)(View(a.pooled, torch.zeros(3, 4, 11)), b)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="known ones: concat, gate") as caught:
        build_fusion("glue", A, B, D)
    assert all(name in str(caught.value) for name in FUSIONS)


@pytest.mark.parametrize(
    ("name", "options", "kind", "words"),
    [
        ("concat", {"heads": 2}, TypeError, "heads"),
        ("late", {"n_labels": None}, TypeError, "give n_labels="),
        ("class_attention", {"n_labels": None}, TypeError, "give n_labels="),
        ("label_query", {"n_labels": None}, TypeError, "give n_labels="),
        ("cross_attention", {"heads": 3}, ValueError, "no multiple of heads 3"),
        ("factorised", {"rank": 0}, ValueError, "rank is 0"),
        ("compact", {"sketch": 0}, ValueError, "sketch is 0"),
    ],
)
def test_options_that_make_no_sense_are_named(name, options, kind, words):
    with pytest.raises(kind, match=words):
        build_fusion(name, A, B, D, **{"n_labels": L, **options})
    with pytest.raises(ValueError, match="dim is 0"):
        build_fusion(name, A, B, 0)


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("what", [float("nan"), float("inf"), 1e4])
def test_whatever_stands_behind_a_mask_stays_there(name, what):
    """In both views: tokens that do not count, and all of a view that is missing for an image."""
    fusion, (a, b) = built(name), views()
    a_mask, b_mask = a.mask.clone(), torch.ones(3, 7, dtype=torch.bool)
    b_mask[1, 3:], a_mask[2] = False, False
    clean = View(a.pooled, a.tokens, a_mask), View(b.pooled, b.tokens, b_mask)
    leaves = [each.clone() for each in (a.pooled, a.tokens, b.pooled, b.tokens)]
    leaves[0][2], leaves[1][~a_mask], leaves[3][~b_mask] = what, what, what
    for leaf in leaves:
        leaf.requires_grad_()
    found = outputs(fusion, View(*leaves[:2], a_mask), View(*leaves[2:], b_mask))
    for one, two in zip(found, outputs(fusion, *clean), strict=True):
        assert torch.equal(one, two)
    sum(each.square().sum() for each in found).backward()
    for parameter in fusion.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
    for leaf in leaves:
        assert leaf.grad is None or leaf.grad.isfinite().all()


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("side", [0, 1])
def test_a_view_without_a_token_that_counts_is_a_view_that_is_absent(name, side):
    fusion, pair = built(name), list(views())
    gone = list(pair)
    view = pair[side]
    gone[side] = View(view.pooled, view.tokens, torch.zeros(view.tokens.shape[:2]).bool())
    pair[side] = view.absent()
    for one, two in zip(outputs(fusion, *gone), outputs(fusion, *pair), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", ATTENTIVE)
def test_tokens_of_the_second_view_that_do_not_count_are_not_read(name):
    fusion, (a, b) = built(name), views()
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[:, 4:] = False
    short = outputs(fusion, a, View(b.pooled, b.tokens[:, :4]))
    found = fusion(a, View(b.pooled, b.tokens, mask))
    for one, two in zip(short, outputs(fusion, a, View(b.pooled, b.tokens, mask)), strict=True):
        assert torch.allclose(one, two, atol=1e-6)
    read = {"a to b": 3, "labels to b": 3, "b": 3}
    for key, width in read.items():
        if key in found.attention:
            assert not found.attention[key][..., -width:].any()


@pytest.mark.parametrize("name", FUSIONS)
def test_no_dropout_is_none_at_all(name):
    fusion, (a, b) = built(name, **{"dropout": 0.0, **(
        {"factor_dropout": 0.0} if name == "factorised" else {})}).train(), views()
    for one, two in zip(outputs(fusion, a, b), outputs(fusion, a, b), strict=True):
        assert torch.equal(one, two)


def test_costs_are_those_that_one_counts_by_hand():
    a, b = views()
    concat = built("concat")
    assert cost_of(concat, a, b).flop == 2 * (A + B) * D
    assert cost_of(concat, a, b).parameters == (A + B) * D + D + 2 * D
    concat.project[0].weight.requires_grad_(False)
    assert cost_of(concat, a, b).parameters == 3 * D
    compact = built("compact", sketch=64)
    # three real transforms of 64 numbers, 2.5 n log2 n each, and the projection
    assert cost_of(compact, a, b).flop == 3 * round(2.5 * 64 * 6) + 2 * 64 * D
    few = build_fusion(
        "label_query", A, B, D, n_labels=L, queries="texts", texts=torch.randn(L, 7)
    )
    one = View(a.pooled), View(b.pooled)
    assert cost_of(few, *one) == cost_of(few, *(each.rows(torch.arange(1)) for each in one))


@pytest.mark.parametrize(("changes", "words"), [
    ({"dropout": 1.0}, "dropout is 1.0"), ({"dropout": float("nan")}, "dropout is nan"),
    ({"a_tokens": 0}, "a_tokens is 0"), ({"b_tokens": -3}, "b_tokens is -3"),
    ({"n_labels": 0}, "n_labels is 0"), ({"hidden": 0}, "hidden is 0"),
])
def test_sizes_that_make_no_sense_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        build_fusion("co_attention", A, B, D, **changes)
    with pytest.raises(TypeError, match="a fusion joins two Views, not Tensor and Tensor"):
        built("concat")(torch.zeros(1, A), torch.zeros(1, B))


@pytest.mark.parametrize("wrong", [None, "8", 8.5, True])
def test_a_size_that_is_no_whole_number_is_named(wrong):
    with pytest.raises(TypeError, match=r"a_dim is .*; give a whole number of 1 or more"):
        build_fusion("concat", wrong, 8, 16)


def test_texts_of_another_number_of_labels_are_refused():
    with pytest.raises(ValueError, match="texts has 4 rows for n_labels 3"):
        build_fusion("label_query", A, B, D, n_labels=3, texts=torch.randn(4, 7))
