"""Rates by layer are timm's; nothing is left out, taken twice, or trained while frozen."""

from __future__ import annotations

import open_clip
import pytest
import timm
import torch
import torchvision
from timm.optim import param_groups_layer_decay
from torch import nn

from hybridlab.encoders.base import freeze
from hybridlab.encoders.cnn import build_cnn
from hybridlab.frozen import frozen_clip
from hybridlab.training.parameter_groups import layer_depths, parameter_groups


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50", "vit_tiny_patch16_224"])
def test_rates_by_layer_are_timms(name):
    model = timm.create_model(name, pretrained=False, num_classes=0)
    ours = {id(p): (group["peak"], group["weight_decay"])
            for group in parameter_groups([(model, 1.0, 0.7)], 0.05) for p in group["params"]}
    theirs = {id(p): (group["lr_scale"], group["weight_decay"])
              for group in param_groups_layer_decay(model, 0.05, layer_decay=0.7)
              for p in group["params"]}
    assert ours.keys() == theirs.keys()
    for name_, parameter in model.named_parameters():
        assert ours[id(parameter)][0] == pytest.approx(theirs[id(parameter)][0]), name_
        if parameter.dim() != 3:  # timm leaves a ViT's positions to its own list
            assert ours[id(parameter)][1] == theirs[id(parameter)][1], name_


def test_open_clips_towers_and_our_own_have_their_ends_at_the_ends():
    tower = open_clip.create_model("ViT-B-32", pretrained=None).visual
    depths = layer_depths(tower)
    assert {depths[name] for name in ("class_embedding", "positional_embedding", "conv1.weight",
                                      "ln_pre.weight")} == {0}
    assert depths["transformer.resblocks.0.ln_1.weight"] == 1
    assert {depths[name] for name in ("proj", "ln_post.weight",
                                      "transformer.resblocks.11.ln_1.weight")} == {12}
    depths = layer_depths(frozen_clip().vision)
    assert depths["trunk.conv_stem.weight"] == 0
    assert depths["head.proj.weight"] == depths["trunk.blocks.6.0.bn3.bias"] == 16


@pytest.mark.parametrize(("name", "timms"), [
    ("efficientnet_lite0", "tf_efficientnet_lite0"), ("resnet50", "resnet50"),
])
def test_our_cnns_have_a_rate_for_each_block_as_timms_have(name, timms):
    """The stem is one layer, each block another, whatever stage and piece they stand in."""
    ours = layer_depths(build_cnn(name, pretrained=False))
    theirs = layer_depths(timm.create_model(timms, pretrained=False, num_classes=0))
    assert ours["trunk.stage1.0.weight"] == ours["trunk.stage1.1.weight"]  # stem and its norm
    assert len(set(ours.values())) == len(set(theirs.values()))
    assert list(ours.values()) == sorted(ours.values())


def test_torchvisions_transformer_has_layers():
    depths = layer_depths(torchvision.models.vit_b_32())
    assert depths["class_token"] == depths["conv_proj.weight"] == 0
    assert depths["encoder.layers.encoder_layer_3.ln_1.weight"] == 4
    assert depths["encoder.ln.weight"] == depths["heads.head.weight"] == 12


def test_every_parameter_is_in_one_group_and_frozen_ones_in_none():
    shared = nn.Linear(3, 3)
    first = nn.Sequential(shared, nn.LayerNorm(3))
    frozen = freeze(nn.Linear(3, 3))
    groups = parameter_groups([(first, 0.1, 1.0), (nn.Sequential(shared, frozen), 0.2, 1.0)], 0.5)
    listed = [p for group in groups for p in group["params"]]
    assert len(listed) == len({id(p) for p in listed}) == 4
    assert {group["peak"] for group in groups} == {0.1}  # what is shared belongs to the first
    decays = {name: group["weight_decay"] for group in groups for name in group["names"]}
    assert decays == {"0.0.weight": 0.5, "0.0.bias": 0.0, "0.1.weight": 0.0, "0.1.bias": 0.0}
    torch.optim.AdamW(groups)  # an optimiser takes them as they are
    assert parameter_groups([(frozen, 1.0, 1.0)]) == []


@pytest.mark.parametrize(("arguments", "words"), [
    (([(nn.Linear(1, 1), -1.0, 1.0)],), "rate of part 0 is -1.0"),
    (([(nn.Linear(1, 1), float("nan"), 1.0)],), "rate of part 0 is nan"),
    (([], -0.1), "weight_decay is -0.1"),
    (([(nn.Linear(1, 1), 0.1, 0.0)],), "layer_decay of part 0 is 0.0"),
    (([(nn.Linear(1, 1), 0.1, 1.5)],), "layer_decay of part 0 is 1.5"),
])
def test_mistakes_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        parameter_groups(*arguments)
