"""Figures of decoding: they draw what the trace holds, and say it in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.trace import trace
from hybridlab.viz.decoding import decoding_figure, decoding_words, tree_figure, tree_words
from hybridlab.viz.notebook import show

NAMES = ("cow", "egg", "$sun$", "key", "bus", "cat")
IMAGE = np.full((30, 40, 3), 200, np.uint8)


@pytest.fixture(scope="module", params=range(3))
def told(request):
    torch.manual_seed(request.param)
    decoder = LabelDecoder(5, 6, dim=16, max_steps=6).eval()
    torch.nn.init.normal_(decoder.score.weight, std=2)
    return trace(decoder, torch.randn(6, 5), NAMES, (2, 3), beams=3)


def test_each_step_has_its_look_and_its_bars(told):
    figure = decoding_figure(IMAGE, told)
    assert len(figure.axes) == 2 * len(told.steps)
    for at, step in enumerate(told.steps):
        assert step.chosen in figure.axes[at].get_title()
        drawn = np.asarray(figure.axes[at].images[0].get_array(), float).mean(axis=2)
        spot = np.unravel_index(int(step.attention.argmax()), (2, 3))
        cell = drawn[15 * spot[0] : 15 * spot[0] + 15, 13 * spot[1] : 13 * spot[1] + 13]
        assert cell.max() == pytest.approx(drawn.max()), "it is lit where it looked most"
        bars = figure.axes[len(told.steps) + at].patches
        assert [bar.get_width() for bar in bars][::-1] == pytest.approx(
            [100 * prob for _, prob in step.best])
    words = decoding_words(told)
    assert told.why_it_stopped in words and words.count("looks at the") == len(told.steps)
    show(figure, words)


def test_the_tree_has_a_line_for_every_partial_sequence(told):
    figure = tree_figure(told)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert len(lines) == len(told.nodes)
    thick = [line for line in lines if line.get_linewidth() == 3]
    assert sorted(line.get_xdata()[1] for line in thick) == list(range(len(thick)))
    words = tree_words(told)
    assert all((", ".join(each) or "the empty set") in words for each in told.sequences)
    show(figure, words)


def test_an_image_of_another_form_is_named(told):
    with pytest.raises(ValueError, match="expected"):
        decoding_figure(IMAGE[..., 0], told)
