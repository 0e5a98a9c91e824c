"""What enters the fusion, and in which units."""

from __future__ import annotations

import pytest
import torch
from sklearn.preprocessing import StandardScaler

from hybridlab.configs import DemoConfig
from hybridlab.decoder.decoded import Decoded
from hybridlab.fusion.views import VIEWS, Standardise, cnn_rnn_view, evidence, view_of


def test_standardise_equals_scikit_learn_and_leaves_constants_at_zero():
    torch.manual_seed(0)
    features = 7 + 3 * torch.randn(50, 6)
    features[:, 2] = 4.0
    scale = Standardise(6)
    scale.fit(features)
    expected = StandardScaler().fit_transform(features.numpy())
    assert torch.allclose(scale(features), torch.tensor(expected).float(), atol=1e-4)
    assert torch.equal(scale(features)[:, 2], torch.zeros(50))
    assert not list(scale.parameters()) and len(scale.state_dict()) == 2


@pytest.mark.parametrize("shape", [(0, 6), (5, 7), (6,)])
def test_standardise_needs_rows_of_its_width(shape):
    with pytest.raises(ValueError, match=r"expected \(N, 6\)"):
        Standardise(6).fit(torch.zeros(shape))


def test_evidence_is_finite_log_odds_in_the_order_of_the_probabilities():
    probs = torch.tensor([[0.0, 0.1, 0.5, 0.9, 1.0]])
    odds = evidence(probs)
    assert torch.isfinite(odds).all() and (odds.diff() > 0).all()
    assert odds[0, 2] == 0 and torch.allclose(odds[0, 1], -odds[0, 3])
    assert torch.allclose(torch.sigmoid(odds), probs, atol=2e-4)


def test_views_by_name():
    h_rnn, probs = torch.randn(3, 8), torch.rand(3, 5)
    assert torch.equal(view_of("state", h_rnn, probs), h_rnn)
    assert torch.equal(view_of("evidence", h_rnn, probs), evidence(probs))
    assert torch.equal(view_of("none", h_rnn, probs), torch.zeros(3, 5))
    with pytest.raises(ValueError, match="evidence"):
        view_of("feeling", h_rnn, probs)
    assert VIEWS == ("evidence", "state", "map", "none")


def test_the_map_has_no_opinion_and_no_steps():
    tokens = torch.randn(3, 4, 6)
    whole = cnn_rnn_view("map", None, tokens)
    assert torch.equal(whole.pooled, tokens.mean(dim=1)) and whole.tokens is None
    looking = cnn_rnn_view("map", None, tokens.half(), "map")
    assert torch.equal(looking.tokens, tokens.half()) and looking.pooled.dtype == torch.float32
    with pytest.raises(ValueError, match="no decoder that takes steps"):
        cnn_rnn_view("map", None, tokens, "steps")
    with pytest.raises(ValueError, match="map not given"):
        cnn_rnn_view("map", None)
    with pytest.raises(ValueError, match="decode the images"):
        cnn_rnn_view("evidence", None, tokens)
    with pytest.raises(ValueError, match="give tokens='map'"):
        DemoConfig(view="map", fusion="label_query")


def test_steps_are_opinions_without_stop_and_as_many_as_were_written():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5)  # 4 labels and STOP, last
    mask = torch.tensor([[True, True, False], [True, False, False]])
    decoded = Decoded(torch.zeros(2, 3), logits, torch.randn(2, 3, 8), mask, torch.randn(2, 8),
                      torch.zeros(2, 3, 0), torch.rand(2, 4))
    view = cnn_rnn_view("evidence", decoded, None, "steps")
    expected = evidence(logits.softmax(-1)[:, :, :4])
    assert torch.equal(view.mask, mask)
    assert torch.allclose(view.tokens[mask], expected[mask])
    absent = cnn_rnn_view("none", decoded, None, "steps")
    assert not absent.parts()[1].any() and not absent.pooled.any()


def test_features_of_another_width_are_named():
    scale = Standardise(4)
    for shape in ((3, 1), (3, 5), (3, 2, 1)):
        with pytest.raises(ValueError, match=r"expected \(\.\.\., 4\); are the two views swapped"):
            scale(torch.zeros(shape))
