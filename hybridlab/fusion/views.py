"""What each view brings to the fusion, and in which units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.configs import TOKENS, VIEWS
from hybridlab.decoder.decoded import Decoded
from hybridlab.fusion.view import View

_SURE = 1e-4  # probabilities nearer to 0 or 1 than this count as this


class Standardise(nn.Module):
    """Subtract a mean and divide by a deviation, both measured once on training features.

    LayerNorm would rescale each vector on its own, and throw away how sure a view is; a fixed
    scale for each feature keeps that.

    Shape:
        features (..., D) -> (..., D)

    Raises:
        ValueError: features of another width.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    def fit(self, features: Tensor) -> None:
        """Measure both on (N, D); a feature that never changes is only centred.

        Raises:
            ValueError: there is no row, or the width is another.
        """
        if features.dim() != 2 or features.shape[1] != len(self.mean) or len(features) == 0:
            raise ValueError(
                f"features has shape {tuple(features.shape)}, expected (N, {len(self.mean)}) with "
                "N >= 1: pass the training split's features"
            )
        deviation = features.std(dim=0, correction=0)
        self.mean.copy_(features.mean(dim=0))
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, 1.0))

    def forward(self, features: Tensor) -> Tensor:
        if features.shape[-1] != len(self.mean):  # a width of 1 would be spread over all of them
            raise ValueError(
                f"features has shape {tuple(features.shape)}, expected (..., {len(self.mean)}); "
                "are the two views swapped, or of another encoder?"
            )
        return (features - self.mean) / self.deviation


def evidence(probs: Tensor) -> Tensor:
    """The decoder's opinion of each label as log-odds: log(p / (1 - p)).

    Unlike hidden states, the opinions of two decoders speak of the same thing, column by column.
    That is what allows cross-fitting: the fusion learns from decoders that have not seen the image,
    and meets another decoder at the end (trap 6).

    Args:
        probs: (B, L) in [0, 1], such as `Decoded.probs`.
    """
    return torch.logit(probs, eps=_SURE)


def view_of(name: str, h_rnn: Tensor, probs: Tensor) -> Tensor:
    """What the decoder brings to the fusion, by name.

    Args:
        name: "evidence" (the log-odds of probs), "state" (h_rnn itself) or "none" (zeros, as many
            as there are labels).
        h_rnn: (B, D), the decoder's last valid state; or (B, T, D), one for each step.
        probs: (B, L) or (B, T, L), its probability for each label.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    known = tuple(each for each in VIEWS if each != "map")
    if name not in known:
        raise ValueError(f"unknown view {name!r} of the decoder; choose one of {known}")
    if name == "state":
        return h_rnn
    return evidence(probs) if name == "evidence" else torch.zeros_like(probs)


def cnn_rnn_view(
    name: str, decoded: Decoded | None, cnn_tokens: Tensor | None = None,
    tokens: str | None = None,
) -> View:
    """The CNN-RNN's view of some images.

    Args:
        name: of `view_of`; or "map", the mean of the CNN's map, without anything of the decoder.
        decoded: a free-running decoding; None will do for the name "map".
        cnn_tokens: (B, P, C), the map that was decoded; for the name "map" and for tokens="map".
        tokens: "steps", what the decoder had after each step, in the units of `name`; "map", the
            CNN's; None, no tokens.

    Raises:
        ValueError: an unknown name, "map" without a map, or "steps" without a decoding.
    """
    if tokens not in (*TOKENS, None) or (cnn_tokens is None and "map" in (name, tokens)):
        raise ValueError(
            f"tokens is {tokens!r} and the map {'not ' if cnn_tokens is None else ''}given; choose "
            f"one of {TOKENS} or None, and pass cnn_tokens for the map"
        )
    if name == "map":
        if tokens == "steps":
            raise ValueError(
                "view 'map' has no decoder that takes steps; give tokens='map' or None"
            )
        assert cnn_tokens is not None  # see above
        return View(cnn_tokens.float().mean(dim=1), None if tokens is None else cnn_tokens)
    if decoded is None:
        raise ValueError(f"view {name!r} is of a decoding, but decoded is None; decode the images")
    pooled = view_of(name, decoded.h_rnn, decoded.probs)
    if tokens is None:
        return View(pooled)
    if tokens == "map":
        parts, mask = cnn_tokens, None
    else:
        each = decoded.step_logits.softmax(dim=-1)[..., :-1]  # (B, T, L), without STOP
        parts, mask = view_of(name, decoded.step_states, each), decoded.mask
    view = View(pooled, parts, mask)
    return view.absent() if name == "none" else view
