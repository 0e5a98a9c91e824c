"""Comparisons that explain themselves: what a learner's value is, what was expected, and why.

They judge values that came back as data; none of the learner's code runs here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.values import Other, device

# float32 keeps 7 digits, and sums of some hundred terms lose one or two of them: whoever computes
# in single precision, or adds in another order, is right.
RTOL, ATOL = 1e-4, 1e-6
_SHOWN = 120  # characters of a value in a message
_TORCH_TUPLES = "torch.return_types."
_SEVERAL = (
    "That holds several tensors: x.max(dim=...) gives values and indices; x.amax(dim=...) gives "
    "the values alone."
)


class Mistake(NamedTuple):
    """A wrong answer that is known, and what it tells about the code.

    Attributes:
        words: what the learner probably did, and why it is wrong.
        value: what that gives on this input.
    """

    words: str
    value: Any


class Wrong(Exception):
    """The part's finding.

    Args:
        guess: the advice is that of the part, not of what was found: it holds if the parts before
            are right.
    """

    def __init__(
        self, kind: str, words: str, advice: str = "", picture: dict[str, Any] | None = None,
        guess: bool = False,
    ):
        super().__init__(words)
        self.kind, self.words, self.advice, self.picture = kind, words, advice, picture
        self.guess = guess


def equal(
    got: Any,
    expected: Any,
    what: str = "the result",
    mistakes: Sequence[Mistake] = (),
    rtol: float = RTOL,
    atol: float = ATOL,
    picture: str = "",
    hint: str = "",
    shape_hint: str = "",
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
        hint: advice where no mistake is recognised; kept back where a part before is wrong.
        shape_hint: advice where the shape is another.

    Raises:
        Wrong: of another type or shape, or another value.
    """
    wanted = np.asarray(expected)
    given = form(got, wanted, what, shape_hint)
    if _close(given, wanted, rtol, atol):
        return
    words = _difference(given, wanted, what, rtol, atol)
    known = next(
        (each.words for each in mistakes if _same(given, np.asarray(each.value), rtol, atol)), None
    )
    raise Wrong(
        kinds.WRONG_VALUE, words, hint if known is None else known,
        _picture(given, wanted, picture), guess=known is None,
    )


def form(
    got: Any, wanted: np.ndarray, what: str = "the result", shape_hint: str = ""
) -> np.ndarray:
    """The learner's value as an array of the expected shape and kind.

    Args:
        shape_hint: advice where the shape is another.

    Raises:
        Wrong: it has another.
    """
    if got is None:
        raise Wrong(
            kinds.WRONG_FORM, f"got None, expected {_form(wanted)}",
            "The function ends without `return`, or a branch of it does.",
        )
    if isinstance(got, (Other, str, dict, set)):
        wrap = "np.asarray(...)" if wanted.ndim else "float(...)"
        raise Wrong(
            kinds.WRONG_FORM, f"got {_short(got)}, expected {_form(wanted)}",
            "" if not isinstance(got, Other) else _SEVERAL if got.type.startswith(_TORCH_TUPLES)
            else f"If it holds the right values, wrap it in {wrap}.",
        )
    if isinstance(got, (list, tuple)):
        raise Wrong(
            kinds.WRONG_FORM, f"got a {type(got).__name__}, expected {_form(wanted)}",
            "Make an array or a tensor of it, as the arguments are."
            if isinstance(got, list) and wanted.ndim else
            "Return one value, not several.",
        )
    given = as_array(got)
    if given.shape != wanted.shape:
        raise Wrong(
            kinds.WRONG_FORM,
            f"{what} has shape {given.shape}, expected {wanted.shape}"
            if given.ndim or wanted.ndim else f"got {_form(given)}, expected {_form(wanted)}",
            shape_hint,
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


def tensor(got: Any, like: Any, what: str = "the result") -> None:
    """The learner's value must be a tensor of the dtype and on the device of another.

    Checks give tensors in the computer's own memory, so this finds results that were moved away;
    it cannot find a constant that would be on the wrong device on a GPU.

    Raises:
        Wrong: it is not.
    """
    if not is_tensor(got):
        raise Wrong(
            kinds.WRONG_FORM, f"{what} is {_short(got)}, expected a tensor",
            "Whoever trains with it calls .backward() on it: return a tensor, not a number."
            if like.dtype.is_floating_point else
            "Stay with torch operations on the tensors you were given; they give tensors.",
        )
    if got.dtype != like.dtype:
        raise Wrong(
            kinds.WRONG_FORM, f"{what} has dtype {got.dtype}, expected {like.dtype}",
            f"A constant or a conversion of another dtype changes it; {like.dtype} inputs shall "
            f"give a {like.dtype} result.",
        )
    if device(got) != device(like):
        raise Wrong(
            kinds.WRONG_FORM, f"{what} is on {device(got)}, expected {device(like)}",
            "Leave tensors where they are, and make new ones with device=x.device.",
        )


def true(fact: bool, words: str, advice: str = "") -> None:
    """A property must hold.

    Raises:
        Wrong: it does not.
    """
    if not fact:
        raise Wrong(kinds.WRONG_VALUE, words, advice)


def is_tensor(value: Any) -> bool:
    """Whether it is a torch tensor, told without importing torch."""
    return type(value).__name__ in ("Tensor", "Parameter") and hasattr(value, "detach")


def as_array(value: Any) -> np.ndarray:
    """An array of a number, an array or a tensor."""
    if is_tensor(value):
        value = value.detach()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    return np.asarray(value)


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
    exact = wanted.dtype.kind in "biu" and given.dtype.kind in "biu"  # a tolerance says nothing
    if wanted.ndim == 0:
        near = "" if exact else f" (tolerance {_tolerance(wanted, rtol, atol)})"
        return f"{what}: got {_number(given[()])}, expected {_number(wanted[()])}{near}"
    if wanted.dtype == bool:
        differs = given != wanted
    else:
        differs = ~np.isclose(given, wanted, rtol=rtol, atol=atol, equal_nan=True)
    place = tuple(int(at) for at in np.argwhere(differs)[0])
    index = ", ".join(map(str, place))
    near = "" if exact else f" (tolerance {_tolerance(wanted[place], rtol, atol)})"
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
    return one if array.ndim == 0 else f"an array or tensor of {many} of shape {array.shape}"


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
