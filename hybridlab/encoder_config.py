"""Which encoders a training uses, by name. No torch here: the command line reads it to print its
help."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

MODELS = ("hybrid", "cnn-rnn")
RANDOM = "random"
_CNNS = {"hybrid": "efficientnet_lite0", "cnn-rnn": "resnet152"}


@dataclass(frozen=True)
class EncoderConfig:
    """What looks at the pictures.

    Attributes:
        model: "hybrid", both views; "cnn-rnn", seed 002's model in one word: ResNet-152, its map's
            mean, a one-layer LSTM, and no CLIP (as --without clip --plan frozen).
        cnn: "efficientnet_lite0", whose weights come with the package; "efficientnet_lite1" and
            "efficientnet_lite2", whose weights are packages of their own; "resnet50", "resnet101",
            "resnet152", "vgg16" or "inception_v3", whose weights torchvision fetches; "" that of
            the model.
        cnn_weights: a file of the whole network's weights in place of the usual ones, for a machine
            without a network; or "random".
        clip: "tiny", which comes with the package; or "MODEL:TAG" of open_clip, such as
            "ViT-B-32:laion2b_s34b_b79k" or "ViT-B-16-SigLIP:webli", whose weights and, of SigLIP,
            tokenizer the hub has.
        clip_weights: a file of that tag's weights; or "random".

    Raises:
        ValueError: an unknown model.
    """

    model: Literal["hybrid", "cnn-rnn"] = "hybrid"
    cnn: str = ""
    cnn_weights: str = ""
    clip: str = "tiny"
    clip_weights: str = ""

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"model is {self.model!r}; choose one of {', '.join(MODELS)}")
        if self.model == "cnn-rnn" and (self.clip != "tiny" or self.clip_weights):
            raise ValueError("model 'cnn-rnn' does without CLIP; leave --clip and --clip-weights "
                             "out, or give --model hybrid")

    @property
    def cnn_name(self) -> str:
        """The CNN, where "" stands for that of the model."""
        return self.cnn or _CNNS[self.model]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, to be written and compared."""
        return asdict(self)
