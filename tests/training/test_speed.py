"""Switches for speed change nothing else, and fall back where they do not work."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.training import trainer
from hybridlab.training.devices import DeviceConfig, NoDeviceError, fabric_of
from hybridlab.training.reports import StepReport
from hybridlab.training.speed import compiled, encoder_bodies, with_channels_last
from hybridlab.training.trainer import train_stages

from .toys import Toy, ToyTask, stages


def test_channels_last_changes_the_layout_and_not_the_values():
    cnn = build_cnn("efficientnet_lite0", stage="stage2", image_size=64, pretrained=False).eval()
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = cnn(pixels).tokens
        after = with_channels_last(cnn)(pixels).tokens
    assert torch.allclose(before, after, atol=1e-5)
    layouts = [each.weight.is_contiguous(memory_format=torch.channels_last)
               for each in cnn.modules() if isinstance(each, nn.Conv2d)]
    assert layouts and all(layouts)


def test_the_bodies_of_encoders_are_found_and_called_as_modules():
    model = nn.ModuleDict({
        "cnn": build_cnn("efficientnet_lite0", stage="stage2", image_size=64, pretrained=False),
        "clip": build_tiny_clip(pretrained=False), "head": nn.Linear(3, 3),
    }).eval()
    bodies, called = encoder_bodies(model), set()
    assert len(bodies) == 2
    for body in bodies:
        body.register_forward_hook(lambda module, *_: called.add(module))
    with torch.no_grad():
        model["cnn"](torch.randn(1, 3, 64, 64))
        model["clip"].encode_image(torch.randn(1, 3, 64, 64))
    assert called == set(bodies)


def test_compiling_that_fails_is_told_and_undone():
    module, said = nn.Linear(3, 3), []

    def trial():
        assert module._compiled_call_impl is not None
        raise RuntimeError("no C++ compiler here")

    names = set(module.state_dict())
    assert not compiled([module], trial, said.append)
    assert said == ["compiling failed (no C++ compiler here); going on without"]
    assert module._compiled_call_impl is None and set(module.state_dict()) == names
    assert module(torch.ones(1, 3)).shape == (1, 3)


@pytest.mark.parametrize("fails", [True, False])
def test_the_trial_leaves_no_trace_in_the_training(monkeypatch, fails):
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    tried = []

    def pretend(modules, trial, say):
        trial()
        tried.append(len(modules))
        return not fails

    monkeypatch.setattr(trainer, "compiled", pretend)
    curves = []
    for compiles in (False, True):
        reports = []
        train_stages(Toy(), ToyTask(), stages(), fabric, seed=3, report=reports.append,
                     compiles=compiles)
        curves.append([each.loss for each in reports if isinstance(each, StepReport)])
    assert curves[0] == curves[1]
    assert len(tried) == (1 if fails else 2)  # after a failure it is not tried again


def test_devices_that_are_not_here_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NoDeviceError, match=r"PyTorch .* sees none; .*--accelerator cpu"):
        fabric_of(DeviceConfig(accelerator="gpu"))
    with pytest.raises(NoDeviceError, match="16-mixed needs a GPU"):
        fabric_of(DeviceConfig(accelerator="cpu", precision="16-mixed"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(NoDeviceError, match="4 GPUs were asked for, and there are 2"):
        fabric_of(DeviceConfig(accelerator="gpu", devices=4))
    with pytest.raises(ValueError, match="workers is -1"):
        DeviceConfig(workers=-1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fabric_of(DeviceConfig()).device.type == "cpu"


def test_under_fabric_run_its_settings_count(monkeypatch):
    """It launches the processes itself, and a second launch is an error."""
    for name, value in (("CLI_USED", "1"), ("DEVICES", "1"), ("NUM_NODES", "1"),
                        ("ACCELERATOR", "cpu"), ("PRECISION", "bf16-mixed")):
        monkeypatch.setenv(f"LT_{name}", value)
    fabric = fabric_of(DeviceConfig(devices=3, accelerator="gpu"))
    assert fabric.world_size == 1 and fabric.device.type == "cpu"
    assert fabric._precision.precision == "bf16-mixed"
    monkeypatch.setenv("LT_STRATEGY", "fsdp")
    with pytest.raises(NoDeviceError, match="no --strategy"):
        fabric_of(DeviceConfig())
