"""A small model and task with everything that a trainer must keep: norms, dropout, two stages."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hybridlab.training.stage import Part, Stage


class Toy(nn.Module):
    """A body with BatchNorm and a head with dropout."""

    def __init__(self, dropout: float = 0.3, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.GELU())
            self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class ToyTask:
    """Multi-label rows with some entries that are not annotated, and a loss of two terms, of which
    one counts rows and the other entries."""

    rows_meet = False

    def __init__(self, n_samples: int = 21, n_held: int = 11):
        draw = torch.Generator().manual_seed(0)
        self.x = torch.randn(n_samples + n_held, 4, generator=draw)
        self.y = (self.x @ torch.randn(4, 3, generator=draw) > 0).float()
        self.y[torch.rand(self.y.shape, generator=draw) < 0.2] = -1
        self.n_samples, self.n_held = n_samples, n_held
        self.seen: list[list[int]] = []
        self.fail_at: dict[int, str] = {}  # batches, counted from 0 -> what goes wrong

    def describe(self):
        return {"toy": 1}

    def difficulty(self, name):
        return tuple((self.y[: self.n_samples] > 0).sum(dim=1).tolist())

    def batch(self, rows, stage, epoch):
        what = self.fail_at.pop(len(self.seen), "")
        self.seen.append(rows.tolist())
        if what == "memory":
            raise torch.OutOfMemoryError("out of memory")
        x = self.x[rows].clone()
        if what == "nan":
            x[0, 0] = float("nan")
        return {"x": x, "y": self.y[rows]}

    def counts(self, rows, stage):
        y = self.y[rows]
        return {"bce": float((y >= 0).sum()), "norm": float((y > 0).any(dim=1).sum())}

    def sums(self, model, batch, stage):
        logits, y = model(batch["x"]), batch["y"]
        each = F.binary_cross_entropy_with_logits(logits, y.clamp(min=0), reduction="none")
        some = (y > 0).any(dim=1)
        return {"bce": each[y >= 0].sum(), "norm": logits[some].square().sum()}

    def predict(self, model, rows, stage):
        return model(self.x[self.n_samples + rows])

    def score(self, predictions):
        y = self.y[self.n_samples:]
        return -float(F.binary_cross_entropy_with_logits(predictions, y.clamp(min=0)))


def stages(**options) -> list[Stage]:
    """The head alone, then all of it at a lower rate, with an average."""
    both = {"batch_size": 5, "epochs": 2, "weights": {"bce": 1.0, "norm": 0.01}, **options}
    return [
        Stage("one", (Part("head", 0.02),), **both),
        Stage("two", (Part("head", 0.01), Part("body", 0.003, layer_decay=0.5)),
              **{**both, "ema": 0.9, "schedule": "one_cycle"}),
    ]
