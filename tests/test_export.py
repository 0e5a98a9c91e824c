"""An exported model gives what its bundle gives, in onnxruntime and by torch.export alike."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from hybridlab import cli
from hybridlab.bundle import Bundle, BundleError, save_bundle
from hybridlab.data.sample import Vocabulary
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import ImageFeatures, build_tiny_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.export import Agreement, ExportError, compare, export_bundle, main_export
from hybridlab.export_graph import (
    ExportedHybrid,
    exact_thresholds,
    run_onnx,
    run_torch,
    save_onnx,
    torch_program,
)
from hybridlab.fusion import FUSIONS
from hybridlab.fusion.view import View
from hybridlab.model import HybridClassifier
from hybridlab.predict import Predictor

NAMES = ("cow", "glass of milk", "Käse 🧀", "bus", "egg", "owl")
THRESHOLDS = np.array([0.3, 0.4, 0.5, 1 / 3, 0.6, 0.7])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small models on a busy machine: a second thread waits far longer than it helps."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoders():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return (build_cnn("efficientnet_lite0", stage="stage3", image_size=64),
                build_tiny_clip(pretrained=False))


class SmallClip(nn.Module):
    """A tower of one layer with CLIP's interface: choices of fusion need no real one."""

    def __init__(self):
        super().__init__()
        self.name, self.dim = "small", 8
        self.preprocessing = Preprocessing(32)
        self.patches = nn.Conv2d(3, 8, 16, 16)

    def encode_image(self, pixels):
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)
        return ImageFeatures(F.normalize(tokens.mean(dim=1), dim=-1), tokens, (2, 2))


@pytest.fixture(scope="module")
def small():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_cnn("efficientnet_lite0", stage="stage2", image_size=32), SmallClip()


def pictures(count: int, height: int = 40, width: int = 56) -> list[np.ndarray]:
    draw = np.random.default_rng(count)
    blocks = [draw.integers(0, 256, (4, 4, 3), dtype=np.uint8) for _ in range(count)]
    return [np.array(Image.fromarray(each).resize((width, height))) for each in blocks]


def bundle_of(encoders, decoder: dict | None = None, **hybrid) -> Bundle:
    """A random hybrid whose decoder writes sets of several sizes and whose labels differ."""
    cnn, clip = encoders
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(2)
        text_emb = F.normalize(torch.randn(len(NAMES), clip.dim), dim=-1)
        rnn = LabelDecoder(cnn.dim, len(NAMES), **{"dim": 16, "max_steps": 5, **(decoder or {})})
        model = HybridClassifier(cnn, rnn, clip, text_emb, dim=16, **hybrid).eval()
        for name, value in model.named_parameters():
            if not name.startswith(("cnn.", "clip.", "decoder.")) and value.dim() > 1:
                value.mul_(4)  # else all probabilities are alike
        if hasattr(rnn, "score"):
            rnn.score.weight.mul_(8)
            rnn.score.bias[-1] += 1  # sets of two and of three
        images = pictures(8)
        seen = model(cnn.preprocessing(images), clip.preprocessing(images))
        model.fit_views(View(seen.h_rnn), View(seen.h_clip)) if not model.attends else None
        middle = torch.sigmoid(seen.logits).median(dim=0).values.double().numpy()
    return Bundle(model, Vocabulary(NAMES), middle, {"seed": 2}, Path("nowhere"))


def squares(bundle: Bundle, images) -> list[torch.Tensor]:
    return [part.preprocessing.squares(images) for part in (bundle.model.cnn, bundle.model.clip)]


@pytest.fixture(scope="module")
def bundle(encoders):
    return bundle_of(encoders)


@pytest.fixture(scope="module")
def light(small):
    return bundle_of(small)


