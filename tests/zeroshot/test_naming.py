"""Naming what no scene shows: known by the tiny CLIP, lost by a tower that was overwritten."""

from __future__ import annotations

import pytest
import torch

from hybridlab.data.world import LABEL_NAMES
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.zeroshot.naming import naming, other_names, other_things


def test_the_pictures_show_no_label_of_the_world():
    images, shown, names = other_things(30)
    assert images.shape == (30, 3, 128, 128) and images.dtype == torch.uint8
    assert len(names) > 500 and max(shown) < len(names)
    bare = {name.split(" ", 1)[-1] for name in names}
    assert len(bare & set(LABEL_NAMES)) <= 2  # an emoji beside ours may bear the same name


def test_the_tiny_clip_knows_many_and_a_spoilt_one_none():
    clip = build_tiny_clip().eval()
    texts = other_names(clip)
    known = naming(clip, texts, 60)
    assert known > 0.2  # by chance it would be 1 in 900
    with torch.no_grad():
        for value in clip.vision.parameters():
            value.copy_(torch.randn_like(value) * value.std().nan_to_num(0.1))
    assert naming(clip, texts, 60) < 0.05 < known
    with pytest.raises(ValueError, match=r"text_emb has 3 rows for \d+ names"):
        naming(clip, texts[:3], 60)
    with pytest.raises(ValueError, match="count is 0"):
        naming(clip, texts, 0)


def test_a_perfect_tower_has_all_right(monkeypatch):
    clip = build_tiny_clip(pretrained=False)
    texts = torch.eye(len(other_things(5)[2]))
    _, shown, _ = other_things(5)
    monkeypatch.setattr("hybridlab.zeroshot.naming.clip_features",
                        lambda clip, images: {"image_emb": texts[list(shown)]})
    assert naming(clip, texts, 5) == 1.0
