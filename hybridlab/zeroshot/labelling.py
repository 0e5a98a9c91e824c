"""Labels from words alone, each with a probability: what pre-labelling asks of a CLIP.

A cosine is no probability, and without labelled pictures none can be fitted (`platt` is few-shot).
Two probabilities need no label, and both are the model's own:

- SigLIP has a scale and a bias: sigmoid(scale * cosine + bias), that picture and text are a pair.
  They are small (trap 10).
- CLIP has a scale alone. It is asked whether the label's sentence fits better than a sentence about
  the background: the label's share against those (`patches.against_background`). Labels do not
  compete with each other (trap 9).

Neither is calibrated on anybody's pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hybridlab.encoders.clip import TINY, ClipEncoder, ImageFeatures
from hybridlab.zeroshot.patches import against_background, max_pool, token_scores
from hybridlab.zeroshot.prompts import (
    BACKGROUNDS,
    DEFAULT_PROMPTS,
    build_prompts,
    in_sentence,
    normal_form,
)
from hybridlab.zeroshot.scores import cosine_scores
from hybridlab.zeroshot.text_bank import text_bank

VIEWS = ("whole", "patch")
OWN, SHARE = "own sigmoid", "share against background texts"


@dataclass(frozen=True, eq=False)
class WordLabeller:
    """A CLIP and the words of L labels.

    Attributes:
        encoder: in eval; its weights must not change.
        labels: L names.
        templates: the sentences into which they were put.
        view: "whole": the picture's embedding; "patch": of each text the best patch.
        kind: `OWN` or `SHARE`: which of the two probabilities of this module it is.
        background: G texts that labels are held against; () for `OWN`.
        text_emb: (L, D), unit length.
        background_emb: (G, D), unit length.
    """

    encoder: ClipEncoder
    labels: tuple[str, ...]
    templates: tuple[str, ...]
    view: str
    kind: str
    background: tuple[str, ...]
    text_emb: Tensor
    background_emb: Tensor

    @torch.inference_mode()
    def log_odds(self, pixels: Tensor) -> Tensor:
        """log(p / (1 - p)) of every label: no two probabilities tie by being rounded to 1.

        Shape:
            pixels (B, 3, S, S), preprocessed -> (B, L), on the CPU

        Raises:
            FloatingPointError: the model gave a value that is no number.
        """
        seen = self.encoder.encode_image(pixels)
        if not bool(torch.isfinite(seen.image_emb).all() and torch.isfinite(seen.tokens).all()):
            raise FloatingPointError(
                f"{self.encoder.name} gave NaN for a picture; take other weights"
            )
        scale = self.encoder.logit_scale.item()
        cosines = _pooled(seen, self.text_emb, self.view)
        if self.kind == SHARE:
            behind = _pooled(seen, self.background_emb, self.view)
            return against_background(cosines, behind, "log-odds", scale).double().cpu()
        bias = self.encoder.logit_bias
        assert bias is not None
        return (scale * cosines + bias.item()).double().cpu()


def word_labeller(
    encoder: ClipEncoder,
    labels: Sequence[str],
    templates: Sequence[str] = DEFAULT_PROMPTS,
    view: str | None = None,
) -> WordLabeller:
    """Encode the words once, for any number of pictures.

    Args:
        labels: L names, in the order of the columns.
        templates: as `prompts.build_prompts` takes them.
        view: "whole" or "patch"; None: "patch" for the tiny CLIP, which finds far more of a scene
            by its patches (its card), "whole" for all others.

    Warns:
        TruncatedPromptWarning: sentences longer than the encoder reads.

    Raises:
        ValueError: an unknown view, a model without texts, or what `build_prompts` and `text_bank`
            refuse.
    """
    if view is None:
        view = "patch" if encoder.name == TINY else "whole"
    if view not in VIEWS:
        raise ValueError(f"view is {view!r}; choose one of {', '.join(VIEWS)}")
    prompts = build_prompts(labels, templates)
    # a bias was learnt for whole pictures: the best of many patches would pass it too easily
    own = encoder.logit_bias is not None and view == "whole"
    background = () if own else backgrounds_for(prompts.labels)
    with torch.inference_mode():
        text_emb = text_bank(encoder, prompts).text_emb
        behind = text_emb[:0]
        if background:
            behind = text_bank(encoder, build_prompts(background, templates)).text_emb
    return WordLabeller(
        encoder, prompts.labels, prompts.templates, view, OWN if own else SHARE, background,
        text_emb, behind,
    )


def backgrounds_for(labels: Sequence[str]) -> tuple[str, ...]:
    """Background texts but those that are labels: "snow" cannot be found against "some snow".

    Raises:
        ValueError: none is left.
    """
    named = {_bare(label) for label in labels}
    kept = tuple(text for text in BACKGROUNDS if _bare(text) not in named)
    if not kept:
        raise ValueError(
            f"the labels name all background texts ({', '.join(BACKGROUNDS)}), so there is nothing "
            "to hold them against; leave one of them out"
        )
    return kept


def _bare(text: str) -> str:
    """In normal form, without its article or other determiner."""
    plain = normal_form(text)
    brings_own = in_sentence(text) == text.strip() and " " in plain
    return plain.split(" ", 1)[1] if brings_own else plain


def _pooled(seen: ImageFeatures, texts: Tensor, view: str) -> Tensor:
    """(B, L): the whole picture's cosines, or those of each text's best patch."""
    if view == "whole":
        return cosine_scores(seen.image_emb, texts)
    return max_pool(token_scores(seen.tokens, texts))
