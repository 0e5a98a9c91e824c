"""Boxes as arrays: the largest of each label, NaN where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from hybridlab.data.boxes import label_boxes
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
