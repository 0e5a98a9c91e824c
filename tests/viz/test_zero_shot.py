"""Figures of lesson 04: what they say is what was given."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.evaluation.bootstrap import Interval
from hybridlab.viz.notebook import has_title, show
from hybridlab.viz.zero_shot import (
    audit_figure,
    audit_words,
    ensemble_figure,
    prompt_figure,
    prompt_words,
    score_figure,
    score_words,
    similarity_figure,
    similarity_words,
)
from hybridlab.zeroshot.audit import audit_contexts
from hybridlab.zeroshot.ensembles import EnsembleSize
from hybridlab.zeroshot.sensitivity import PromptSpread, prompt_spread

TARGETS = (np.random.default_rng(0).random((40, 3)) < 0.4).astype(int)
NOISY = {f"{{}} {k}": TARGETS + k * np.random.default_rng(k).normal(size=TARGETS.shape)
         for k in (1, 2, 3)}


def said(figure):
    texts = [*figure.texts, *(
        text for axes in figure.axes for text in
        [axes.title, *axes.texts, *axes.get_yticklabels(), *axes.get_xticklabels()]
    ), *([figure._suptitle] if figure._suptitle else [])]
    return " ".join(text.get_text() for text in texts)


def test_prompts_are_sorted_and_the_range_is_told():
    spread = prompt_spread(NOISY, TARGETS, resamples=30)
    figure = prompt_figure(spread)
    (dots,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert list(dots.get_xdata()) == sorted(100 * spread.values)
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names[-1] == f"“{spread.best}”" and len(names) == 3
    assert f"{100 * spread.range:.1f} points" in said(figure)
    (median,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert median.get_xdata()[0] == pytest.approx(100 * np.median(spread.values))
    ends = figure.axes[0].collections[0].get_segments()[-1][:, 0]
    best = spread.each[int(np.argmax(spread.values))]
    assert ends == pytest.approx([100 * best.low, 100 * best.high])
    told = prompt_words(spread)
    assert spread.best in told and f"{100 * spread.values.min():.1f}" in told
    show(figure, told)


def test_prompts_without_intervals_are_drawn_too():
    nan = float("nan")
    one = PromptSpread("of1", ("{}",), (Interval(0.5, nan, nan),), 0.0, nan, "{}",
                       Interval(0.0, nan, nan))
    show(prompt_figure(one, "OF1"), prompt_words(one, "OF1"))
    assert "OF1 by 0.0 points" in said(prompt_figure(one, "OF1"))


def test_two_groups_of_prompts_have_two_marks_and_every_prompt_is_in_one():
    spread = prompt_spread(NOISY, TARGETS, resamples=30)
    groups = {"met": ["{} 1"], "never met": ["{} 2", "{} 3"]}
    axes = prompt_figure(spread, groups=groups).axes[0]
    drawn = {line.get_label(): line for line in axes.lines if line.get_label() in groups}
    assert {line.get_marker() for line in drawn.values()} == {"o", "s"}
    assert list(drawn["met"].get_xdata()) == [100 * spread.values[spread.names.index("{} 1")]]
    assert len(drawn["never met"].get_xdata()) == 2
    with pytest.raises(ValueError, match=r"in none of them \['\{\} 3'\]"):
        prompt_figure(spread, groups={"met": ["{} 1"], "never met": ["{} 2"]})


def test_ensembles_are_dots_and_a_line_of_means():
    sizes = [EnsembleSize(1, ((0,), (1,)), (0.2, 0.4), True),
             EnsembleSize(2, ((0, 1),), (0.5,), True)]
    figure = ensemble_figure(sizes)
    (line,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "-"]
    assert list(line.get_ydata()) == pytest.approx([30, 50])
    assert "From 1 to 2 prompts, mean mAP goes from 30.0 to 50.0" in said(figure)
    with pytest.raises(ValueError, match="sizes is empty"):
        ensemble_figure([])


def test_scores_bunch_and_saturate():
    """trap 9, in the figure's own numbers."""
    cosines = np.random.default_rng(1).uniform(0.15, 0.35, (50, 4))
    targets = np.zeros((50, 4), int)
    targets[:, 0], targets[0, 1] = 1, -1
    figure = score_figure(cosines, targets)
    titles = [axes.get_title() for axes in figure.axes]
    assert "90 % in 0.54 to 0.58" in titles[1] and "1.00 to 1.00" in titles[2]
    for axes in figure.axes:
        heights = [patch.get_height() for patch in axes.patches]
        assert sum(heights) == pytest.approx(200)  # 100 % of those there, and of those absent
    assert "median 0.56" in score_words(cosines, targets) and has_title(figure)
    with pytest.raises(ValueError, match="pass cosines"):
        score_figure(100 * cosines, targets)


def test_the_worst_pairs_are_counted_in_their_cells():
    rng = np.random.default_rng(2)
    contexts = [("beach", "farm")[at] for at in rng.integers(0, 2, 300)]
    targets = np.zeros((300, 2), int)
    beach = np.array(contexts)[:, None] == "beach"
    decisions = rng.random((300, 2)) < np.where(beach, [[0.5, 0.0]], [[0.05, 0.0]])
    decisions[::10, 1] = True  # cow: whatever the background
    found = audit_contexts(decisions, targets, contexts, ["crab", "cow"])
    rows = found.worst(3)
    figure = audit_figure(rows, "on this background")
    text = said(figure)
    assert f"({rows[0].false} of {rows[0].images})" in text and "crab (beach)" in text
    assert f"({rows[0].others_false} of {rows[0].others})" in text
    assert text.count("n.s.") == sum(row.p_holm >= 0.05 for row in rows) > 0
    assert "“crab” with “beach”" in text and "on this background" in text
    drawn = figure.axes[0].images[0].get_array()
    assert drawn[0].tolist() == pytest.approx([100 * rows[0].rate, 100 * rows[0].others_rate])
    assert "1 of the 3 differences" in audit_words(rows)
    show(figure, audit_words(rows))
    silent = [row for row in rows if row.p_holm >= 0.05]
    assert "None of these 2 differences holds" in said(audit_figure(silent))
    with pytest.raises(ValueError, match="no pair of the audit"):
        audit_figure([])


def test_an_audit_without_any_false_positive_is_drawn():
    found = audit_contexts(np.zeros((4, 1)), np.zeros((4, 1)), ["a", "b"] * 2, ["x"])
    figure = audit_figure(found.worst(2))
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert len(cells) == 4 and all(cell.startswith("0.0 %  (0 of ") for cell in cells)
    show(figure, audit_words(found.worst(2)))


def test_pairs_of_images_have_their_means_and_their_auc():
    same, other = [0.8, 0.9, 1.0], [0.1, 0.2, 0.3, 0.2]
    figure = similarity_figure(same, other, 0.93)
    assert "are closer" in said(figure) and "93 %" in said(figure)
    means = sorted(line.get_xdata()[0] for line in figure.axes[0].lines)
    assert means == pytest.approx([0.2, 0.9])
    assert sum(patch.get_height() for patch in figure.axes[0].patches) == pytest.approx(200)
    assert "0.90, other pairs of 0.20" in similarity_words(same, other)
    assert "are not closer" in said(similarity_figure(other, same))
    with pytest.raises(ValueError, match="0 pairs of the same and 4 others"):
        similarity_figure([], other)
