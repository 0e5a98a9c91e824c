"""Boxes as arrays: the largest of each label, NaN where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.data.boxes import LabelBoxes, kinds_of, label_boxes
from hybridlab.data.sample import Sample, SceneObject
from hybridlab.data.scenes import SceneDataset


def sample(objects=(), targets=(1, 0, 0), side=10):
    image = np.zeros((side, side, 3), np.uint8)
    return Sample(image, np.array(targets, np.float32), tuple(objects))


def test_the_largest_box_of_each_label_counts():
    small = SceneObject(0, (0, 0, 2, 2), 0, 0.5)
    large = SceneObject(0, (4, 0, 8, 4), 1, 1.0)
    found = label_boxes([sample([small, large]), sample(targets=(0, 0, 0))], 3)
    assert found.areas[0, 0] == 16 and found.centres[0, 0].tolist() == [6, 2]
    assert found.visible[0, 0] == 1 and found.height == 10
    assert np.isnan(found.areas[0, 1:]).all() and np.isnan(found.areas[1]).all()


def test_scenes_have_a_box_for_every_label_and_no_other():
    scenes = SceneDataset(12)
    found = label_boxes(scenes, len(scenes.vocabulary))
    there = np.stack([each.targets for each in scenes]) > 0
    assert np.array_equal(~np.isnan(found.areas), there)
    assert np.array_equal(~np.isnan(found.visible), there)


def test_no_samples_labels_without_boxes_and_mixed_sizes():
    assert label_boxes([], 4).areas.shape == (0, 4)
    with pytest.raises(ValueError, match="has labels but no boxes"):
        label_boxes([sample()], 3)
    with pytest.raises(ValueError, match=r"\[10, 20\] pixels high"):
        label_boxes([sample(targets=(0, 0, 0)), sample(targets=(0, 0, 0), side=20)], 3)


def test_kinds_are_thirds_by_size_and_shares_by_sight():
    areas = np.array([[1.0, 2, 3], [4, 5, 6], [np.nan, np.nan, 9]])
    visible = np.array([[1.0, 0.9, 0.5], [0.95, 0.79, 0.8], [np.nan, np.nan, 1]])
    boxes = LabelBoxes(areas, np.zeros((3, 3, 2)), visible, 10)
    there = ~np.isnan(areas)
    found = kinds_of(boxes, there)
    assert areas[found["small"]].tolist() == [1, 2, 3] and areas[found["large"]].tolist() == [5, 6,
                                                                                              9]
    assert visible[found["hidden"]].tolist() == [0.5, 0.79]
    assert visible[found["clear"]].tolist() == [1, 0.95, 1]
    there[0] = False  # not annotated, say: neither counted nor of any kind
    assert not kinds_of(boxes, there)["small"][0].any()
    assert not any(each.any() for each in kinds_of(boxes, np.zeros((3, 3), bool)).values())
    with pytest.raises(ValueError, match=r"there is \(2, 3\)"):
        kinds_of(boxes, there[:2])
