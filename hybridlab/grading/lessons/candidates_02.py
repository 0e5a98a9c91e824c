"""The candidates of a step of beam search, right and wrong: for the check of 2.4.

A step's outcome is an array (3, M): new scores, parents, symbols.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridlab.grading.trial import Mistake

Array = np.ndarray
Drawn = tuple[Array, Array, Array, int, int]  # scores, log_probs, done, beams, stop

ENDED = "A beam that is done is one candidate: its score unchanged, its symbol `stop`."


def totals(scores: Array, log_probs: Array, done: Array, stop: int) -> Array:
    """(K, V), -inf where there is no candidate."""
    total = scores[:, None] + log_probs
    total[done] = -np.inf
    total[done, stop] = scores[done]
    return total


def top(total: Array, beams: int) -> Array:
    """(3, M), the best first, of equal scores the lower entry of the flat matrix."""
    flat = total.ravel()
    order = np.argsort(-flat, kind="stable")
    order = order[np.isfinite(flat[order])][:beams]
    return np.stack([flat[order], order // total.shape[1], order % total.shape[1]])


def outcome(scores: Array, log_probs: Array, done: Array, beams: int, stop: int) -> Array:
    """The right one, (3, M)."""
    return top(totals(scores, log_probs, done, stop), beams)


def stepped_wrongly(
    scores: Array, log_probs: Array, done: Array, beams: int, stop: int
) -> list[Mistake]:
    """Mistakes that show where no beam is done."""
    total = totals(scores, log_probs, done, stop)
    right, symbols, size = top(total, beams), total.shape[1], len(scores)
    finite = np.where(np.isfinite(total), total, np.nan)
    tops = np.stack([np.nanmax(finite, axis=1), np.arange(size), np.nanargmax(finite, axis=1)])
    worst = np.argsort(total.ravel(), kind="stable")[:beams]
    flat = right[1] * symbols + right[2]
    return [
        Mistake("Parents and symbols have changed places: the flat index divided by V (//) is the "
                "beam, the remainder (%) the symbol.", right[[0, 2, 1]]),
        Mistake("You divided the flat index by K; a row of the matrix has V entries: index // V is "
                "the beam, index % V the symbol.", np.stack([right[0], flat // size, flat % size])),
        Mistake("Your symbols are indices of the flat matrix; the symbol is index % V.",
                np.stack([right[0], right[1], flat])),
        Mistake("The candidates are right, their order is turned round: best first.",
                right[:, ::-1]),
        Mistake("Those are the worst candidates; take the highest scores (log-probabilities are "
                "below 0, and the best are nearest to 0).",
                np.stack([total.ravel()[worst], worst // symbols, worst % symbols])),
        Mistake("You kept each beam's own best symbol. All candidates of all beams compete: one "
                "beam may have several children, and another none.", tops),
        Mistake("You kept each beam's own best symbol, and sorted those. All candidates compete: "
                "one beam may have several children, and another none.",
                tops[:, np.argsort(-tops[0], kind="stable")][:, :beams]),
        Mistake("The beams' own scores are left out: a candidate has its beam's score plus the "
                "log-probability.", top(np.where(np.isfinite(total), log_probs, -np.inf), beams)),
        Mistake("You added probabilities to scores; those are sums of log-probabilities: add the "
                "log-probability.", top(scores[:, None] + np.exp(log_probs), beams)),
        Mistake("You multiplied scores and log-probabilities. Probabilities are multiplied; their "
                "logarithms are added.", top(scores[:, None] * log_probs, beams)),
        Mistake("Your scores are probabilities; they stay logarithms, which never become 0 however "
                "long the sequence is.", np.stack([np.exp(right[0]), *right[1:]])),
        Mistake("Your new scores are the log-probabilities of the symbols alone; the beam's score "
                "belongs to them.", np.stack([log_probs.ravel()[flat.astype(int)], *right[1:]])),
        Mistake("Your new scores are those of the parents; the symbol's log-probability is added.",
                np.stack([scores[right[1].astype(int)], *right[1:]])),
        Mistake("You kept as many candidates as there are beams (K). `beams` says how many.",
                top(total, size)),
        Mistake("You kept one candidate less than `beams`.", right[:, :-1]),
        Mistake("You kept all candidates; `beams` says how many.", top(total, total.size)),
    ]


def ended_wrongly(
    scores: Array, log_probs: Array, done: Array, beams: int, stop: int
) -> list[Mistake]:
    """Mistakes about beams that are done."""
    plain = scores[:, None] + log_probs

    def ended(symbol: Any, score: Any) -> Array:
        """Beams that are done go on under another symbol, or at another score."""
        changed = np.where(done[:, None], -np.inf, plain)
        changed[done, symbol] = score
        return top(changed, beams)

    last = plain.shape[1] - 1
    best = log_probs.argmax(axis=1)
    first = np.flatnonzero(done)[np.argsort(-scores[done], kind="stable")]
    rest = top(np.where(done[:, None], -np.inf, plain), max(0, beams - len(first)))
    front = np.stack([scores[first], first, np.full(len(first), stop)])
    every = np.where(done[:, None], scores[:, None], plain)
    stayed = plain.copy()
    stayed[done, stop] = scores[done]
    found = [
        Mistake(f"You went on writing after STOP. {ENDED}", top(plain, beams)),
        Mistake(f"You dropped the beams that are done: what has ended stays in the race. {ENDED}",
                ended(stop, -np.inf)),
        Mistake(f"A beam that is done paid for STOP once more. {ENDED}",
                ended(stop, plain[done, stop])),
        Mistake("A beam that is done is a candidate under every symbol in your code, and takes the "
                f"places of others. {ENDED}", top(every, beams)),
        Mistake("A beam that is done goes on under STOP unchanged, but its other symbols are still "
                f"candidates. {ENDED}", top(stayed, beams)),
        Mistake(f"A beam that is done goes on under symbol 0 in your code. {ENDED}",
                ended(0, scores[done])),
        Mistake("You put the beams that are done before all others. They compete with their scores "
                "as the others do.", np.concatenate([front, rest], axis=1)[:, :beams]),
        Mistake("You put the beams that are done behind all others. They compete with their scores "
                "as the others do.", np.concatenate(
                    [top(np.where(done[:, None], -np.inf, plain), beams - len(first)), front],
                    axis=1)),
        Mistake("You added beams that are done to the `beams` best of the others; they are among "
                "the `beams` best, or fall out.", _merged(ended(stop, -np.inf), front)),
        Mistake("You turned `done` round: you treated the beams that go on as those that are done.",
                top(totals(scores, log_probs, ~done, stop), beams)),
        Mistake(f"A beam that is done goes on at the score 0 in your code. {ENDED}",
                ended(stop, 0.0)),
        Mistake("You kept all beams that are done under their most probable symbol. " + ENDED,
                ended(best[done], scores[done])),
    ]
    if stop != last:
        found.append(Mistake("You took the last symbol for STOP; `stop` says which it is.",
                             top(totals(scores, log_probs, done, last), beams)))
    return found


def _merged(one: Array, other: Array) -> Array:
    both = np.concatenate([one, other], axis=1)
    return both[:, np.argsort(-both[0], kind="stable")]


def tied_wrongly(
    scores: Array, log_probs: Array, done: Array, beams: int, stop: int
) -> list[Mistake]:
    """Mistakes that show where scores are equal."""
    total = totals(scores, log_probs, done, stop)
    size, symbols = total.shape
    turned = top(total[::-1, ::-1], beams)
    by_symbol = top(total.T, beams)
    each = top(total[:, ::-1], beams)
    return [
        Mistake("Of equal scores you took the higher beams and symbols first: a sort that is "
                "turned round turns ties round, too. Sort with descending=True, stable=True.",
                np.stack([turned[0], size - 1 - turned[1], symbols - 1 - turned[2]])),
        Mistake("Of equal scores you took the lower symbol first, whichever the beam. The lower "
                "beam comes first.", by_symbol[[0, 2, 1]]),
        Mistake("Of one beam's equal scores you took the higher symbols first.",
                np.stack([each[0], each[1], symbols - 1 - each[2]])),
    ]
