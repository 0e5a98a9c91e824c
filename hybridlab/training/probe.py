"""The linear baseline on frozen features, trained well enough to be a fair opponent."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from hybridlab.configs import DemoConfig
from hybridlab.fusion.views import Standardise
from hybridlab.losses import masked_bce
from hybridlab.training.held import Held, seeded
from hybridlab.training.loop import Report, silent, train

Loss = Callable[[Tensor, Tensor], Tensor]


class LinearProbe(nn.Module):
    """A linear head on frozen features, standardised with the training split's mean and deviation.

    Shape:
        features (B, D) -> logits (B, L)
    """

    def __init__(self, dim: int, n_labels: int):
        super().__init__()
        self.scale = Standardise(dim)
        self.linear = nn.Linear(dim, n_labels)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(self.scale(features))


def train_linear(
    name: str,
    features: Tensor,
    targets: Tensor,
    held: Held,
    config: DemoConfig,
    report: Report = silent,
    loss: Loss = masked_bce,
) -> LinearProbe:
    """Train a probe on features (N, D) at each of `config.linear_rates`, and keep the best.

    No one rate suits every encoder, and a baseline at a bad rate flatters the rest. Rate and epoch
    are chosen by the mAP on `held`, whose inputs are features too.

    Args:
        loss: of logits (B, L) and targets (B, L).
    """
    best, kept = float("-inf"), None
    for rate in config.linear_rates:
        probe = seeded(config.seed, lambda: LinearProbe(features.shape[1], targets.shape[1]))
        probe.scale.fit(features)
        stage = f"{name}, rate {rate:g}"
        score = _train(stage, probe, rate, features, targets, held, config, report, loss)
        if kept is None or score > best:
            best, kept = score, probe
    assert kept is not None  # the configuration refuses an empty list of rates
    return kept.eval()


def _train(
    name: str,
    probe: LinearProbe,
    rate: float,
    features: Tensor,
    targets: Tensor,
    held: Held,
    config: DemoConfig,
    report: Report,
    loss: Loss,
) -> float:
    return train(
        name,
        [(probe, rate)],
        lambda rows: loss(probe(features[rows]), targets[rows]),
        len(features),
        epochs=config.linear_epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        weight_decay=0.05,
        validate=lambda: held.score(probe(*held.inputs)),
        report=report,
    )
