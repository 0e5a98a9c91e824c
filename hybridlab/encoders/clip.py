"""CLIP models through open_clip: the course's own tiny one, and any other by name.

One interface for all: `encode_image` gives the global embedding and patch tokens in the space of
the texts, `encode_text` gives the texts. Both are unit length (trap 8).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.encoders.base import MissingWeightsError, check_pixels, weights_hash
from hybridlab.encoders.checkpoints import load_into, weights_in
from hybridlab.encoders.clip_preprocessing import of_folder
from hybridlab.encoders.clip_tokenizer import Tokenizer, build_tokenizer
from hybridlab.encoders.lite import load_lite_weights
from hybridlab.encoders.patch_tokens import fixed_size, look
from hybridlab.encoders.preprocessing import Preprocessing, require_size

TINY = "tiny"
TINY_FOLDER = Path(__file__).parent.parent / "assets" / "tiny_clip"
WEIGHTS_FILE = "open_clip_model.safetensors"


@dataclass(frozen=True)
class ImageFeatures:
    """What the image tower gives.

    Attributes:
        image_emb: (B, D), unit length.
        tokens: (B, P, D) patch tokens in the space of the texts, *not* normalised, row by row of
            `grid` (H, W); `encoders.patch_tokens` tells what they are for each kind of tower. For
            the tiny CLIP their mean over P, normalised, is `image_emb`.
    """

    image_emb: Tensor
    tokens: Tensor
    grid: tuple[int, int]


class ClipEncoder(nn.Module):
    """A CLIP model with one interface, whatever its towers.

    Attributes:
        name: "tiny", "MODEL:TAG" of open_clip, or "local-dir:FOLDER".
        dim: D, the width of the shared space.
        preprocessing: the model's own (trap 12).
        tokenizer: texts -> (L, T) token numbers, padded to the model's length.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        name: str,
    ):
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.name = name
        self.dim = _width(model)

    @property
    def vision(self) -> nn.Module:
        """The image tower: what phase 2 unfreezes."""
        return self.model.visual  # type: ignore[return-value]

    @property
    def logit_scale(self) -> Tensor:
        """The learnt temperature as a factor (already exponentiated)."""
        return self.model.logit_scale.exp()  # type: ignore[operator]

    @property
    def logit_bias(self) -> Tensor | None:
        """SigLIP's bias, which is added to logit_scale * cosine; None for CLIP (trap 10)."""
        return getattr(self.model, "logit_bias", None)

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """pixels (B, 3, H, W), preprocessed -> `ImageFeatures`.

        A tower with a table of positions reads one size; a convolutional one without (the tiny
        CLIP) takes any H and W and gives a grid to match.

        Raises:
            TypeError: pixels that are not floating point.
            ValueError: another shape than (B, 3, H, W), or images of another size than the tower's.
            NotImplementedError: the tower is of a kind whose patch tokens are not known here.
        """
        check_pixels(pixels, 1, self.name)
        require_size(pixels, fixed_size(self.vision), self.name)
        count = pixels.shape[0]
        # not every tower takes an empty batch: let it see a blank image, and drop that
        seen = look(self.vision, pixels if count else pixels.new_zeros(1, *pixels.shape[1:]))
        image_emb, tokens = seen.image_emb[:count], seen.tokens[:count]
        return ImageFeatures(F.normalize(image_emb, dim=-1), tokens, seen.grid)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> text_emb (L, D), unit length.

        CLIP's embedding is the state at the end-of-text token, before the padding. SigLIP's is the
        state at the last place, so its texts are padded to the full length, as in its training.
        Both tokenizers do so. Texts that are too long are cut without a word:
        `zeroshot.text_bank` tells which.

        Raises:
            TypeError: one text in place of a list, or something that is no text.
            ValueError: no text was given.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise TypeError(
                f"got {texts!r:.60}; expected a list of texts, such as ['a cow', 'an owl']"
            )
        if not len(texts):
            raise ValueError("no texts were given; give at least one")
        device = next(self.model.parameters()).device
        words = self.tokenizer(list(texts)).to(device)
        return self.model.encode_text(words, normalize=True)  # type: ignore[operator]

    def weights_hash(self) -> str:
        """Names the weights exactly; caches of features are keyed by it."""
        return weights_hash(self.model)


def _width(model: nn.Module) -> int:
    """D of the shared space, as the text tower tells it; -1 where there is no text tower."""
    projection = getattr(model, "text_projection", None)  # CLIP's own class
    if isinstance(projection, Tensor):
        return int(projection.shape[1])
    width = getattr(getattr(model, "text", None), "output_dim", None)  # SigLIP's, and others
    return -1 if width is None else int(width)


@contextmanager
def said_already() -> Iterator[None]:
    """Leave out open_clip's warning of random weights where they were asked for."""
    root = logging.getLogger()

    def wanted(record: logging.LogRecord) -> bool:
        return "No pretrained weights" not in record.getMessage()

    root.addFilter(wanted)
    try:
        yield
    finally:
        root.removeFilter(wanted)


def build_tiny_clip(
    *, pretrained: bool = True, imagenet_trunk: bool = False, folder: Path | None = None
) -> ClipEncoder:
    """The course's own tiny CLIP: an open_clip model from a JSON file.

    Args:
        pretrained: load the shipped weights; False gives random ones.
        imagenet_trunk: start the image tower from ImageNet weights (for pretraining).
        folder: another folder with `open_clip_config.json` and weights.

    Raises:
        MissingWeightsError: the weights file is not there.
    """
    folder = TINY_FOLDER if folder is None else Path(folder)
    if pretrained and not (folder / WEIGHTS_FILE).exists():
        raise MissingWeightsError(
            f"the weights of the tiny CLIP are missing: {folder / WEIGHTS_FILE}; reinstall "
            "hybridlab, or make them with `hybridlab pretrain-clip --install`"
        )
    encoder = build_from_folder(folder, TINY, pretrained=pretrained)
    if imagenet_trunk:
        load_lite_weights(encoder.model.visual.trunk, "efficientnet_lite0")  # type: ignore
    return encoder


def build_from_folder(
    folder: Path,
    name: str,
    *,
    pretrained: bool = True,
    preprocessing: Preprocessing | None = None,
) -> ClipEncoder:
    """A model from a folder as open_clip writes it and as hubs keep it.

    Args:
        folder: `open_clip_config.json`, weights, and the tokenizer's files where the configuration
            names a tokenizer of transformers.
        name: what the encoder is called.
        pretrained: False gives random weights, from torch's global generator.
        preprocessing: in place of what the configuration tells; needed where it does not.

    Raises:
        MissingWeightsError: no configuration, weights or tokenizer there.
        ValueError: the configuration does not tell the preprocessing, or is damaged.
        ImportError: the tokenizer needs a package that is not installed.
    """
    import open_clip

    if preprocessing is None:
        preprocessing = of_folder(folder)
    source = f"local-dir:{folder}"
    # through `local-dir:`, open_clip reads the preprocessing from the same JSON file; a bare
    # checkpoint path would silently take OpenAI's mean and std (trap 12)
    try:
        with said_already():
            model = open_clip.create_model(source, load_weights=False, pretrained_text=False)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / 'open_clip_config.json'} describes no model that open_clip can build "
            f"({type(error).__name__}: {error}); write it as open_clip does, with embed_dim, "
            "vision_cfg and text_cfg"
        ) from error
    if pretrained:
        load_into(model, weights_in(folder), name)
    tokenizer = build_tokenizer(source, later=not pretrained)
    return ClipEncoder(model, tokenizer, preprocessing, name).eval()
