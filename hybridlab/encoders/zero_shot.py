"""Scores of labels from words alone: text embeddings (`zeroshot.text_bank`) against a picture.

A score is a similarity (cosine), not a probability, and labels do not compete: softmax over labels
is wrong where several are present (trap 9).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from hybridlab.encoders.clip import ImageFeatures


def global_scores(features: ImageFeatures, text_emb: Tensor) -> Tensor:
    """Cosine of the whole picture with each label: (B, L), in [-1, 1]."""
    return features.image_emb @ text_emb.T


def patch_scores(features: ImageFeatures, text_emb: Tensor) -> Tensor:
    """Cosine of the best patch with each label: (B, L), in [-1, 1].

    In the manner of TagCLIP: a small object owns a few patches, and a mean over all drowns it.
    """
    return (F.normalize(features.tokens, dim=-1) @ text_emb.T).amax(dim=1)
