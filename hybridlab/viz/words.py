"""How well do words of your own fit a picture? Zero-shot scores and their chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from torch import Tensor

    from hybridlab.encoders.clip import ClipEncoder

BLUE, INK = "#0067a5", "#222222"


def word_scores(clip: ClipEncoder, image: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """Cosine of each phrase with the patch of the picture that fits it best.

    Args:
        clip: any CLIP of `hybridlab.encoders.clip`.
        image: (H, W, 3) uint8.
        words: V phrases as they stand in a sentence ("a cow").

    Returns:
        (V,), in [-1, 1]. No probabilities: several words may fit at once (trap 9).

    Raises:
        TypeError: one string in place of a list.
        ValueError: no words, a phrase longer than the encoder reads, or two that are the same to
            it.
    """
    import torch

    from hybridlab.encoders.zero_shot import patch_scores

    with torch.inference_mode():
        text_emb = typed_embeddings(clip, words)
        scores = patch_scores(clip.encode_image(clip.preprocessing([image])), text_emb)
    return scores[0].numpy()


def typed_embeddings(clip: ClipEncoder, words: Sequence[str]) -> Tensor:
    """Text embeddings (V, D) of phrases as someone typed them.

    Raises:
        TypeError, ValueError: as `zeroshot.prompts.build_prompts` and `zeroshot.text_bank`.
    """
    from hybridlab.zeroshot.prompts import build_prompts
    from hybridlab.zeroshot.text_bank import text_bank

    return text_bank(clip, build_prompts(words, articles=False)).text_emb


def room_for_bars(values: np.ndarray) -> tuple[float, float]:
    """Ends of an axis that leave room for a number at the end of each bar, on either side of 0."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    room = 0.15 * (high - low) + 0.02
    return (low - room if low < 0 else 0.0), high + room


def word_figure(image: np.ndarray, words: Sequence[str], scores: np.ndarray) -> Figure:
    """The picture, and beside it a bar for each phrase, best first."""
    order = np.argsort(scores, kind="stable")  # bars are drawn from the bottom up
    figure = Figure(
        figsize=(8.2, max(2.6, 0.6 + 0.32 * len(words))), facecolor="white", layout="constrained"
    )
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.9))
    left.imshow(image, interpolation="nearest")
    left.set_axis_off()
    bars = right.barh(np.arange(len(order)), scores[order], color=BLUE)
    # a $ that someone typed begins no formula
    right.set_yticks(np.arange(len(order)), [words[at] for at in order], parse_math=False)
    right.bar_label(bars, fmt="%.2f", padding=3, fontsize=9, color=INK)
    right.axvline(0, color=INK, linewidth=0.8)
    right.set_xlim(*room_for_bars(scores))
    right.set_xlabel("cosine of words and best patch")
    right.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"CLIP finds “{words[order[-1]]}” the best fit", fontsize=12, color=INK, parse_math=False
    )
    return figure
