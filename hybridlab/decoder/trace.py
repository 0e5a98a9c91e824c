"""How one image was decoded, step by step, as plain data for figures and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.search import Beams
from hybridlab.decoder.sequences import PAD

STOP = "STOP"


@dataclass(frozen=True)
class TracedStep:
    """One step of a sequence.

    Attributes:
        chosen: name of the label, or "STOP".
        prob: its probability.
        best: the likeliest next symbols with their probabilities, best first, STOP among them;
            labels that stand already are left out, as they cannot be chosen.
        stop: the probability of STOP.
        attention: (h, w), where the step looked; sums to 1.
    """

    chosen: str
    prob: float
    best: tuple[tuple[str, float], ...]
    stop: float
    attention: np.ndarray


@dataclass(frozen=True)
class BeamNode:
    """One partial sequence of the search.

    Attributes:
        step: from 0.
        rank: place among the beams of its step, 0 is best.
        parent: rank of the one it came from in the step before; -1 in the first step.
        chosen: what it added: a label, "STOP", or "" where it had ended before.
        log_prob: so far.
        kept: rank of the final sequence that it leads to, the best one if several; -1 if none.
    """

    step: int
    rank: int
    parent: int
    chosen: str
    log_prob: float
    kept: int


@dataclass(frozen=True)
class Trace:
    """The best sequence step by step, and the search that found it.

    Attributes:
        steps: of the best sequence, STOP the last.
        sequences: the final sequences' labels, best first, without STOP.
        log_probs, scores: of each.
        nodes: the search's tree, step by step.
        out_of_steps: STOP ended the best sequence because no step was left: a label was likelier.
    """

    steps: tuple[TracedStep, ...]
    sequences: tuple[tuple[str, ...], ...]
    log_probs: tuple[float, ...]
    scores: tuple[float, ...]
    nodes: tuple[BeamNode, ...]
    out_of_steps: bool

    @property
    def why_it_stopped(self) -> str:
        """Why STOP won, in a sentence."""
        last = self.steps[-1]
        if self.out_of_steps:
            return f"No step was left: STOP was the only choice (it had {100 * last.stop:.0f} %)."
        rival = next((each for each in last.best if each[0] != STOP), None)
        if rival is None:
            return "Every label was written, so STOP was the only choice."
        name, prob = rival
        if last.stop >= prob:
            return (f"STOP had {100 * last.stop:.0f} %, the best label left, {name}, "
                    f"{100 * prob:.0f} %.")
        return (
            f"{name} was likelier than STOP as the next step ({100 * prob:.0f} % against "
            f"{100 * last.stop:.0f} %), but no way on from there scored as well as stopping."
        )


@torch.no_grad()
def trace(
    decoder: LabelDecoder,
    tokens: Tensor,
    names: Sequence[str],
    grid: tuple[int, int],
    beams: int = 1,
    length_power: float = 0.0,
    most: int = 5,
) -> Trace:
    """Decode one image and tell how.

    Args:
        tokens: (P, C) of the image.
        names: of the L labels.
        grid: (h, w) of the feature map, P = h * w.
        beams, length_power: as `LabelDecoder.beam_search`; one beam is greedy decoding.
        most: symbols that each step tells of.

    Raises:
        ValueError: names or grid do not fit the decoder or the tokens, or most is below 1; and as
            `beam_search`.
    """
    if most < 1:
        raise ValueError(f"most is {most}; give 1 or more")
    height, width = grid
    if tokens.dim() != 2 or len(tokens) != height * width:
        raise ValueError(
            f"tokens has shape {tuple(tokens.shape)}, expected ({height} * {width}, C): one image"
        )
    if len(names) != decoder.n_labels:
        raise ValueError(f"{len(names)} names for a decoder of {decoder.n_labels} labels")
    image = tokens[None].float()
    found = decoder.beam_search(image, beams, length_power=length_power)
    said = [*names, STOP]
    length = int(found.lengths[0, 0])
    sequence = found.sequences[0, 0, :length]
    probs = decoder(image, sequence[None]).softmax(dim=-1)[0]  # (T, L + 1)
    assert found.attention is not None
    steps = []
    for t, symbol in enumerate(sequence.tolist()):
        left = probs[t].clone()
        left[sequence[:t]] = -1.0
        best = left.argsort(descending=True)[:most].tolist()
        steps.append(TracedStep(
            said[symbol], float(probs[t, symbol]),
            tuple((said[each], float(probs[t, each])) for each in best if left[each] >= 0),
            float(probs[t, decoder.stop]),
            found.attention[0, 0, t].view(height, width).numpy(),
        ))
    whole = [
        tuple(said[each] for each in row if each not in (PAD, decoder.stop))
        for row, real in zip(found.sequences[0].tolist(), found.lengths[0].tolist(), strict=True)
        if real
    ]
    count = len(whole)
    return Trace(
        tuple(steps), tuple(whole), tuple(found.log_probs[0, :count].tolist()),
        tuple(found.scores[0, :count].tolist()), _nodes(found, said),
        length == decoder.max_steps and any(
            name != STOP and prob > steps[-1].stop for name, prob in steps[-1].best),
    )


def _nodes(found: Beams, said: Sequence[str]) -> tuple[BeamNode, ...]:
    """The tree, and which of its nodes lead to a final sequence."""
    steps, beams = found.chosen.shape[0], found.chosen.shape[2]
    leads = np.full((steps, beams), -1)
    at = [rank if float(found.sums[-1, 0, rank]) > float("-inf") else -1 for rank in range(beams)]
    for t in reversed(range(steps)):
        for final in reversed(range(beams)):  # the best one last: it stays
            if at[final] >= 0:
                leads[t, at[final]] = final
                at[final] = int(found.parents[t, 0, at[final]])
    nodes = []
    for t in range(steps):
        for rank in range(beams):
            if float(found.sums[t, 0, rank]) == float("-inf"):
                continue
            symbol = int(found.chosen[t, 0, rank])
            nodes.append(BeamNode(
                t, rank, int(found.parents[t, 0, rank]) if t else -1,
                "" if symbol == PAD else said[symbol], float(found.sums[t, 0, rank]),
                int(leads[t, rank]),
            ))
    return tuple(nodes)
