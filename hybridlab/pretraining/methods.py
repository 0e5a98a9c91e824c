"""A method by its name: the shared trunk under a head, trained and asked in one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from hybridlab.encoders.base import EncoderOutput
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.pretraining.bow import BagOfWords, content_words
from hybridlab.pretraining.captioner import Captioner
from hybridlab.pretraining.cross import CrossCaptioner
from hybridlab.pretraining.dual import DualEncoder
from hybridlab.pretraining.likelihood import token_counts
from hybridlab.pretraining.pairs import Pairs
from hybridlab.pretraining.prefix import PrefixCaptioner
from hybridlab.pretraining.trunk import build_trunk, to_pixels
from hybridlab.pretraining.words import WordVocabulary
from hybridlab.training.held import seeded
from hybridlab.zeroshot.prompts import build_prompts

PROMPT = "a picture of {}"
CHUNK = 32  # pictures that are scored at once


class Head(Protocol):
    """What a method adds to the trunk.

    Attributes:
        vocabulary: the words of the captions that it learns from.
    """

    vocabulary: WordVocabulary

    def loss(self, seen: EncoderOutput, pairs: Pairs) -> Tensor: ...

    def caption_scores(self, seen: EncoderOutput, captions: Sequence[str]) -> Tensor: ...


class Method(nn.Module):
    """A way to learn from pictures with captions; made by `build_method`.

    Attributes:
        name: one of `METHODS`.
        trunk: pixels -> what is seen of them.
        head: a `Head`; that of "clip" gives `image_emb` and `text_emb` too.
    """

    def __init__(self, name: str, trunk: CNNEncoder, head: nn.Module):
        super().__init__()
        self.name, self.trunk, self.head = name, trunk, head

    def forward(self, pixels: Tensor) -> EncoderOutput:
        """Pixels (B, 3, S, S) from `to_pixels` -> what the head reads."""
        return self.trunk(pixels)

    def loss(self, pixels: Tensor, pairs: Pairs) -> Tensor:
        """The method's own loss of a batch, a scalar.

        Args:
            pixels: (B, 3, S, S), `to_pixels(pairs.images)`.
        """
        return self._head.loss(self(pixels), pairs)

    def label_scores(
        self, pixels: Tensor, labels: Sequence[str], prior: Tensor | None = None
    ) -> Tensor:
        """Zero-shot scores of labels, by the caption "a picture of LABEL".

        | method | the score |
        |---|---|
        | clip, siglip | cosine of picture and caption |
        | bow | mean log-odds of the label's content words |
        | prefix, cross | log p(caption given the picture), mean over its tokens |

        Scales differ between methods; each ranks the pictures of a label. The method is put in eval
        for the while.

        Args:
            pixels: (N, 3, S, S) from `to_pixels`; S may be another than in training.
            labels: L names, bare ("cow") or with their article ("a cow"), in words of the captions
                that it learnt from.
            prior: (L,), taken off each picture's scores, such as `label_prior` gives: pointwise
                mutual information for captioners. It moves a picture's labels against each other,
                and no ranking of pictures within a label, hence no AP.

        Shape:
            -> (N, L)

        Raises:
            TypeError: one string in place of a list of labels.
            ValueError: no labels, labels that read alike, one of unknown words only, or two that
                the vocabulary cannot tell apart; or a prior of another shape.
        """
        captions = self._captions(labels)
        if prior is not None and prior.shape != (len(labels),):
            raise ValueError(
                f"prior has shape {tuple(prior.shape)}; expected one number for each of the "
                f"{len(labels)} labels"
            )
        scores = self._by_chunk(
            pixels, lambda seen: self._head.caption_scores(seen, captions), len(labels)
        )
        return scores if prior is None else scores - prior

    def label_prior(self, pixels: Tensor, labels: Sequence[str]) -> Tensor:
        """How labels score without regard to the picture: the mean over reference pictures (L,).

        For a captioner an estimate of log p(caption), up to a constant: some captions are likely
        whatever is seen.

        Args:
            pixels: (N, 3, S, S) of reference pictures, one or more; none of those to be judged.
        """
        if not len(pixels):
            raise ValueError("there are no reference pictures; give one or more, such as 64")
        return self.label_scores(pixels, labels).mean(dim=0)

    def log_probs(self, pixels: Tensor, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Captioners only: log p(caption given the picture).

        Shape:
            (N, 3, S, S) and L captions -> sums (N, L), and (L,) how many tokens each has, the end
            among them

        Raises:
            TypeError: the method is no captioner.
        """
        head = self.head
        if not isinstance(head, Captioner):
            raise TypeError(f"{self.name!r} is no captioner; 'prefix' and 'cross' give log p")
        counts = token_counts(head.vocabulary.encode(captions))
        sums = self._by_chunk(
            pixels, lambda seen: head.log_probs(seen, captions)[0], len(captions)
        )
        return sums, counts

    def after_step(self) -> None:
        """To be called after each step of the optimiser: keeps CLIP's scale in its bounds."""
        if isinstance(self.head, DualEncoder):
            self.head.after_step()

    def _captions(self, labels: Sequence[str]) -> list[str]:
        prompts = build_prompts(labels, [PROMPT])
        vocabulary = self._head.vocabulary
        first: dict[tuple[int, ...], str] = {}
        for label, caption in zip(prompts.labels, prompts.flat, strict=True):
            if not any(word in vocabulary for word in content_words(caption)):
                raise ValueError(
                    f"no word of {label!r} is in the vocabulary of the captions, so it cannot be "
                    "scored; name it in words that it learnt"
                )
            numbers = tuple(vocabulary.encode([caption])[0].tolist())
            if numbers in first:
                raise ValueError(
                    f"labels {first[numbers]!r} and {label!r} differ in words that are not in the "
                    "vocabulary of the captions only, so they would always score the same"
                )
            first[numbers] = label
        return list(prompts.flat)

    @property
    def _head(self) -> Head:
        return self.head  # type: ignore[return-value]

    @torch.no_grad()
    def _by_chunk(
        self, pixels: Tensor, ask: Callable[[EncoderOutput], Tensor], columns: int
    ) -> Tensor:
        was_training = self.training
        self.eval()  # BatchNorm must not look at, or learn from, what is to be judged
        try:
            parts = [ask(self(some)) for some in pixels.split(CHUNK)] if len(pixels) else []
        finally:
            self.train(was_training)
        return torch.cat(parts) if parts else pixels.new_zeros(0, columns)


