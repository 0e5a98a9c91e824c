"""The loss of the whole hybrid: its terms, each with a fixed reduction, and their weights.

Seed 000 section 4: alpha * BCE + beta * contrastive; gamma is the weight of a third one here. The
weights mean nothing until the reductions are written down (trap 14):

| term | reduction |
|---|---|
| classification | mean over annotated entries, so that L does not change it |
| contrastive | mean over the images that have a positive; "sigmoid": sum over texts, then a mean |
| decoder | mean over the valid steps of all images |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hybridlab.alignment import ALIGNMENTS
from hybridlab.losses import asymmetric_loss, masked_bce

CLASSIFICATION = {"bce": masked_bce, "asl": asymmetric_loss}
TERMS = ("classification", "contrastive", "decoder")


def loss_terms(
    logits: Tensor,
    targets: Tensor,
    contrastive_logits: Tensor | None = None,
    decoder_loss: Tensor | None = None,
    *,
    classification: str = "bce",
    alignment: str = "infonce",
) -> dict[str, Tensor]:
    """The terms, unweighted.

    Args:
        logits: (B, L) of the label head.
        targets: (B, L) in {0, 1} or -1, which is left out of both terms.
        contrastive_logits: (B, L), scaled similarities with the label texts; without them, and
            without decoder_loss, there is no such term.
        decoder_loss: a scalar, such as `decoder.cnn_rnn.sequence_loss`: an auxiliary loss on what
            the decoder writes.
        classification: one of `CLASSIFICATION`.
        alignment: one of `alignment.ALIGNMENTS`.

    Raises:
        ValueError: an unknown name (the message lists the known ones), or shapes that differ.
    """
    _check_names(classification, alignment)
    terms = {"classification": CLASSIFICATION[classification](logits, targets)}
    if contrastive_logits is not None:
        terms["contrastive"] = ALIGNMENTS[alignment](contrastive_logits, targets > 0, targets >= 0)
    if decoder_loss is not None:
        terms["decoder"] = decoder_loss
    return terms


def _check_names(classification: str, alignment: str) -> None:
    for what, name, known in (("classification", classification, CLASSIFICATION),
                              ("alignment", alignment, ALIGNMENTS)):
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; known ones: {', '.join(known)}")


def total_loss(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of the terms.

    Args:
        terms: of `loss_terms`.
        weights: term -> weight of 0 or more; 0 leaves a term out, gradients and all.

    Raises:
        ValueError: a weight is missing, negative or not finite, all are 0, or there is no such
            term.
    """
    if set(terms) != set(weights):
        raise ValueError(f"terms are {sorted(terms)} but weights {sorted(weights)}; name the same")
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"the weight of {name} is {weight}; weights of a loss are 0 or more")
    kept = [weight * terms[name] for name, weight in weights.items() if weight > 0]
    if not kept:
        raise ValueError(f"all weights are 0: {dict(weights)}; nothing would be learnt")
    return torch.stack(kept).sum()


def hybrid_loss(
    logits: Tensor,
    contrastive_logits: Tensor | None,
    targets: Tensor,
    alpha: float = 1.0,
    beta: float = 0.1,
    gamma: float = 0.0,
    decoder_loss: Tensor | None = None,
    *,
    classification: str = "bce",
    alignment: str = "infonce",
) -> Tensor:
    """alpha * classification + beta * contrastive + gamma * decoder (seed 000, section 4), as
    `total_loss`.

    Args:
        alpha, beta, gamma: weights, 0 or more. The third is of an auxiliary loss, by which a
            decoder that is trained along keeps writing labels.
        contrastive_logits, decoder_loss: needed where beta, or gamma, is more than 0.
        others: as in `loss_terms`.

    Raises:
        ValueError: a weight is negative or not finite, its term was not given, a name is unknown,
            or shapes differ.
    """
    weights = _checked_weights(alpha, beta, gamma)
    terms = _given_terms(
        weights, logits, targets, contrastive_logits, decoder_loss, classification, alignment
    )
    return total_loss(terms, {name: weights[name] for name in terms})


