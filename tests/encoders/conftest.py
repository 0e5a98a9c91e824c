"""Models that several files look at, with random weights, built once.

`siglip` and `resnet` are open_clip's own classes in a small size: its configurations of
ViT-B-16-SigLIP and RN50 with fewer and narrower layers, under names of their own.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from open_clip import factory
from safetensors.torch import save_model
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer, _create_vision_transformer

from hybridlab.encoders.clip import ClipEncoder, build_tiny_clip
from hybridlab.encoders.clip_hub import build_clip


@register_model
def vit_test_siglip(pretrained: bool = False, **options) -> VisionTransformer:
    """timm's SigLIP tower: no class token, an attention-pooling (MAP) head."""
    small = {"img_size": 64, "patch_size": 16, "embed_dim": 48, "depth": 2, "num_heads": 4}
    given = {**small, "class_token": False, **options}
    return _create_vision_transformer("vit_test_siglip", pretrained=pretrained, **given)


def small_siglip() -> dict:
    """open_clip's ViT-B-16-SigLIP with small towers and 40 words."""
    config = copy.deepcopy(factory._MODEL_CONFIGS["ViT-B-16-SigLIP"])
    config["embed_dim"] = 48
    config["vision_cfg"] |= {"image_size": 64, "timm_model_name": "vit_test_siglip"}
    config["text_cfg"] |= {
        "vocab_size": 40, "width": 48, "heads": 4, "layers": 2, "context_length": 12,
    }
    return config


def small_resnet() -> dict:
    """open_clip's RN50 with one block a stage."""
    config = copy.deepcopy(factory._MODEL_CONFIGS["RN50"])
    config["embed_dim"] = 24
    config["vision_cfg"] |= {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}
    config["text_cfg"] |= {"width": 32, "heads": 4, "layers": 1}
    return config


@pytest.fixture(scope="session")
def small_names() -> None:
    """The small models by name, for as long as the tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(factory._MODEL_CONFIGS, "small-SigLIP", small_siglip())
        patch.setitem(factory._MODEL_CONFIGS, "small-RN50", small_resnet())
        yield


@pytest.fixture(scope="session")
def tiny() -> ClipEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_tiny_clip(pretrained=False)


@pytest.fixture(scope="session")
def vit() -> ClipEncoder:
    return build_clip("ViT-B-32", pretrained=False)


@pytest.fixture(scope="session")
def siglip(small_names: None) -> ClipEncoder:
    return build_clip("small-SigLIP", pretrained=False)


@pytest.fixture(scope="session")
def resnet(small_names: None) -> ClipEncoder:
    encoder = build_clip("small-RN50", pretrained=False)
    # each block's last norm starts at zero, which would switch the blocks off
    generator = torch.Generator().manual_seed(0)
    for name, value in encoder.model.visual.named_parameters():
        if name.endswith("bn3.weight"):
            torch.nn.init.uniform_(value, 0.5, 1.5, generator=generator)
    return encoder


@pytest.fixture(scope="session")
def siglip_folder(siglip: ClipEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`siglip` as hubs keep models: configuration and weights. Leave it be, or copy it."""
    folder = tmp_path_factory.mktemp("siglip")
    preprocess = {
        "mean": [0.4, 0.5, 0.6], "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic", "resize_mode": "squash",
    }
    config = {"model_cfg": small_siglip(), "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_model(siglip.model, folder / "open_clip_model.safetensors")
    return folder
