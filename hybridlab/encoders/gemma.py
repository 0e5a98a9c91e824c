"""Gemma 3's vision tower: a SigLIP So400m at 896 px, its 64 x 64 patches pooled to 256 tokens.

The tower's states are averaged over squares of 4 x 4 places, scaled by an RMS norm and projected to
the width of the language model (Gemma 3 technical report, 2025, arXiv 2503.19786). The classes are
those of the package transformers (the extra `gemma`).

Gemma drops SigLIP's pooling head and has no text tower (trap 11): nothing here lies in a space of
texts. `with_head` gives the tower the head of a SigLIP of the same width. Gemma's tower was trained
on after that head was dropped, so whether the two still fit is for `zeroshot.alignment` to measure.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.encoders.base import check_pixels, weights_hash
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.clip_tokenizer import EXTRA
from hybridlab.encoders.gemma_files import gemma_folder, load_parts, of_folder
from hybridlab.encoders.preprocessing import Preprocessing, require_fitting, require_size

if TYPE_CHECKING:
    from transformers import Gemma3Config

TOKENS = 256
# of every Gemma 3 that sees images: 4, 12 and 27 billion parameters share one tower
VISION = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 896,
    "patch_size": 14,
}


@dataclass(frozen=True)
class GemmaFeatures:
    """What the tower gives. P = 256 and grid (16, 16) for Gemma's own.

    Attributes:
        tokens: (B, P, D) the tower's states, averaged over squares of places; row by row of `grid`.
        projected: (B, P, D') the same, as the language model reads them.
        pooled: (B, D), the mean of the tokens.
        image_emb: (B, D), unit length, from the pooling head over all places; None without a head.
        grid: (H, W).
    """

    tokens: Tensor
    projected: Tensor
    pooled: Tensor
    image_emb: Tensor | None
    grid: tuple[int, int]


class GemmaTower(nn.Module):
    """Gemma's image encoder and its projector.

    Attributes:
        name: what it was built from.
        dim: D of the tower.
        language_dim: D' of the language model.
        preprocessing: the model's own (trap 12).
    """

    def __init__(
        self,
        tower: nn.Module,
        projector: nn.Module,
        preprocessing: Preprocessing,
        name: str,
        head: nn.Module | None = None,
    ):
        super().__init__()
        self.tower = tower
        self.projector = projector
        self.head = head
        self.preprocessing = preprocessing
        self.name = name
        weight: Any = projector.mm_input_projection_weight
        self.dim, self.language_dim = (int(side) for side in weight.shape)
        if head is not None:
            _require_width(head, self.dim)

    def encode_image(self, pixels: Tensor) -> GemmaFeatures:
        """pixels (B, 3, S, S), preprocessed -> `GemmaFeatures`.

        Raises:
            TypeError: pixels that are not floating point.
            ValueError: another shape, or images of another size than the tower's.
        """
        side = int(self.tower.config.image_size)  # type: ignore[union-attr, arg-type]
        check_pixels(pixels, 1, self.name)
        require_size(pixels, (side, side), self.name)
        states = self.tower(pixel_values=pixels).last_hidden_state  # (B, places, D)
        projector: Any = self.projector
        across = projector.patches_per_image
        maps = states.transpose(1, 2).unflatten(2, (across, across))  # (B, D, H, W)
        tokens = projector.avg_pool(maps).flatten(2).transpose(1, 2)  # (B, P, D)
        image_emb = None if self.head is None else F.normalize(self.head(states), dim=-1)
        grid = (projector.tokens_per_side, projector.tokens_per_side)
        return GemmaFeatures(tokens, projector(states), tokens.mean(dim=1), image_emb, grid)

    def weights_hash(self) -> str:
        """Names the weights exactly; caches of features are keyed by it."""
        return weights_hash(self)


def gemma_config(*, language_dim: int = 2560, tokens: int = TOKENS, **vision: int) -> Gemma3Config:
    """A configuration of Gemma 3's image part.

    Args:
        language_dim: D', the width of the language model; 2560 is that of 4 billion parameters.
        tokens: P, a square number.
        vision: in place of `VISION`'s sizes, for small towers.

    Raises:
        ImportError: transformers is not installed.
    """
    transformers = _transformers()
    return transformers.Gemma3Config(
        text_config={"hidden_size": language_dim},
        vision_config={**VISION, **vision, "vision_use_head": False},
        mm_tokens_per_image=tokens,
    )


def build_gemma_tower(
    source: str | Path | Gemma3Config,
    *,
    preprocessing: Preprocessing | None = None,
    with_head: nn.Module | None = None,
    seed: int = 0,
) -> GemmaTower:
    """Gemma 3's vision tower and projector, in float32; the language model is not read.

    Args:
        source: the folder of a Gemma 3 model; the name of one that the hub's cache holds, such as
            "google/gemma-3-4b-it" (nothing is fetched: its licence must be accepted first, and it
            is large); or a configuration, such as `gemma_config` gives, for random weights.
        preprocessing: in place of what the folder tells; needed where it does not (trap 12).
        with_head: a SigLIP pooling head, (B, places, D) -> (B, D); see `siglip_head`.
        seed: of random weights. The global generator is not touched.

    Raises:
        ImportError: transformers is not installed; the message names the extra.
        MissingWeightsError: there is no such folder, and the cache does not hold such a model.
        ValueError: another model than Gemma 3, places that cannot be pooled to the tokens, unknown
            preprocessing, weights that do not fit, or a head of another width.
        TypeError: `source` is none of these.
    """
    transformers = _transformers()
    if not isinstance(source, str | Path):
        if not isinstance(source, transformers.Gemma3Config):
            raise TypeError(
                f"source is a {type(source).__name__}; expected a folder, a name such as "
                "'google/gemma-3-4b-it', or a Gemma3Config (`gemma_config()`)"
            )
        config, folder = deepcopy(source), None
    else:
        folder = gemma_folder(source)
        config = transformers.Gemma3Config.from_pretrained(folder)
    config.vision_config.vision_use_head = False
    side = int(config.vision_config.image_size)
    if preprocessing is None:
        preprocessing = _random_preprocessing(side) if folder is None else of_folder(folder)
    require_fitting(preprocessing, (side, side), str(source) if folder else "the tower")
    tower, projector = _random_parts(config, seed)
    if folder is not None:
        load_parts(folder, tower, projector)
    name = "random Gemma 3" if folder is None else str(source)
    return GemmaTower(tower, projector, preprocessing, name, with_head).eval()


def siglip_head(clip: ClipEncoder) -> nn.Module:
    """The pooling head of an open_clip SigLIP, for `with_head`: (B, places, D) -> (B, D).

    Raises:
        ValueError: the model has no such head.
    """
    head = getattr(getattr(clip.vision, "trunk", None), "attn_pool", None)
    if head is None:
        raise ValueError(
            f"{clip.name} has no attention-pooling head; take a SigLIP, such as "
            "'ViT-SO400M-14-SigLIP-384:webli'"
        )
    return head


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f"Gemma's tower needs the package transformers; install the extra: {EXTRA}"
        ) from error
    return transformers


def _random_preprocessing(side: int) -> Preprocessing:
    return Preprocessing(side, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear", "squash")


def _random_parts(config: Gemma3Config, seed: int) -> tuple[nn.Module, nn.Module]:
    from transformers import SiglipVisionModel
    from transformers.models.gemma3.modeling_gemma3 import Gemma3MultiModalProjector

    vision: Any = config.vision_config
    across, wanted = vision.image_size // vision.patch_size, config.mm_tokens_per_image or 0
    per_side = round(wanted**0.5)
    if wanted < 1 or per_side**2 != wanted or across % per_side:
        raise ValueError(
            f"the tower gives {across} x {across} places, which cannot be averaged to {wanted} "
            "tokens; the tokens must be a square whose side divides the places' side"
        )
    with torch.random.fork_rng(devices=[]):  # the classes initialise from the global generator
        torch.manual_seed(seed)
        tower = SiglipVisionModel(vision)
        projector = Gemma3MultiModalProjector(config)
        # zeros in the class, which would hide a mistake in whatever is built on them
        nn.init.normal_(projector.mm_input_projection_weight, std=vision.hidden_size**-0.5)
    return tower, projector


@torch.no_grad()
def _require_width(head: nn.Module, dim: int) -> None:
    device = next(head.parameters()).device
    try:
        given = tuple(head(torch.zeros(1, 2, dim, device=device)).shape)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(
            f"with_head does not take the tower's states of width {dim} ({error}); take the head "
            "of a SigLIP of that width, So400m for Gemma's own tower"
        ) from error
    if given != (1, dim):
        raise ValueError(
            f"with_head gives {given} for one image of 2 places and width {dim}, expected (1, "
            f"{dim}); take the pooling head of a SigLIP (`siglip_head`)"
        )
