"""`hybridlab train` on photographs, from annotations to a bundle that labels pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from hybridlab.bundle import load_bundle
from hybridlab.cli import main
from hybridlab.photographs.record import PICTURES
from hybridlab.predictor import Predictor
from hybridlab.train_command import STOPPED_AND_SAVED
from hybridlab.training.checkpoints import CheckpointStore

from .files import rewrite, small_set, small_voc

pytestmark = pytest.mark.timeout(600)
SMALL = ["--cnn-size", "64", "--dim", "16", "--batch-size", "10", "--num-epochs", "1"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return small_set(tmp_path / "set")


def pictures_of(folder, split):
    """Paths, targets (N, L) and names of a split, from the run's own record and settings."""
    told = json.loads((folder / PICTURES).read_text())
    root = json.loads((folder / "train.json").read_text())["photos"]["image_dir"]
    lines = told["splits"][split]["pictures"]
    targets = np.zeros((len(lines), len(told["labels"])))
    for row, (_, _, _, _, present, unknown) in enumerate(lines):
        targets[row, present], targets[row, unknown] = 1, -1
    return [os.path.join(root, line[0]) for line in lines], targets, told["labels"]


def test_the_very_commands_of_seed_002_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sizes = ["--count", "16", "--test", "3", "--image-size", "64"]
    assert main(["data", "sample", "set", *sizes]) == 0
    monkeypatch.chdir(tmp_path / "set")
    command = ["train", "--image_dir", "./images", "--annotation_file", "./annotations.json",
               "--num_classes", "80", "--batch_size", "32", "--learning_rate", "0.001",
               "--num_epochs", "1", "--save_dir", "./checkpoints"]
    assert main([*command, "--cnn-size", "64", "--dim", "16"]) == 0
    told = capsys.readouterr().out
    assert "pictures, 80 labels" in told and "written to checkpoints" in told
    metrics = json.loads((tmp_path / "set/checkpoints/metrics.json").read_text())
    assert metrics["config"]["train"] + metrics["config"]["val"] + metrics["config"]["test"] == 16
    assert "naming" not in metrics and metrics["data"]["test"]["pictures"] >= 1
    common = ["--model_path", "./checkpoints/best_model.pth", "--num_classes", "80"]
    assert main(["predict", *common, "--image_path", "./test_image.jpg", "--threshold", "0.5"]) == 0
    said = capsys.readouterr()
    assert "test_image.jpg" in said.out
    assert "there is no checkpoints/best_model.pth; taken: checkpoints/bundle" in said.err
    assert main(["predict", *common, "--image_path", "./test_images/", "--threshold", "0.5",
                 "--batch_mode", "--save_dir", "./predictions"]) == 0
    assert len(list((tmp_path / "set/predictions").glob("*-labels.png"))) == 3
    # a run's folder stands for its bundle
    evaluate = ["evaluate", "./checkpoints", "--resamples", "5", "--images"]
    assert main([*evaluate, "./images", "--annotation-file", "./annotations.json", "--labels",
                 "bundle"]) == 0
    assert "16 images (images/annotations), 80 labels" in capsys.readouterr().out
    assert main([*evaluate, "./test_images", "--annotation-file", "./test_annotations.json",
                 "--shared-labels"]) == 0
    assert "3 images (test_images/test_annotations)" in capsys.readouterr().out
    # again: nothing is replaced
    assert main([*command, "--cnn-size", "64", "--dim", "16"]) == 2
    assert "checkpoints exists and is kept; resume it" in capsys.readouterr().err


def test_what_was_measured_is_what_prediction_says(home, tmp_path):
    """Of both encoders, the tower that learnt among them; entries that are not annotated count
    nowhere; with each encoder at a size of its own."""
    assert main(["train", "--image-dir", str(home / "images"), "--annotation-file",
                 str(home / "annotations.json"), *SMALL, "--save-dir", "run", "--no-cache",
                 "--shares", "3", "1", "1"]) == 0
    run = tmp_path / "run"
    metrics = json.loads((run / "metrics.json").read_text())
    assert not (run / ".pictures").exists() and not (tmp_path / "runs").exists()
    predictor = Predictor(run / "bundle")
    assert predictor.bundle.vocabulary.names == ("ant", "bee", "cat", "dog")
    assert predictor.bundle.info["data"]["val"] == metrics["data"]["val"]
    paths, targets, names = pictures_of(run, "test")
    assert (targets == -1).any() and names == list(predictor.bundle.vocabulary.names)
    probs = np.stack([each.probs for each in predictor.predict(paths)])
    there = targets >= 0
    aps = [average_precision_score(targets[there[:, at], at], probs[there[:, at], at])
           for at in range(4) if (targets[:, at] == 1).any()]
    assert metrics["mean_ap"] == pytest.approx(np.mean(aps), abs=1e-6)
    decided = probs >= predictor.bundle.thresholds
    hits = (decided & (targets == 1)).sum()
    of1 = 2 * hits / max(1, (decided & there).sum() + (targets == 1).sum())
    assert metrics["of1"] == pytest.approx(of1)
    assert set(metrics["shared_threshold"]) <= set(names)


