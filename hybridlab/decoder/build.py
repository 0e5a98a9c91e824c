"""An image encoder and a label decoder as one model, and two published configurations by name."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.decoded import Decoded
from hybridlab.decoder.search import Beams
from hybridlab.encoders.base import freeze
from hybridlab.encoders.cnn import CNNEncoder, build_cnn

# name -> (encoder, options of the decoder)
CNN_RNNS: dict[str, tuple[str, dict[str, Any]]] = {
    # arXiv 1604.04573: the LSTM reads labels alone; image and state meet in the labels' space. (The
    # image is the mean of VGG's last map, not its fully connected layer; widths are `decoder`'s.)
    "paper": ("vgg16", {
        "cell": "lstm", "layers": 1, "look": "mean", "output": "joint", "feed_image": False,
    }),
    # seed 002: ResNet-152, an LSTM, a linear layer
    "repository": ("resnet152", {"cell": "lstm", "layers": 1, "look": "mean"}),
    # this course: a small CNN, a two-layer GRU with attention (seed 000)
    "course": ("efficientnet_lite0", {}),
}


class CnnRnn(nn.Module):
    """Pixels -> label sequences.

    Args:
        cnn: frozen here: no gradients, BatchNorm in eval, whatever `train` is called with (trap
            15). Unfreeze `cnn.requires_grad_(True)` for stages that tune it.
        decoder: made for the CNN's channels.

    Shape:
        pixels (B, 3, H, W), preprocessed by `cnn.preprocessing`

    Raises:
        ValueError: the decoder reads another width than the CNN gives.
    """

    def __init__(self, cnn: CNNEncoder, decoder: LabelDecoder):
        super().__init__()
        if cnn.channels != decoder.channels:
            raise ValueError(
                f"{cnn.name} gives {cnn.channels} channels, but the decoder reads "
                f"{decoder.channels}; build it with channels={cnn.channels}"
            )
        self.cnn, self.decoder = freeze(cnn), decoder

    def train(self, mode: bool = True) -> CnnRnn:
        """The decoder's mode; the CNN stays in eval."""
        super().train(mode)
        self.cnn.eval()
        return self

    def forward(
        self, pixels: Tensor, label_seq: Tensor, truth: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """step_logits (B, T, L + 1); see `LabelDecoder.forward`."""
        return self.decoder(self.cnn(pixels).tokens, label_seq, truth, generator)

    @torch.no_grad()
    def decode(self, pixels: Tensor, *, allow_repeats: bool = False) -> Decoded:
        """Greedy; see `LabelDecoder.decode`."""
        return self.decoder.decode(self.cnn(pixels).tokens, allow_repeats=allow_repeats)

    @torch.no_grad()
    def beam_search(
        self, pixels: Tensor, beams: int = 4, *, length_power: float = 0.0,
        allow_repeats: bool = False,
    ) -> Beams:
        """The K best sequences; see `LabelDecoder.beam_search`."""
        return self.decoder.beam_search(
            self.cnn(pixels).tokens, beams, length_power=length_power, allow_repeats=allow_repeats
        )


def build_cnn_rnn(
    name: str, n_labels: int, *, pretrained: bool = True, image_size: int | None = None,
    **decoder: Any,
) -> CnnRnn:
    """A CNN-RNN by name, its decoder untrained.

    Args:
        name: "paper" (VGG-16, LSTM, joint embedding: in the manner of arXiv 1604.04573),
            "repository" (ResNet-152 and LSTM: seed 002) or "course".
        n_labels: L.
        pretrained: False gives a CNN with random weights.
        image_size: S of the CNN's preprocessing; default: what its weights were trained with.
        decoder: options of `LabelDecoder` in place of the configuration's own.

    Raises:
        ValueError: an unknown name or option value.
        MissingWeightsError: the CNN's weights are not here and cannot be fetched.
    """
    if name not in CNN_RNNS:
        raise ValueError(f"unknown CNN-RNN {name!r}; choose one of {', '.join(CNN_RNNS)}")
    encoder, options = CNN_RNNS[name]
    cnn = build_cnn(encoder, pretrained=pretrained, image_size=image_size)
    return CnnRnn(cnn, LabelDecoder(cnn.channels, n_labels, **{**options, **decoder}))
