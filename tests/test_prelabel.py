"""`hybridlab data label`: guesses that say they are guesses, whole files, nothing done twice."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from hybridlab import cli, prelabel
from hybridlab.data.folder import folder_photos
from hybridlab.data.layouts import read_labels
from hybridlab.encoders.base import MissingWeightsError
from hybridlab.guesses import NOTE, read_guesses
from hybridlab.prelabel import label_names, load_clip, main_label

from .zeroshot.test_labelling import Colours

LABELS = ("red", "green", "blue")
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250), "grey": (90,) * 3}
PROMPT = ["{name}"]
FILES = ("annotations.guesses.jsonl", "annotations.json", "annotations.labels.txt",
         "annotations.review.csv")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small models on a busy machine: a second thread waits far longer than it helps."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def colours(monkeypatch):
    monkeypatch.setattr(prelabel, "build_clip", lambda name, **options: Colours(name=name))


@pytest.fixture
def album(tmp_path):
    """Forty pictures, each of one or two colours by its name, and a file that is none."""
    folder = tmp_path / "album"
    (folder / "below").mkdir(parents=True)
    for at in range(40):
        one, other = (list(COLOURS)[(at // step) % 4] for step in (1, 4))
        image = np.zeros((20, 30, 3), np.uint8)
        image[:, :15], image[:, 15:] = COLOURS[one], COLOURS[other]
        place = folder / "below" if at % 5 == 0 else folder
        Image.fromarray(image).save(place / f"{at:02}-{one}-{other}.png")
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return folder


def label(album, output, **options):
    given = {"model": "colours", "view": "patch", "templates": PROMPT, "threshold": 0.05, **options}
    return main_label(album, LABELS, output, **given)


def written(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "album")


# --- what is written ---------------------------------------------------------------------------


def test_the_annotation_file_is_one_that_the_folder_reader_takes(album, tmp_path, capsys):
    output = tmp_path / "annotations.json"
    assert label(album, output, review=True) == 1
    assert written(tmp_path) == list(FILES)
    names = read_labels(tmp_path / "annotations.labels.txt")
    assert names.names == LABELS
    photos = folder_photos(album, output, vocabulary=names)
    assert len(photos) == 40
    for at, name in enumerate(photos.annotations.names):
        shown = set(name.split("/")[-1].removesuffix(".png").split("-")[1:]) - {"grey"}
        assert set(names.decode(photos.targets(at))) == shown, name
    assert list(photos.annotations.names) == sorted(photos.annotations.names)
    told = capsys.readouterr()
    assert "bad.png: begins like a picture but its header is damaged" in told.err
    assert "guesses by a model, not annotations: nobody has looked at the pictures" in told.out
    assert "40 pictures labelled by colours from words alone (probability >= 0.05;" in told.out
    assert "1 files gave none" in told.out and "annotations.review.csv" in told.out
    command = told.out.splitlines()[-1].split()
    assert command[0] == "hybridlab" and cli.main(command[1:]) == 0


def test_who_guessed_stands_beside_it(album, tmp_path):
    assert label(album, tmp_path / "annotations.json", top_k=2) == 1
    found = read_guesses(tmp_path / FILES[0])
    settings = found.settings
    assert settings["note"] == NOTE and settings["model"] == "colours"
    assert settings["weights_hash"] == "colours of bias None" and settings["templates"] == PROMPT
    assert (settings["threshold"], settings["top_k"], settings["view"]) == (0.05, 2, "patch")
    assert settings["probability"] == "share against background texts"
    assert [each.picture for each in found.problems] == ["bad.png"]
    assert len(found.guesses) == 40 and max(len(each.columns) for each in found.guesses) == 2
    assert ((found.probs > 0) & (found.probs < 1)).all()


def test_the_default_is_a_probability_of_one_half(album, tmp_path):
    label(album, tmp_path / "annotations.json", threshold=None)
    assert read_guesses(tmp_path / FILES[0]).settings["threshold"] == prelabel.THRESHOLD == 0.5
    label(album, tmp_path / "k.json", threshold=None, top_k=1)
    found = read_guesses(tmp_path / "k.guesses.jsonl")
    assert found.settings["threshold"] is None
    assert {len(each.columns) for each in found.guesses} == {1}


def test_links_that_leave_the_folder_are_told(album, tmp_path, capsys):
    (album / "link.png").symlink_to(tmp_path / "outside.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "outside.png")
    (album / "nowhere.png").symlink_to(album / "gone.png")
    assert label(album, tmp_path / "annotations.json") == 1
    told = capsys.readouterr().err
    assert "link.png: is reached by a link that leaves the folder" in told
    assert "nowhere.png: is a link to a file that does not exist" in told
    assert {each.picture for each in read_guesses(tmp_path / FILES[0]).problems} == {
        "bad.png", "link.png", "nowhere.png"}
    assert "link.png" not in json.loads((tmp_path / "annotations.json").read_text())


def test_without_a_picture_there_are_no_annotations(tmp_path, capsys):
    album = tmp_path / "album"
    album.mkdir()
    with pytest.raises(ValueError, match="holds no file"):
        label(album, tmp_path / "annotations.json")
    (album / "a.png").write_bytes(b"")
    assert label(album, tmp_path / "annotations.json") == 2
    assert "none of 1 files gave a picture" in capsys.readouterr().err
    assert written(tmp_path) == [FILES[0]]


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_replaced_and_nothing_is_done_first(album, tmp_path, name, monkeypatch):
    monkeypatch.setattr(prelabel, "load_clip", lambda *given: pytest.fail("a model was loaded"))
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match="exists and is kept"):
        label(album, tmp_path / "annotations.json", review=True)
    assert written(tmp_path) == [name] and (tmp_path / name).read_text() == "mine"


# --- stopped, and gone on with -----------------------------------------------------------------


def part(folder):
    (found,) = [path for path in folder.iterdir() if ".part-" in path.name]
    return found


def interrupted(monkeypatch, after):
    """Ctrl-C while a picture is decided on."""
    seen = iter(range(1000))
    real = prelabel.decide

    def once(*given):
        if next(seen) == after:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(prelabel, "decide", once)
    return lambda: monkeypatch.setattr(prelabel, "decide", real)


@pytest.mark.parametrize("cut", ["after a line", "in a line", "in the first line"])
def test_a_stopped_run_is_gone_on_with(album, tmp_path, monkeypatch, capsys, cut):
    whole = tmp_path / "whole"
    whole.mkdir()
    label(album, whole / "annotations.json", review=True)
    undo = interrupted(monkeypatch, 36)
    output = tmp_path / "annotations.json"
    assert label(album, output, review=True) == 130
    undo()
    assert "stopped after 36 pictures; go on with the same command" in capsys.readouterr().err
    grown = part(tmp_path)
    lines = grown.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + 36 + 1  # 36 pictures and the bad file among them
    kept = {"after a line": 20, "in a line": 20, "in the first line": 0}[cut]
    torn = b"" if cut == "after a line" else lines[kept][:20]
    grown.write_bytes(b"".join(lines[:kept]) + torn)
    with pytest.raises(FileExistsError, match="go on with --resume"):
        label(album, output, review=True)
    assert label(album, output, review=True, resume=True) == 1
    assert written(tmp_path) == [*FILES, "whole"]
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_only_what_is_left_is_read(album, tmp_path, monkeypatch):
    undo = interrupted(monkeypatch, 36)
    assert label(album, tmp_path / "annotations.json") == 130
    undo()
    asked = []
    real = prelabel.load_image
    monkeypatch.setattr(prelabel, "load_image", lambda path: asked.append(path) or real(path))
    assert label(album, tmp_path / "annotations.json", resume=True) == 1
    assert len(asked) == 4


@pytest.mark.parametrize("change", ["threshold", "labels", "folder"])
def test_another_run_is_not_gone_on_with(album, tmp_path, monkeypatch, change):
    undo = interrupted(monkeypatch, 20)
    output = tmp_path / "annotations.json"
    assert label(album, output) == 130
    undo()
    before = part(tmp_path).read_bytes()
    options = {"model": "colours", "view": "patch", "templates": PROMPT, "threshold": 0.05}
    folder, labels = album, LABELS
    if change == "threshold":
        options["threshold"] = 0.06
    elif change == "labels":
        labels = LABELS[::-1]
    else:
        folder = tmp_path / "album2"
        os.rename(album, folder)
    with pytest.raises(ValueError, match="begun with another"):
        main_label(folder, labels, output, resume=True, **options)
    assert part(tmp_path).read_bytes() == before


def test_a_run_that_was_killed_at_its_very_end(album, tmp_path, monkeypatch):
    output = tmp_path / "annotations.json"
    label(album, output, review=True)
    whole = {name: (tmp_path / name).read_bytes() for name in FILES}
    output.unlink()
    (tmp_path / "annotations.labels.txt").unlink()
    with pytest.raises(FileExistsError, match=r"guesses\.jsonl exists and is kept"):
        label(album, output, review=True)
    with pytest.raises(ValueError, match="made with another model, other labels or other options"):
        label(album, output, review=True, resume=True, threshold=0.4)
    monkeypatch.setattr(prelabel, "guess_files", lambda *given, **options: pytest.fail("again"))
    assert label(album, output, review=True, resume=True) == 1
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == whole
    output.unlink()
    (album / "01-green-red.png").unlink()
    with pytest.raises(ValueError, match=r"'01-green-red\.png' first"):
        label(album, output, review=True, resume=True)


# --- what is asked for -------------------------------------------------------------------------


def test_names_or_a_file_of_names(tmp_path):
    assert label_names(["cat", "traffic light"]) == ("cat", "traffic light")
    assert label_names(["cat"]) == ("cat",)
    path = tmp_path / "names.txt"
    path.write_text("cat\n\ntraffic light\n")
    assert label_names([str(path)]) == ("cat", "traffic light")
    other = path.rename(tmp_path / "names")
    assert label_names([str(other)]) == ("cat", "traffic light")
    for given, words in (
        ([str(path)], "cannot be read"), (["cat", "cat"], "given twice"), ([], "at least one"),
        (["a\nb", "c"], "printable text"),
    ):
        with pytest.raises(ValueError, match=words):
            label_names(given)


@pytest.mark.parametrize(("options", "words"), [
    ({"threshold": 1.5}, "threshold is 1.5"),
    ({"threshold": float("nan")}, "threshold is nan"),
    ({"top_k": 0}, "top_k is 0; give 1 to 3"),
    ({"top_k": 4}, "top_k is 4; give 1 to 3"),
    ({"view": "best"}, "view is 'best'"),
    ({"templates": ["a thing"]}, "no place for the label"),
])
def test_what_cannot_be_is_told_before_any_file_is_made(album, tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        label(album, tmp_path / "annotations.json", **options)
    assert written(tmp_path) == []


def test_an_output_that_cannot_be(album, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.json"):
        label(album, tmp_path / "annotations.csv")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        label(album, tmp_path / "gone" / "annotations.json")


def test_weights_of_a_tag_in_a_local_file(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(
        prelabel, "build_clip", lambda name, **given: asked.update(given, name=name)
    )
    load_clip("ViT-B-32:openai", tmp_path / "w.pt")
    assert asked["name"] == "ViT-B-32:openai" and asked["weights_path"] == tmp_path / "w.pt"
    assert asked["preprocessing"].image_size == 224 and asked["preprocessing"].resize_mode == "crop"
    with pytest.raises(ValueError, match="brings its weights"):
        load_clip("tiny", tmp_path / "w.pt")
    with pytest.raises(ValueError, match="name a tag"):
        load_clip("ViT-B-32", tmp_path / "w.pt")


# --- the command -------------------------------------------------------------------------------


def test_the_tiny_clip_on_scenes(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()  # the real one
    folder = tmp_path / "set"
    assert cli.main(["data", "sample", str(folder), "--count", "6", "--test", "1",
                     "--image-size", "64"]) == 0
    output = tmp_path / "annotations.json"
    assert cli.main(["data", "label", str(folder / "images"), "--labels",
                     str(folder / "labels.txt"), "--output", str(output), "--top_k", "3",
                     "--prompt", "a picture of {}", "--review"]) == 0
    told = capsys.readouterr()
    assert "by tiny from words alone (the 3 most probable; patch" in told.out and told.err == ""
    guessed = json.loads(output.read_text())
    assert {len(each["labels"]) for each in guessed.values()} == {3}
    truth = json.loads((folder / "annotations.json").read_text())
    hits = sum(len({*guessed[name]["labels"]} & {*truth[name]["labels"]}) for name in truth)
    # 3 of 80 at random would hit 0.12 a picture
    assert hits >= 3


def test_weights_that_are_not_here_are_named(tmp_path, monkeypatch, capsys):
    def missing(name, **options):
        raise MissingWeightsError(f"the weights of {name} are not on this machine")

    monkeypatch.setattr(prelabel, "build_clip", missing)
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    assert cli.main(["data", "label", str(tmp_path), "--labels", "cat", "--model",
                     "ViT-B-32:openai", "--output", str(tmp_path / "x.json")]) == 2
    assert "the weights of ViT-B-32:openai are not on this machine" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["a.png"]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--labels", "cat", "--threshold", "2", "--output", "x.json"], "threshold is 2"),
    (["--labels", "cat", "--top-k", "0", "--output", "x.json"], "top_k is 0"),
    (["--labels", "cat", "--output", "x.csv"], "ends in .json"),
    (["--labels", "--output", "x.json"], "no label was given"),
])
def test_a_bad_value_is_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["data", "label", ".", *arguments])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and words in err and err.count("\n") == 1
