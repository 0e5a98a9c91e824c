"""A bundle on labelled images: the figures of its own decisions, in any order of columns."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score

from hybridlab import cli
from hybridlab.bundle import BundleError, load_bundle, save_bundle
from hybridlab.data.sample import Vocabulary
from hybridlab.data.scenes import SceneDataset, label_matrix
from hybridlab.data.world import WORLD, SceneConfig
from hybridlab.evaluate import evaluate_images, main_evaluate, report, run_evaluation
from hybridlab.evaluation.calibration import brier_score
from hybridlab.predict import Predictor

from .small_bundle import NAMES, THRESHOLDS, make_bundle, pixels

COUNT = 24
IMAGES = [pixels(seed) for seed in range(COUNT)]
QUICK = {"resamples": 30}


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


@pytest.fixture(scope="module")
def probs(predictor):
    return np.stack([one.probs for one in predictor.predict(IMAGES)])


@pytest.fixture(scope="module")
def targets(probs):
    """What the bundle says, mostly."""
    noise = np.random.default_rng(0).random(probs.shape) < 0.15
    return ((probs >= THRESHOLDS) ^ noise).astype(np.int8)


# --- any data set ------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_predictor(predictor, probs, targets):
    found = evaluate_images(predictor, IMAGES, targets, NAMES, **QUICK)
    decided = probs >= THRESHOLDS
    assert found.names == NAMES and found.problems == ()
    np.testing.assert_allclose(found.probs, probs, atol=1e-5)
    assert (found.decisions == decided).all()
    present = targets.any(axis=0)
    pairs = zip(targets.T, probs.T, strict=True)
    aps = [average_precision_score(truth, scored) for truth, scored in pairs if truth.any()]
    assert found.metrics["mean_ap"].value == pytest.approx(np.mean(aps))
    micro = f1_score(targets.ravel(), decided.ravel())
    assert found.metrics["of1"].value == pytest.approx(micro)
    macro = [f1_score(t, d, zero_division=0) for t, d in zip(targets.T, decided.T, strict=True)]
    assert found.metrics["macro_f1"].value == pytest.approx(np.mean(np.array(macro)[present]))
    assert found.metrics["of1"].low < micro < found.metrics["of1"].high
    assert found.brier == pytest.approx(brier_score(probs, targets))
    assert found.labels.positives.tolist() == targets.sum(axis=0).tolist()


def test_columns_in_another_order_are_the_same_labels(predictor, targets):
    order = [3, 0, 5, 1, 4, 2]
    names = [NAMES[at] for at in order]
    straight = evaluate_images(predictor, IMAGES, targets, NAMES, **QUICK)
    turned = evaluate_images(predictor, IMAGES, targets[:, order], names, **QUICK)
    assert turned.names == NAMES and (turned.targets == straight.targets).all()
    for name, one in straight.metrics.items():  # batches of the same size: equal to the last bit
        assert tuple(turned.metrics[name]) == pytest.approx(tuple(one))


def test_other_labels_are_refused_unless_asked_for(predictor, probs, targets):
    names = [*NAMES[:4], "Cow", "dog"]
    with pytest.raises(ValueError, match="does not know 'Cow', 'dog' and the data does not have"):
        evaluate_images(predictor, IMAGES, targets, names, **QUICK)
    found = evaluate_images(predictor, IMAGES, targets, names, shared_labels=True, **QUICK)
    assert found.names == NAMES[:4] and found.thresholds.tolist() == THRESHOLDS[:4].tolist()
    assert found.unknown == ("Cow", "dog") and found.unused == NAMES[4:]
    micro = f1_score(targets[:, :4].ravel(), (probs >= THRESHOLDS)[:, :4].ravel())
    assert found.metrics["of1"].value == pytest.approx(micro)
    with pytest.raises(ValueError, match="share no label"):
        evaluate_images(predictor, IMAGES, targets[:, :2], ["x", "y"], shared_labels=True)


def test_images_that_cannot_be_read_are_in_no_figure(predictor, targets, tmp_path):
    paths = []
    for at, image in enumerate(IMAGES[:6]):
        paths.append(tmp_path / f"{at}.png")
        Image.fromarray(image).save(paths[-1])
    paths[2].write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    paths[4].unlink()
    found = evaluate_images(predictor, paths, targets[:6], NAMES, batch_size=2, **QUICK)
    assert [problem.path.name for problem in found.problems] == ["2.png", "4.png"]
    kept = [0, 1, 3, 5]
    assert (found.targets == targets[kept]).all()
    without = evaluate_images(predictor, [IMAGES[at] for at in kept], targets[kept], NAMES, **QUICK)
    assert found.metrics["of1"].value == without.metrics["of1"].value
    with pytest.raises(ValueError, match=r"none of 1 images could be read; the first: .*4\.png"):
        evaluate_images(predictor, [paths[4]], targets[:1], NAMES, **QUICK)


def test_another_threshold_and_other_metrics(predictor, probs, targets):
    found = evaluate_images(
        predictor, IMAGES, targets, NAMES, threshold=0.2, metrics=["cf1@3", "of1"], **QUICK
    )
    assert list(found.metrics) == ["cf1@3", "of1"] and found.thresholds.tolist() == [0.2] * 6
    assert found.metrics["of1"].value == pytest.approx(
        f1_score(targets.ravel(), (probs >= 0.2).ravel()))


def test_entries_that_are_not_annotated_are_masked(predictor, probs, targets):
    hidden = targets.copy()
    hidden[::2, :3] = -1
    found = evaluate_images(predictor, IMAGES, hidden, NAMES, **QUICK)
    seen = hidden >= 0
    assert found.metrics["of1"].value == pytest.approx(
        f1_score(hidden[seen], (probs >= THRESHOLDS)[seen]))


@pytest.mark.parametrize(("change", "words"), [
    ({"targets": np.zeros((COUNT, 5))}, "there are 6 names"),
    ({"targets": np.zeros(COUNT)}, "there are 6 names"),
    ({"targets": np.full((COUNT, 6), 0.5)}, "multi-hot"),
    ({"images": IMAGES[:-1]}, "24 rows of targets but 23 images"),
    ({"images": [*IMAGES, IMAGES[0]]}, "24 rows of targets but more images"),
    ({"images": []}, "24 rows of targets but 0 images"),
    ({"names": ["a"] * 6}, "given twice"),
    ({"threshold": 1.5}, "threshold is 1.5"),
    ({"metrics": ["mAP"]}, "metric is 'mAP'"),
])
def test_what_does_not_fit_is_told(predictor, targets, change, words):
    given = {"images": IMAGES, "targets": targets, "names": NAMES, **QUICK, **change}
    with pytest.raises(ValueError, match=words):
        evaluate_images(predictor, **given)


def test_the_report_names_the_worst_label_first(predictor, targets):
    few = targets.copy()
    few[:, 1] = 0
    found = evaluate_images(predictor, IMAGES, few, NAMES, **QUICK)
    lines = report(found, "a test").splitlines()
    assert lines[0].startswith("24 images (a test), 6 labels")
    assert lines[2].startswith("mAP") and "[" in lines[2]
    rows = lines[lines.index(next(line for line in lines if line.startswith("label "))) + 1 :]
    assert len(rows) == 6 and rows[-1].startswith("glass of milk") and rows[-1].endswith("- [-, -]")
    values = [float(row.split()[-3]) for row in rows[:-1]]
    assert values == sorted(values)


# --- the command -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world_bundle(bundle_folder, tmp_path_factory):
    """The small model under the names of six of the world's labels."""
    bundle = load_bundle(bundle_folder)
    folder = tmp_path_factory.mktemp("world") / "bundle"
    return save_bundle(
        folder, bundle.model, Vocabulary(WORLD.names[:6]), THRESHOLDS, info={"seed": 1}
    )


