"""A captioner as a zero-shot classifier: how well does the picture predict the label's caption?

Any model that gives log p(caption | image) scores a label by the caption "a picture of LABEL". The
sum over the words falls with every word, so short names win whatever the picture shows (trap 6);
the mean over the words does not.

Within one label the two rank images alike, as the length of its caption is the same for every
picture: no AP moves. What moves is all that compares labels: top-k, one threshold for all, OF1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from hybridlab.zeroshot.checks import require_finite
from hybridlab.zeroshot.prompts import has_words, normal_form

NORMALISE = ("mean", "sum")


class Captioner(Protocol):
    """What is asked of a captioner; `coca.CocaCaptioner` is one."""

    def log_probs(self, pixels: Tensor, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(B, L) sums of log p of the words, end token included; (L,) their count."""
        ...


def caption_scores(log_probs: Tensor, lengths: Tensor, normalise: str = "mean") -> Tensor:
    """Scores of captions from the sums of their words' log-probabilities.

    Args:
        log_probs: (B, L) sums over the words of each caption, end token included; 0 at most.
        lengths: (L,) or (B, L) whole numbers: how many words (tokens) each sum is of, at least 1.
        normalise: "mean": log p for each word. "sum": as it is, for comparison: it favours short
            captions.

    Shape:
        -> (B, L), higher is better

    Raises:
        TypeError: lengths that are no tensor.
        ValueError: an unknown `normalise`, shapes that differ, a length below 1 or no whole number,
            a sum above 0, or one that is not finite.
    """
    if normalise not in NORMALISE:
        raise ValueError(
            f"normalise is {normalise!r}; expected one of {', '.join(map(repr, NORMALISE))}"
        )
    require_finite(log_probs, "log_probs")
    if not isinstance(lengths, Tensor):
        raise TypeError(
            f"lengths is a {type(lengths).__name__}; expected a tensor: torch.tensor([...])"
        )
    if log_probs.dim() != 2 or lengths.shape not in (log_probs.shape, log_probs.shape[1:]):
        raise ValueError(
            f"log_probs has shape {tuple(log_probs.shape)} and lengths {tuple(lengths.shape)}; "
            "expected (B, L) and a length for each caption, (L,)"
        )
    if bool((lengths < 1).any()) or bool((lengths != lengths.round()).any()):
        raise ValueError(
            "lengths holds something else than whole numbers of at least 1; count the end token "
            "too, so that no caption is of length 0"
        )
    # a rounding above 0 may come of a caption that is nearly sure
    if bool((log_probs > 1e-3).any()):
        raise ValueError(
            f"log_probs reaches {float(log_probs.max()):.4g}; the logarithm of a probability is 0 "
            "at most: pass log-softmax of the logits, not logits or a loss"
        )
    return log_probs if normalise == "sum" else log_probs / lengths.to(log_probs)


@torch.no_grad()
def label_scores(
    captioner: Captioner,
    pixels: Tensor,
    captions: Sequence[str],
    normalise: str = "mean",
    chunk: int = 32,
) -> Tensor:
    """Score every image by the caption of every label.

    Args:
        captioner: see `Captioner`.
        pixels: (B, 3, H, W), preprocessed for this captioner.
        captions: L sentences, one for each label, in the order of the columns of targets.
        normalise: as `caption_scores`.
        chunk: images at a time; each of them is paired with all captions at once.

    Shape:
        -> (B, L), on the captioner's device

    Raises:
        TypeError: one string in place of a list of them.
        ValueError: no caption, one without words, two that read alike, `chunk` below 1, an answer
            of another shape than (B, L) and (L,), lengths that change from chunk to chunk, or as
            `caption_scores`.
    """
    if isinstance(captions, str):
        raise TypeError(f"captions is the one string {captions!r}; give a list of them")
    different = {normal_form(each) for each in captions}
    if not captions or len(different) != len(captions):
        raise ValueError(
            f"captions has {len(captions)} sentences, {len(different)} of them different; give "
            "at least one, and each once: captions that read alike would always score the same"
        )
    for at, caption in enumerate(captions):
        if not has_words(caption):
            raise ValueError(f"caption {at} is {caption!r}, which has no words; write a sentence")
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}; expected at least 1")
    parts: list[Tensor] = []
    counts: Tensor | None = None
    # an empty batch is asked about too: who counts the words is the captioner
    for some in pixels.split(chunk) if len(pixels) else (pixels,):
        sums, lengths = captioner.log_probs(some, captions)
        if sums.shape != (len(some), len(captions)) or lengths.shape != (len(captions),):
            raise ValueError(
                f"the captioner gave shapes {tuple(sums.shape)} and {tuple(lengths.shape)} for "
                f"{len(some)} images and {len(captions)} captions; expected (B, L) and (L,)"
            )
        if counts is not None and not torch.equal(counts, lengths):
            raise ValueError("the captioner counts other words in the same captions; fix its count")
        parts, counts = [*parts, sums], lengths
    assert counts is not None  # there is always one part
    return caption_scores(torch.cat(parts), counts, normalise)
