"""Check of lesson 02's step of a beam search (2.4, trap 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import as_array, is_tensor
from hybridlab.grading.lessons.candidates_02 import (
    ENDED,
    Drawn,
    ended_wrongly,
    outcome,
    stepped_wrongly,
    tied_wrongly,
    totals,
)
from hybridlab.grading.lessons.losses_01 import tensor
from hybridlab.grading.lessons.sequences_02 import exact, indices
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial, Wrong

Array = np.ndarray

_NAME = "beam_step"
_EXAMPLE = (
    np.array([-1.0, -1.9]), np.array([[-0.7, -1.2, -1.6], [-0.4, -2.3, -1.6]]),
    np.array([False, True]), 3, 2,
)
_CRASHES = {
    "RuntimeError": "If it is topk(beams): it raises where there are fewer candidates. K and "
    "`beams` may differ: a search begins with one beam.",
    "IndexError": "Are all sizes those of the arguments? K is len(scores), V is log_probs.shape[1],"
    " and `beams` may be another number.",
}
_WHAT = ("new scores", "parents", "symbols")
_TIES = (
    "If it is right without ties: equal scores stay in the order of beams, and of symbols within a "
    "beam. torch.topk, and sort without stable=True, leave that to chance; "
    "total.flatten().sort(descending=True, stable=True) keeps it."
)
_FEWER = (
    "If the parts above are right: some symbols have -inf and make no candidate, and a beam that "
    "is done makes one. Keep what is above -inf, then the first `beams` of it. (A mask of -1e9 is "
    "above -inf, and stays a candidate.)"
)


def check_beam_step(trial: Trial) -> None:
    """Candidates without and with beams that are done, with equal scores, and too few of them."""
    with trial.part("the worked example", _CRASHES):
        right = outcome(*_EXAMPLE)
        mistakes = own(right, [*stepped_wrongly(*_EXAMPLE), *ended_wrongly(*_EXAMPLE)])
        _judged(trial, _EXAMPLE, "the example", mistakes)
    with trial.part("no beam is done", _CRASHES):
        rng = trial.rng
        drawn, _, mistakes = telling(
            lambda: _running(rng), lambda drawn: (outcome(*drawn), stepped_wrongly(*drawn))
        )
        _judged(trial, drawn, _told(drawn), mistakes)
        scores, log_probs, done, beams, stop = drawn
        first = np.zeros(1), log_probs[:1], done[:1], 3, stop
        _judged(trial, first, "the first step, 3 candidates of 1 beam", hint="K and `beams` are "
                "two numbers: take K from scores, and `beams` for what is kept.")
        one = scores, log_probs, done, 1, stop
        _judged(trial, one, f"1 candidate of {len(scores)} beams", hint="With one beam to keep "
                "the result still has an axis: shape (1,).")
    with trial.part("beams that are done", _CRASHES):
        rng = trial.rng
        drawn, _, mistakes = telling(
            lambda: _with_done(rng), lambda drawn: (outcome(*drawn), ended_wrongly(*drawn))
        )
        _judged(trial, drawn, _told(drawn), mistakes, f"If the part above is right: {ENDED}")
        scores, log_probs, done, beams, stop = drawn
        closed = log_probs.copy()
        closed[done] = -np.inf
        _judged(trial, (scores, closed, done, beams, stop),
                "the same with -inf in the rows of beams that are done", hint="Whatever these rows "
                f"say does not matter. {ENDED}")
        ended = scores, log_probs, np.ones_like(done), len(scores), stop
        _judged(trial, ended, f"{len(scores)} beams that are all done",
                hint=f"They go on as they are, best first. {ENDED}")
    with trial.part("equal scores", _CRASHES):
        rng = trial.rng
        drawn, _, mistakes = telling(
            lambda: _with_ties(rng), lambda drawn: (outcome(*drawn), tied_wrongly(*drawn))
        )
        _judged(trial, drawn, f"{_told(drawn)}, many scores being equal", mistakes, _TIES)
    with trial.part("fewer candidates than beams", _CRASHES):
        drawn = _few(trial.rng)
        _judged(trial, drawn, _told(drawn), hint=_FEWER)
        scores, log_probs, done, _, stop = drawn
        ended = scores, log_probs, np.ones_like(done), len(scores) + 2, stop
        _judged(trial, ended, f"{len(scores) + 2} candidates of {len(scores)} beams, all done",
                hint=_FEWER)
    with trial.part("dtype"):
        scores, log_probs, done, beams, stop = _with_done(trial.rng)
        given = tensor(scores, double=True)
        got = trial.call(_NAME, given, tensor(log_probs, double=True), _truth(done), beams, stop)
        _candidates(got)
        for each, what in zip(got, _WHAT, strict=True):
            trial.true(is_tensor(each), f"{what}: got a {type(each).__name__}, expected a tensor",
                       "The search goes on with them, for many images at once: return tensors.")
        trial.tensor(got[0], given, "new scores of float64 scores")


def _judged(
    trial: Trial, drawn: Drawn, what: str, mistakes: Sequence[Mistake] = (), hint: str = ""
) -> None:
    """Call the learner's function and compare its candidates.

    Raises:
        Wrong: they are not three vectors of one length, or others than expected.
    """
    scores, log_probs, done, beams, stop = drawn
    got = trial.call(_NAME, tensor(scores), tensor(log_probs), _truth(done), beams, stop)
    given, right = _candidates(got), outcome(*drawn)
    if _same(given, right):
        return
    known = next((each.words for each in mistakes if _same(given, each.value)), None)
    advice, guess = (hint, True) if known is None else (known, False)
    if known is None and np.isneginf(given[0]).any() and (
        _same(given[:, ~np.isneginf(given[0])], right)
    ):
        advice, guess = ("Scores of -inf stand in your result: what cannot follow makes no "
                         "candidate. Keep those above -inf only."), False
    raise Wrong(kinds.WRONG_VALUE, f"{what}: {_difference(given, right)}", advice, guess=guess)


def _candidates(got: Any) -> Array:
    """The learner's three vectors as an array (3, M).

    Raises:
        Wrong: they are not three vectors of one length, the last two of whole numbers.
    """
    if got is None:
        raise Wrong(kinds.WRONG_FORM, "got None, expected new scores, parents, symbols",
                    "The function ends without `return`, or a branch of it does.")
    if not isinstance(got, (tuple, list)) or len(got) != 3:
        size = f" of {len(got)}" if isinstance(got, (tuple, list)) else ""
        raise Wrong(kinds.WRONG_FORM, f"got a {type(got).__name__}{size}, expected three tensors",
                    "Return new scores, parents and symbols: `return one, two, three`.")
    rows = [as_array(each) for each in got]
    for row, what in zip(rows, _WHAT, strict=True):
        if row.ndim != 1 or row.dtype.kind not in "iuf":
            raise Wrong(kinds.WRONG_FORM, f"{what} has shape {row.shape} and dtype {row.dtype}, "
                        "expected a vector of numbers", "One number for each candidate that is "
                        "kept: flatten the (K, V) scores before you sort.")
    for each, what in zip(rows[1:], _WHAT[1:], strict=True):
        indices(each, what)
    lengths = [len(row) for row in rows]
    if len({*lengths}) > 1:
        raise Wrong(kinds.WRONG_FORM, f"new scores, parents and symbols have lengths "
                    f"{', '.join(map(str, lengths))}; expected one length",
                    "Each of the three has one number for each candidate that is kept.")
    return np.stack([row.astype(float) for row in rows])


def _same(given: Array, known: Array) -> bool:
    return given.shape == known.shape and bool(
        np.allclose(given, known, rtol=1e-4, atol=1e-5, equal_nan=True)
    )


def _difference(given: Array, right: Array) -> str:
    for at in range(min(given.shape[1], right.shape[1])):
        if not _same(given[:, at], right[:, at]):
            mine, wanted = (
                f"score {each[0]:.5g}, parent {each[1]:g}, symbol {each[2]:g}"
                for each in (given[:, at], right[:, at])
            )
            return f"candidate {at} (0 is the best): got {mine}, expected {wanted}"
    return f"got {given.shape[1]} candidates, expected {right.shape[1]}"


def _told(drawn: Drawn) -> str:
    scores, _, done, beams, _ = drawn
    ended = f", {int(done.sum())} of them done" if done.any() else ""
    return f"the {beams} best candidates of {len(scores)} beams{ended}"


def _truth(done: Array) -> Any:
    import torch

    return torch.from_numpy(done.copy())


def _log_probs(rng: np.random.Generator, beams: int, symbols: int) -> Array:
    logits = rng.normal(0, 1.2, (beams, symbols))
    return exact(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def _running(rng: np.random.Generator) -> Drawn:
    """No beam is done; no two candidates have nearly the same score; STOP is not the last."""
    while True:
        size, symbols = int(rng.integers(3, 5)), int(rng.integers(5, 8))
        beams = int(rng.choice([each for each in (3, 4, 5, 6) if each not in (size, symbols)]))
        scores = exact(np.sort(rng.uniform(-4, -1, size))[::-1])
        drawn = (scores, _log_probs(rng, size, symbols), np.zeros(size, bool), beams,
                 int(rng.integers(symbols - 1)))
        if _apart(drawn):
            return drawn


def _apart(drawn: Drawn) -> bool:
    total = totals(*drawn[:3], drawn[4]).ravel()
    ranked = np.sort(total[np.isfinite(total)])
    return bool((np.diff(ranked) > 1e-3).all())


def _with_done(rng: np.random.Generator) -> Drawn:
    """One or two beams are done; they stand among the best, and not at the very end."""
    while True:
        scores, log_probs, done, beams, stop = _running(rng)
        done[rng.permutation(len(done))[: int(rng.integers(1, 3))]] = True
        scores = exact(np.where(done, scores - rng.uniform(0.3, 1.5, len(done)), scores))
        drawn = scores, log_probs, done, beams, stop
        if stop and _apart(drawn) and outcome(*drawn).shape[1] == beams:
            return drawn


def _with_ties(rng: np.random.Generator) -> Drawn:
    """Few different numbers in long rows: a search that is not stable shows there."""
    size, symbols = 4, int(rng.integers(40, 60))
    log_probs = -rng.integers(8, 12, (size, symbols)) / 4
    scores = -rng.integers(4, 8, size) / 4
    done = np.arange(size) == int(rng.integers(size))
    scores[done] -= 2  # in one row with its neighbours' candidates
    return scores, log_probs, done, int(rng.integers(20, 30)), int(rng.integers(symbols - 1))


def _few(rng: np.random.Generator) -> Drawn:
    """Most symbols cannot follow."""
    while True:
        scores, log_probs, done, _, stop = _with_done(rng)
        closed = rng.random(log_probs.shape) < 0.7
        closed[:, stop] = False
        log_probs = np.where(closed, -np.inf, log_probs)
        count = outcome(scores, log_probs, done, log_probs.size, stop).shape[1]
        if len(scores) < count < log_probs.size - len(scores) - 3:
            return scores, log_probs, done, count + 2, stop
