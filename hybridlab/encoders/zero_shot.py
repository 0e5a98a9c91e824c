"""Scores of labels from words alone: text embeddings of prompts against a picture.

A score is a similarity (cosine), not a probability, and labels do not compete: softmax over labels
is wrong where several are present (trap 9).
"""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

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
        labels: names as they stand in a sentence ("an owl"); see `data.world.with_article`. For
            words that someone typed, or many prompts, see `zeroshot.prompts` and `.text_bank`.
        prompts: each with `{}` for the label.

    Returns:
        text_emb (L, D), unit length.

    Raises:
        TypeError: one string in place of a list.
        ValueError: no labels, no prompts, a prompt without `{}` or with another place, or labels
            that are the same to the tokenizer: equal, or cut off where they begin to differ.
    """
    for name, given in (("labels", labels), ("prompts", prompts)):
        if isinstance(given, str):
            raise TypeError(f"{name} is the one string {given!r}; give a list: [{given!r}]")
    if not labels or not prompts:
        raise ValueError(f"got {len(labels)} labels and {len(prompts)} prompts; give one of each")
    texts = [text for prompt in prompts for text in _filled(prompt, labels)]
    _refuse_same(encoder, labels, texts[: len(labels)])
    emb = encoder.encode_text(texts).view(len(prompts), len(labels), -1)
    return F.normalize(emb.mean(dim=0), dim=-1)


def _filled(prompt: str, labels: Sequence[str]) -> list[str]:
    places = [place for _, place, _, _ in Formatter().parse(prompt) if place is not None]
    if not places or any(places):
        raise ValueError(
            f"prompt {prompt!r} has no place for the label, or another one ({places}); write {{}} "
            "there, and nothing else in braces"
        )
    return [prompt.format(*[label] * len(places)) for label in labels]


def _refuse_same(encoder: ClipEncoder, labels: Sequence[str], texts: Sequence[str]) -> None:
    first: dict[bytes, str] = {}
    for label, ids in zip(labels, encoder.tokenizer(list(texts)).cpu().numpy(), strict=True):
        if not label.strip():
            raise ValueError(f"a label is {label!r}, which has no words; name it or leave it out")
        if ids.tobytes() in first:
            raise ValueError(
                f"labels {first[ids.tobytes()][:60]!r} and {label[:60]!r} have the same tokens, so "
                "they would always score the same; give each once, and shorten long ones"
            )
        first[ids.tobytes()] = label


def global_scores(features: ImageFeatures, text_emb: Tensor) -> Tensor:
    """Cosine of the whole picture with each label: (B, L), in [-1, 1]."""
    return features.image_emb @ text_emb.T


def patch_scores(features: ImageFeatures, text_emb: Tensor) -> Tensor:
    """Cosine of the best patch with each label: (B, L), in [-1, 1].

    In the manner of TagCLIP: a small object owns a few patches, and a mean over all drowns it.
    """
    return (F.normalize(features.tokens, dim=-1) @ text_emb.T).amax(dim=1)
