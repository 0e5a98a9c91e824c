"""Patch scores, their pooling and heatmaps, against loops and known pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hybridlab.encoders.clip import ImageFeatures, build_tiny_clip
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.encoders.zero_shot import patch_scores
from hybridlab.zeroshot import patches as P


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TOKENS, TEXTS = normal(2, 6, 5), F.normalize(normal(3, 5, seed=1), dim=1)
SCORES = P.token_scores(TOKENS, TEXTS)


def test_token_scores_are_cosines_of_tokens_of_any_length():
    for b in range(2):
        for p in range(6):
            for at in range(3):
                cosine = float(F.cosine_similarity(TOKENS[b, p], TEXTS[at], dim=0))
                assert float(SCORES[b, p, at]) == pytest.approx(cosine, abs=1e-6)
    assert torch.allclose(P.token_scores(7 * TOKENS, TEXTS), SCORES, atol=1e-6)
    assert P.token_scores(TOKENS.half(), TEXTS).dtype == torch.float32
    nothing = TOKENS.clone()
    nothing[0, 0] = 0
    assert torch.equal(P.token_scores(nothing, TEXTS)[0, 0], torch.zeros(3))


def test_the_best_patch_is_the_pipelines_own_score():
    features = ImageFeatures(F.normalize(TOKENS.mean(1), dim=1), TOKENS, (2, 3))
    assert torch.allclose(P.max_pool(SCORES), patch_scores(features, TEXTS), atol=1e-6)


def test_poolings_against_numpy():
    scores = SCORES.double().numpy()
    assert np.allclose(P.max_pool(SCORES), scores.max(1), atol=1e-6)
    for k in (1, 2, 6):
        best = np.sort(scores, axis=1)[:, -k:].mean(1)
        assert np.allclose(P.top_mean_pool(SCORES, k), best, atol=1e-6)
    weights = np.exp(scores / 0.1)
    expected = (weights / weights.sum(1, keepdims=True) * scores).sum(1)
    assert np.allclose(P.attention_pool(SCORES, 0.1), expected, atol=1e-6)


def test_attention_runs_from_the_best_patch_to_the_mean():
    assert torch.allclose(P.attention_pool(SCORES, 1e-4), P.max_pool(SCORES), atol=1e-4)
    assert torch.allclose(P.attention_pool(SCORES, 1e5), SCORES.mean(1), atol=1e-4)
    steps = [P.attention_pool(SCORES, t) for t in (0.01, 0.1, 1.0)]
    assert (steps[0] >= steps[1]).all() and (steps[1] >= steps[2]).all()


def test_labels_do_not_compete_for_patches():
    """trap 9 again: another label changes no label's score, whatever the pooling."""
    more = torch.cat([SCORES, torch.ones(2, 6, 1)], dim=2)
    back = P.token_scores(TOKENS, F.normalize(normal(4, 5, seed=2), dim=1))
    for pool in (P.max_pool, P.attention_pool, P.top_mean_pool):
        assert torch.allclose(pool(more)[:, :3], pool(SCORES))
    for kind in P.BACKGROUND_KINDS:
        with_more = P.against_background(more, back, kind, 5.0)[..., :3]
        assert torch.allclose(with_more, P.against_background(SCORES, back, kind, 5.0))


def test_background_texts_take_from_what_they_explain():
    back = P.token_scores(TOKENS, F.normalize(normal(4, 5, seed=2), dim=1))
    less = P.against_background(SCORES, back)
    share = P.against_background(SCORES, back, "softmax", 5.0)
    for b in range(2):
        for p in range(6):
            for at in range(3):
                s, g = float(SCORES[b, p, at]), back[b, p].double().numpy()
                assert float(less[b, p, at]) == pytest.approx(s - g.max(), abs=1e-6)
                expected = np.exp(5 * s) / (np.exp(5 * s) + np.exp(5 * g).sum())
                assert float(share[b, p, at]) == pytest.approx(expected, abs=1e-5)
    odds = P.against_background(SCORES, back, "log-odds", 5.0)
    assert torch.allclose(odds, torch.logit(share), atol=1e-4)
    # shares tie where they round to 1; their log-odds do not
    sure = torch.tensor([[0.9, 1.0]])
    none = torch.zeros(1, 1)
    assert len(P.against_background(sure, none, "softmax").unique()) == 1
    assert len(P.against_background(sure, none, "log-odds").unique()) == 2
    # a whole picture is scored in the same way
    assert P.against_background(SCORES[:, 0], back[:, 0]).shape == (2, 3)