def _checked_weights(alpha: float, beta: float, gamma: float) -> dict[str, float]:
    weights = dict(zip(TERMS, (alpha, beta, gamma), strict=True))
    if not all(0 <= each < float("inf") for each in weights.values()) or not any(weights.values()):
        raise ValueError(
            f"alpha is {alpha}, beta {beta} and gamma {gamma}; weights of a loss are finite and 0 "
            "or more, and one is more"
        )
    return weights


def _given_terms(
    weights: Mapping[str, float], logits: Tensor, targets: Tensor,
    contrastive_logits: Tensor | None, decoder_loss: Tensor | None, classification: str,
    alignment: str,
) -> dict[str, Tensor]:
    """The terms that are weighed, and classification."""
    for name, what, value in (("contrastive", "contrastive_logits", contrastive_logits),
                              ("decoder", "decoder_loss", decoder_loss)):
        if weights[name] > 0 and value is None:
            raise ValueError(
                f"the weight of the {name} term is {weights[name]}, but {what} is None; give it, "
                "or a weight of 0"
            )
    return loss_terms(
        logits, targets, contrastive_logits if weights["contrastive"] > 0 else None,
        decoder_loss if weights["decoder"] > 0 else None,
        classification=classification, alignment=alignment,
    )


class HybridLoss(nn.Module):
    """`hybrid_loss` with fixed weights, or the same terms with learnt ones (`UncertaintyWeights`),
    which are then trained along with the model.

    Args:
        alpha, beta, gamma: as in `hybrid_loss`; with learnt weights 0 leaves a term out, and any
            other number only says that there is one.
        learnt: learn the weights.
        classification, alignment: as in `loss_terms`.

    Raises:
        ValueError: a weight is negative or not finite, all are 0, or a name is unknown.
    """

    def __init__(
        self, alpha: float = 1.0, beta: float = 0.1, *, learnt: bool = False,
        classification: str = "bce", alignment: str = "infonce", gamma: float = 0.0,
    ):
        super().__init__()
        self.weights = _checked_weights(alpha, beta, gamma)
        _check_names(classification, alignment)
        self.classification, self.alignment = classification, alignment
        kept = tuple(name for name, weight in self.weights.items() if weight > 0)
        self.learnt = UncertaintyWeights(kept) if learnt else None

    def forward(
        self, logits: Tensor, contrastive_logits: Tensor | None, targets: Tensor,
        decoder_loss: Tensor | None = None,
    ) -> Tensor:
        terms = _given_terms(
            self.weights, logits, targets, contrastive_logits, decoder_loss, self.classification,
            self.alignment,
        )
        if self.learnt is None:
            return total_loss(terms, {name: self.weights[name] for name in terms})
        return self.learnt({name: terms[name] for name in self.learnt.log_variance})


class UncertaintyWeights(nn.Module):
    """Learnt weights: sum of exp(-s) * loss + s / 2, with an s for each term (Kendall, Gal, Cipolla
    2018, arXiv 1705.07115).

    s is the log of the variance that the term is believed to have. A term that stays large gets a
    small weight; s / 2 keeps it from choosing 0. At its best exp(-s) = 1 / (2 loss). The weight
    decay of `training.loop.train` applies to s, too, and draws the weights a little towards 1.

    Args:
        names: of the terms.

    Shape:
        terms: name -> scalar -> scalar
    """

    def __init__(self, names: tuple[str, ...] = TERMS):
        super().__init__()
        self.log_variance = nn.ParameterDict({n: nn.Parameter(torch.zeros(())) for n in names})

    def weights(self) -> dict[str, float]:
        """What each term is multiplied by now."""
        return {name: float((-s.detach()).exp()) for name, s in self.log_variance.items()}

    def forward(self, terms: Mapping[str, Tensor]) -> Tensor:
        if set(terms) != set(self.log_variance):
            raise ValueError(
                f"terms are {sorted(terms)}, but weights are learnt for "
                f"{sorted(self.log_variance)}; name the same"
            )
        each = [(-s).exp() * terms[name] + s / 2 for name, s in self.log_variance.items()]
        return torch.stack(each).sum()
