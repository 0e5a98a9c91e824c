"""Beam search over (B, K) at once, against a plain loop over images and beams.

The loop is the reference of the tests, which it must equal; `ratio_by_image` is against beams that
are batched for one image at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from statistics import median

import torch

from benchmarks.timing import compare, seconds
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.search import beam_search
from hybridlab.decoder.sequences import PAD

REFERENCE = Path(__file__).resolve().parents[1] / "tests/decoder/reference.py"
IMAGES, BEAMS, PLACES, CHANNELS, LABELS, STEPS = 64, 4, 36, 320, 80, 8


def measure() -> dict[str, object]:
    """ratio = seconds of the loop / seconds of the tensor program; no early STOP. As many threads
    as torch takes by itself: a tensor program can use them all, a loop of small steps cannot."""
    torch.manual_seed(0)
    decoder = LabelDecoder(CHANNELS, LABELS, max_steps=STEPS).eval()
    torch.nn.init.normal_(decoder.score.weight, std=0.3)  # so that beams differ
    decoder.score.bias.data[decoder.stop] = -30.0  # all steps are taken
    tokens = torch.randn(IMAGES, PLACES, CHANNELS)
    options = {"beams": BEAMS, "stop": decoder.stop, "max_steps": STEPS}

    def run(search: Callable[..., object]) -> Callable[[], object]:
        def job() -> object:
            with torch.no_grad():
                return search(*decoder.searchable(tokens), **options)

        return job

    plain_ones = run_path(str(REFERENCE))
    ours, loop = run(beam_search), run(plain_ones["loop_search"])
    by_image = run(plain_ones["image_by_image"])
    found, plain = ours(), loop()
    for image, rows in enumerate(plain):  # type: ignore[arg-type, var-annotated]
        own = [[s for s in row if s != PAD] for row in found.sequences[image].tolist()]  # type: ignore[attr-defined]
        if own != [sequence for sequence, _ in rows]:
            raise ValueError(f"the two searches differ on image {image}: do not time them")
    out = compare(
        "beam_vs_loop", ours, loop,
        {"images": IMAGES, "beams": BEAMS, "places": PLACES, "labels": LABELS, "dim": decoder.dim,
         "steps": STEPS, "threads": torch.get_num_threads()},
        ("torch",), rounds=11,
    )
    by_image()
    pairs = [(seconds(ours), seconds(by_image)) for _ in range(11)]
    return {**out, "ratio_by_image": round(median(other / own for own, other in pairs), 2)}
