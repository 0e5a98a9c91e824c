"""What cannot be done with photographs is refused before anything is made."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hybridlab.chosen_encoders import Encoders
from hybridlab.configs import DemoConfig
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.photographs.options import PhotoConfig
from hybridlab.photographs.preparing import prepare
from hybridlab.photographs.running import check_photo_plan, sized
from hybridlab.photographs.source import PhotoSource
from hybridlab.training.plans import TrainPlan

from .files import small_set


@pytest.fixture
def prepared(tmp_path):
    home = small_set(tmp_path / "set", 12)
    return prepare(PhotoConfig(home / "images", (home / "annotations.json",), shares=(2, 1, 1)))


def encoders(clip_mode="squash", texts=lambda texts: None):
    cnn = SimpleNamespace(preprocessing=Preprocessing(64))
    clip = SimpleNamespace(preprocessing=Preprocessing(32, resize_mode=clip_mode))
    return Encoders(lambda: cnn, lambda: clip, texts)


def test_sizes_are_those_of_the_pictures(prepared):
    config = sized(DemoConfig(), prepared)
    assert config.train + config.val + config.test == 12
    assert config.val == len(prepared.photos["val"])


@pytest.mark.parametrize(("plan", "fits"), [
    (TrainPlan("frozen"), True), (TrainPlan("gentle"), True), (TrainPlan("joined"), False),
    (TrainPlan("end_to_end"), False), (TrainPlan("gentle", augment="crop"), False),
    (TrainPlan("frozen", augment="crop"), True),
])
def test_a_clip_that_crops_shares_no_picture_with_the_cnn(prepared, tmp_path, plan, fits):
    source = PhotoSource(prepared.photos, tmp_path / "keep")
    check_photo_plan(DemoConfig(), plan, encoders(), source)
    if fits:
        check_photo_plan(DemoConfig(), plan, encoders("crop"), source)
    else:
        with pytest.raises(ValueError, match="both encoders look at each picture anew"):
            check_photo_plan(DemoConfig(), plan, encoders("crop"), source)


def test_what_the_plan_or_the_labels_lack(prepared, tmp_path):
    source = PhotoSource(prepared.photos, tmp_path / "keep")
    for plan, words in ((TrainPlan(curriculum="clutter"), "give --curriculum labels"),
                        (TrainPlan(language_sets=5), "leave --language-sets out")):
        with pytest.raises(ValueError, match=words):
            check_photo_plan(DemoConfig(), plan, encoders(), source)
    asked = []
    check_photo_plan(DemoConfig(), TrainPlan(), encoders(texts=asked.append), source)
    assert asked == [source.texts]  # labels that no text can be made of are told here
