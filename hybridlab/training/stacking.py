"""What other labels add to an opinion of a label: as others are believed to be, or as they are.

Both start out as the opinions themselves (a correction of 0), so what they gain is what others add.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.losses import masked_bce
from hybridlab.training.held import Held, seeded
from hybridlab.training.loop import train

KINDS = ("stacked", "told")


class StackedHeads(nn.Module):
    """Every label's opinion, corrected by a small network that reads the opinions of all labels.

    Args:
        mean, deviation: (L,) of the opinions that it learns from, for the network's input.
        hidden: width of the network.
        dropout: on its input and inside it, in [0, 1).

    Shape:
        opinions (B, L), log-odds -> logits (B, L)
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, hidden: int = 256, dropout: float = 0.5):
        super().__init__()
        n_labels = len(mean)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation.clamp(min=1e-6))
        self.scale = nn.Parameter(torch.ones(n_labels))
        self.bias = nn.Parameter(torch.zeros(n_labels))
        last = nn.Linear(hidden, n_labels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.correct = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(n_labels, hidden), nn.GELU(), nn.Dropout(dropout), last
        )

    def forward(self, opinions: Tensor, truth: Tensor | None = None) -> Tensor:
        """Logits; `truth` is not read."""
        standard = (opinions - self.mean) / self.deviation
        return self.scale * opinions + self.bias + self.correct(standard)


class ToldHeads(nn.Module):
    """Every label's opinion, and the TRUE other labels of the image: no method, for nobody knows
    them, but a bound on what label dependency can add (up to its form: one weight for each pair).

    Shape:
        opinions (B, L), truth (B, L) of 1, 0 and -1 (read as 0) -> logits (B, L); the truth about a
        label never enters its own logit
    """

    others: Tensor

    def __init__(self, n_labels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(n_labels))
        self.bias = nn.Parameter(torch.zeros(n_labels))
        self.weight = nn.Parameter(torch.zeros(n_labels, n_labels))
        self.register_buffer("others", 1 - torch.eye(n_labels))

    def forward(self, opinions: Tensor, truth: Tensor) -> Tensor:
        present = (truth > 0).to(opinions.dtype)
        return self.scale * opinions + self.bias + present @ (self.weight * self.others)


def fit_stacking(
    kind: str,
    opinions: Tensor,
    targets: Tensor,
    held: Held,
    seed: int,
    *,
    epochs: int = 30,
    batch_size: int = 64,
    weight_decay: float = 0.05,
) -> nn.Module:
    """Train `StackedHeads` ("stacked") or `ToldHeads` ("told") by binary cross-entropy.

    Args:
        opinions: (N, L) log-odds, of heads that have not seen the image (trap 6).
        targets: (N, L) in {0, 1} or -1.
        held: its inputs are opinions; the epoch with the best mAP is kept.

    Raises:
        ValueError: an unknown kind, or shapes that differ.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}")
    if opinions.shape != targets.shape:
        raise ValueError(
            f"opinions are {tuple(opinions.shape)} and targets {tuple(targets.shape)}; give one "
            "opinion for each target"
        )

    def build() -> nn.Module:
        if kind == "told":
            return ToldHeads(targets.shape[1])
        return StackedHeads(opinions.mean(dim=0), opinions.std(dim=0, correction=0))

    model = seeded(seed, build)

    def score() -> float:
        with torch.no_grad():
            return held.score(model(*held.inputs, held.targets))

    train(
        kind, [(model, 2e-3 if kind == "stacked" else 1e-2)],
        lambda rows: masked_bce(model(opinions[rows], targets[rows]), targets[rows]),
        len(targets), epochs=epochs, batch_size=batch_size, seed=seed, weight_decay=weight_decay,
        validate=score,
    )
    return model.eval()
