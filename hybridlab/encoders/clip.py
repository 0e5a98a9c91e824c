"""CLIP models through open_clip: the course's own tiny one, and any other by name.

One interface for all: `encode_image` gives the global embedding and patch tokens in the space of
the texts, `encode_text` gives the texts. Both are unit length (TRAPS 8).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.encoders.base import MissingWeightsError, weights_hash
from hybridlab.encoders.lite import load_lite_weights
from hybridlab.encoders.preprocessing import Preprocessing

TINY = "tiny"
TINY_FOLDER = Path(__file__).parent.parent / "assets" / "tiny_clip"
WEIGHTS_FILE = "open_clip_model.safetensors"


@dataclass(frozen=True)
class ImageFeatures:
    """What the image tower gives.

    Attributes:
        image_emb: (B, D), unit length.
        tokens: (B, P, D) patch tokens in the space of the texts, *not* normalised, row by row of
            `grid` (H, W). For the tiny CLIP their mean over P, normalised, is `image_emb`.
    """

    image_emb: Tensor
    tokens: Tensor
    grid: tuple[int, int]


class ClipEncoder(nn.Module):
    """A CLIP model with one interface, whatever its towers.

    Attributes:
        name: "tiny" or "MODEL:TAG" of open_clip.
        dim: D, the width of the shared space.
        preprocessing: the model's own (TRAPS 12).
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Callable[[list[str]], Tensor],
        preprocessing: Preprocessing,
        name: str,
    ):
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.name = name
        text_projection = getattr(model, "text_projection", None)
        self.dim = int(text_projection.shape[1]) if isinstance(text_projection, Tensor) else -1

    @property
    def vision(self) -> nn.Module:
        """The image tower: what phase 2 unfreezes."""
        return self.model.visual  # type: ignore[return-value]

    @property
    def logit_scale(self) -> Tensor:
        """The learnt temperature as a factor (already exponentiated)."""
        return self.model.logit_scale.exp()  # type: ignore[operator]

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """pixels (B, 3, H, W), preprocessed -> `ImageFeatures`.

        Raises:
            NotImplementedError: the tower is of a kind whose patch tokens are not known here.
        """
        image_emb, tokens, grid = _image_tokens(self.vision, pixels)
        return ImageFeatures(F.normalize(image_emb, dim=-1), tokens, grid)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> text_emb (L, D), unit length.

        Raises:
            ValueError: no text was given.
        """
        if not texts:
            raise ValueError("no texts were given; give at least one")
        device = next(self.model.parameters()).device
        words = self.tokenizer(list(texts)).to(device)
        return self.model.encode_text(words, normalize=True)  # type: ignore[operator]

    def weights_hash(self) -> str:
        """Names the weights exactly; caches of features are keyed by it."""
        return weights_hash(self.model)


def _image_tokens(visual: nn.Module, pixels: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Embedding (B, D), patch tokens (B, P, D) in the same space, and their grid (H, W)."""
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    if isinstance(visual, TimmModel):
        maps = visual.trunk.forward_features(pixels)
        if maps.dim() == 4 and getattr(visual.trunk, "global_pool", None) is not None:
            # average pooling and a linear head commute, so the head may be applied to each place
            grid = (int(maps.shape[2]), int(maps.shape[3]))
            tokens = visual.head(maps.flatten(2).transpose(1, 2))
            return tokens.mean(dim=1), tokens, grid
    elif isinstance(visual, VisionTransformer):
        hidden = visual.transformer(visual._embeds(pixels))
        pooled, tokens = visual._pool(hidden)
        height, width = visual.patch_size
        grid = (pixels.shape[2] // height, pixels.shape[3] // width)
        if visual.proj is not None:
            pooled, tokens = pooled @ visual.proj, tokens @ visual.proj
        if tokens.shape[1] == grid[0] * grid[1]:
            return pooled, tokens, grid
    raise NotImplementedError(
        f"patch tokens of a {type(visual).__name__} tower are not defined here; choose a ViT or "
        "the tiny CLIP (`build_clip('tiny')`)"
    )


@contextmanager
def _said_already() -> Iterator[None]:
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
    import open_clip

    folder = TINY_FOLDER if folder is None else Path(folder)
    if pretrained and not (folder / WEIGHTS_FILE).exists():
        raise MissingWeightsError(
            f"the weights of the tiny CLIP are missing: {folder / WEIGHTS_FILE}; reinstall "
            "hybridlab, or make them with `hybridlab pretrain-clip --install`"
        )
    source = f"local-dir:{folder}"
    # through `local-dir:`, open_clip reads the preprocessing from the same JSON file; a bare
    # checkpoint path would silently take OpenAI's mean and std (TRAPS 12)
    with nullcontext() if pretrained else _said_already():
        model = open_clip.create_model(source, load_weights=pretrained)
    if imagenet_trunk:
        load_lite_weights(model.visual.trunk, "efficientnet_lite0")
    config = json.loads((folder / "open_clip_config.json").read_text())
    preprocessing = Preprocessing(
        image_size=config["model_cfg"]["vision_cfg"]["image_size"],
        mean=tuple(config["preprocess_cfg"]["mean"]),
        std=tuple(config["preprocess_cfg"]["std"]),
        interpolation=config["preprocess_cfg"]["interpolation"],
        resize_mode=config["preprocess_cfg"]["resize_mode"],
    )
    return ClipEncoder(model, open_clip.get_tokenizer(source), preprocessing, TINY).eval()
