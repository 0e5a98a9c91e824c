"""The table of convolutional networks: how each is built, cut into stages and given its weights.

Every network here is a straight chain, which is what makes cutting it exact. Adding a backbone is
one row of `BACKBONES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from hybridlab.encoders.checkpoints import hub_weights, read_weights
from hybridlab.encoders.lite import build_lite, lite_state

OFFLINE_DEFAULT = "efficientnet_lite0"
HALF = (0.5, 0.5, 0.5)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Stages = dict[str, list[nn.Module]]


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        build: name -> the whole network, with whatever weights.
        stages: network -> its chain in named pieces; "stageK" ends at 1/2**K of the image's side
            (VGG, which has no stride in its first piece: 1/2**(K-1)).
        read: (name, network, weights_path) -> tensors under the network's names.
        image_size, mean, std, interpolation: what its weights were trained with.
        min_sizes: smallest image for each stage; None: as many pixels as one place stands for.
    """

    build: Callable[[str], nn.Module]
    stages: Callable[[nn.Module], Stages]
    read: Callable[[str, nn.Module, Path | None], dict[str, Tensor]]
    image_size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bilinear"
    min_sizes: tuple[int, ...] | None = None


def backbone(name: str) -> Backbone:
    """A row of the table.

    Raises:
        ValueError: unknown name; the known ones are listed.
    """
    if name not in BACKBONES:
        raise ValueError(f"unknown CNN {name!r}; choose one of {sorted(BACKBONES)}")
    return BACKBONES[name]


def _build_torchvision(name: str) -> nn.Module:
    from torchvision import models

    # inception warns about a slow initialisation unless told; on "meta" none happens
    options = {"init_weights": False} if name == "inception_v3" else {}
    return models.get_model(name, weights=None, **options)


def _read_torchvision(name: str, network: nn.Module, path: Path | None) -> dict[str, Tensor]:
    if path is None:
        from torchvision import models

        # V1 throughout: the recipe that published multi-label baselines start from, and the only
        # one that all five have
        url = models.get_model_weights(name)["IMAGENET1K_V1"].url
        path = hub_weights(url, name, OFFLINE_DEFAULT)
    return read_weights(path)


def _lite_stages(net: nn.Module) -> Stages:
    blocks = list(net.blocks)  # type: ignore[arg-type]
    return _modules(
        {
            "stage1": [net.conv_stem, net.bn1, blocks[0]],
            "stage2": [blocks[1]],
            "stage3": [blocks[2]],
            "stage4": blocks[3:5],
            "stage5": blocks[5:7],
            "head": [net.conv_head, net.bn2],
        }
    )


def _resnet_stages(net: nn.Module) -> Stages:
    return _modules(
        {
            "stage1": [net.conv1, net.bn1, net.relu],
            "stage2": [net.maxpool, net.layer1],
            "stage3": [net.layer2],
            "stage4": [net.layer3],
            "stage5": [net.layer4],
        }
    )


def _vgg_stages(net: nn.Module) -> Stages:
    """Each stage ends before a pooling, so "stage5" is conv5_3; "pool5" is the last pooling."""
    pieces: list[list[nn.Module]] = [[]]
    for layer in net.features:  # type: ignore[union-attr]
        if isinstance(layer, nn.MaxPool2d):
            pieces.append([])
        pieces[-1].append(layer)
    return dict(zip([*(f"stage{k}" for k in range(1, 6)), "pool5"], pieces, strict=True))


def _inception_stages(net: nn.Module) -> Stages:
    # without the auxiliary head, and without `transform_input`: torchvision's weights expect mean
    # and std 0.5, which the preprocessing gives directly
    return _modules(
        {
            "stage1": [net.Conv2d_1a_3x3, net.Conv2d_2a_3x3, net.Conv2d_2b_3x3],
            "stage2": [net.maxpool1, net.Conv2d_3b_1x1, net.Conv2d_4a_3x3],
            "stage3": [net.maxpool2, net.Mixed_5b, net.Mixed_5c, net.Mixed_5d],
            "stage4": [net.Mixed_6a, net.Mixed_6b, net.Mixed_6c, net.Mixed_6d, net.Mixed_6e],
            "stage5": [net.Mixed_7a, net.Mixed_7b, net.Mixed_7c],
        }
    )


def _modules(pieces: dict[str, list]) -> Stages:
    """Only tells the type checker that attributes of a network are modules."""
    return pieces


def _lite(image_size: int) -> Backbone:
    return Backbone(build_lite, _lite_stages, lite_state, image_size, HALF, HALF, "bicubic")


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": _lite(224),
    "efficientnet_lite1": _lite(240),
    "efficientnet_lite2": _lite(260),
    "resnet50": Backbone(_build_torchvision, _resnet_stages, _read_torchvision),
    "resnet101": Backbone(_build_torchvision, _resnet_stages, _read_torchvision),
    "resnet152": Backbone(_build_torchvision, _resnet_stages, _read_torchvision),
    "vgg16": Backbone(_build_torchvision, _vgg_stages, _read_torchvision),
    "inception_v3": Backbone(
        _build_torchvision, _inception_stages, _read_torchvision, 299, HALF, HALF,
        min_sizes=(7, 19, 27, 43, 75),  # its convolutions do not pad
    ),
}
