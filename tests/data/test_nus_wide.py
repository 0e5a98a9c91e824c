"""NUS-WIDE's lists, as its archives unpack."""

from __future__ import annotations

import pytest

from hybridlab.data.nus_wide import nus_wide_photos
from hybridlab.data.problems import AnnotationError

from .photo_files import NUS_FILES, NUS_MARKS, kinds, write


def test_the_sets(nus):
    train, test = nus_wide_photos(nus), nus_wide_photos(nus, "test", image_size=8)
    assert train.vocabulary.names == ("airport", "animal", "sky")
    assert train.annotations.names == tuple(NUS_FILES[:2]) and train.split == "train"
    assert train.label_matrix().tolist() == [[1, 0, 1], [0, 1, 1]]
    assert test.label_matrix().tolist() == [[0, 0, 0]] and test[0].image.shape == (8, 8, 3)
    assert len(nus_wide_photos(nus, "all", pictures=nus / "Flickr")) == 3
    with pytest.raises(ValueError, match="image_set is 'val'; choose one of train, test, all"):
        nus_wide_photos(nus, "val")


def test_pictures_that_cannot_be_had_any_more_are_left_out_with_their_labels(nus):
    (nus / "Flickr" / NUS_FILES[0]).unlink()
    with pytest.raises(AnnotationError, match=r"actor/0001_21.jpg: there is no such file"):
        nus_wide_photos(nus)
    problems = []
    data = nus_wide_photos(nus, tell=problems.append)
    assert kinds(problems) == [("missing file", NUS_FILES[0])]
    assert data.label_matrix().tolist() == [[0, 1, 1]]


def test_lists_that_do_not_fit(nus):
    path = nus / "Groundtruth" / "TrainTestLabels" / "Labels_sky_Train.txt"
    for text, words in (("1\n", "has 1 lines for 2 pictures"), ("1\n2\n", "has the line '2'"),
                        ("", "has 0 lines"), ("1\nnan\n", "has the line 'nan'")):
        with pytest.raises(AnnotationError, match=words):
            nus_wide_photos(write(path, text).parents[2])
    path.unlink()
    with pytest.raises(AnnotationError, match="cannot be read"):
        nus_wide_photos(nus)
    names = nus / "ImageList" / "TestImagelist.txt"
    problems = []
    write(nus / "Groundtruth/TrainTestLabels/Labels_sky_Test.txt", "1\n1\n1\n")
    for concept in NUS_MARKS:
        write(nus / f"Groundtruth/TrainTestLabels/Labels_{concept}_Test.txt", "0\n1\n1\n")
    write(names, "actor\\0003_55.jpg\n..\\..\\secret.jpg\nactor\\0003_55.jpg\n")
    assert len(nus_wide_photos(nus, "test", tell=problems.append)) == 1
    assert [kind for kind, _ in kinds(problems)] == ["unsafe path", "repeated picture"]
    names.unlink()
    with pytest.raises(FileNotFoundError, match=r"no ImageList/TestImagelist.txt"):
        nus_wide_photos(nus, "test")
