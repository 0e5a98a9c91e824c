"""Encoders by one name each; without weights, words and no training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from hybridlab.bundle_format import ClipPart
from hybridlab.bundle_model import _image_only_clip
from hybridlab.chosen_encoders import chosen_encoders, usual_encoders
from hybridlab.configs import DemoConfig
from hybridlab.encoder_config import EncoderConfig
from hybridlab.encoders.base import MissingWeightsError, is_frozen
from hybridlab.encoders.clip_hub import build_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.frozen import frozen_clip, frozen_cnn, text_embeddings

CONFIG = DemoConfig(cnn_size=64, dim=16)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for variable in ("https_proxy", "HTTPS_PROXY"):  # a proxy that nobody runs: no way out
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)


def test_by_default_they_are_the_usual_ones():
    found, usual = chosen_encoders(EncoderConfig(), CONFIG), usual_encoders(CONFIG)
    for each in (found, usual):
        assert each.cnn().weights_hash() == frozen_cnn(64, "stage5").weights_hash()
        assert each.clip().weights_hash() == frozen_clip().weights_hash()
        assert torch.equal(each.texts(["an owl"]), text_embeddings(["an owl"]))
        assert each.decoder == {} and each.cnn() is not each.cnn()  # may be trained without harm


def test_the_seeds_model_is_resnet_152_and_an_lstm():
    found = chosen_encoders(EncoderConfig("cnn-rnn", cnn_weights="random"), CONFIG)
    assert found.decoder == {"cell": "lstm", "layers": 1, "look": "mean"}
    cnn = found.cnn()
    assert (cnn.name, cnn.stage, cnn.dim) == ("resnet152", "stage5", 2048) and is_frozen(cnn)
    assert cnn.preprocessing.image_size == 64


def test_a_file_of_weights_is_taken(tmp_path):
    from torchvision.models import resnet50

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = resnet50(weights=None)
    torch.save(network.state_dict(), tmp_path / "r50.pth")
    choice = EncoderConfig(cnn="resnet50", cnn_weights=str(tmp_path / "r50.pth"))
    cnn = chosen_encoders(choice, replace(CONFIG, cnn_stage="stage2", cnn_places=2)).cnn()
    assert torch.equal(cnn.trunk.stage1[0].weight, network.conv1.weight)
    assert cnn.places == 2 and cnn.stage == "stage2"


def test_no_weights_no_training(tmp_path, monkeypatch):
    offline(monkeypatch, tmp_path)
    with pytest.raises(MissingWeightsError, match=r"weights of resnet101 are not on this machine"):
        chosen_encoders(EncoderConfig(cnn="resnet101"), CONFIG)
    for choice, words in (
        (EncoderConfig(cnn="resnet50", cnn_weights="gone.pth"), "look at --cnn-weights"),
        (EncoderConfig(clip="ViT-B-32:openai", clip_weights="gone.pt"), "look at --clip-weights"),
    ):
        with pytest.raises(FileNotFoundError, match=words):
            chosen_encoders(choice, CONFIG)
    with pytest.raises(ValueError, match="unknown CNN 'resnet5'"):
        chosen_encoders(EncoderConfig(cnn="resnet5"), CONFIG)
    with pytest.raises(ValueError, match="model is 'rnn'; choose one of hybrid, cnn-rnn"):
        EncoderConfig("rnn")


def test_a_clip_that_no_bundle_can_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a bundle names its tower by open_clip's names alone"):
        chosen_encoders(EncoderConfig(clip="local-dir:/models/x"), CONFIG)
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    for name in ("ViT-B-32", "ViT-B-32:nobody", "ViT-Z:openai"):
        with pytest.raises(ValueError, match="give the MODEL:TAG of open_clip"):
            chosen_encoders(EncoderConfig(clip=name, clip_weights=str(file)), CONFIG)


def test_vit_b_32_by_name_and_file(tmp_path):
    """Random weights in place of OpenAI's; name, preprocessing and GELU are theirs."""
    source = build_clip("ViT-B-32:openai", pretrained=False, seed=3)
    file = tmp_path / "clip.safetensors"
    save_file({name: value.contiguous() for name, value in source.model.state_dict().items()}, file)
    choice = EncoderConfig(clip="ViT-B-32:openai", clip_weights=str(file))
    found = chosen_encoders(choice, CONFIG)
    clip = found.clip()
    assert clip.name == "ViT-B-32:openai" and is_frozen(clip)
    assert clip.weights_hash() == source.weights_hash()
    assert clip.preprocessing.image_size == 224 and clip.preprocessing.resize_mode == "crop"
    assert clip.preprocessing.mean[0] == pytest.approx(0.48145466)
    texts = found.texts(["an owl", "a cow"])
    assert texts.shape == (2, 512) and torch.equal(texts, found.texts(["an owl", "a cow"]))
    assert not torch.equal(texts[0], texts[1])
    # rebuilt from a bundle it computes the same, with the GELU that OpenAI trained with
    again = _image_only_clip(ClipPart(clip.name, 512, clip.preprocessing.to_dict()))
    again.vision.load_state_dict(clip.vision.state_dict())
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, two = (each.eval().encode_image(pixels) for each in (clip, again))
    assert torch.allclose(one.image_emb, two.image_emb, atol=1e-6)


def test_random_weights_follow_the_seed():
    cnn = build_cnn("resnet50", pretrained=False, image_size=64, seed=CONFIG.seed)
    choice = EncoderConfig(cnn="resnet50", cnn_weights="random")
    assert chosen_encoders(choice, CONFIG).cnn().weights_hash() == cnn.weights_hash()
    other = chosen_encoders(choice, replace(CONFIG, seed=1)).cnn()
    assert other.weights_hash() != cnn.weights_hash()


def test_a_siglip_without_weights_is_told(tmp_path, monkeypatch):
    offline(monkeypatch, tmp_path)
    monkeypatch.setattr("hybridlab.encoders.clip_hub.reachable", lambda: False)
    with pytest.raises(MissingWeightsError, match="weights of ViT-B-16-SigLIP:webli"):
        chosen_encoders(EncoderConfig(clip="ViT-B-16-SigLIP:webli"), CONFIG)
