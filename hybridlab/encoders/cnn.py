"""Convolutional encoders by name: one image, one feature map to decode from.

An encoder is a chain of `backbones.BACKBONES` cut after the wanted stage: later layers and the
classifier are neither kept nor computed.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.configs import ALL_PLACES
from hybridlab.encoders.backbones import BACKBONES, OFFLINE_DEFAULT, backbone
from hybridlab.encoders.base import EncoderOutput, check_pixels, weights_hash
from hybridlab.encoders.preprocessing import Preprocessing


class CNNEncoder(nn.Module):
    """A convolutional network up to one stage.

    Made by `build_cnn`, in eval and with gradients on; freeze it with `base.freeze`.

    Attributes:
        name: the name it was built by.
        stage: where the chain was cut.
        channels, dim: C of the map and D of the tokens; equal.
        min_size: smallest side of an image, in pixels.
        places: most places a side of what is decoded: a larger map is averaged down to it for the
            tokens; the feature map stays whole.
        preprocessing: images -> pixels, as its weights expect them.

    Shape:
        pixels (B, 3, H, W) -> feature_map (B, C, h, w), tokens (B, P, C), pooled (B, C), where P is
        h·w, or min(h, places)·min(w, places)
    """

    def __init__(
        self,
        trunk: nn.Sequential,
        name: str,
        channels: int,
        preprocessing: Preprocessing,
        min_size: int,
        places: int = ALL_PLACES,
    ):
        super().__init__()
        self.trunk = trunk
        self.name = name
        self.stage = next(reversed(trunk._modules))
        self.channels = self.dim = channels
        self.preprocessing = preprocessing
        self.min_size, self.places = min_size, places

    def forward(self, pixels: Tensor) -> EncoderOutput:
        """pixels (B, 3, H, W), preprocessed -> `EncoderOutput`.

        Raises:
            TypeError: pixels that are not floating point (uint8: not preprocessed).
            ValueError: another rank, not 3 channels, or too small for the stage.
        """
        check_pixels(pixels, self.min_size, f"{self.name} up to {self.stage}")
        feature_map = self.trunk(pixels)                  # (B, C, h, w)
        whole = feature_map.flatten(2).transpose(1, 2)    # (B, h·w, D)
        return EncoderOutput(feature_map, self._few(feature_map, whole), whole.mean(dim=1))

    def _few(self, feature_map: Tensor, whole: Tensor) -> Tensor:
        height, width = feature_map.shape[2:]
        if max(height, width) <= self.places:
            return whole
        sides = min(height, self.places), min(width, self.places)
        return F.adaptive_avg_pool2d(feature_map, sides).flatten(2).transpose(1, 2)

    def weights_hash(self) -> str:
        """Names the weights and what is computed with them: 32 hexadecimal characters.

        The stage counts: VGG's "stage5" and "pool5" have the same weights and other features. So
        does the number of places, where there is a limit.
        """
        text = f"{self.name}|{self.stage}|{weights_hash(self.trunk)}"
        if self.places < ALL_PLACES:
            text += f"|{self.places}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def build_cnn(
    name: str = OFFLINE_DEFAULT,
    *,
    pretrained: bool = True,
    stage: str | None = None,
    weights_path: str | Path | None = None,
    image_size: int | None = None,
    places: int = ALL_PLACES,
    seed: int = 0,
) -> CNNEncoder:
    """An encoder by name, with ImageNet weights.

    Args:
        name: see `cnn_names`.
        pretrained: False gives random weights (He et al. 2015, arXiv 1502.01852), and never
            anything else does.
        stage: where to cut; see `stage_names`. Default: the last.
        weights_path: a file of the whole network's weights instead of the usual ones.
        image_size: S of the preprocessing; default: what the weights were trained with.
        places: most places a side that the tokens have; see `CNNEncoder`.
        seed: of the random weights. The global generator is not touched.

    Raises:
        MissingWeightsError: the weights are not here and cannot be fetched.
        ValueError: unknown name or stage (the known ones are listed), an image size too small for
            the stage, places below 1, weights that do not fit, or weights_path together with
            pretrained=False.
    """
    if places < 1:
        raise ValueError(f"places is {places}; give 1 or more")
    if not pretrained and weights_path is not None:
        raise ValueError("got weights_path together with pretrained=False; give one of the two")
    row = backbone(name)
    # on "meta" a network has shapes only: no random initialisation to wait for or to keep
    with torch.device("meta"):
        network = row.build(name).eval()
    pieces = row.stages(network)
    names = list(pieces)
    last = names[-1] if stage is None else stage
    if last not in pieces:
        raise ValueError(f"{name} has no stage {stage!r}; choose one of {names}")
    kept = names[: names.index(last) + 1]
    trunk = nn.Sequential(OrderedDict((key, nn.Sequential(*pieces[key])) for key in kept)).eval()
    with torch.no_grad():
        _, channels, side, _ = trunk(torch.empty(1, 3, 256, 256, device="meta")).shape
    min_size = 256 // side if row.min_sizes is None else row.min_sizes[len(kept) - 1]
    size = row.image_size if image_size is None else image_size
    # the frame is squashed into a square: a crop would lose objects and keep their labels
    preprocessing = Preprocessing(size, row.mean, row.std, row.interpolation, "squash")
    if size < min_size:
        raise ValueError(
            f"image_size is {size}, but {name} up to {last} needs at least {min_size}; choose an "
            "earlier stage or larger images"
        )
    if pretrained:
        path = None if weights_path is None else Path(weights_path)
        _assign(network, trunk, row.read(name, network, path), name)
    else:
        _initialise(trunk, seed)
    return CNNEncoder(trunk, name, channels, preprocessing, min_size, places).eval()


def cnn_names() -> tuple[str, ...]:
    """The names that `build_cnn` knows."""
    return tuple(BACKBONES)


def stage_names(name: str) -> tuple[str, ...]:
    """The stages of a backbone, first to last.

    Raises:
        ValueError: unknown name.
    """
    row = backbone(name)
    with torch.device("meta"):
        return tuple(row.stages(row.build(name)))


def _assign(network: nn.Module, trunk: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Give the trunk its weights; the rest of the network stays without, and is dropped."""
    kept = {id(tensor) for tensor in [*trunk.parameters(), *trunk.buffers()]}
    wanted = {
        key: tensor
        for key, tensor in network.state_dict(keep_vars=True).items()
        if id(tensor) in kept
    }
    for key in wanted:
        if key.endswith("num_batches_tracked"):  # files older than PyTorch 0.4.1 lack it
            state.setdefault(key, torch.tensor(0))
    wrong = [key for key in wanted if key not in state or state[key].shape != wanted[key].shape]
    if wrong:
        raise ValueError(
            f"the weights do not fit {name}: {len(wrong)} of {len(wanted)} tensors are missing or "
            f"have another shape, {wrong[0]!r} first; pass the weights of this very network"
        )
    fitting = {key: state[key].to(tensor.dtype) for key, tensor in wanted.items()}
    network.load_state_dict(fitting, strict=False, assign=True)


def _initialise(trunk: nn.Module, seed: int) -> None:
    """He initialisation in the chain's order: an earlier stage is a prefix of a later one."""
    trunk.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            # outputs that one input feeds; a depthwise convolution has few
            fan_out = module.weight[0, 0].numel() * module.out_channels / module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan_out), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # ones and zeros, running statistics too
        elif next(module.parameters(recurse=False), None) is not None:
            raise TypeError(f"no initialisation is known for {type(module).__name__}; add it here")