@pytest.fixture(scope="module")
def exported(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "export"
    export_bundle(bundle, folder, images=pictures(8))
    return folder


# --- equality ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize(("name", "run"), [("model.onnx", run_onnx), ("model.pt2", run_torch)])
def test_everything_that_the_predictor_gives(bundle, exported, name, run, count):
    images = pictures(count)
    expected = Predictor(bundle).predict(images)
    found = run(exported / name, squares(bundle, images))
    assert found["probs"].shape == (count, 6) and found["label_seq"].shape == (count, 5)
    for at, one in enumerate(expected):
        np.testing.assert_allclose(found["probs"][at], one.probs, atol=1e-5)
        decided = {NAMES[column] for column in np.flatnonzero(found["decisions"][at])}
        assert decided == set(one.labels)
        row = found["label_seq"][at]
        steps = int((row >= 0).sum())
        assert tuple(NAMES[label] for label in row[: steps - 1]) == one.decoder_order
        assert row[steps - 1] == 6 and (row[steps:] == -100).all()
        flat = one.attention.reshape(len(one.attention), -1)
        np.testing.assert_allclose(found["attention"][at, :steps], flat, atol=1e-5)
        assert not found["attention"][at, steps:].any()


def test_the_test_pictures_differ(bundle):
    found = Predictor(bundle).predict(pictures(7))
    assert len({one.labels for one in found}) > 2
    assert len({len(one.decoder_order) for one in found}) > 1


FAST = ["concat", "label_query", "compact"]  # onnx of each takes seconds
CHOICES = [
    *({"fusion": fusion} for fusion in FUSIONS if fusion not in FAST),
    {"fusion": "cross_attention", "tokens": "map"},
    {"view": "state", "decoder": {"cell": "lstm", "look": "mean", "read": "gelu"}},
    {"view": "map", "decoder": {"output": "joint", "feed_image": False}},
    {"view": "none"},
    {"without": "clip"},
    {"own_opinion": True, "text_bias": True},
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_choice_is_the_same_by_torch_export(small, choice):
    bundle = bundle_of(small, **choice)
    hybrid = ExportedHybrid(bundle)
    program = torch_program(hybrid).module()
    for count in (1, 3):
        images = pictures(count)
        probs, decisions, label_seq, _ = program(*squares(bundle, images))
        expected = Predictor(bundle).predict(images)
        np.testing.assert_allclose(probs, np.stack([one.probs for one in expected]), atol=1e-6)
        for row, decided, one in zip(label_seq.tolist(), decisions.numpy(), expected, strict=True):
            assert {NAMES[at] for at in np.flatnonzero(decided)} == set(one.labels)
            assert tuple(NAMES[at] for at in row if 0 <= at < 6) == one.decoder_order


@pytest.mark.parametrize("choice", [
    {"fusion": "label_query"},
    {"fusion": "compact"},
    {"fusion": "late", "view": "state", "decoder": {"cell": "lstm", "output": "joint"}},
    {"without": "cnn_rnn"},
], ids=str)
def test_choices_in_onnxruntime(small, choice, tmp_path):
    bundle = bundle_of(small, **choice)
    found = export_bundle(bundle, tmp_path / "made", images=pictures(4))
    assert set(found) == {"onnx", "torch"}
    assert all(each.equal for each in found.values())
    # the FFT's last digits pass a square root that is steep near 0
    assert found["onnx"].largest < (1e-4 if choice == {"fusion": "compact"} else 1e-5)
    outputs = [each["name"] for each in json.loads((tmp_path / "made" / "export.json").read_text())
               ["outputs"]]
    assert outputs == (["probs", "decisions"] if choice == {"without": "cnn_rnn"} else
                       ["probs", "decisions", "label_seq", "attention"])


@pytest.mark.parametrize("mode", ["squash", "pad", "crop"])
def test_squares_and_the_normalising_graph_are_the_preprocessing(mode):
    own = Preprocessing(24, (0.48, 0.45, 0.4), (0.27, 0.26, 0.28), "bilinear", mode)
    for images in (pictures(2), [pictures(1)[0], pictures(1, 9, 70)[0]], pictures(1, 24, 24)):
        squares = own.squares(images)
        assert squares.dtype == torch.float32 and squares.shape[1:] == (3, 24, 24)
        assert squares.min() >= 0 and squares.max() <= 255
        assert torch.equal(own.normalise(squares), own(images))
    assert own.squares([]).shape == (0, 3, 24, 24)


def test_thresholds_decide_the_same_in_single_precision():
    draw = np.random.default_rng(0)
    limits = np.concatenate([draw.random(2000), [0.0, 1.0, 1 / 3, 0.1, 1e-9]])
    near = limits.astype(np.float32)
    found = exact_thresholds(limits)
    assert found.dtype == np.float32
    for probs in (near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(1))):
        assert ((probs >= found) == (probs >= limits)).all()
    assert ((near >= near) != (near >= limits)).any()  # what a plain cast would do


# --- the folder --------------------------------------------------------------------------------


def test_the_description_says_all_that_is_needed(bundle, exported):
    about = json.loads((exported / "export.json").read_text())
    assert about["labels"] == list(NAMES) and about["thresholds"] == bundle.thresholds.tolist()
    first, second = about["inputs"]
    assert first["name"] == "cnn_image" and first["image_size"] == 64
    assert second["fill"] == [127.5] * 3 and second["resize_mode"] == "squash"
    assert about["info"] == {"seed": 2} and set(about["versions"]) >= {"torch", "onnxruntime"}
    checks = about["checks"]
    assert set(checks) == {"model.onnx", "model.pt2"}
    assert all(each["images"] == 8 and each["largest"] < 1e-5 for each in checks.values())
    assert sorted(os.listdir(exported)) == ["export.json", "model.onnx", "model.pt2"]


def test_the_onnx_file_alone_knows_its_labels(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / "model.onnx")
    held = session.get_modelmeta().custom_metadata_map
    assert json.loads(held["labels"]) == list(NAMES)
    assert [each.name for each in session.get_inputs()] == ["cnn_image", "clip_image"]
    assert session.get_inputs()[0].shape == ["batch", 3, 64, 64]


def test_nothing_of_the_bundle_changes(bundle):
    before = {name: value.clone() for name, value in bundle.model.state_dict().items()}
    ExportedHybrid(bundle).model.decoder.embed.weight.add_(1)
    after = bundle.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_an_export_that_is_not_equal_is_not_kept(bundle, exported, light, tmp_path, monkeypatch):
    other = Bundle(bundle.model, bundle.vocabulary, np.full(6, 0.0), {}, bundle.folder)
    found = compare(other, exported / "model.pt2", pictures(4))
    assert found.decisions > 0 and not found.equal and found.largest < 1e-5
    monkeypatch.setattr("hybridlab.export.compare", lambda *_: Agreement(4, 0.25, 3, 1))
    with pytest.raises(ExportError, match=r"up to 2\.5e-01, 3 decisions and 1 orders differ"):
        export_bundle(light, tmp_path / "made", ["torch"], pictures(2))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("case", ["taken", "no parent", "format", "none"])
def test_what_cannot_be_written(bundle, tmp_path, case):
    out, formats = tmp_path / "made", ["onnx"]
    if case == "taken":
        out.mkdir()
    elif case == "no parent":
        out = tmp_path / "nowhere" / "made"
    else:
        formats = ["tflite"] if case == "format" else []
    error = {"taken": FileExistsError, "no parent": FileNotFoundError}.get(case, ValueError)
    words = {"taken": "is kept", "no parent": "make it first"}.get(case, "onnx, torch")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=words):
        export_bundle(bundle, out, formats)
    assert sorted(tmp_path.iterdir()) == before