def test_the_cnn_rnn_of_seed_002_with_another_cnn(home, tmp_path, capsys):
    assert main(["train", "--image-dir", str(home / "images"), "--annotation-file",
                 str(home / "annotations.json"), *SMALL, "--model", "cnn-rnn", "--cnn", "resnet50",
                 "--cnn-weights", "random", "--save-dir", "run", "--runs", "runs"]) == 0
    told = json.loads((tmp_path / "run/train.json").read_text())
    assert told["encoders"]["model"] == "cnn-rnn" and told["plan"]["plan"] == "frozen"
    model = load_bundle(tmp_path / "run/bundle").model
    assert (model.decoder.cell, model.decoder.layers, model.decoder.look) == ("lstm", 1, "mean")
    assert (model.cnn.name, model.without) == ("resnet50", "clip")
    assert not list((tmp_path / "runs" / ".cache").glob("*.pictures"))  # nothing looks again
    capsys.readouterr()
    assert main(["predict", "run", str(home / "images" / "000.png"), "--top", "2"]) == 0
    assert "000.png" in capsys.readouterr().out


def test_voc_with_boxes_both_encoders_learning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    voc = small_voc(tmp_path / "voc", {"trainval": range(24), "test": range(24, 30)})
    assert main(["train", "--image-dir", str(voc), *SMALL, "--save-dir", "run", "--plan", "joined",
                 "--augment", "clip", "--encoder-epochs", "1", "--folds", "1"]) == 0
    stages = CheckpointStore(tmp_path / "run/checkpoints/joint").latest().snapshot
    assert stages.facts["settings"]["stages"][-1]["augment"] == "clip"
    sizes = {each.stat().st_size / (3 * 64**2) for each in (tmp_path / "runs/.cache").glob(
        "*.pictures")}
    whole = json.loads((tmp_path / "run/train.json").read_text())["config"]
    assert whole["train"] + whole["val"] == 24 and whole["test"] == 6
    # the CNN alone at its 64 pixels, and both at the tower's 128
    assert {whole["train"], whole["val"], 4 * whole["train"], 24} <= sizes
    with pytest.raises(SystemExit):
        main(["train", "--image-dir", str(voc), "--curriculum", "trees"])


def test_what_only_scenes_have_is_refused_before_anything_is_made(home, tmp_path, capsys):
    common = ["train", "--image-dir", str(home / "images"), "--annotation-file",
              str(home / "annotations.json"), *SMALL, "--save-dir", "run"]
    for options, words in ((["--curriculum", "clutter"], "give --curriculum labels"),
                           (["--language-sets", "9", "--language-epochs", "1"],
                            "leave --language-sets out")):
        assert main([*common, *options]) == 2
        assert words in capsys.readouterr().err
    assert main(["train", "--image-dir", str(home / "images"), *SMALL]) == 2
    assert "hybridlab data label" in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["set"]


# --- stopped and resumed ------------------------------------------------------------------------


def command(*more):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "hybridlab", "train", *more], env=environment,
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end_of(folder):
    last = CheckpointStore(folder / "checkpoints" / "joint").latest()
    return {**last.snapshot.weights, **last.snapshot.training}


def test_a_run_on_photographs_goes_on_bit_for_bit_or_says_what_has_changed(home, tmp_path, capsys):
    """One that was stopped by a scheduler, and whose pictures or annotations changed meanwhile."""
    options = ["--image-dir", str(home / "images"), "--annotation-file",
               str(home / "annotations.json"), *SMALL, "--save-every", "1", "--tune-epochs", "2"]
    assert main(["train", *options, "--save-dir", "straight"]) == 0
    process = command(*options, "--save-dir", "stopped")
    folder, until = tmp_path / "stopped", time.monotonic() + 240
    while not (folder / "checkpoints/joint/step-00000004").exists():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.05)
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == STOPPED_AND_SAVED, told
    assert "hybridlab train --resume stopped" in told and not (folder / "bundle").exists()
    capsys.readouterr()
    # other annotations, another picture, other options: listed, and nothing is touched
    before = (home / "annotations.json").read_text()
    rewrite(home, lambda entries: entries["001.png"].update(labels=[3], label_names=["dog"]))
    assert main(["train", "--resume", "stopped"]) == 2
    assert "001.png had the labels ant, bee and has dog" in capsys.readouterr().err
    (home / "annotations.json").write_text(before)
    picture = (home / "images" / "002.png").read_bytes()
    (home / "images" / "002.png").write_bytes((home / "images" / "003.png").read_bytes())
    assert main(["train", "--resume", "stopped"]) == 2
    assert "002.png" in capsys.readouterr().err
    (home / "images" / "002.png").write_bytes(picture)  # the same content at another time
    for others, words in ((["--num-epochs", "9"], "decoder_epochs was 1 and is 9"),
                          (["--split-seed", "5"], "--split-seed is about pictures"),
                          (["--cnn", "resnet50"], "cnn was efficientnet_lite0 and is resnet50"),
                          (["--image-dir", str(home / "images"), "--num-classes", "4"],
                           "num_classes was None and is 4")):
        try:
            status = main(["train", "--resume", "stopped", *others])
        except SystemExit as left:
            status = left.code
        assert status == 2 and words in capsys.readouterr().err
    assert main(["train", "--resume", "stopped"]) == 0
    one, two = end_of(tmp_path / "straight"), end_of(folder)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]) or bool(value.isnan().all()), name
    metrics = [json.loads((each / "metrics.json").read_text())
               for each in (tmp_path / "straight", folder)]
    for name in ("mean_ap", "of1", "cf1"):
        assert metrics[0][name] == metrics[1][name]
    assert main(["train", "--resume", "stopped", *options[4:]]) == 0  # done: nothing more to do