def test_one_patch_one_label_no_image():
    assert torch.equal(P.max_pool(SCORES[:, :1]), SCORES[:, 0])
    assert torch.allclose(P.attention_pool(SCORES[:, :1]), SCORES[:, 0])
    assert P.max_pool(SCORES[:, :, :1]).shape == (2, 1)
    none = P.token_scores(TOKENS[:0], TEXTS)
    for pool in (P.max_pool, P.attention_pool, P.top_mean_pool):
        assert pool(none).shape == (0, 3)


def test_heatmaps_lie_where_the_patches_do():
    scores = torch.zeros(12)
    scores[1 * 4 + 2] = 1.0  # row 1, column 2 of a grid of 3 x 4
    found = P.heatmap(scores, (3, 4), (60, 120))
    assert found.shape == (60, 120)
    row, column = divmod(int(found.argmax()), 120)
    assert 20 <= row < 40 and 60 <= column < 90
    assert float(found.max()) <= 1 and float(found[5, 5]) == 0
    # at a patch's middle the map is the patch's score
    exact = P.heatmap(torch.arange(6.0), (2, 3), (6, 9))
    assert torch.allclose(exact[1::3, 1::3], torch.arange(6.0).view(2, 3), atol=1e-5)


@pytest.mark.parametrize("size", [(40, 80), (80, 40), (60, 60)])
@pytest.mark.parametrize("mode", ["squash", "crop", "pad"])
def test_heatmaps_follow_the_preprocessing(mode, size):
    """A bright dot goes through the real preprocessing; the map brings it back to its place."""
    image = np.zeros((*size, 3), np.uint8)
    row, column = size[0] // 2 + 6, size[1] // 2 - 8
    image[row - 2 : row + 3, column - 2 : column + 3] = 255
    pixels = Preprocessing(image_size=32, resize_mode=mode)([image])[0].mean(0)  # (32, 32)
    grid = pixels.view(16, 2, 16, 2).mean(dim=(1, 3))
    found = P.heatmap(grid.flatten(), (16, 16), size, mode)
    assert found.shape == size
    at = np.unravel_index(np.nanargmax(found.numpy()), size)
    assert abs(at[0] - row) <= 4 and abs(at[1] - column) <= 4
    outside = int(torch.isnan(found).sum())
    assert outside == (size[0] * size[1] - min(size) ** 2 if mode == "crop" else 0)


@torch.no_grad()
def test_the_grid_comes_from_the_encoder():
    tiny = build_tiny_clip(pretrained=False)
    features = tiny.encode_image(normal(1, 3, 96, 160))
    texts = F.normalize(normal(2, tiny.dim, seed=1), dim=1)
    scores = P.token_scores(features.tokens, texts)
    assert P.heatmap(scores[0, :, 0], features.grid, (48, 80)).shape == (48, 80)


def test_what_is_wrong_is_named():
    for call, words in (
        (lambda: P.token_scores(TOKENS, 2 * TEXTS), "length 2"),
        (lambda: P.token_scores(TOKENS[0], TEXTS), r"\(B, P, D\)"),
        (lambda: P.token_scores(TOKENS, torch.eye(3)), "from one model"),
        (lambda: P.token_scores(TOKENS * float("nan"), TEXTS), "tokens is nan"),
        (lambda: P.max_pool(SCORES[0]), r"\(B, P, L\)"),
        (lambda: P.max_pool(SCORES[:, :0]), "P >= 1"),
        (lambda: P.attention_pool(SCORES, 0.0), "temperature is 0.0"),
        (lambda: P.top_mean_pool(SCORES, 7), "from 1 to 6"),
        (lambda: P.against_background(SCORES, SCORES[..., :0]), "at least one background"),
        (lambda: P.against_background(SCORES, SCORES[:1]), "the same patches"),
        (lambda: P.against_background(SCORES, SCORES, "ratio"), "kind is 'ratio'"),
        (lambda: P.heatmap(torch.zeros(5), (2, 3), (4, 4)), r"expected \(6,\)"),
        (lambda: P.heatmap(torch.zeros(6), (2, 3), (0, 4)), "size is"),
        (lambda: P.heatmap(torch.zeros(6), (2, 3), (4, 4), "zoom"), "resize_mode is 'zoom'"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