_HEADS: dict[str, Callable[[int, WordVocabulary], nn.Module]] = {
    "clip": DualEncoder,
    "siglip": lambda channels, vocabulary: DualEncoder(channels, vocabulary, "siglip"),
    "bow": BagOfWords,
    "prefix": PrefixCaptioner,
    "cross": CrossCaptioner,
}
METHODS = tuple(_HEADS)


def build_method(
    name: str, vocabulary: WordVocabulary, seed: int = 0, pretrained: bool = True
) -> Method:
    """A method ready to be trained: ImageNet trunk, fresh head.

    Args:
        name: one of `METHODS`.
        vocabulary: of the captions it will learn from, see `caption_vocabulary`.
        seed: of the head's weights, and of the trunk's where they are random.
        pretrained: the trunk's ImageNet weights.

    Raises:
        ValueError: an unknown name; the known ones are listed.
        MissingWeightsError: the trunk's weights are not installed.
    """
    if name not in _HEADS:
        raise ValueError(f"there is no method {name!r}; choose one of {', '.join(METHODS)}")
    trunk = build_trunk(pretrained, seed)
    head = seeded(seed, lambda: _HEADS[name](trunk.channels, vocabulary))
    return Method(name, trunk, head)


__all__ = ["METHODS", "PROMPT", "Head", "Method", "build_method", "to_pixels"]
