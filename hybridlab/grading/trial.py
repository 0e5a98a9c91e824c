"""What a check is written with: parts, calls, and comparisons that explain themselves.

    def check(trial):
        with trial.part("ties"):
            got = trial.call("average_precision", scores, targets)
            trial.equal(got, expected, "the AP", mistakes=[Mistake("...", wrong)])

A part ends at its first finding; the next part begins with a fresh process.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.learner import Crashed, Learner, NotAttempted, Source, TookTooLong
from hybridlab.grading.manifest import Exercise
from hybridlab.grading.values import Other
from hybridlab.grading.verdict import PartVerdict

# float32 keeps 7 digits, and sums of some hundred terms lose one or two of them: whoever computes
# in single precision, or adds in another order, is right.
RTOL, ATOL = 1e-4, 1e-6
_MOST_TIMEOUTS = 2  # then the rest of the exercise is not tried
_SHOWN = 120  # characters of a value in a message


class Mistake(NamedTuple):
    """A wrong answer that is known, and what it tells about the code.

    Attributes:
        words: what the learner probably did, and why it is wrong.
        value: what that gives on this input.
    """

    words: str
    value: Any


class Wrong(Exception):
    """The part's finding."""

    def __init__(
        self, kind: str, words: str, advice: str = "", picture: dict[str, Any] | None = None
    ):
        super().__init__(words)
        self.kind, self.words, self.advice, self.picture = kind, words, advice, picture


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
    def part(self, name: str) -> Iterator[None]:
        """One part of the exercise: what is found wrong in it costs this part only."""
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
                found = PartVerdict(
                    name, wrong.kind, points, 0, wrong.words, wrong.advice, picture=wrong.picture
                )
            except NotAttempted as stopped:
                found = PartVerdict(name, kinds.NOT_ATTEMPTED, points, 0, str(stopped))
            except Crashed as crash:
                found = PartVerdict(
                    name, kinds.CRASHED, points, 0, str(crash), line=crash.line, code=crash.code
                )
            except TookTooLong as late:
                self._timeouts += 1
                found = PartVerdict(name, kinds.TOO_LONG, points, 0, str(late))
            finally:
                self.output = (self.output + self._learner.output)[:20_000]
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
        given = [*args, *kwargs.values()]
        asked = []
        for at, gradient in enumerate(gradients or [None] * len(given)):
            if not getattr(given[at], "requires_grad", False):
                continue
            if gradient is None:
                raise Wrong(
                    kinds.WRONG_VALUE,
                    f"no gradient flows through {name} to its argument number {at + 1}: nothing "
                    "could be trained with it",
                    "Stay with torch operations on the tensors you were given; .item(), .numpy(), "
                    ".detach(), float() and torch.no_grad() cut the graph.",
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
            if isinstance(before, np.ndarray) or _is_tensor(before):
                self._unchanged(name, at, before, after)
        return called.value, called.gradients

    def _unchanged(self, name: str, at: int, before: Any, after: Any) -> None:
        same = type(after) is type(before) and after.shape == before.shape
        if not same or not np.array_equal(_array(before), _array(after), equal_nan=_floats(before)):
            raise Wrong(
                kinds.WRONG_VALUE,
                f"{name} changed its argument number {at + 1} in place",
                "The caller still needs it: work on a copy, and beware of +=, .sort(), out= and "
                "methods that end in an underscore.",
            )

    # --- comparisons ----------------------------------------------------------------------------

    def equal(
        self,
        got: Any,
        expected: Any,
        what: str = "the result",
        mistakes: Sequence[Mistake] = (),
        rtol: float = RTOL,
        atol: float = ATOL,
        picture: str = "",
        hint: str = "",
    ) -> None:
        """The learner's value must be the expected one.

        A number may be a float, a scalar or an array or tensor without axes; an array may be a
        tensor, or the other way round. Shapes must agree, and truth values must be truth values.

        Args:
            expected: a number, or a numpy array.
            what: how messages call the value.
            mistakes: known wrong values; the first that the learner's value equals gives the
                advice.
            picture: a title: where the values differ, show both as matrices or curves under it.
            hint: advice where no mistake is recognised.

        Raises:
            Wrong: of another type or shape, or another value.
        """
        wanted = np.asarray(expected)
        given = self.form(got, wanted, what)
        if _close(given, wanted, rtol, atol):
            return
        words = _difference(given, wanted, what, rtol, atol)
        known = next(
            (each.words for each in mistakes if _same(given, np.asarray(each.value), rtol, atol)),
            hint,
        )
        raise Wrong(kinds.WRONG_VALUE, words, known, _picture(given, wanted, picture))

    def form(self, got: Any, wanted: np.ndarray, what: str = "the result") -> np.ndarray:
        """The learner's value as an array of the expected shape and kind.

        Raises:
            Wrong: it has another.
        """
        if got is None:
            raise Wrong(
                kinds.WRONG_FORM, f"got None, expected {_form(wanted)}",
                "The function ends without `return`, or a branch of it does.",
            )
        if isinstance(got, (Other, str, dict, set)):
            raise Wrong(kinds.WRONG_FORM, f"got {_short(got)}, expected {_form(wanted)}")
        if isinstance(got, (list, tuple)):
            raise Wrong(
                kinds.WRONG_FORM, f"got a {type(got).__name__}, expected {_form(wanted)}",
                "Make an array of it." if isinstance(got, list) and wanted.ndim else
                "Return one value, not several.",
            )
        given = _array(got)
        if given.shape != wanted.shape:
            raise Wrong(
                kinds.WRONG_FORM,
                f"{what} has shape {given.shape}, expected {wanted.shape}"
                if given.ndim or wanted.ndim else f"got {_form(given)}, expected {_form(wanted)}",
            )
        if wanted.dtype == bool and given.dtype != bool:
            raise Wrong(
                kinds.WRONG_FORM,
                f"{what} holds {given.dtype}, expected truth values (bool)",
                "Compare, or end with .astype(bool).",
            )
        if wanted.dtype != bool and given.dtype == bool:
            raise Wrong(kinds.WRONG_FORM, f"{what} holds truth values, expected numbers")
        if given.dtype.kind == "c":
            raise Wrong(kinds.WRONG_FORM, f"{what} holds complex numbers, expected real ones")
        return given

    def tensor(self, got: Any, like: Any, what: str = "the result") -> None:
        """The learner's value must be a tensor of the dtype and on the device of another.

        Raises:
            Wrong: it is not.
        """
        if not _is_tensor(got):
            raise Wrong(
                kinds.WRONG_FORM, f"{what} is {_short(got)}, expected a tensor",
                "Whoever trains with it calls .backward() on it: return a tensor, not a number.",
            )
        if got.dtype != like.dtype:
            raise Wrong(
                kinds.WRONG_FORM, f"{what} has dtype {got.dtype}, expected {like.dtype}",
                "A constant or a conversion of another dtype changes it; torch.float64 inputs "
                "shall give a torch.float64 result.",
            )

    def true(self, fact: bool, words: str, advice: str = "") -> None:
        """A property must hold.

        Raises:
            Wrong: it does not.
        """
        if not fact:
            raise Wrong(kinds.WRONG_VALUE, words, advice)


class _GivenUp(Exception):
    """Skips the rest of a part that is not tried."""


def _is_tensor(value: Any) -> bool:
    return type(value).__name__ in ("Tensor", "Parameter") and hasattr(value, "detach")


def _array(value: Any) -> np.ndarray:
    if _is_tensor(value):
        value = value.detach()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    return np.asarray(value)


def _floats(value: Any) -> bool:
    return _array(value).dtype.kind == "f"


def _close(given: np.ndarray, wanted: np.ndarray, rtol: float, atol: float) -> bool:
    if wanted.dtype.kind in "bU":
        return np.array_equal(given, wanted)
    return bool(np.allclose(given, wanted, rtol=rtol, atol=atol, equal_nan=True))


def _same(given: np.ndarray, known: np.ndarray, rtol: float, atol: float) -> bool:
    return given.shape == known.shape and _close(given, known, rtol, atol)


def _difference(
    given: np.ndarray, wanted: np.ndarray, what: str, rtol: float, atol: float
) -> str:
    """The first place where two arrays differ, and how many there are."""
    if wanted.ndim == 0:
        near = "" if wanted.dtype == bool else f" (tolerance {_tolerance(wanted, rtol, atol)})"
        return f"{what}: got {_number(given[()])}, expected {_number(wanted[()])}{near}"
    if wanted.dtype == bool:
        differs = given != wanted
    else:
        differs = ~np.isclose(given, wanted, rtol=rtol, atol=atol, equal_nan=True)
    place = tuple(int(at) for at in np.argwhere(differs)[0])
    index = ", ".join(map(str, place))
    near = "" if wanted.dtype == bool else f" (tolerance {_tolerance(wanted[place], rtol, atol)})"
    return (
        f"{what}: first difference at [{index}]: got {_number(given[place])}, expected "
        f"{_number(wanted[place])}{near}; {int(differs.sum())} of {differs.size} values differ"
    )


def _tolerance(value: Any, rtol: float, atol: float) -> str:
    size = abs(float(value))
    return f"{atol + rtol * (size if math.isfinite(size) else 0):.1g}"


def _number(value: Any) -> str:
    return f"{value:.6g}" if np.asarray(value).dtype.kind == "f" else str(value)


def _form(array: np.ndarray) -> str:
    one, many = {"b": ("a truth value", "truth values"), "i": ("a whole number", "whole numbers"),
                 "u": ("a whole number", "whole numbers")}.get(
        array.dtype.kind, ("a number", "numbers")
    )
    return one if array.ndim == 0 else f"an array of {many} of shape {array.shape}"


def _short(value: Any) -> str:
    if isinstance(value, Other):
        return f"an object of type {value.type}"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _picture(given: np.ndarray, wanted: np.ndarray, title: str) -> dict[str, Any] | None:
    if not title or wanted.ndim not in (1, 2) or wanted.size > 10_000:
        return None
    return {
        "kind": "matrix" if wanted.ndim == 2 else "curve", "title": title,
        "got": _finite(given), "expected": _finite(wanted),
    }


def _finite(values: np.ndarray) -> list[Any]:
    """As lists, with None for NaN and infinity, which JSON lacks."""
    plain = values.astype(float).astype(object)
    plain[~np.isfinite(values)] = None
    return plain.tolist()
