"""Independent heads on the features that a label decoder reads: what it is compared with.

The tokens are read as `LabelDecoder` reads them (dropout, LayerNorm, projection), then pooled: over
all places alike, or with weights for each label. Every label gets a logit of its own, and none is
told of any other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.losses import masked_bce
from hybridlab.training.held import Held, seeded
from hybridlab.training.loop import Report, silent, train
from hybridlab.training.recipes import DecoderRecipe

CHUNK = 512


class PooledHead(nn.Module):
    """Read the tokens, take their mean, project it, score all labels.

    Shape:
        tokens (B, P, C) -> logits (B, L)
    """

    def __init__(self, channels: int, n_labels: int, dim: int = 256, dropout: float = 0.3):
        super().__init__()
        self.read = nn.Sequential(nn.Dropout(dropout), nn.LayerNorm(channels))
        self.score = nn.Sequential(
            nn.Linear(channels, dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(dim, n_labels)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        # the mean of projected tokens is the projection of their mean, and costs a P-th of it
        return self.score(self.read(tokens).mean(dim=1))


class LookingHead(nn.Module):
    """Every label looks at the map by itself: its logit is a mean over places with weights of its
    own. As much attention as a decoder has, and still no label is told of any other.

    Shape:
        tokens (B, P, C) -> logits (B, L)
    """

    def __init__(self, channels: int, n_labels: int, dim: int = 256, dropout: float = 0.3):
        super().__init__()
        self.read = nn.Sequential(
            nn.Dropout(dropout), nn.LayerNorm(channels), nn.Linear(channels, dim), nn.GELU(),
            nn.Dropout(dropout),
        )
        self.score, self.weigh = nn.Linear(dim, n_labels), nn.Linear(dim, n_labels)

    def forward(self, tokens: Tensor) -> Tensor:
        seen = self.read(tokens)  # (B, P, D)
        return (self.weigh(seen).softmax(dim=1) * self.score(seen)).sum(dim=1)


HEADS = {"mean": PooledHead, "look": LookingHead}


def fit_heads(
    tokens: Tensor, targets: Tensor, held: Held | None, recipe: DecoderRecipe, seed: int,
    kind: str = "mean", report: Report = silent,
) -> nn.Module:
    """Heads trained on frozen tokens (N, P, C) by binary cross-entropy.

    Args:
        targets: (N, L) in {0, 1} or -1: entries that are not annotated teach nothing.
        held: its inputs are tokens; the epoch with the best mAP is kept.
        recipe: its dim, dropout, epochs, batch_size, lr and weight_decay.
        kind: "mean", `PooledHead`, or "look", `LookingHead`.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in HEADS:
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(HEADS)}")
    head = seeded(
        seed, lambda: HEADS[kind](tokens.shape[2], targets.shape[1], recipe.dim, recipe.dropout)
    )
    train(
        "independent heads",
        [(head, recipe.lr)],
        lambda rows: masked_bce(head(tokens[rows].float()), targets[rows]),
        len(tokens),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        seed=seed,
        weight_decay=recipe.weight_decay,
        validate=(lambda: held.score(head_probs(head, *held.inputs))) if held else None,
        report=report,
    )
    return head.eval()


def cross_fitted_heads(
    tokens: Tensor, targets: Tensor, held: Held | None, recipe: DecoderRecipe, seed: int,
    folds: int = 2, kind: str = "look",
) -> Tensor:
    """Probabilities (N, L) of the training images, each from heads that have not seen the image
    (trap 6). They learn from fewer images than heads of all, so their opinions are weaker.

    Args: as in `fit_heads`; the folds are drawn from the seed.

    Raises:
        ValueError: fewer than two folds, or more folds than images.
    """
    if not 2 <= folds <= len(tokens):
        raise ValueError(
            f"folds is {folds} for {len(tokens)} images; give 2 or more, and no more than there are"
        )
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))
    probs = torch.empty_like(targets)
    for unseen in order.tensor_split(folds):
        seen = torch.ones(len(tokens), dtype=torch.bool)
        seen[unseen] = False
        head = fit_heads(tokens[seen], targets[seen], held, recipe, seed, kind)
        probs[unseen] = head_probs(head, tokens[unseen])
    return probs


@torch.no_grad()
def head_probs(head: nn.Module, tokens: Tensor) -> Tensor:
    """Probabilities (N, L) of a split's tokens."""
    return torch.cat([torch.sigmoid(head(few.float())) for few in tokens.split(CHUNK)])
