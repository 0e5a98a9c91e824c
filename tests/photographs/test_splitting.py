"""Which split is which, and how those that are missing are dealt out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.data.photos import Annotations, PhotoDataset
from hybridlab.data.sample import Vocabulary
from hybridlab.photographs.splitting import dealt, roles_of, shared_contents


def photos(present, labels=4):
    names = tuple(f"{row}.jpg" for row in range(len(present)))
    told = Annotations(names, tuple(map(tuple, present)), ((),) * len(present))
    return PhotoDataset("/nowhere", told, Vocabulary(f"l{at}" for at in range(labels)))


@pytest.mark.parametrize(("names", "test_split", "expected"), [
    (["annotations"], "", {"train": "annotations"}),
    ([""], "", {"train": ""}),
    (["train", "val", "test"], "", {"train": "train", "val": "val", "test": "test"}),
    (["trainval", "test"], "", {"train": "trainval", "test": "test"}),
    (["train2017", "val2017"], "", {"train": "train2017", "val": "val2017"}),
    (["train2017", "val2017"], "val2017", {"train": "train2017", "test": "val2017"}),
    (["instances_train2014", "instances_val2014"], "",
     {"train": "instances_train2014", "val": "instances_val2014"}),
    (["train", "exam"], "exam", {"train": "train", "test": "exam"}),
])
def test_names_tell_the_use(names, test_split, expected):
    assert roles_of(names, test_split) == expected


@pytest.mark.parametrize(("names", "test_split", "words"), [
    (["train", "exam"], "", "'exam' tells no use"),
    (["train", "trainval"], "", "both 'train' and 'trainval' would be the train split"),
    (["val", "test"], "", "none of the splits 'val', 'test' is to train on"),
    (["train", "val"], "exam", "test_split is 'exam', but the splits are 'train', 'val'"),
])
def test_names_that_tell_nothing_are_refused(names, test_split, words):
    with pytest.raises(ValueError, match=words):
        roles_of(names, test_split)


@given(st.lists(st.sets(st.integers(0, 3)), min_size=3, max_size=60), st.integers(0, 5),
       st.sampled_from([["val"], ["test"], ["val", "test"]]), st.integers(1, 3))
def test_each_picture_once_and_copies_together(present, seed, missing, copies):
    data = photos(present)
    groups = [row // copies for row in range(len(data))]
    parts = dealt(data, groups, missing, (0.8, 0.1, 0.1), seed)
    assert list(parts) == ["train", *missing]
    rows = np.concatenate(list(parts.values()))
    assert sorted(rows.tolist()) == list(range(len(data)))
    where = {row: name for name, each in parts.items() for row in each.tolist()}
    assert all(where[row] == where[row - row % copies] for row in where)
    again = dealt(data, groups, missing, (0.8, 0.1, 0.1), seed)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)


def test_every_label_has_its_share():
    data = photos([{row % 4} for row in range(400)])
    parts = dealt(data, range(400), ["val", "test"], (0.6, 0.2, 0.2), 0)
    truth = data.label_matrix()
    assert {name: truth[rows].sum(axis=0).tolist() for name, rows in parts.items()} == {
        "train": [60] * 4, "val": [20] * 4, "test": [20] * 4}
    # the given test split stays as it is: val takes its share of what is left
    parts = dealt(data, range(400), ["val"], (0.6, 0.2, 0.2), 0)
    assert len(parts["val"]) == 100


def test_labels_too_rare_to_be_shared_leave_no_split_empty():
    data = photos([{row} for row in range(40)], labels=40)  # one positive each
    parts = dealt(data, range(40), ["val", "test"], (0.8, 0.1, 0.1), 0)
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 32, "val": 4, "test": 4}
    tiny = dealt(photos([{0}, {1}, {2}]), range(3), ["val", "test"], (0.8, 0.1, 0.1), 0)
    assert [len(rows) for rows in tiny.values()] == [1, 1, 1]
    with pytest.raises(ValueError, match="there are 2 groups of 3 pictures"):
        dealt(photos([{0}, {1}, {2}]), range(2), ["val"], (0.8, 0.1, 0.1), 0)


def test_all_of_a_split_that_lacks_nothing():
    assert dealt(photos([{0}, {1}]), "ab", [], (1, 1, 1), 0)["train"].tolist() == [0, 1]


def test_contents_in_two_splits_are_counted():
    assert shared_contents({"train": "abc", "val": "cd", "test": "ee"}) == 2
    assert shared_contents({"train": "aa", "val": "b"}) == 0
