"""A model card says what the bundle and the figures say, and "unknown" of all else."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from hybridlab import cli
from hybridlab.bundle import load_bundle, save_bundle
from hybridlab.card import Measuring, model_card
from hybridlab.data.sample import Vocabulary
from hybridlab.evaluate import evaluate_images
from hybridlab.evaluation.calibration import reliability
from hybridlab.predict import Predictor

from .small_bundle import NAMES, THRESHOLDS, make_bundle, pixels

COUNT = 24
IMAGES = [pixels(seed) for seed in range(COUNT)]
HEADINGS = [
    "Model details", "Intended use", "Training data", "Evaluation data", "Metrics", "Thresholds",
    "Calibration", "Labels", "Limits", "How to repeat it", "Licence",
]


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
def targets(predictor):
    """What the bundle says, mostly; no picture has the last label, some entries are unknown."""
    probs = np.stack([one.probs for one in predictor.predict(IMAGES)])
    noise = np.random.default_rng(0).random(probs.shape) < 0.15
    truth = ((probs >= THRESHOLDS) ^ noise).astype(np.int8)
    truth[:, 5] = 0
    truth[:4, 0] = -1
    return truth


@pytest.fixture(scope="module")
def found(predictor, targets):
    return evaluate_images(predictor, IMAGES, targets, NAMES, resamples=30)


HOW = Measuring("my photos/test", "photos-v1:24", "hybridlab evaluate b", "test", resamples=30)


@pytest.fixture(scope="module")
def card(predictor, found):
    return model_card(predictor.bundle, found, HOW)


def section(card, heading):
    return card.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def cells(card, heading):
    """The rows of a section's table, without its head."""
    rows = [line for line in section(card, heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


def test_the_headings_of_the_field(card):
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == HEADINGS
    assert card.startswith("# Model card: bundle\n")
    assert card.endswith(".\n") and "\n\n\n" not in card


def test_the_figures_are_those_of_the_evaluation(card, found):
    rows = {row[0]: row[1:] for row in cells(card, "Metrics")}
    for name, printed in (("mean_ap", "mAP"), ("cf1", "CF1"), ("of1", "OF1")):
        each = found.metrics[name]
        assert rows[printed] == [
            f"{100 * each.value:.1f}", f"[{100 * each.low:.1f}, {100 * each.high:.1f}]"]
    assert len(rows) == len(found.metrics)
    assert f"Brier score {found.brier:.4f}" in card and f"{100 * found.ece:.1f} % (15 bins" in card
    bins = reliability(found.probs, found.targets, 10)
    entries = [int(row[1]) for row in cells(card, "Calibration")]
    assert entries == [count for count in bins.count if count]
    assert sum(entries) == (found.targets >= 0).sum()


def test_every_label_has_its_row_the_lowest_ap_first(card, found, targets):
    rows = cells(card, "Labels")
    assert {row[0] for row in rows} == set(NAMES) and rows[-1][0] == NAMES[5]
    by_name = {row[0]: row for row in rows}
    assert by_name["cow"][1] == f"{(targets[:, 0] == 1).sum()} of 20"
    assert by_name["bus"][1] == f"{(targets[:, 3] == 1).sum()} of 24"
    assert [float(by_name[name][3]) for name in NAMES] == THRESHOLDS.tolist()
    aps = [float(row[-1].split()[0]) for row in rows[:-1]]
    assert aps == sorted(aps) and rows[-1][-1] == "– [–, –]"


def test_what_nobody_said_is_unknown(card):
    assert "| made by | unknown |" in card and "| author, date, contact | unknown |" in card
    assert "Which pictures: unknown; the bundle does not say." in card
    assert "Pictures with each label in training: unknown" in card
    assert "for which measure: unknown" in card
    assert "made by unknown; seed unknown" in card
    assert "| who annotated it, and how well | unknown |" in card
    assert "meant it for: unknown" in card and "The bundle itself: unknown" in card
    assert "efficientnet_lite0: Apache-2.0" in card


def test_limits_that_the_figures_show(card, predictor, targets):
    limits = section(card, "Limits")
    assert "Not measured, for no picture has them: owl." in limits
    assert "of \"test\"" not in limits and "could not be read" not in limits
    few = targets.copy()
    few[:, 1] = 0
    few[3, 1] = 1
    other = evaluate_images(predictor, IMAGES, few, NAMES, resamples=5)
    told = section(model_card(
        predictor.bundle, other, Measuring("x", "y", split="val2014", guessed=True)), "Limits")
    assert "**These are pictures of \"val2014\".**" in told
    assert re.search(r"Fewer than 10 pictures have them.*glass of milk", told)
    assert "**The labels are guesses of a model**" in told


def test_files_and_labels_that_are_left_out(bundle_folder, predictor, targets, tmp_path):
    good, bad = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(IMAGES[0]).save(good)
    bad.write_bytes(b"")
    names = [*NAMES[:5], "dog"]
    found = evaluate_images(
        predictor, [good, bad], targets[:2], names, shared_labels=True, resamples=5
    )
    card = model_card(predictor.bundle, found, Measuring("x", "y", threshold=0.5))
    assert "| pictures | 1 measured, 1 could not be read |" in card
    assert ("| labels | 5 measured; 1 of the data that the bundle does not know left out; 1 of the "
            "bundle that the data does not have left out |") in card
    limits = section(card, "Limits")
    assert "cannot measure: owl." in limits and "1 pictures could not be read" in limits
    assert "One for all labels, 0.5, given to the evaluation" in card
    assert "made in Python; no command is known" in card


def test_what_the_maker_wrote_is_told(bundle_folder, found, tmp_path):
    bundle = load_bundle(bundle_folder)
    info = {
        "made_by": "hybridlab train", "config": {"seed": 7, "train": 20, "lr": 0.1},
        "data": {"train": {"pictures": 20, "positives": {"cow": 9, "bus": 4}},
                 "val": {"pictures": 5, "fingerprint": "photos-v1:5"}},
    }
    folder = save_bundle(tmp_path / "other", bundle.model, Vocabulary(NAMES),
                         np.full(6, 0.25), info=info)
    (folder / "README.md").write_text("mine")
    card = model_card(load_bundle(folder), found, HOW)
    assert "| made by | hybridlab train |" in card and "seed 7" in card
    assert cells(card, "Training data") == [
        ["train", "pictures 20"], ["val", "pictures 5, fingerprint photos-v1:5"]]
    assert "a README.md by its makers" in card
    by_name = {row[0]: row for row in cells(card, "Labels")}
    assert by_name["cow"][1] == "9" and by_name["egg"][1] == "unknown"
    assert "Pictures with each label in training: unknown" not in card
    written = json.loads(section(card, "How to repeat it").split("```json\n")[1].split("\n```")[0])
    assert written == {"config": info["config"]}


def test_a_strangers_words_stay_words(bundle_folder, targets, tmp_path):
    bundle = load_bundle(bundle_folder)
    names = ("a|b", "[x](http://y)", "<b>", "`c`", "*d*", "e\\")
    info = {"made_by": "me | ```\n# Heading\n[l](u)", "note": "```\n# Heading"}
    folder = save_bundle(tmp_path / "other", bundle.model, Vocabulary(names), THRESHOLDS, info=info)
    predictor = Predictor(folder)
    found = evaluate_images(predictor, IMAGES, targets, names, resamples=5)
    card = model_card(predictor.bundle, found, HOW)
    assert re.findall(r"^#+ (.*)$", card, re.MULTILINE)[1:] == HEADINGS
    assert "](http" not in card.replace("\\[x](http", "")
    assert {len(row) for row in cells(card, "Labels")} == {8}
    assert "<b>" not in card.replace("\\<b\\>", "")


# --- the command -------------------------------------------------------------------------------


def test_the_command_writes_it_and_says_how_to_repeat_it(bundle_folder, targets, tmp_path, capsys):
    album = tmp_path / "al bum"
    album.mkdir()
    for at in range(6):
        Image.fromarray(IMAGES[at]).save(album / f"{at}.png")
    told = {f"{at}.png": {"label_names": [NAMES[c] for c in np.flatnonzero(targets[at] == 1)]}
            for at in range(6)}
    (tmp_path / "test.json").write_text(json.dumps(told))
    out = tmp_path / "CARD.md"
    arguments = ["evaluate", str(bundle_folder), "--images", str(album), "--annotation-file",
                 str(tmp_path / "test.json"), "--shared-labels", "--resamples", "5",
                 "--metric", "of1", "--metric", "cf1@3"]
    assert cli.main([*arguments, "--card", str(out)]) == 0
    assert f"model card written to {out}" in capsys.readouterr().out
    card = out.read_text(encoding="utf-8")
    command = section(card, "How to repeat it").split("```\n")[1].strip()
    assert command == (
        f"hybridlab evaluate {bundle_folder} --images '{album}' --annotation-file "
        f"{tmp_path / 'test.json'} --metric of1 --metric cf1@3 --shared-labels --resamples 5")
    assert [row[0] for row in cells(card, "Metrics")] == ["OF1", "top-3 CF1"]
    assert cli.main([*arguments, "--card", str(out)]) == 2
    assert "exists and is kept" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == card


def test_guessed_labels_are_told(bundle_folder, tmp_path, capsys):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    (tmp_path / "g.json").write_text(json.dumps({"a.png": {"label_names": list(NAMES[:2])}}))
    (tmp_path / "g.guesses.jsonl").write_text("")
    assert cli.main(["evaluate", str(bundle_folder), "--images", str(tmp_path), "--shared-labels",
                     "--annotation-file", str(tmp_path / "g.json"), "--resamples", "5", "--card",
                     str(tmp_path / "c.md")]) == 0
    assert "was guessed by a model" in capsys.readouterr().err
    assert "a model guessed the labels" in (tmp_path / "c.md").read_text()


def test_scenes_are_known_by_construction(tmp_path, capsys):
    out = tmp_path / "CARD.md"
    assert cli.main(["evaluate", "shipped", "--scenes", "8", "--resamples", "5", "--split", "val",
                     "--cooccurrence", "0.5", "--card", str(out)]) == 0
    card = out.read_text(encoding="utf-8")
    assert card.startswith("# Model card: the shipped hybrid\n")
    assert "nobody: scenes are drawn, so their labels are known" in card
    assert "The labels are those of the course's small world." in card
    assert "**These are pictures of \"val\".**" in card and "see NOTICE" in card
    assert "hybridlab evaluate shipped --split val --scenes 8 --resamples 5" in card
    assert "--cooccurrence 0.5" in card