def test_without_the_extra_it_says_so_at_once(bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModuleNotFoundError, match="onnxscript"):
        export_bundle(bundle, tmp_path / "made", ["onnx"])
    assert os.listdir(tmp_path) == []


def test_ctrl_c_leaves_nothing(light, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hybridlab.export.compare", stop)
    with pytest.raises(KeyboardInterrupt):
        export_bundle(light, tmp_path / "made", ["torch"])
    assert os.listdir(tmp_path) == []


# --- the command -------------------------------------------------------------------------------


def test_the_command_and_the_script_of_the_docs(tmp_path, encoders, capsys, monkeypatch):
    """`docs/export.md` runs as it stands, without hybridlab, and labels as the bundle does."""
    made = bundle_of(encoders)
    folder = save_bundle(
        tmp_path / "bundle", made.model, made.vocabulary, made.thresholds, info={}
    )
    assert cli.main(["export", str(folder), str(tmp_path / "out"), "--format", "onnx"]) == 0
    said = capsys.readouterr().out
    assert "model.onnx" in said and "export.json" in said and "6 scenes" in said
    Image.fromarray(pictures(1, 120, 90)[0]).save(tmp_path / "photo.png")
    text = (Path(__file__).parents[1] / "docs" / "export.md").read_text()
    script = re.search(r"```python\n(.*?)```", text, re.S)[1]
    assert "hybridlab" not in script
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out"), str(tmp_path / "photo.png")],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    (one,) = Predictor(folder).predict(tmp_path / "photo.png")
    far = np.abs(one.probs - one.thresholds) > 0.02  # another program resizes a little otherwise
    printed = {line.rsplit(" ", 1)[0] for line in done.stdout.splitlines()}
    for name, above, sure in zip(NAMES, one.probs >= one.thresholds, far, strict=True):
        assert not sure or (name in printed) == above
    assert far.sum() >= 3


def test_the_command_refuses_what_is_no_bundle(tmp_path, capsys):
    with pytest.raises(BundleError):
        main_export(tmp_path, tmp_path / "out")
    assert cli.main(["export", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "bundle.json is missing" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_the_weights_of_a_large_model_get_a_file_of_their_own(light, tmp_path, monkeypatch):
    """Above 1.5 GB; here above a kilobyte."""
    monkeypatch.setattr("hybridlab.export_graph._SPLIT", 1000)
    hybrid = ExportedHybrid(light)
    save_onnx(hybrid, torch_program(hybrid), tmp_path / "m.onnx", {})
    assert sorted(os.listdir(tmp_path)) == ["m.onnx", "m.onnx.data"]
    assert compare(light, tmp_path / "m.onnx", pictures(2)).equal
