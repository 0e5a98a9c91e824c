"""Searches that are slow and plain: what `hybridlab.decoder.search` must equal."""

from __future__ import annotations

from itertools import count

import torch
from torch import Tensor

from hybridlab.decoder.search import State, Step, beam_search


def loop_search(
    step: Step, first: Tensor, state: State, memory: State, *, beams: int, stop: int,
    max_steps: int, length_power: float = 0.0,
) -> list[list[tuple[list[int], float]]]:
    """Beam search image by image and beam by beam: for each image its sequences, STOP included, and
    their summed log-probabilities, best first. Nothing is chosen twice."""
    found = []
    for image in range(len(first)):
        own = tuple(each[image : image + 1] for each in memory)
        begin = tuple(each[image : image + 1] for each in state)
        pool: list[tuple[list[int], float, State]] = [([], 0.0, begin)]
        for t in range(max_steps):
            candidates = []
            for sequence, total, now in pool:
                if sequence and sequence[-1] == stop:
                    candidates.append((sequence, total, now))
                    continue
                last = torch.tensor([sequence[-1]]) if sequence else first[image : image + 1]
                log_probs, after, _ = step(last, now, own)
                for symbol, value in enumerate(log_probs[0].tolist()):
                    if symbol not in sequence and (t < max_steps - 1 or symbol == stop):
                        candidates.append(([*sequence, symbol], total + value, after))
            candidates.sort(key=lambda one: -one[1] / len(one[0]) ** length_power)
            pool = candidates[:beams]
            if all(sequence[-1] == stop for sequence, _, _ in pool):
                break
        found.append([(sequence, total) for sequence, total, _ in pool])
    return found


def image_by_image(step: Step, first: Tensor, state: State, memory: State, **options: object) -> (
    list[object]
):
    """Batched beams, one image at a time."""
    return [
        beam_search(
            step, first[at : at + 1], tuple(each[at : at + 1] for each in state),
            tuple(each[at : at + 1] for each in memory), **options,
        )
        for at in range(len(first))
    ]


def all_sequences(n_labels: int, max_steps: int, repeats: bool = False) -> list[list[int]]:
    """Every sequence of at most max_steps symbols that ends in STOP (the symbol n_labels)."""
    whole, begun = [], [[]]
    for length in count():
        whole += [[*each, n_labels] for each in begun]
        if length == max_steps - 1 or not begun:
            return whole
        begun = [
            [*each, label] for each in begun for label in range(n_labels)
            if repeats or label not in each
        ]
    raise AssertionError
