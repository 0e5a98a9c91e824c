"""What a check is written with: parts, calls, and comparisons that explain themselves.

    def check(trial):
        with trial.part("ties"):
            got = trial.call("average_precision", scores, targets)
            trial.equal(got, expected, "the AP", mistakes=[Mistake("...", wrong)])

A part ends at its first finding; the next part begins with a fresh process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from hybridlab.grading import comparing
from hybridlab.grading import verdict as kinds
from hybridlab.grading.arguments import argument_names
from hybridlab.grading.cleaning import lines, one_line
from hybridlab.grading.comparing import Mistake, Wrong, as_array, is_tensor
from hybridlab.grading.learner import Crashed, Learner, NotAttempted, Source, TookTooLong
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.verdict import PartVerdict

__all__ = ["Mistake", "Trial", "Wrong"]

_MOST_TIMEOUTS = 2  # then the rest of the exercise is not tried


class Trial:
    """One learner's code against one exercise.

    Args:
        seed: of the random inputs.
        only_first: end the check at the first part that is not right (for proofs, not for people).

    Attributes:
        rng: draws inputs; each part has its own, so that a part draws the same whatever came
            before.
        parts: verdicts so far.
        output: what was printed so far.
    """

    def __init__(
        self, exercise: Exercise, source: Source, seed: int, only_first: bool = False
    ):
        self.exercise, self.source, self.seed = exercise, source, seed
        self.rng = np.random.default_rng(seed)
        self.parts: list[PartVerdict] = []
        self.output = ""
        self._learner: Learner | None = None
        self._timeouts = 0
        self._only_first = only_first

    @property
    def given_up(self) -> bool:
        """Nothing more is tried: the verdict is known, or too much time is gone."""
        failed = any(part.kind != kinds.RIGHT for part in self.parts)
        return (
            self._timeouts >= _MOST_TIMEOUTS
            or any(part.kind == kinds.NOT_ATTEMPTED for part in self.parts)
            or (self._only_first and failed)
        )

    @contextmanager
    def part(self, name: str, crashes: Mapping[str, str] | None = None) -> Iterator[None]:
        """One part of the exercise: what is found wrong in it costs this part only.

        Args:
            crashes: type of an exception -> what it probably means here.
        """
        points = self.exercise.points[name]
        if self.given_up:
            self.parts.append(self._not_tried(name, points))
            try:
                yield  # calls raise at once
            except _GivenUp:
                return
            raise AssertionError(f"part {name!r} called nothing")
        digest = hashlib.sha256(f"{self.seed}|{self.exercise.id}|{name}".encode()).digest()
        self.rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        with Learner(self.source, self.exercise.id, self.exercise.limits) as self._learner:
            try:
                yield
                found = PartVerdict(name, kinds.RIGHT, points, points)
            except Wrong as wrong:
                # a part's own hint is about what is new in it: it misleads who errs before
                late = wrong.guess and any(part.kind != kinds.RIGHT for part in self.parts)
                found = PartVerdict(
                    name, wrong.kind, points, 0, lines(wrong.words), "" if late else wrong.advice,
                    picture=wrong.picture,
                )
            except NotAttempted as stopped:
                found = PartVerdict(name, kinds.NOT_ATTEMPTED, points, 0, lines(str(stopped)))
            except Crashed as crash:
                advice = _meant(str(crash)) or (crashes or {}).get(crash.type, "")
                found = PartVerdict(
                    name, kinds.CRASHED, points, 0, lines(str(crash)), advice, crash.line,
                    one_line(crash.code),
                )
            except TookTooLong as late:
                self._timeouts += 1
                found = PartVerdict(name, kinds.TOO_LONG, points, 0, str(late))
            finally:
                self.output = (self.output + lines(self._learner.output, 20_000, 5_000))[:20_000]
        self.parts.append(found)

    def _not_tried(self, name: str, points: int) -> PartVerdict:
        kind = next(part.kind for part in self.parts if part.kind != kinds.RIGHT)
        return PartVerdict(name, kind, points, 0, "not tried, because of the parts before")

    # --- calls ----------------------------------------------------------------------------------

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call one of the learner's functions. It must leave its arguments as they were.

        Raises:
            Wrong: an argument was changed in place.
        """
        return self._called(name, args, kwargs, gradients=False)[0]

    def gradients(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
        """Call a function and differentiate the sum of its result.

        Returns:
            the value, and for each tensor argument that requires a gradient its gradient, in
            order.

        Raises:
            Wrong: an argument was changed, or no gradient comes back.
        """
        value, gradients = self._called(name, args, kwargs, gradients=True)
        if value is None:
            comparing.form(value, np.zeros(()))
        given = [*args, *kwargs.values()]
        asked = []
        for at, gradient in enumerate(gradients or [None] * len(given)):
            if not getattr(given[at], "requires_grad", False):
                continue
            if gradient is None:
                raise Wrong(
                    kinds.WRONG_VALUE,
                    f"no gradient flows through {name} to {self._argument(name, at)}: "
                    "nothing could be trained with it",
                    "Stay with torch operations on the tensors you were given; .item(), .numpy(), "
                    ".detach(), float() and torch.no_grad() cut the graph, and a result that is "
                    "made anew, such as torch.zeros(()), has none.",
                )
            asked.append(gradient)
        return value, asked

    def _called(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], gradients: bool
    ) -> tuple[Any, list[Any] | None]:
        if self.given_up:
            raise _GivenUp
        assert self._learner is not None
        called = self._learner.call(name, args, dict(kwargs), gradients)
        for at, (before, after) in enumerate(
            zip([*args, *kwargs.values()], called.after, strict=False)
        ):
            if isinstance(before, np.ndarray) or is_tensor(before):
                self._unchanged(name, self._argument(name, at), before, after)
        return called.value, called.gradients

    def _unchanged(self, name: str, argument: str, before: Any, after: Any) -> None:
        same = type(after) is type(before) and after.shape == before.shape
        nan = _floats(before)
        if not same or not np.array_equal(as_array(before), as_array(after), equal_nan=nan):
            raise Wrong(
                kinds.WRONG_VALUE,
                f"{name} changed {argument} in place",
                "The caller still needs it: work on a copy, and beware of +=, .sort(), out= and "
                "methods that end in an underscore.",
            )

    def _argument(self, name: str, at: int) -> str:
        """What messages call an argument: its name in the stub."""
        known = argument_names(self.exercise.id, name)
        if at < len(known):
            return known[at]
        return f"its argument number {at + 1}"

    # --- comparisons ----------------------------------------------------------------------------

    equal = staticmethod(comparing.equal)
    form = staticmethod(comparing.form)
    tensor = staticmethod(comparing.tensor)
    true = staticmethod(comparing.true)


class _GivenUp(Exception):
    """Skips the rest of a part that is not tried."""


def _meant(crash: str) -> str:
    """What an exception's words mean in any exercise; "" where they are not known."""
    if "Can't call numpy() on Tensor that requires grad" in crash:
        return (
            "numpy has no gradients. Stay with torch operations on the tensors you are given: with "
            ".detach() it would run, but nothing could be trained with it."
        )
    if "same dtype" in crash or "expected scalar type" in crash:
        return (
            "Tensors of two dtypes meet: a constant that you made, or a conversion, is not of the "
            "arguments' dtype. x.new_zeros(...) and dtype=x.dtype make tensors of x's own."
        )
    return ""


def _floats(value: Any) -> bool:
    return as_array(value).dtype.kind == "f"
