"""What enters the fusion, and in which units."""

from __future__ import annotations

import pytest
import torch
from sklearn.preprocessing import StandardScaler

from hybridlab.configs import DemoConfig
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
