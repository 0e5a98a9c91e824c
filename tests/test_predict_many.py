"""Thousands of pictures: a line for each, bad files told, and whatever else folders hold."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hybridlab.bundle import bundle_named
from hybridlab.data.images import ImageProblem
from hybridlab.predict import Predictor, main_predict

from .small_bundle import NAMES, make_album, make_bundle, parts, pixels, read_lines, stopped

ROOT = Path(__file__).resolve().parents[1]
LINES = ["jsonl", "csv"]


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


@pytest.fixture
def album(tmp_path):
    return make_album(tmp_path / "album")


# --- lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", LINES)
@pytest.mark.parametrize("to_file", [True, False])
def test_a_line_for_each_picture_and_each_bad_file(
    bundle_folder, album, tmp_path, capsys, output, to_file
):
    out = tmp_path / f"labels.{output}"
    given = [album, tmp_path / "gone"]
    assert main_predict(bundle_folder, given, output=output, out=out if to_file else None) == 1
    told = capsys.readouterr()
    if not to_file:
        out.write_text(told.out, encoding="utf-8")
    found = read_lines(out)
    names = [Path(one["source"]).name for one in found]
    assert names == ["gone", *(f"{at:02}.png" for at in range(40))]
    assert [at for at, one in enumerate(found) if "problem" in one] == [0, 21]
    good = [one for one in found if "problem" not in one]
    expected = Predictor(bundle_folder).predict([one["source"] for one in good])
    for one, wanted in zip(good, expected, strict=True):
        assert [each["label"] for each in one["labels"]] == list(wanted.labels)
        probs = [each["probability"] for each in one["scores"].values()]
        np.testing.assert_allclose(probs, wanted.probs, atol=1e-4)
    assert sum("20.png" in line for line in told.err.splitlines()) == 1
    if to_file:
        assert "39 pictures labelled, 2 files gave none" in told.err and parts(tmp_path) == []


@pytest.mark.parametrize("output", LINES)
def test_names_that_are_no_text_and_names_with_line_ends(
    bundle_folder, tmp_path, output, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = Path("odd")
    folder.mkdir()
    names = [b"odd \xff.png", b'a "quoted", one.png', b"two\nlines.png", "Käse.png".encode()]
    for name in names:
        Image.fromarray(pixels(0)).save(tmp_path / "x.png")
        os.rename(tmp_path / "x.png", os.path.join(b"odd", name))
    out = Path(f"labels.{output}")
    assert main_predict(bundle_folder, [folder], output=output, out=out) == 0
    data = out.read_bytes()
    assert data.count(b"\n") == 4 + (output == "csv")
    sources = [one["source"] for one in read_lines(out)]
    if output == "jsonl":
        assert sorted(map(os.fsencode, sources)) == sorted(b"odd/" + name for name in names)
    else:
        assert 'odd/a "quoted", one.png' in sources and "odd/Käse.png" in sources
        assert r"'odd/two\nlines.png'" in sources and r"'odd/odd \udcff.png'" in sources
    # and they are known again
    part = stopped(bundle_folder, out, data, output)
    assert main_predict(bundle_folder, [folder], output=output, out=out, resume=True) == 0
    assert out.read_bytes() == data and not part.exists()


# --- what else may happen ----------------------------------------------------------------------


def test_files_that_vanish_and_folders_without_pictures(
    bundle_folder, album, tmp_path, capsys, monkeypatch
):
    (tmp_path / "empty").mkdir()
    out = tmp_path / "labels.jsonl"
    assert main_predict(bundle_folder, [tmp_path / "empty"], output="jsonl", out=out) == 2
    assert "without .jpg, .jpeg or .png files" in capsys.readouterr().err and not out.exists()
    from hybridlab import predict as module

    real = module.iter_image_paths

    def then_gone(inputs):
        found = real(inputs)
        (album / "07.png").unlink()
        return found

    monkeypatch.setattr(module, "iter_image_paths", then_gone)
    assert main_predict(bundle_folder, [album], output="jsonl", out=out) == 1
    problems = [one for one in read_lines(out) if "problem" in one]
    assert [Path(one["source"]).name for one in problems] == ["07.png", "20.png"]
    assert "does not exist" in problems[0]["problem"]


def test_nothing_but_bad_files_is_told_in_the_file_too(bundle_folder, album, tmp_path):
    out = tmp_path / "labels.jsonl"
    assert main_predict(bundle_folder, [album / "20.png"], output="jsonl", out=out) == 2
    assert [one["source"] for one in read_lines(out)] == [str(album / "20.png")]


def test_another_number_of_labels_is_refused(bundle_folder, album, capsys):
    assert main_predict(bundle_folder, [album], n_labels=80) == 2
    assert "80 classes were asked for, but the bundle knows 6" in capsys.readouterr().err
    assert main_predict(bundle_folder, [album / "00.png"], n_labels=6) == 0


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("to_file", "shown"), [(True, True), (False, False)])
def test_a_bar_where_nothing_else_scrolls(
    bundle_folder, album, tmp_path, monkeypatch, to_file, shown
):
    screen, problems = _Terminal(), _Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr("sys.stderr", problems)
    out = tmp_path / "labels.jsonl" if to_file else None
    assert main_predict(bundle_folder, [album], output="jsonl", out=out) == 1
    assert ("40/40" in problems.getvalue()) == shown
    assert "20.png: begins like a picture" in problems.getvalue()


def test_no_bar_in_a_log(bundle_folder, album, tmp_path, capsys):
    assert main_predict(bundle_folder, [album], output="csv", out=tmp_path / "l.csv") == 1
    assert "%" not in capsys.readouterr().err


def test_a_file_of_weights_is_refused_with_advice(bundle_folder, album, tmp_path, capsys):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save({"weight": torch.zeros(2)}, folder / "best_model.pth")
    assert main_predict(folder / "best_model.pth", [album]) == 2
    told = capsys.readouterr().err
    assert "loading a pickle can run any code" in told and "there is one" not in told
    make_bundle(folder / "bundle")
    for name in ("best_model.pth", "final_model.pth"):
        assert main_predict(folder / name, [album]) == 2
        assert f"there is one in {folder / 'bundle'}" in capsys.readouterr().err


def test_a_runs_folder_stands_for_its_bundle(tmp_path, capsys):
    run = tmp_path / "checkpoints"
    run.mkdir()
    assert bundle_named(str(run)) == run and bundle_named(str(run / "gone.pth")) == run / "gone.pth"
    bundle = make_bundle(run / "bundle")
    assert bundle_named(str(run)) == bundle and bundle_named(str(bundle)) == bundle
    assert capsys.readouterr().err == ""
    assert bundle_named(str(run / "best_model.pth")) == bundle
    assert f"there is no {run / 'best_model.pth'}; taken: {bundle}" in capsys.readouterr().err
    (run / "best_model.pth").write_bytes(b"\x80")  # one that is there is refused, not passed over
    assert bundle_named(str(run / "best_model.pth")) == run / "best_model.pth"
    assert capsys.readouterr().err == ""


def test_a_bundle_of_a_newer_version(album, tmp_path, capsys):
    folder = make_bundle(tmp_path / "bundle")
    about = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**about, "format_version": 99}))
    assert main_predict(folder, [album], output="jsonl", out=tmp_path / "o.jsonl") == 2
    assert "update hybridlab" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["album", "bundle"]


def test_problems_are_what_the_module_says(tmp_path):
    from hybridlab.prediction_lines import Done, head, line

    problem = ImageProblem(tmp_path / "x.png", "is damaged")
    done = Done("csv", NAMES)
    for text in (head("csv", NAMES), line("csv", problem, NAMES)):
        done(text)
    assert (done.pictures, done.problems) == (0, 1)
    assert done.holds(tmp_path / "x.png") and not done.holds(tmp_path / "y.png")
    for bad in ("a,b\n", "\n", '"open\n'):
        with pytest.raises(ValueError):
            Done("csv", NAMES)(bad)
    for bad in ("[]\n", "{}\n", '{"source": 3}\n', "x\n"):
        with pytest.raises(ValueError):
            Done("jsonl", NAMES)(bad)
