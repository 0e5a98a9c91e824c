"""Figures of lesson 03: what they say is what they were given, and nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridlab.viz.contrastive import (
    learning_figure,
    pairs_figure,
    recall_figure,
    similarity_figure,
    softmax_rows,
    temperature_figure,
    temperature_words,
)

IMAGES = [np.full((8, 8, 3), shade, np.uint8) for shade in (0, 90, 200)]
CAPTIONS = ["a cow", "an egg", "a kite with a very long name that nobody could read in a table"]
COSINES = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.3], [0.8, 0.1, 0.6]])


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0, 1e5])
def test_the_softmax_is_torch_s(scale):
    wanted = torch.softmax(scale * torch.tensor(COSINES), dim=1).numpy()
    np.testing.assert_allclose(softmax_rows(COSINES, scale), wanted, atol=1e-12)


def test_the_words_and_the_title_tell_the_same_loss():
    loss = torch.nn.functional.cross_entropy(10 * torch.tensor(COSINES), torch.arange(3))
    assert f"{loss:.2f}" in temperature_words(COSINES, 10.0)
    figure = temperature_figure(COSINES, 10.0, IMAGES, CAPTIONS)
    assert f"loss of the rows {loss:.2f}" in figure.get_suptitle()
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images][:2]
    np.testing.assert_allclose(shown[0], COSINES)
    np.testing.assert_allclose(shown[1], softmax_rows(COSINES, 10.0))


def test_tables_share_one_scale_of_colour():
    figure = similarity_figure({"before": COSINES * 0.1, "after": COSINES}, IMAGES, CAPTIONS, "t")
    limits = {axes.images[0].get_clim() for axes in figure.axes if axes.images}
    assert limits == {(0.0, 1.0)}


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="scale above 0"):
        softmax_rows(COSINES, scale)


def test_figures_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="one caption for each"):
        pairs_figure(IMAGES, CAPTIONS[:2], "t")
    with pytest.raises(ValueError, match="pictures by captions"):
        similarity_figure({"one": COSINES[:2]}, IMAGES, CAPTIONS, "t")
    with pytest.raises(ValueError, match="losses is empty"):
        learning_figure({}, 64)
    with pytest.raises(ValueError, match="the same k"):
        recall_figure({"a": {1: (0, 0)}, "b": {5: (0, 0)}}, 10, "t")


def test_the_loss_of_a_guess_is_drawn():
    figure = learning_figure({"run": [4.2, 3.9, 3.0]}, 64)
    levels = {round(float(line.get_ydata()[0]), 3) for line in figure.axes[0].lines[1:]}
    assert levels == {round(float(np.log(64)), 3)}
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [4.2, 4.05, 3.7])


def test_recall_is_drawn_beside_guessing():
    figure = recall_figure({"after": {1: (0.5, 0.4), 5: (0.9, 0.8)}}, 20, "found")
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, [50, 90])
    guesses = [float(line.get_ydata()[0]) for line in figure.axes[0].lines]
    np.testing.assert_allclose(guesses, [5, 25])


def test_pictures_stand_beside_their_captions():
    figure = pairs_figure(IMAGES, CAPTIONS, "Pairs", across=2)
    assert len(figure.axes) == 4  # the last place stays empty
    assert figure.axes[1].get_xlabel().strip() == "an egg"


def test_a_dollar_in_a_caption_begins_no_formula(tmp_path):
    captions = [r"a $\foo$ bill", "an egg", "a kite"]
    temperature_figure(COSINES, 10.0, IMAGES, captions).savefig(tmp_path / "table.png")
    pairs_figure(IMAGES, captions, "pairs").savefig(tmp_path / "pairs.png")
    assert len(list(tmp_path.iterdir())) == 2


def test_tables_that_cannot_be_read_are_refused():
    many = [IMAGES[0]] * 17
    with pytest.raises(ValueError, match="got 17 pictures"):
        temperature_figure(np.eye(17), 10.0, many, ["a"] * 17)
    with pytest.raises(ValueError, match="holds NaN"):
        temperature_figure(np.full((3, 3), np.nan), 10.0, IMAGES, CAPTIONS)
    with pytest.raises(ValueError, match="candidates is 0"):
        recall_figure({"one": {1: (0.5, 0.5)}}, 0, "none")
