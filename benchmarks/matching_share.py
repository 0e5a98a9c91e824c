"""What the matching of PLA costs in a training step: the step's time over the matching's."""

from __future__ import annotations

import torch

from benchmarks.timing import compare
from hybridlab.decoder.cnn_rnn import LabelDecoder, sequence_loss
from hybridlab.decoder.matching import predicted_label_alignment
from hybridlab.decoder.orders import frequent_first
from hybridlab.decoder.sequences import to_sequences

IMAGES, PLACES, CHANNELS, LABELS = 64, 36, 320, 80


def measure() -> dict[str, object]:
    """ratio = seconds of a whole step / seconds of its matching; `share` is the inverse.

    One thread; 1 to 6 labels an image, as in the small world.
    """
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    decoder = LabelDecoder(CHANNELS, LABELS).train()
    optimiser = torch.optim.AdamW(decoder.parameters(), 1e-3)
    tokens = torch.randn(IMAGES, PLACES, CHANNELS, generator=draw)
    targets = torch.zeros(IMAGES, LABELS)
    for row in range(IMAGES):
        targets[row, torch.randperm(LABELS, generator=draw)[: 1 + row % 6]] = 1
    label_seq = to_sequences(targets, frequent_first(targets))
    kept = decoder(tokens, label_seq, 0.0, draw).detach()

    def step() -> None:
        logits = decoder(tokens, label_seq, 0.0, draw)
        loss = sequence_loss(logits, predicted_label_alignment(logits, targets))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    out = compare(
        "matching_share", lambda: predicted_label_alignment(kept, targets), step,
        {"images": IMAGES, "places": PLACES, "labels": LABELS, "dim": decoder.dim, "threads": 1},
        ("torch", "scipy"),
    )
    return {**out, "share": round(1 / float(out["ratio"]), 4)}  # type: ignore[arg-type]