def test_scenes_and_the_json(world_bundle, tmp_path, capsys):
    out = tmp_path / "figures.json"
    arguments = ["evaluate", str(world_bundle), "--scenes", "20", "--resamples", "20", "--out",
                 str(out), "--shared-labels", "--cooccurrence", "0.2"]
    assert cli.main(arguments) == 0
    told = capsys.readouterr()
    assert "20 images (small world, test), 6 labels" in told.out and told.err == ""
    found = json.loads(out.read_text())
    scenes = SceneDataset(20, "test", SceneConfig(cooccurrence=0.2))
    assert found["data"] == scenes.fingerprint() and found["bundle"] == {"seed": 1}
    assert found["images"] == 20 and set(found["labels"]) == set(WORLD.names[:6])
    counts = label_matrix(scenes)[:, :6].sum(axis=0).tolist()
    assert [each["positives"] for each in found["labels"].values()] == counts
    before = out.read_bytes()
    assert cli.main(arguments) == 2
    assert "exists and is kept" in capsys.readouterr().err and out.read_bytes() == before
    assert os.listdir(tmp_path) == ["figures.json"]


def test_a_split_that_the_bundle_may_have_seen_is_told(world_bundle, capsys):
    scenes = SceneDataset(4, "val")
    assert main_evaluate(world_bundle, scenes, shared_labels=True, resamples=5) == 0
    assert "report figures of test" in capsys.readouterr().err


