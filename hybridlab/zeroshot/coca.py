"""open_clip's CoCa as a captioner: log p(caption | image) of its text decoder.

CoCa (Yu et al. 2022, arXiv 2205.01917) is a CLIP with a decoder on top: its text tower reads the
caption alone, and the decoder attends to the picture. So the caption's half is encoded once for
all pictures, and only the decoder runs for every pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.encoders.patch_tokens import fixed_size
from hybridlab.zeroshot.truncation import cut_prompts


class CocaCaptioner:
    """Scores captions with a CoCa model of open_clip; a `captioner.Captioner`.

    Args:
        model: `open_clip.create_model("coca_ViT-B-32", ...)`, or another `CoCa`, in eval mode.
        tokenizer: `open_clip.get_tokenizer` of the same name.
        pairs: pairs of image and caption that go through the decoder at once; its logits take
            pairs x tokens x 49,408 numbers.

    Raises:
        TypeError: the model is no CoCa.
        ValueError: `pairs` is below 1, or the model is in training mode.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Callable[[list[str]], Tensor], pairs: int = 32
    ):
        from open_clip.coca_model import CoCa

        if not isinstance(model, CoCa):
            raise TypeError(
                f"the model is a {type(model).__name__}, which has no text decoder; give one of "
                "open_clip's coca_* models"
            )
        if model.training:
            raise ValueError("the model is in training mode; call model.eval() first")
        if pairs < 1:
            raise ValueError(f"pairs is {pairs}; expected at least 1")
        self.model: Any = model
        self.tokenizer = tokenizer
        self.pairs = pairs

    @torch.no_grad()
    def log_probs(self, pixels: Tensor, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """pixels (B, 3, H, W), L captions -> (B, L) sums of log p, (L,) counts of tokens.

        The end token counts; the start token is given, and padding is left out.

        Raises:
            TypeError: pixels that are not floating point.
            ValueError: pixels of another shape than the model's, or captions longer than it reads;
                the words that would be lost are named.
        """
        self._require_pixels(pixels)
        device = next(self.model.parameters()).device
        ids = self.tokenizer(list(captions))  # (L, T)
        cut = cut_prompts(self.tokenizer, captions, ids)
        if cut:
            raise ValueError(
                f"{len(cut)} captions are longer than the {ids.shape[1]} tokens that the model "
                f"reads; of caption {cut[0].at} it would lose {' '.join(cut[0].lost)[:80]!r}: "
                "shorten it"
            )
        ids = ids.to(device)
        asked = ids[:, 1:]
        # up to the last token that is no filling: CLIP's filling, 0, is also a "!" inside a caption
        later = (asked != self.model.pad_id).int().flip(1).cummax(dim=1).values.flip(1)
        longest = int(later.sum(dim=1).max())
        asked, real = asked[:, :longest], later[:, :longest]
        images, labels = len(pixels), len(captions)
        if not images:  # the towers refuse an empty batch
            return torch.zeros(0, labels, device=device), real.sum(dim=1)
        _, words = self.model._encode_text(ids)  # (L, T, D), without the class token at its end
        _, seen = self.model._encode_image(pixels.to(device))  # (B, Q, D)
        words = words[:, :longest]
        image_of = torch.arange(images, device=device).repeat_interleave(labels)
        caption_of = torch.arange(labels, device=device).repeat(images)
        parts = []
        for some_images, some in zip(
            image_of.split(self.pairs), caption_of.split(self.pairs), strict=True
        ):
            logits = self.model.text_decoder(seen[some_images], words[some])  # (pairs, T', V)
            each = -F.cross_entropy(logits.flatten(0, 1), asked[some].flatten(), reduction="none")
            parts.append((each.view(len(some), -1) * real[some]).sum(dim=1))
        return torch.cat(parts).view(images, labels), real.sum(dim=1)

    def _require_pixels(self, pixels: Tensor) -> None:
        size = fixed_size(self.model.visual)
        wanted = "(B, 3, H, W)" if size is None else f"(B, 3, {size[0]}, {size[1]})"
        if not pixels.is_floating_point():
            raise TypeError(
                f"pixels are {pixels.dtype}; expected floating point: preprocess the images first"
            )
        if pixels.dim() != 4 or pixels.shape[1] != 3 or (
            size is not None and tuple(pixels.shape[2:]) != size
        ):
            raise ValueError(
                f"pixels has shape {tuple(pixels.shape)}; expected {wanted}: preprocess the images "
                "to the model's size"
            )
