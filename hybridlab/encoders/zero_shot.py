"""Scores of labels from words alone: text embeddings of prompts against a picture.

A score is a similarity (cosine), not a probability, and labels do not compete: softmax over labels
is wrong where several are present (trap 9).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.encoders.clip import ClipEncoder, ImageFeatures

DEFAULT_PROMPTS = ("a picture of {}", "a photo of {}", "{}", "there is {} in the scene")


@torch.no_grad()
def label_embeddings(
    encoder: ClipEncoder, labels: Sequence[str], prompts: Sequence[str] = DEFAULT_PROMPTS
) -> Tensor:
    """One unit vector per label: the mean of its prompts' unit vectors, normalised again.

    Args:
        labels: names as they stand in a sentence ("an owl"); see `data.world.with_article`.
        prompts: each with one `{}` for the label.

    Returns:
        text_emb (L, D), unit length.

    Raises:
        ValueError: no labels, no prompts, or a prompt without `{}`.
    """
    if not labels or not prompts:
        raise ValueError(f"got {len(labels)} labels and {len(prompts)} prompts; give one of each")
    for prompt in prompts:
        if "{}" not in prompt:
            raise ValueError(f"prompt {prompt!r} has no place for the label; write {{}} there")
    texts = [prompt.format(label) for prompt in prompts for label in labels]
    emb = encoder.encode_text(texts).view(len(prompts), len(labels), -1)
    return F.normalize(emb.mean(dim=0), dim=-1)


def global_scores(features: ImageFeatures, text_emb: Tensor) -> Tensor:
    """Cosine of the whole picture with each label: (B, L), in [-1, 1]."""
    return features.image_emb @ text_emb.T


def patch_scores(features: ImageFeatures, text_emb: Tensor) -> Tensor:
    """Cosine of the best patch with each label: (B, L), in [-1, 1].

    In the manner of TagCLIP: a small object owns a few patches, and a mean over all drowns it.
    """
    return (F.normalize(features.tokens, dim=-1) @ text_emb.T).amax(dim=1)