def test_bad_images_make_the_status_1(bundle_folder, targets, tmp_path, capsys):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    out = tmp_path / "figures.json"
    status = run_evaluation(
        bundle_folder, [tmp_path / "a.png", tmp_path / "b.png"], targets[:2], NAMES,
        about="two files", source="two", out=out, resamples=5,
    )
    told = capsys.readouterr()
    assert status == 1 and "b.png: is not a picture" in told.err and "1 images" in told.out
    (problem,) = json.loads(out.read_text())["problems"]
    assert problem["source"] == str(tmp_path / "b.png")


def test_a_folder_with_annotations(bundle_folder, predictor, targets, tmp_path, capsys):
    """The seed's format, a file that is no picture, a label that is not annotated."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    told = {}
    for row, image in enumerate(IMAGES[:6]):
        Image.fromarray(image).save(folder / f"{row}.png")
        told[f"{row}.png"] = {"labels": np.flatnonzero(targets[row] > 0).tolist()}
    told["0.png"]["not_annotated"] = [int(np.flatnonzero(targets[0] == 0)[0])]
    (folder / "3.png").write_bytes(b"no picture")
    (folder / "labels.txt").write_text("\n".join(NAMES), encoding="utf-8")
    (folder / "annotations.json").write_text(json.dumps(told))
    out = tmp_path / "figures.json"
    arguments = ["evaluate", str(bundle_folder), "--images", str(folder), "--resamples", "5",
                 "--out", str(out)]
    assert cli.main(arguments) == 1
    said = capsys.readouterr()
    assert "3.png: is not a picture" in said.err and "5 images (pictures), 6 labels" in said.out
    there = np.array(targets[:6])
    there[0, told["0.png"]["not_annotated"]] = -1
    rows = [0, 1, 2, 4, 5]
    same = evaluate_images(predictor, [IMAGES[row] for row in rows], there[rows], NAMES, **QUICK)
    found = json.loads(out.read_text())
    assert found["metrics"]["mean_ap"]["value"] == pytest.approx(same.metrics["mean_ap"].value)


def test_indices_alone_take_the_labels_of_the_bundle_or_of_a_file(bundle_folder, tmp_path, capsys):
    """A label that no picture has is measured, too: it may be given wrongly."""
    for row, image in enumerate(IMAGES[:2]):
        Image.fromarray(image).save(tmp_path / f"{row}.png")
    (tmp_path / "new.json").write_text(json.dumps({"0.png": {"labels": [0]},
                                                   "1.png": {"labels": [3]}}))
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    common = ["evaluate", str(bundle_folder), "--images", str(tmp_path), "--annotation-file",
              str(tmp_path / "new.json"), "--resamples", "5"]
    assert cli.main(common) == 2
    assert "the bundle does not know 'class 0'" in capsys.readouterr().err
    tables = []
    for labels in ("bundle", str(tmp_path / "names.txt")):
        assert cli.main([*common, "--labels", labels]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] and "2 images" in tables[0] and "6 labels" in tables[0]
    with pytest.raises(SystemExit):
        cli.main(["evaluate", str(bundle_folder), "--labels", "bundle"])
    assert "--labels needs --images" in capsys.readouterr().err


def test_pictures_without_annotations_or_a_split_are_told(bundle_folder, tmp_path, capsys):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    assert cli.main(["evaluate", str(bundle_folder), "--images", str(tmp_path)]) == 2
    assert "no labels are invented" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        cli.main(["evaluate", str(bundle_folder), "--annotation-file", "x.json"])
    assert left.value.code == 2
    assert "--annotation-file needs --images" in capsys.readouterr().err
    assert cli.main(["evaluate", str(bundle_folder), "--split", "exam"]) == 2
    assert "exam" in capsys.readouterr().err


def test_labels_of_another_world_stop_it(bundle_folder, tmp_path, capsys):
    with pytest.raises(BundleError):
        main_evaluate(tmp_path, SceneDataset(2, "test"))
    assert cli.main(["evaluate", str(bundle_folder), "--scenes", "2"]) == 2
    err = capsys.readouterr().err
    assert "does not have 'Käse 🧀'" in err and "--shared-labels" in err and err.count("\n") == 1
