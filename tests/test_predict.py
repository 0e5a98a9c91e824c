"""Pictures in, labels out: any kind of picture, any size, and bad files that stop nobody."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hybridlab.bundle import load_bundle
from hybridlab.data.images import ImageError, ImageProblem
from hybridlab.predict import (
    Predictor,
    format_table,
    main_predict,
    predict_paths,
    to_json,
)

from .small_bundle import NAMES, THRESHOLDS, make_bundle, pixels


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small models on a busy machine: a second thread waits far longer than it helps."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture(scope="module")
def predictor(bundle_folder):
    return Predictor(bundle_folder)


@pytest.fixture
def album(tmp_path):
    """Three pictures of different sizes, and between them a file that is none."""
    folder = tmp_path / "album"
    folder.mkdir()
    Image.fromarray(pixels(0)).save(folder / "a.png")
    (folder / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    Image.fromarray(pixels(1, 31, 200)).convert("L").save(folder / "c.jpg")
    Image.fromarray(pixels(2, 1, 1)).save(folder / "d.png")
    return folder


def same(one, other):
    assert one.labels == other.labels and one.decoder_order == other.decoder_order
    np.testing.assert_allclose(one.probs, other.probs, atol=1e-4)


# --- Predictor ---------------------------------------------------------------------------------


def test_every_kind_of_picture_gives_the_same_labels(predictor, tmp_path):
    array = pixels(3)
    Image.fromarray(array).save(tmp_path / "x.png")
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    kinds = {
        "path": tmp_path / "x.png",
        "text": str(tmp_path / "x.png"),
        "PIL": Image.fromarray(array),
        "RGBA": Image.fromarray(array).convert("RGBA"),
        "array": array,
        "tensor": tensor,
        "four axes": tensor[None],
        "four axes, array": array[None],
        "list": [array],
        "generator": (image for image in [array]),
    }
    found = {kind: predictor.predict(images) for kind, images in kinds.items()}
    for predictions in found.values():
        (one,) = predictions
        same(one, found["path"][0])
    assert found["path"][0].source == str(tmp_path / "x.png")
    assert found["array"][0].source == "image 0"


def test_labels_are_those_at_or_above_their_threshold(predictor):
    predictions = predictor.predict([pixels(seed) for seed in range(8)])
    assert len({one.labels for one in predictions}) > 2  # the test would be empty otherwise
    for one in predictions:
        above = {name for name, p, t in zip(NAMES, one.probs, THRESHOLDS, strict=True) if p >= t}
        assert set(one.labels) == above
        probs = [prob for _, prob in one.scored()]
        assert probs == sorted(probs, reverse=True)
        assert one.thresholds.tolist() == THRESHOLDS.tolist()


def test_probabilities_and_order_are_the_models_own(predictor, bundle_folder):
    model = load_bundle(bundle_folder).model
    images = [pixels(seed) for seed in range(6)]
    with torch.inference_mode():
        out = model(model.cnn.preprocessing(images), model.clip.preprocessing(images))
    predictions = predictor.predict(images)
    assert max(len(one.decoder_order) for one in predictions) > 0
    for at, one in enumerate(predictions):
        np.testing.assert_allclose(one.probs, torch.sigmoid(out.logits[at]), atol=1e-5)
        steps = [int(label) for label in out.decoded.label_seq[at] if label >= 0]
        assert steps[-1] == len(NAMES)
        assert one.decoder_order == tuple(NAMES[label] for label in steps[:-1])
        assert one.attention.shape == (len(steps), 4, 4)
        np.testing.assert_allclose(one.attention.sum(axis=(1, 2)), 1, atol=1e-5)
        flat = one.attention.reshape(len(steps), -1)
        np.testing.assert_allclose(flat, out.decoded.attention[at, : len(steps)], atol=1e-5)


def test_batches_of_different_sizes_equal_single_pictures(predictor):
    images = [pixels(0), pixels(1, 7, 300), pixels(2, 64, 64), pixels(3, 1, 1), pixels(4, 90, 20)]
    together = predictor.predict(images, batch_size=3)
    assert [one.source for one in together] == [f"image {at}" for at in range(5)]
    for image, one in zip(images, together, strict=True):
        same(one, predictor.predict(image)[0])


@pytest.mark.parametrize(
    ("images", "error", "match"),
    [
        ([3], TypeError, "got a int"),
        (np.zeros((4, 4), np.uint8), ValueError, r"\(4, 4\)"),
        (np.zeros((4, 4, 3)), TypeError, "uint8"),
        (torch.zeros(3, 4, 4), TypeError, "uint8"),
        ("nowhere.png", ImageError, "does not exist"),
    ],
)
def test_what_is_no_picture_is_refused(predictor, images, error, match):
    with pytest.raises(error, match=match):
        predictor.predict(images)


def test_nothing_gives_nothing(predictor):
    assert predictor.predict([]) == []
    with pytest.raises(ValueError, match="batch_size is 0"):
        predictor.predict([], batch_size=0)


def test_another_decision_over_the_same_probabilities(predictor):
    (one,) = predictor.predict(pixels(0))
    order = [NAMES[at] for at in np.argsort(-one.probs)]
    assert one.decided(top=4).labels == tuple(order[:4])
    assert one.decided(top=99).labels == tuple(order)
    assert one.decided(threshold=0).labels == tuple(order)
    assert one.decided(threshold=1).labels == ()
    assert one.decided(threshold=1).thresholds.tolist() == [1] * 6
    middle = float(np.median(one.probs))
    assert one.decided(threshold=middle).labels == tuple(order[:3])
    assert one.decided(threshold=middle, top=2).labels == tuple(order[:2])
    assert one.decided(threshold=1, top=2).labels == ()
    for options in ({"top": 0}, {"threshold": 1.1}, {"threshold": float("nan")}):
        with pytest.raises(ValueError):
            one.decided(**options)


def test_a_model_without_its_cnn_rnn_has_no_order(bundle_folder):
    bundle = load_bundle(bundle_folder)
    bundle.model.without = "cnn_rnn"
    images = [pixels(0), pixels(1)]
    found, with_both = (Predictor(each).predict(images) for each in (bundle, bundle_folder))
    for one, other in zip(found, with_both, strict=True):
        assert one.decoder_order == () and one.attention is None
        assert np.abs(one.probs - other.probs).max() > 0.01
        assert set(one.labels) == {NAMES[at] for at in np.flatnonzero(one.probs >= THRESHOLDS)}


# --- many files --------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_a_bad_file_stops_nobody_and_the_order_stays(predictor, album, batch_size):
    found = list(predict_paths(predictor, [album / "gone.png", album], batch_size))
    assert [isinstance(item, ImageProblem) for item in found] == [True, False, True, False, False]
    sources = [Path(item.path if isinstance(item, ImageProblem) else item.source) for item in found]
    assert [path.name for path in sources] == ["gone.png", "a.png", "b.png", "c.jpg", "d.png"]
    same(found[1], predictor.predict(album / "a.png")[0])
    same(found[4], predictor.predict(album / "d.png")[0])


def test_files_are_read_as_they_are_needed(predictor, tmp_path):
    for at in range(6):
        Image.fromarray(pixels(at)).save(tmp_path / f"{at}.png")
    stream = predict_paths(predictor, [tmp_path], batch_size=2)
    first = next(stream)
    for at in (2, 3, 4, 5):  # not yet read: they may go
        (tmp_path / f"{at}.png").unlink()
    rest = list(stream)
    assert first.source.endswith("0.png") and rest[0].source.endswith("1.png")
    assert len(rest) == 5 and all("does not exist" in item.message for item in rest[1:])


# --- texts -------------------------------------------------------------------------------------


def strict(text: str):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_is_strict_and_complete(predictor):
    predictions = predictor.predict([pixels(0), pixels(1)])
    odd = os.fsdecode(b'odd \xff "name"\n.png')
    text = to_json(predictions, [ImageProblem(Path(odd), "is damaged")])
    assert text.isascii()
    data = strict(text)
    assert data["complete"] is True
    assert data["problems"] == [{"source": odd, "problem": "is damaged"}]
    for one, found in zip(predictions, data["predictions"], strict=True):
        assert [label["label"] for label in found["labels"]] == list(one.labels)
        assert [label["probability"] for label in found["labels"]] == [p for _, p in one.scored()]
        assert list(found["scores"]) == list(NAMES)
        assert [score["probability"] for score in found["scores"].values()] == one.probs.tolist()
        assert [s["threshold"] for s in found["scores"].values()] == THRESHOLDS.tolist()
        assert found["decoder_order"] == list(one.decoder_order)
    assert strict(to_json([]))["predictions"] == []


def test_the_table_names_labels_and_never_drives_a_terminal(predictor, tmp_path):
    Image.fromarray(pixels(0)).save(tmp_path / "\x1b[2Jevil.png")
    (one,) = predictor.predict(tmp_path / "\x1b[2Jevil.png")
    table = format_table([one.decided(top=2), one.decided(threshold=1)])
    head, first, second = table.splitlines()
    assert head.split() == ["picture", "labels"]
    (best, prob), (next_best, next_prob) = one.decided(top=2).scored()
    assert first.endswith(f"{best} {prob:.2f}, {next_best} {next_prob:.2f}")
    assert f"no label reaches its threshold; nearest: {best}" in second
    assert "\x1b" not in table and "\\x1b[2Jevil.png" in table


# --- main_predict ------------------------------------------------------------------------------


def test_all_went_well(bundle_folder, album, capsys):
    assert main_predict(bundle_folder, [album / "a.png", album / "c.jpg"], output="table") == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == [
        "picture", str(album / "a.png"), str(album / "c.jpg")
    ]
    assert err == ""


def test_some_files_failed(bundle_folder, album, capsys):
    assert main_predict(bundle_folder, [album], output="json", top=2) == 1
    out, err = capsys.readouterr()
    data = strict(out)
    assert [len(one["labels"]) for one in data["predictions"]] == [2, 2, 2]
    assert [Path(one["source"]).name for one in data["problems"]] == ["b.png"]
    assert err.count("\n") == 1 and "b.png" in err


@pytest.mark.parametrize("case", ["no input", "bad bundle", "only bad", "output", "top", "limit"])
def test_nothing_could_be_done(bundle_folder, album, tmp_path, capsys, case):
    options = {"output": "table", "out": tmp_path / "out.txt"}
    bundle, inputs = bundle_folder, [album / "a.png"]
    if case == "no input":
        inputs = [tmp_path / "nowhere"]
    elif case == "bad bundle":
        bundle = tmp_path
    elif case == "only bad":
        inputs = [album / "b.png"]
    else:
        wrong = {"output": ("output", "xml"), "top": ("top", 0), "limit": ("threshold", 2.0)}
        options |= [wrong[case]]
    assert main_predict(bundle, inputs, **options) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("hybridlab: ") and err.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["album"]


def test_a_file_is_written_whole_and_never_over_another(bundle_folder, album, tmp_path, capsys):
    target = tmp_path / "labels.json"
    assert main_predict(bundle_folder, [album], output="json", out=target) == 1
    first = target.read_bytes()
    assert len(strict(first.decode())["predictions"]) == 3
    assert main_predict(bundle_folder, [album], output="json", out=target) == 2
    assert "exists and is kept" in capsys.readouterr().err
    assert target.read_bytes() == first
    assert sorted(os.listdir(tmp_path)) == ["album", "labels.json"]


def test_pictures_are_written_beside_what_is_there(bundle_folder, album, capsys):
    before = {path.name: path.read_bytes() for path in album.iterdir()}
    inputs = [album / "a.png", album / "b.png", album / "c.jpg"]
    assert main_predict(bundle_folder, inputs, output="picture", out=album) == 1
    assert main_predict(bundle_folder, inputs[:1], output="picture", out=album) == 0
    assert "a-labels-2.png" in capsys.readouterr().out
    made = {path.name for path in album.iterdir()} - set(before)
    assert made == {"a-labels.png", "a-labels-2.png", "c-labels.png"}
    assert {name: (album / name).read_bytes() for name in before} == before
    with Image.open(album / "c-labels.png") as picture:
        assert picture.width > 200 and picture.height > 31


def test_a_file_where_the_folder_should_be(bundle_folder, album, capsys):
    out = album / "a.png"
    assert main_predict(bundle_folder, [album / "c.jpg"], output="picture", out=out) == 1
    assert "choose another folder" in capsys.readouterr().err


class _CtrlC(io.StringIO):
    """A terminal at which somebody presses Ctrl-C when the second picture is shown."""

    def write(self, text):
        written = super().write(text)
        if "1.png" in text:
            signal.raise_signal(signal.SIGINT)
        return written


@pytest.mark.parametrize("output", ["table", "json", "picture"])
def test_ctrl_c_leaves_what_was_done_whole(bundle_folder, tmp_path, monkeypatch, capsys, output):
    album, out = tmp_path / "album", tmp_path / "out"
    album.mkdir()
    for at in range(4):
        Image.fromarray(pixels(at)).save(album / f"{at}.png")
    terminal = _CtrlC()
    monkeypatch.setattr("sys.stdout", terminal)
    options = {"out": out} if output == "picture" else {}
    assert main_predict(bundle_folder, [album], output=output, **options) == 130
    text = terminal.getvalue()
    assert "0.png" in text and "1.png" in text and "3.png" not in text
    assert "stopped after 2 pictures" in capsys.readouterr().err
    if output == "json":
        data = strict(text)
        assert data["complete"] is False and len(data["predictions"]) == 2
    elif output == "table":
        assert text.endswith("\n") and len(text.splitlines()) == 3
    else:
        assert sorted(os.listdir(out)) == ["0-labels.png", "1-labels.png"]


def test_a_terminal_without_unicode(bundle_folder, album, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main_predict(bundle_folder, [album / "a.png"], top=6) == 0
    assert b"K\\xe4se \\U0001f9c0" in raw.getvalue()
