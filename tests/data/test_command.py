"""`hybridlab data check` and `hybridlab data sample`: options, exit statuses, what is printed."""

from __future__ import annotations

import json

import pytest

from hybridlab import cli

from .photo_files import pictures, write


@pytest.fixture
def sample(tmp_path, capsys):
    folder = tmp_path / "set"
    assert cli.main(["data", "sample", str(folder), "--count", "12", "--test", "2",
                     "--image-size", "64", "--seed", "3"]) == 0
    assert capsys.readouterr().out == (
        f"12 scenes with annotations.json and 2 more in test_images/ written to {folder}\n")
    return folder


def test_a_sample_is_fit(sample, capsys):
    assert cli.main(["data", "check", str(sample)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("pictures: 12 pictures, 80 labels") and "note  imbalance" in out
    assert out.endswith("Nothing stands against using this data.\n")


def test_flaws_are_status_1_and_all_stand_in_the_report(sample, tmp_path, capsys):
    for number in (1, 2, 3):
        path = sample / "images" / f"train_{number:05d}.jpg"
        path.write_bytes(path.read_bytes()[:-300])
    arguments = ["data", "check", str(sample / "images"), "--annotation_file",
                 str(sample / "annotations.json"), "--num_classes", "80", "--show", "2"]
    assert cli.main([*arguments, "--out", str(tmp_path / "r.json")]) == 1
    out = capsys.readouterr().out
    assert out.startswith("annotations: 12 pictures") and "FAIL  unreadable file: 3" in out
    assert "train_00002.jpg" in out and "train_00003.jpg" not in out
    report = json.loads((tmp_path / "r.json").read_text())
    assert [each["where"] for each in report["problems"] if each["fatal"]] == [
        f"train_{number:05d}.jpg" for number in (1, 2, 3)]
    before = (tmp_path / "r.json").read_bytes()
    assert cli.main([*arguments, "--out", str(tmp_path / "r.json")]) == 2
    assert "exists and is kept" in capsys.readouterr().err
    assert (tmp_path / "r.json").read_bytes() == before
    assert cli.main([*arguments, "--no-pixels"]) == 0


def test_splits_and_labels_from_a_file(tmp_path, capsys):
    folder = pictures(tmp_path / "images", "a.jpg", "b.jpg")
    (folder / "copy.jpg").write_bytes((folder / "a.jpg").read_bytes())
    train = write(tmp_path / "train.json", {"a.jpg": {"labels": [0]}, "b.jpg": {"labels": [1]}})
    val = write(tmp_path / "val.json", {"copy.jpg": {"label_names": ["cat"]}})
    labels = write(tmp_path / "labels.txt", "cat\ndog\nowl\n")
    arguments = ["data", "check", str(folder), "--labels", str(labels), "--annotation-file"]
    assert cli.main([*arguments, str(train), str(val)]) == 1
    out = capsys.readouterr().out
    assert "copy.jpg: of val has the content of a.jpg, which is in train" in out
    assert out.endswith("1 problem to mend before this data is used.\n")


def test_what_cannot_be_checked_is_status_2(sample, tmp_path, capsys):
    assert cli.main(["data", "check", str(sample / "images")]) == 2
    assert "no labels are invented" in capsys.readouterr().err
    assert cli.main(["data", "check", str(tmp_path / "gone")]) == 2
    (tmp_path / "empty").mkdir()
    assert cli.main(["data", "check", str(tmp_path / "empty")]) == 2
    assert "holds no file" in capsys.readouterr().err
    # no line can be used: they are told all the same
    assert cli.main(["data", "check", str(sample), "--num-classes", "1"]) == 2
    printed = capsys.readouterr()
    assert "FAIL  unknown label: 12" in printed.out and "labels no picture" in printed.err
    assert cli.main(["data", "sample", str(sample)]) == 2
    assert "exists and is kept" in capsys.readouterr().err


def test_a_name_that_is_not_utf8_is_printed(sample, capsys):
    text = (sample / "annotations.json").read_text()
    (sample / "annotations.json").write_text(text.replace("train_00000.jpg", "caf\\udce9.jpg"))
    assert cli.main(["data", "check", str(sample)]) == 1
    assert "caf\\udce9.jpg': there is no such file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", ".", "--show", "-1"], "show is -1"),
        (["sample", "x", "--count", "0"], "count is 0"),
        (["sample", "x", "--test", "0"], "test is 0"),
        (["sample", "x", "--style", "oil"], "known styles"),
        (["check", ".", "--num-classes", "many"], "'many' is not a whole number"),
    ],
)
def test_a_bad_value_is_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["data", *arguments])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and words in err and err.count("\n") == 1


def test_help_of_the_group_and_its_commands(capsys):
    for arguments, words in (([], ("• check", "• sample")), (["check"], ("FOLDER", "--layout")),
                             (["sample"], ("DIR", "--cooccurrence"))):
        with pytest.raises(SystemExit) as stop:
            cli.main(["data", *arguments, "--help"])
        out = capsys.readouterr().out
        assert stop.value.code == 0 and all(word in out for word in words)
