"""The head of seed 002: an LSTM reads the image, and a linear layer on its last state scores all
labels at once.

Its training passes may also read the true labels as a sequence after the image. That leaks: the
state from which the labels are scored has just read them. The loss falls to nothing, and nothing is
learnt about images (trap 6). It is here to be shown; train without `label_seq`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridlab.decoder.sequences import PAD, check_sequences


class LastStateHead(nn.Module):
    """An LSTM over [image, label, label, ...] and a linear layer on its last state.

    Args:
        channels: C of the pooled features.
        n_labels: L.
        dim: D of the projected image, the label embeddings and the states.
        dropout: on the features and on the last state, in [0, 1).

    Shape:
        pooled (B, C) -> logits (B, L)
    """

    def __init__(self, channels: int, n_labels: int, dim: int = 256, dropout: float = 0.2):
        super().__init__()
        self.n_labels = n_labels
        self.project = nn.Sequential(
            nn.Dropout(dropout), nn.LayerNorm(channels), nn.Linear(channels, dim)
        )
        self.embed = nn.Embedding(n_labels, dim)
        self.rnn = nn.LSTM(dim, dim, batch_first=True)
        self.score = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, n_labels))

    def forward(self, pooled: Tensor, label_seq: Tensor | None = None) -> Tensor:
        """Logits of all labels.

        Args:
            pooled: (B, C).
            label_seq: (B, T) as `to_sequences` gives it: the labels are read after the image. It
                LEAKS them into the logits; only to show what then happens.

        Raises:
            ValueError: pooled is not (B, C) or not finite, or label_seq is no label sequence of the
                same B.
        """
        if pooled.dim() != 2 or pooled.shape[1] != self.project[2].in_features:
            raise ValueError(
                f"pooled has shape {tuple(pooled.shape)}, expected (B, "
                f"{self.project[2].in_features})"
            )
        if not bool(pooled.detach().isfinite().all()):
            raise ValueError("pooled holds NaN or infinity; look at the encoder or at the cache")
        image = self.project(pooled)[:, None]  # (B, 1, D)
        if label_seq is None:
            states, _ = self.rnn(image)
            return self.score(states[:, 0])
        if len(label_seq) != len(pooled):
            raise ValueError(f"label_seq has {len(label_seq)} rows for {len(pooled)} images")
        check_sequences(label_seq, self.n_labels)
        real = (label_seq != PAD) & (label_seq < self.n_labels)  # neither STOP nor padding
        read = self.embed(label_seq.clamp(min=0, max=self.n_labels - 1))
        states, _ = self.rnn(torch.cat([image, read], dim=1))  # (B, 1 + T, D)
        last = real.sum(dim=1)  # padded steps come after it, so they cannot reach it (trap 7)
        return self.score(states[torch.arange(len(pooled), device=pooled.device), last])
