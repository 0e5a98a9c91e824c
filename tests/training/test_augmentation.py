"""A crop takes boxes along, drops what it leaves outside, and depends on its seed alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import SceneConfig
from hybridlab.training.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    ObjectBoxes,
    augmentation,
    noise_of,
    object_boxes,
    still_shown,
)
from hybridlab.training.features import scene_images

LABELS = 4


@pytest.fixture(scope="module")
def scenes():
    data = SceneDataset(12, "train", SceneConfig(seed=3))
    images, targets = scene_images(data)
    return images, targets, object_boxes(data)


def seeds(count: int, epoch: int = 0) -> list[tuple[int, int, int]]:
    return [(7, epoch, row) for row in range(count)]


def test_an_image_depends_on_its_seed_and_not_on_its_company(scenes):
    images, targets, boxes = scenes
    clip = AUGMENTATIONS["clip"]
    whole, kept = clip(images, targets, seeds(12), boxes)
    torch.rand(3)  # what was drawn before does not matter either
    few = torch.tensor([5, 2])
    alone, its = clip(images[few], targets[few], [seeds(12)[5], seeds(12)[2]],
                      ObjectBoxes(boxes.labels[few], boxes.boxes[few]))
    assert torch.equal(alone, whole[few]) and torch.equal(its, kept[few])
    later, _ = clip(images, targets, seeds(12, epoch=1), boxes)
    assert all(not torch.equal(one, two) for one, two in zip(whole, later, strict=True))
    assert whole.dtype == torch.uint8 and whole.shape == images.shape


def test_it_draws_nothing_from_the_callers_generator(scenes):
    images, targets, boxes = scenes
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    AUGMENTATIONS["clip"](images, targets, seeds(12), boxes)
    assert torch.equal(torch.rand(3), expected)
    with pytest.raises(KeyError), noise_of(1):
        raise KeyError
    torch.manual_seed(0)
    with noise_of(1):
        torch.rand(2)
    assert torch.equal(torch.rand(3), expected)


def test_crops_drop_labels_and_never_add_any(scenes):
    images, targets, boxes = scenes
    targets = targets.clone()
    targets[0, :3] = -1
    small = Augmentation(scale=(0.1, 0.2))
    _, kept = small(images, targets, seeds(12), boxes)
    assert (kept <= targets).all() and (kept < targets).any()
    assert torch.equal(kept[targets == -1], targets[targets == -1])
    _, without = small(images, targets, seeds(12))
    assert torch.equal(without, targets)
    same, all_of_them = AUGMENTATIONS["colour"](images, targets, seeds(12), boxes)
    assert torch.equal(all_of_them, targets) and not torch.equal(same, images)
    nothing = Augmentation(scale=(1, 1), brightness=0, contrast=0, saturation=0, hue=0, blur=0)
    assert torch.equal(nothing(images, targets, seeds(12), boxes)[0], images)


frames = st.tuples(*(st.integers(0, 20), st.integers(0, 20), st.integers(1, 12),
                     st.integers(1, 12)))


@given(st.lists(st.tuples(st.integers(-1, LABELS - 1), st.integers(0, 25), st.integers(0, 25),
                          st.integers(1, 7), st.integers(1, 7)), max_size=5),
       frames, st.floats(0.05, 1))
def test_what_is_still_shown_equals_a_count_of_pixels(objects, frame, inside):
    targets = torch.tensor([1.0, 1.0, 0.0, -1.0])
    labels = torch.tensor([each[0] for each in objects], dtype=torch.long)
    boxes = torch.tensor([[x, y, x + w, y + h] for _, x, y, w, h in objects]).float()
    found = still_shown(targets, labels, boxes.reshape(-1, 4), frame, inside)
    top, left, height, width = frame
    for label in range(LABELS):
        shares = []
        for its, x, y, w, h in objects:
            if its == label:
                pixels = [(r, c) for r in range(y, y + h) for c in range(x, x + w)
                          if top <= r < top + height and left <= c < left + width]
                shares.append(len(pixels) / (w * h))
        gone = targets[label] == 1 and shares and max(shares) < inside - 1e-6
        if shares and abs(max(shares) - inside) < 1e-6:
            continue
        assert float(found[label]) == (0.0 if gone else float(targets[label]))


def test_the_crop_of_the_picture_is_that_of_the_boxes():
    """A red square on black: where torchvision moves its box to, the picture is red."""
    image = torch.zeros(3, 40, 40, dtype=torch.uint8)
    image[0, 10:20, 12:24] = 255
    crop = AUGMENTATIONS["crop"]
    for row in range(10):
        with noise_of(0, row):
            frame = crop._frame(image)
        seen, kept = crop(image[None], torch.ones(1, 1), [(0, row)],
                          ObjectBoxes(torch.zeros(1, 1).long(),
                                      torch.tensor([[[12.0, 10, 24, 20]]])))
        box = tv_tensors.BoundingBoxes([[12, 10, 24, 20]], format="XYXY", canvas_size=(40, 40))
        moved = functional.resized_crop(box, *frame, size=[40, 40])
        left, top, right, bottom = moved[0].int().tolist()
        if right - left > 2 and bottom - top > 2:
            assert (seen[0, 0, top + 1 : bottom - 1, left + 1 : right - 1] > 200).all()
        share = (seen[0, 0] > 127).float().mean()
        assert bool(kept[0, 0]) or share < 0.1
        assert (frame[2] * frame[3]) / 1600 == pytest.approx(0.75, abs=0.27)


def test_bad_input_is_named(scenes):
    images, targets, boxes = scenes
    for options, words in (
        ({"scale": (0.0, 1.0)}, "scale is"), ({"scale": (0.5, 2.0)}, "up to 1"),
        ({"ratio": (2.0, 1.0)}, "ratio is"), ({"hue": 0.7}, "hue is 0.7"),
        ({"blur": -0.1}, "blur is"), ({"brightness": float("nan")}, "brightness is nan"),
    ):
        with pytest.raises(ValueError, match=words):
            Augmentation(**options)
    with pytest.raises(ValueError, match="choose one of clip, crop, colour"):
        augmentation("mixup")
    with pytest.raises(TypeError, match="augment uint8 pictures"):
        AUGMENTATIONS["clip"](images.float(), targets, seeds(12))
    with pytest.raises(ValueError, match=r"are of \[11, 12\] images"):
        AUGMENTATIONS["clip"](images, targets, seeds(11), boxes)
    empty, none = AUGMENTATIONS["clip"](images[:0], targets[:0], [])
    assert empty.shape == (0, *images.shape[1:]) and len(none) == 0
    sample = next(iter(SceneDataset(1, "train", SceneConfig(seed=3))))
    import dataclasses
    with pytest.raises(ValueError, match="has labels but no boxes"):
        object_boxes([dataclasses.replace(sample, objects=())])
    assert object_boxes([]).labels.shape == (0, 0)
