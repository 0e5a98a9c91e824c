"""Text embeddings of labels x prompts, computed once and kept under a name that cannot lie.

The name of a cache file is a hash of the encoder's weights and of the *tokens* of all texts, so
another tokenizer, context length, template or label gives another name (compare trap 16). What is
read from the cache is, bit for bit, what was computed.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hybridlab.training.feature_cache import Tensors, cached
from hybridlab.zeroshot.checks import require_unit
from hybridlab.zeroshot.prompts import DEFAULT_PROMPTS, Prompts, build_prompts
from hybridlab.zeroshot.truncation import (
    CutPrompt,
    Tokenizer,
    TruncatedPromptWarning,
    cut_prompts,
)

CHUNK = 64  # texts at a time; on a CPU 256 take a third longer a text
_SMALLEST_MEAN = 1e-4  # below it, what is left of the mean is rounding


class TextEncoder(Protocol):
    """What a bank asks of a text encoder; `ClipEncoder` is one.

    Attributes:
        name: for messages and the cache's key.
        tokenizer: texts -> (M, T) token numbers, padded on the right.
    """

    name: str
    tokenizer: Tokenizer

    def encode_text(self, texts: Sequence[str]) -> Tensor: ...

    def weights_hash(self) -> str: ...


@dataclass(frozen=True, eq=False)
class TextBank:
    """Unit vectors of all sentences of all labels.

    Attributes:
        prompts: the sentences.
        embeddings: (M, D), unit length, in the order of `prompts.flat`, on the CPU.
        cut: sentences that the tokenizer cut, with the words they lost.
    """

    prompts: Prompts
    embeddings: Tensor
    cut: tuple[CutPrompt, ...] = ()

    @cached_property
    def text_emb(self) -> Tensor:
        """(L, D), unit length: the ensemble of each label's sentences."""
        return ensemble(self.embeddings, self.prompts.owner, self.prompts.labels)

    @cached_property
    def per_prompt(self) -> Tensor:
        """(K, L, D), unit length: each template by itself, descriptions left out.

        Raises:
            ValueError: there are no templates.
        """
        count = len(self.prompts.templates)
        if not count:
            raise ValueError("there are no templates, only descriptions; score with `text_emb`")
        starts, row = [], 0
        for texts in self.prompts.texts:
            starts.append(row)
            row += len(texts)
        rows = torch.tensor(starts)[None] + torch.arange(count)[:, None]  # (K, L)
        return self.embeddings[rows]


def text_bank(
    encoder: TextEncoder,
    prompts: Prompts,
    cache: str | Path | None = None,
    *,
    weights: str | None = None,
) -> TextBank:
    """Embed all sentences, or read them from the cache.

    Args:
        encoder: its weights must not change while its bank is in use.
        prompts: as `build_prompts` gives them.
        cache: a folder; None computes anew. A damaged file is computed anew and replaced.
        weights: the encoder's `weights_hash()`, where it is known already.

    Warns:
        TruncatedPromptWarning: sentences longer than the encoder reads, with the lost words.

    Raises:
        ValueError: a label is cut off its sentence, two labels have the same tokens, or the
            encoder gives vectors that are not finite or not of unit length.
        NotADirectoryError: `cache` is a file.
    """
    if cache is not None and Path(cache).exists() and not Path(cache).is_dir():
        raise NotADirectoryError(f"cache is {cache}, which is a file; give a folder")
    texts = prompts.flat
    ids = encoder.tokenizer(list(texts))
    cut = cut_prompts(encoder.tokenizer, texts, ids)
    _refuse_lost_labels(prompts, cut, ids)
    if cut:
        # the caller of `text_bank` wrote the prompts
        warnings.warn(_what_was_cut(cut, ids.shape[1]), TruncatedPromptWarning, stacklevel=2)
    compute = partial(_embed, encoder, texts)
    if cache is None:
        kept = compute()
    else:
        key = _key(encoder, ids, weights)
        kept = cached(Path(cache), key, compute)
        if not _sound(kept, len(texts)):
            (Path(cache) / f"{key}.safetensors").unlink(missing_ok=True)
            kept = cached(Path(cache), key, compute)
    embeddings = require_unit(kept["embeddings"], f"the text embeddings of {encoder.name}")
    return TextBank(prompts, embeddings, cut)


def label_embeddings(
    encoder: TextEncoder, labels: Sequence[str], prompts: Sequence[str] = DEFAULT_PROMPTS
) -> Tensor:
    """One unit vector for each label: `text_bank` of labels as they stand in a sentence ("an owl").

    Args:
        prompts: each with `{}` for the label.

    Returns:
        text_emb (L, D), unit length.

    Raises, warns:
        as `build_prompts` and `text_bank`.
    """
    return text_bank(encoder, build_prompts(labels, prompts, articles=False)).text_emb


