"""Generalised zero-shot: no annotation of an unseen label is looked at, and all labels compete."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hybridlab.data.scenes import SPLITS, SceneDataset
from hybridlab.frozen import frozen_clip
from hybridlab.studies import together
from hybridlab.studies.checkpoints import SHIPPED
from hybridlab.studies.heads import head_logits, hide
from hybridlab.studies.together import (
    ANNOTATED,
    BOTH,
    METHODS,
    RECIPE,
    STACKED,
    STUDY,
    WORDS,
    choose_by,
    harmonic_means,
    run,
    stacked,
)
from hybridlab.studies.together_others import STUDY as OTHERS
from hybridlab.studies.unseen import SPLIT
from hybridlab.zeroshot.splits import LabelSplit, harmonic_mean

SMALL = {**RECIPE, "pretrained": SHIPPED, "train": 64, "val": 48, "test": 40, "linear_epochs": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def done(store):
    """(method, labels) -> the run's result, each run once."""
    return cache(lambda method, labels="unseen": run(
        {**SMALL, "method": method, "labels": labels}, 0, store
    ))


def test_hidden_labels_are_not_annotated_and_the_rest_stays():
    targets = np.array([[1, 0, 1], [0, 1, 1]], np.float32)
    assert hide(targets, (0, 2)).tolist() == [[-1, 0, -1], [-1, 1, -1]]
    assert hide(targets, ()).tolist() == targets.tolist() == [[1, 0, 1], [0, 1, 1]]


def test_the_head_never_sees_what_is_hidden(tmp_path, monkeypatch):
    data = {split: SceneDataset(size, split) for split, size in zip(SPLITS, (48, 24, 8),
                                                                    strict=True)}
    clip = frozen_clip()
    first = head_logits(clip, data, SPLIT.unseen, 0, 2, tmp_path / "a")
    real = together.label_matrix

    def other_truth(dataset):
        truth = real(dataset)
        truth[:, list(SPLIT.unseen)] = 1 - truth[:, list(SPLIT.unseen)]
        return truth

    monkeypatch.setattr("hybridlab.studies.heads.label_matrix", other_truth)
    blind = head_logits(clip, data, SPLIT.unseen, 0, 2, tmp_path / "b")
    told = head_logits(clip, data, (), 0, 2, tmp_path / "c")
    for split in ("val", "test"):
        assert np.array_equal(first[split], blind[split])
        assert not np.array_equal(first[split], told[split])


def test_nothing_that_decides_looks_at_unseen_annotations(done, store, monkeypatch):
    """Their truth turned round changes no score, whatever the method; heads were asked before."""
    first = {method: done(method) for method in METHODS}
    real = together.label_matrix

    def other_truth(dataset):
        truth = real(dataset)
        if dataset.split != "test":
            truth[:, list(SPLIT.unseen)] = 1 - truth[:, list(SPLIT.unseen)]
        return truth

    monkeypatch.setattr(together, "label_matrix", other_truth)
    for method in METHODS:
        again = run({**SMALL, "method": method}, 0, store)
        assert np.array_equal(first[method].scores, again.scores), method
        assert np.array_equal(first[method].decisions, again.decisions), method


def test_all_labels_compete_for_three_places(done):
    for method in METHODS:
        unseen, seen = done(method), done(method, "seen")
        assert (unseen.decisions.sum(1) + seen.decisions.sum(1) == 3).all()
        extra = unseen.extra
        assert extra == seen.extra
        assert extra["of1_harmonic"] == harmonic_mean(extra["of1_seen"], extra["of1_unseen"])
        assert (extra["taken_off"] == 0) or method == STACKED


def test_joined_scores_come_from_the_one_who_knows_the_label(done):
    assert np.array_equal(done(WORDS).scores, done(BOTH).scores)  # unseen: by words in both
    heads, annotated = done(BOTH, "seen"), done(ANNOTATED, "seen")
    assert not np.array_equal(heads.scores, done(WORDS, "seen").scores)
    assert not np.array_equal(heads.scores, annotated.scores)
    split = LabelSplit((0, 2), (1,))
    head, word = np.zeros((2, 3)), np.ones((2, 3))
    assert stacked(head, word, split).tolist() == [[0, 1, 0]] * 2
    assert word.tolist() == [[1, 1, 1]] * 2


def test_what_is_taken_off_evens_out_the_heads_advantage():
    generator = torch.Generator().manual_seed(0)
    truth = (torch.rand(300, 40, generator=generator) < 0.08).numpy().astype(np.float32)
    noise = [torch.randn(300, 40, generator=generator).numpy() for _ in range(2)]
    words, head = 3 * truth + noise[0], 3 * truth + noise[1]
    fair = choose_by(head, words, truth)
    assert abs(fair) <= 1.5  # scores alike: nothing to even out
    assert choose_by(head + 5, words, truth) == pytest.approx(fair + 5, abs=1.0)


def test_harmonic_means_are_of_one_metric_and_the_same_seeds():
    def analysis(metric="of1", seeds=(0, 1), values=(0.5, 0.2)):
        rows = [SimpleNamespace(name="a", seeds=seeds, values=values)]
        return SimpleNamespace(metric=metric, rows=rows, row=lambda name: rows[0])

    found = harmonic_means(analysis(), analysis(values=(0.5, 0.3)))
    assert found == {"a": (0.5, pytest.approx(0.24))}
    with pytest.raises(ValueError, match="of1 and mean_ap"):
        harmonic_means(analysis(), analysis("mean_ap"))
    with pytest.raises(ValueError, match="run both studies"):
        harmonic_means(analysis(), analysis(seeds=(0, 2)))


@pytest.mark.parametrize("name", ["method", "labels", "pretrained"])
def test_mistakes_are_named(name, store):
    with pytest.raises(ValueError, match=f"{name} is 'magic'"):
        run({**SMALL, name: "magic"}, 0, store)


def test_the_studies_ask_about_both_groups_of_labels():
    assert STUDY.recipe["labels"] == "unseen" and OTHERS.recipe["labels"] == "seen"
    assert STUDY.variants == OTHERS.variants and len(STUDY.variants) == 8
    assert STUDY.reference == "method=head and words, pretrained=all emoji"
