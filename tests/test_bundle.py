"""A bundle gives back the model that was saved; any other bundle gives one clear line."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import struct
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from hybridlab import bundle as bundle_module
from hybridlab.bundle import BundleError, load_bundle, save_bundle, shipped_bundle
from hybridlab.data.sample import Vocabulary
from hybridlab.data.world import WORLD
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import ClipEncoder, build_tiny_clip
from hybridlab.encoders.cnn import CNNEncoder, build_cnn
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.model import HybridClassifier

LABELS = Vocabulary(["cow", "glass of milk", "Käse 🧀", "bus", "egg"])
THRESHOLDS = np.array([0.1, 0.25, 1 / 3, 0.5, 1.0])
IMAGES = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8,
                       generator=torch.Generator().manual_seed(0))


def hybrid(
    cnn: CNNEncoder, clip: ClipEncoder, n_labels: int = 5, dim: int = 16, **fusion
) -> HybridClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text_emb = F.normalize(torch.randn(n_labels, clip.dim), dim=-1)
        decoder = LabelDecoder(cnn.dim, n_labels, dim=dim, max_steps=4)
        return HybridClassifier(cnn, decoder, clip, text_emb, dim=dim, **fusion).eval()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small models on a busy machine: a second thread waits far longer than it helps."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cnn():
    return build_cnn("efficientnet_lite0", stage="stage4", image_size=64)


@pytest.fixture(scope="module")
def clip():
    return build_tiny_clip(pretrained=False)


@pytest.fixture(scope="module")
def model(cnn, clip):
    return hybrid(cnn, clip, dropout=0.3)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "bundle"
    info = {"seed": 3, "figures": {"mean_ap": 0.5}}
    return save_bundle(folder, model, LABELS, THRESHOLDS, info=info, half=True)


@pytest.fixture(scope="module")
def loaded(saved, cnn):
    return load_bundle(saved, cnn=cnn).model


@pytest.fixture
def copy(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


@torch.inference_mode()
def outputs(model):
    return model(model.cnn.preprocessing(IMAGES), model.clip.preprocessing(IMAGES))


def edit(folder, change):
    path = folder / "bundle.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def put_weights(folder, data):
    """Replace the weights and make the manifest agree, as an attacker would."""
    (folder / "weights.safetensors").write_bytes(data)
    weights = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit(folder, lambda found: found["weights"].update(weights))


def test_a_bundle_knows_how_many_places_its_decoder_reads(cnn, clip, tmp_path):
    few = build_cnn("efficientnet_lite0", stage="stage4", image_size=64, places=2)
    folder = save_bundle(tmp_path / "few", hybrid(few, clip), LABELS, THRESHOLDS, info={})
    again = load_bundle(folder).model
    assert again.cnn.places == 2
    pixels = again.cnn.preprocessing(IMAGES)
    assert again.cnn(pixels).tokens.shape[1] == 4 and cnn(pixels).tokens.shape[1] == 16
    assert "weights" in refusal(folder, cnn)


@pytest.mark.parametrize("half", [False, True])
def test_a_cnn_that_was_trained_is_in_the_bundle(cnn, clip, tmp_path, half):
    own = deepcopy(cnn)
    with torch.no_grad():
        for value in own.parameters():
            value.add_(0.01 * torch.randn_like(value))
    ours = hybrid(own, clip)
    folder = save_bundle(tmp_path / "own", ours, LABELS, THRESHOLDS, info={}, half=half)
    names = set(load_file(folder / "weights.safetensors"))
    assert any(name.startswith("cnn.") for name in names)
    again = load_bundle(folder).model
    assert torch.allclose(outputs(again).logits, outputs(ours).logits, atol=0.05 if half else 1e-5)
    random = build_cnn("efficientnet_lite0", stage="stage4", image_size=64, pretrained=False)
    folder = save_bundle(tmp_path / "random", hybrid(random, clip), LABELS, THRESHOLDS, info={})
    assert torch.allclose(
        outputs(load_bundle(folder).model).logits, outputs(hybrid(random, clip)).logits, atol=1e-5
    )


def refusal(folder, cnn=None) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(folder, cnn=cnn)
    line = str(caught.value)
    assert "\n" not in line and str(folder) in line and len(line) < 700
    return line


# --- what comes back ---------------------------------------------------------------------------


def test_the_model_comes_back_as_it_was(model, tmp_path):
    folder = save_bundle(tmp_path / "b", model, LABELS, THRESHOLDS, info={"seed": 3, "x": [1.5]})
    assert sorted(os.listdir(folder)) == ["bundle.json", "weights.safetensors"]
    random_state = torch.random.get_rng_state()
    loaded = load_bundle(folder)
    assert torch.equal(torch.random.get_rng_state(), random_state)
    before, after = outputs(model), outputs(loaded.model)
    for name in ("logits", "contrastive_logits", "h_rnn", "h_clip"):
        torch.testing.assert_close(
            getattr(after, name), getattr(before, name), rtol=1e-4, atol=1e-4
        )
    assert torch.equal(after.decoded.label_seq, before.decoded.label_seq)
    assert loaded.vocabulary == LABELS
    assert loaded.thresholds.tolist() == THRESHOLDS.tolist()
    assert loaded.info == {"seed": 3, "x": [1.5]}
    assert loaded.folder == folder
    assert loaded.model.cnn.preprocessing == model.cnn.preprocessing
    assert loaded.model.clip.preprocessing == model.clip.preprocessing
    assert (loaded.model.dim, loaded.model.dropout, loaded.model.decoder.max_steps) == (16, 0.3, 4)


@pytest.mark.parametrize(
    ("decoder", "fusion"),
    [
        ({"cell": "lstm", "layers": 1, "output": "joint", "feed_image": False}, {}),
        ({"read": "gelu", "look": "mean"}, {"fusion": "cross_attention", "tokens": "map"}),
        ({}, {"fusion": "label_query", "options": {"queries": "texts", "heads": 2}}),
        ({}, {"fusion": "compact", "options": {"sketch": 64, "seed": 5}, "without": "clip"}),
        ({}, {"fusion": "late", "options": {"per_label": True}, "text_bias": True}),
        ({}, {"own_opinion": True}),
    ],
)
def test_every_choice_comes_back(cnn, clip, tmp_path, decoder, fusion):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text_emb = F.normalize(torch.randn(5, clip.dim), dim=-1)
        written = LabelDecoder(cnn.dim, 5, dim=16, max_steps=4, **decoder)
        model = HybridClassifier(cnn, written, clip, text_emb, dim=16, **fusion).eval()
    folder = save_bundle(tmp_path / "b", model, LABELS, THRESHOLDS, info={})
    before, after = outputs(model), outputs(load_bundle(folder, cnn=cnn).model)
    for name in ("logits", "contrastive_logits"):
        torch.testing.assert_close(
            getattr(after, name), getattr(before, name), rtol=1e-4, atol=1e-4
        )
    assert torch.equal(after.decoded.label_seq, before.decoded.label_seq)


def test_a_bundle_of_format_1_had_no_choice(copy, cnn, model):
    """It says nothing of the decoder's parts and of the fusion's options."""

    def older(data):
        data["format_version"] = 1
        for part, names in (("decoder", ("cell", "look", "output", "feed_image", "read")),
                            ("fusion", ("tokens", "without", "text_bias", "options",
                                        "own_opinion"))):
            for name in names:
                del data[part][name]

    edit(copy, older)
    loaded = load_bundle(copy, cnn=cnn).model
    torch.testing.assert_close(outputs(loaded).logits, outputs(model).logits, rtol=0, atol=0.05)


def test_a_loaded_model_is_ready_to_predict(loaded):
    assert not any(part.training for part in loaded.modules())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    tensors = [*loaded.parameters(), *loaded.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"cpu"}
    assert {tensor.dtype for tensor in tensors} <= {torch.float32, torch.int64}


def test_half_precision_changes_little_and_keeps_statistics(loaded, model):
    difference = (outputs(loaded).logits - outputs(model).logits).abs().max()
    assert 0 < difference < 0.02
    batch_norm = model.clip.vision.trunk.bn1.running_var
    assert torch.equal(loaded.clip.vision.trunk.bn1.running_var, batch_norm)


def test_half_precision_refuses_what_overflows(cnn, clip, tmp_path):
    model = hybrid(cnn, clip)
    with torch.no_grad():
        model.label_head.linear.weight[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"label_head\.linear\.weight .* as float16"):
        save_bundle(tmp_path / "b", model, LABELS, THRESHOLDS, info={}, half=True)
    assert os.listdir(tmp_path) == []
    save_bundle(tmp_path / "b", model, LABELS, THRESHOLDS, info={})


def test_the_shipped_size_fits(clip, tmp_path):
    model = hybrid(build_cnn("efficientnet_lite0"), clip, n_labels=len(WORLD), dim=256)
    folder = save_bundle(
        tmp_path / "b", model, WORLD, np.full(len(WORLD), 0.5), info={}, half=True
    )
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12_000_000


def test_neither_the_cnn_nor_the_texts_tower_is_stored(saved):
    from safetensors import safe_open

    with safe_open(saved / "weights.safetensors", "pt") as file:
        names = list(file.keys())
    assert "text_emb" in names and "clip.model.visual.head.proj.weight" in names
    assert not [name for name in names if name.startswith("cnn.")]
    assert not [name for name in names if "transformer" in name or "token_embedding" in name]


def test_a_bundle_does_not_pretend_to_have_a_text_tower(loaded):
    with pytest.raises(NotImplementedError, match="no text tower"):
        loaded.clip.encode_text(["a cow"])


def test_an_open_clip_model_by_name_is_rebuilt(cnn, tmp_path):
    import open_clip

    sizes = {
        "embed_dim": 12,
        "vision_cfg": {
            "image_size": 64, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16
        },
        "text_cfg": {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1},
    }
    (tmp_path / "ViT-bundle-test.json").write_text(json.dumps(sizes))
    open_clip.add_model_config(tmp_path)
    squares = Preprocessing(32)  # not the size in the configuration
    with torch.random.fork_rng(devices=[]):
        inner = open_clip.create_model(
            "ViT-bundle-test", load_weights=False, force_image_size=32
        )
    encoder = ClipEncoder(inner, lambda texts: None, squares, "ViT-bundle-test:none").eval()
    model = hybrid(cnn, encoder)
    loaded = load_bundle(save_bundle(tmp_path / "b", model, LABELS, THRESHOLDS, info={}), cnn=cnn)
    torch.testing.assert_close(
        outputs(loaded.model).logits, outputs(model).logits, rtol=1e-4, atol=1e-4
    )


# --- saving ------------------------------------------------------------------------------------


def test_an_existing_folder_is_kept(model, tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(FileExistsError, match="exists and is kept"):
        save_bundle(tmp_path / "b", model, LABELS, THRESHOLDS, info={})
    assert os.listdir(tmp_path) == ["b"] and os.listdir(tmp_path / "b") == []


def test_a_missing_parent_is_named(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_bundle(tmp_path / "no" / "b", model, LABELS, THRESHOLDS, info={})


@pytest.mark.parametrize(
    ("info", "error"), [({"x": float("inf")}, ValueError), ({"x": object()}, TypeError)]
)
def test_a_failed_save_leaves_nothing(model, tmp_path, info, error):
    with pytest.raises(error):
        save_bundle(tmp_path / "b", model, LABELS, THRESHOLDS, info=info)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("labels", "thresholds", "match"),
    [
        (Vocabulary(["a", "b"]), [0.5, 0.5], "2 labels but the model 5"),
        (LABELS, [0.5] * 4, r"shape \(4,\)"),
        (LABELS, [0.5, 0.5, float("nan"), 0.5, 0.5], "threshold 2 is nan"),
        (LABELS, [0.5, 0.5, 0.5, 0.5, 1.5], "threshold 4 is 1.5"),
        (LABELS, ["x"] * 5, "must be numbers"),
        (Vocabulary(["a", "b\x1b[31m", "c", "d", "e"]), [0.5] * 5, "printable"),
    ],
)
def test_what_does_not_fit_is_not_saved(model, tmp_path, labels, thresholds, match):
    with pytest.raises(ValueError, match=match):
        save_bundle(tmp_path / "b", model, labels, thresholds, info={})
    assert os.listdir(tmp_path) == []


# --- a damaged or hostile manifest -------------------------------------------------------------


def _set(*path, value):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("format_version", value=4), "update hybridlab"),
        (_set("format_version", value="1"), "format_version is '1'"),
        (_set("format_version", value=True), "format_version is True"),
        (_set("format", value="other"), "format is 'other'"),
        (_set("labels", value=["cow", "cow", "a", "b", "c"]), "given twice"),
        (_set("labels", value=["cow", 3]), "a label is 3"),
        (_set("labels", value=[]), "at least one label"),
        (_set("labels", value=["glass of milk", "cow", "Käse 🧀", "bus", "egg"]), "order"),
        (_set("thresholds", value=[0.5] * 4), "one a label"),
        (_set("thresholds", value=[0.5] * 4 + [None]), "a threshold is None"),
        (_set("thresholds", value=[0.5] * 4 + ["0.5"]), "a threshold is '0.5'"),
        (_set("thresholds", value=[0.5] * 4 + [10**400]), "bundle.json"),
        (_set("thresholds", value=[0.5] * 4 + [-0.1]), "threshold 4 is -0.1"),
        (_set("decoder", "dim", value=10**9), "decoder.dim is 1000000000"),
        (_set("decoder", "layers", value=0), "decoder.layers is 0"),
        (_set("decoder", "dim", value=16.0), "decoder.dim is 16.0"),
        (_set("decoder", "dropout", value=1.0), "decoder.dropout"),
        (_set("decoder", "channels", value=7), "reads 7 channels"),
        (_set("fusion", "name", value="os.system"), "unknown fusion"),
        (_set("clip", "name", value="hf-hub:someone/model"), "open_clip knows no model 'hf-hub'"),
        (_set("clip", "name", value="local-dir:/etc"), "open_clip knows no model 'local-dir'"),
        (_set("clip", "preprocessing", "image_size", value=10**9), "2048 pixels"),
        (_set("cnn", "preprocessing", "std", value=[0, 0, 0]), "std"),
        (_set("cnn", "preprocessing", value={}), "preprocessing has the fields"),
        (_set("cnn", value=[]), "cnn is []"),
        (_set("weights", "precision", value="float8"), "precision"),
        (_set("info", value="text"), "info is 'text'"),
        (_set("decoder", "cell", value="elman"), "choose one of gru, lstm"),
        (_set("decoder", "feed_image", value=1), "feed_image is 1, expected bool"),
        (_set("fusion", "tokens", value="words"), "tokens is 'words'"),
        (_set("fusion", "options", value=[]), "options is [], expected dict"),
        (_set("fusion", "options", value={"heads": 2}), "heads"),
        (_set("fusion", "options", value={"dropout": 2}), "dropout"),
    ],
)
def test_a_wrong_value_in_the_manifest_is_named(copy, cnn, change, words):
    edit(copy, change)
    assert words in refusal(copy, cnn)


@pytest.mark.parametrize(
    "key",
    ["format", "format_version", "labels", "labels_sha256", "thresholds", "cnn", "clip", "decoder",
     "fusion", "weights", "versions", "info", "decoder.dim", "cnn.weights_hash", "weights.sha256"],
)
def test_a_missing_key_is_named(copy, cnn, key):
    *parents, last = key.split(".")

    def change(data):
        for parent in parents:
            data = data[parent]
        del data[last]

    edit(copy, change)
    assert last in refusal(copy, cnn)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"\xff\xfe{}", b'{"format": NaN}', b"[" * 200_000,
     b'{"format": 1, "format": 2}', b"9" * 10_000, b'{"format": 1e999}'],
    ids=["empty", "cut", "list", "null", "not utf-8", "nan", "deep", "twins", "digits", "inf"],
)
def test_damaged_json(copy, cnn, text):
    (copy / "bundle.json").write_bytes(text)
    assert "bundle.json" in refusal(copy, cnn)


def test_an_enormous_manifest_is_not_read(copy, cnn):
    os.truncate(copy / "bundle.json", 10**10)  # sparse: takes no disk
    assert "10,000,000,000 bytes" in refusal(copy, cnn)


def test_nan_thresholds(copy, cnn):
    path = copy / "bundle.json"
    path.write_text(path.read_text().replace("0.25", "NaN"))
    assert "NaN is not JSON" in refusal(copy, cnn)


# --- damaged or hostile weights ----------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 7, 5000, -1])
def test_truncated_weights(copy, cnn, keep):
    path = copy / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "SHA-256" in refusal(copy, cnn)


def test_one_changed_byte_is_noticed(copy, cnn):
    path = copy / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    assert "SHA-256" in refusal(copy, cnn)


def _safetensors(header: dict, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 90_000_000) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        _safetensors(
            {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
             "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, b"\0" * 12,
        ),
        _safetensors(
            {"a": {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 8]}}, b"\0" * 8
        ),
        _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]}}, b"\0" * 8),
        _safetensors({"a": {"dtype": "Q9", "shape": [2], "data_offsets": [0, 8]}}, b"\0" * 8),
    ],
    ids=["header length", "header cut", "not an object", "overlap", "overflow", "beyond", "dtype"],
)
def test_hostile_safetensors(copy, cnn, data):
    put_weights(copy, data)
    assert "not a valid safetensors file" in refusal(copy, cnn)


class _Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def test_a_pickle_under_the_right_name_is_not_executed(copy, cnn, tmp_path):
    marker = tmp_path / "executed"
    put_weights(copy, pickle.dumps({"text_emb": _Evil(marker)}))
    assert "pickle" in refusal(copy, cnn)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.pkl"])
def test_a_pickle_instead_of_the_weights_is_refused(copy, cnn, tmp_path, name):
    marker = tmp_path / "executed"
    (copy / "weights.safetensors").unlink()
    torch.save({"x": _Evil(marker)}, copy / name)
    line = refusal(copy, cnn)
    assert name in line and "run any code" in line
    (copy / "bundle.json").unlink()
    assert name in refusal(copy, cnn)
    assert "is a file" in refusal(copy / name, cnn)
    assert not marker.exists()


def _change_tensors(folder, change):
    from safetensors.torch import load, save

    tensors = load((folder / "weights.safetensors").read_bytes())
    change(tensors)
    put_weights(folder, save(tensors))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("text_emb"), "lacks 1 tensors ('text_emb')"),
        (lambda t: t.update(extra=torch.zeros(1)), "has beside what is needed 1 tensors ('extra')"),
        (lambda t: t.update({"cnn.trunk.x": torch.zeros(1)}), "cnn.trunk.x"),
        (lambda t: t.update(text_emb=t["text_emb"][:4].clone()), "shape (4, 256)"),
        (lambda t: t.update(text_emb=t["text_emb"].double()), "torch.float64"),
        (lambda t: t.update(text_emb=t["text_emb"] * float("nan")), "NaN"),
    ],
)
def test_tensors_that_do_not_fit(copy, cnn, change, words):
    _change_tensors(copy, change)
    assert words in refusal(copy, cnn)


def test_weights_of_another_number_of_labels(copy, cnn):
    def change(data):
        data["labels"].append("dog")
        data["thresholds"].append(0.5)
        data["labels_sha256"] = hashlib.sha256(json.dumps(data["labels"]).encode()).hexdigest()

    edit(copy, change)
    assert "has shape" in refusal(copy, cnn)


def test_another_cnn_is_refused(copy):
    other = build_cnn("efficientnet_lite0", stage="stage4", image_size=64, pretrained=False)
    assert "other weights" in refusal(copy, other)
    edit(copy, _set("cnn", "weights_hash", value="0" * 32))
    assert "other weights" in refusal(copy)


def test_an_unknown_cnn_is_refused(copy):
    edit(copy, _set("cnn", "name", value="../evil"))
    assert "cannot be built" in refusal(copy)


# --- links and other tricks --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bundle.json", "weights.safetensors"])
def test_links_pipes_and_folders_are_not_files(copy, cnn, tmp_path, name):
    real = tmp_path / "real"
    (copy / name).rename(real)
    (copy / name).symlink_to(real)
    assert "is a link" in refusal(copy, cnn)
    (copy / name).unlink()
    (copy / name).symlink_to("/dev/zero")
    assert "is a link" in refusal(copy, cnn)
    (copy / name).unlink()
    os.mkfifo(copy / name)
    assert "regular file" in refusal(copy, cnn)
    (copy / name).unlink()
    (copy / name).mkdir()
    assert "regular file" in refusal(copy, cnn)
    (copy / name).rmdir()
    assert "is missing" in refusal(copy, cnn)


def test_a_link_to_a_whole_bundle_is_fine(copy, cnn, tmp_path):
    (tmp_path / "latest").symlink_to(copy)
    assert load_bundle(tmp_path / "latest", cnn=cnn).vocabulary == LABELS


def test_no_bundle_at_all(tmp_path):
    assert "no such bundle" in refusal(tmp_path / "nowhere")
    assert "bundle.json is missing" in refusal(tmp_path)


def test_the_shipped_bundle_or_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_module, "SHIPPED_FOLDER", tmp_path / "hybrid")
    with pytest.raises(BundleError, match="hybridlab ship"):
        shipped_bundle()
    (tmp_path / "hybrid").mkdir()
    (tmp_path / "hybrid" / "bundle.json").write_text("{}")
    assert shipped_bundle() == tmp_path / "hybrid"