def ensemble(embeddings: Tensor, owner: Sequence[int], labels: Sequence[str]) -> Tensor:
    """The mean of each label's unit vectors, normalised again.

    Scaling a label's vector does not change its AP, so normalising again matters only where labels
    are compared: at one threshold for all, or in top-k.

    Args:
        embeddings: (M, D), unit length.
        owner: the label of each row, 0 to L - 1.
        labels: L names, for messages.

    Returns:
        (L, D), unit length.

    Raises:
        ValueError: rows that are not of unit length, a label without a row, or one whose vectors
            cancel each other.
    """
    require_unit(embeddings, "embeddings")
    if len(owner) != len(embeddings):
        raise ValueError(f"owner names {len(owner)} rows but embeddings has {len(embeddings)}")
    at = torch.tensor(tuple(owner), dtype=torch.long, device=embeddings.device)
    if len(at) and not 0 <= int(at.min()) <= int(at.max()) < len(labels):
        raise ValueError(
            f"owner reaches from {int(at.min())} to {int(at.max())}; expected columns of the "
            f"{len(labels)} labels"
        )
    sums = embeddings.new_zeros(len(labels), embeddings.shape[1]).index_add(0, at, embeddings)
    counts = torch.bincount(at, minlength=len(labels))
    means = sums / counts.clamp(min=1)[:, None]
    for label in (means.norm(dim=1) < _SMALLEST_MEAN).nonzero()[:, 0].tolist():
        why = "its sentences' vectors cancel" if counts[label] else "it has no sentence"
        raise ValueError(f"label {labels[label]!r} has no direction: {why}; change its prompts")
    return F.normalize(means, dim=1)


@torch.no_grad()
def _embed(encoder: TextEncoder, texts: Sequence[str]) -> Tensors:
    unique = list(dict.fromkeys(texts))  # two labels may share a description
    parts = [encoder.encode_text(unique[at : at + CHUNK]) for at in range(0, len(unique), CHUNK)]
    row_of = {text: row for row, text in enumerate(unique)}
    each = torch.cat(parts).cpu()[[row_of[text] for text in texts]]
    # before it is kept: a cache must not hold what no one can use
    require_unit(each, f"the text embeddings of {encoder.name}")
    return {"embeddings": each, "check": _checksum(each)}


def _key(encoder: TextEncoder, ids: Tensor, weights: str | None) -> str:
    tokens = ids.cpu().contiguous()
    digest = hashlib.sha256(
        "\n".join(
            [
                "text bank, form 1",
                encoder.name,
                encoder.weights_hash() if weights is None else weights,
                f"{tokens.dtype} {tuple(tokens.shape)}",
            ]
        ).encode()
    )
    digest.update(tokens.numpy().tobytes())
    return f"texts-{digest.hexdigest()[:32]}"


def _checksum(tensor: Tensor) -> Tensor:
    """(32,) uint8. A safetensors file tells a cut file, not a flipped bit."""
    raw = tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return torch.tensor(list(hashlib.sha256(raw).digest()), dtype=torch.uint8)


def _sound(kept: Tensors, rows: int) -> bool:
    if set(kept) != {"embeddings", "check"} or len(kept["embeddings"]) != rows:
        return False
    return torch.equal(kept["check"], _checksum(kept["embeddings"]))


def _refuse_lost_labels(prompts: Prompts, cut: Sequence[CutPrompt], ids: Tensor) -> None:
    place = [(label, k) for label, texts in enumerate(prompts.texts) for k in range(len(texts))]
    for prompt in cut:
        label, k = place[prompt.at]
        if k < len(prompts.templates) and prompts.words_to_label(label, k) > prompt.kept:
            raise ValueError(
                f"label {_short(prompts.labels[label])!r} is cut off: the encoder reads "
                f"{ids.shape[1]} tokens, and of {_short(prompt.text)!r} it loses "
                f"{_short(' '.join(prompt.lost))!r}; shorten the template, or put the label nearer "
                "to its start"
            )
    seen: dict[tuple[int, bytes], int] = {}
    for (label, k), row in zip(place, ids.cpu().numpy(), strict=True):
        if k >= len(prompts.templates):
            continue  # labels may share a description
        other = seen.setdefault((k, row.tobytes()), label)
        if other != label:
            raise ValueError(
                f"labels {prompts.labels[other]!r} and {prompts.labels[label]!r} have the same "
                f"tokens in template {_short(prompts.templates[k])!r}, so they would always score "
                "the same; rename one or leave it out"
            )


def _what_was_cut(cut: Sequence[CutPrompt], context: int) -> str:
    told = "; ".join(
        f"{_short(one.text)!r} loses {_short(' '.join(one.lost))!r}" for one in cut[:3]
    )
    more = f"; and {len(cut) - 3} more" if len(cut) > 3 else ""
    return f"the encoder reads {context} tokens, and {len(cut)} prompts are longer: {told}{more}"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:50]} ... {text[-25:]}"
