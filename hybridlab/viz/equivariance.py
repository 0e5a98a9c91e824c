"""How far maps fail to move along with their picture, by the size of the move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

INK, GRID = "#222222", "#dddddd"
LOOKS = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#6a6a6a", "v"))


def equivariance_figure(
    shifts: Sequence[int], errors: Mapping[str, Sequence[float]], strides: Mapping[str, int]
) -> Figure:
    """A line for each stage; filled marks stand where the move is a multiple of its stride.

    Args:
        shifts: in pixels.
        errors: stage -> an error for each shift, as `encoders.equivariance.shift_errors` gives it.
        strides: stage -> pixels from place to place.

    Raises:
        ValueError: no stage or too many, or a stage without an error for each shift.
    """
    _check(shifts, errors)
    figure = Figure(figsize=(8.2, 3.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for (stage, values), (colour, mark) in zip(errors.items(), LOOKS, strict=False):
        axes.plot(shifts, [100 * value for value in values], color=colour, linewidth=1.4)
        for shift, value in zip(shifts, values, strict=True):
            axes.plot([shift], [100 * value], mark, color=colour, markersize=5,
                      markerfacecolor="white" if shift % strides[stage] else colour)
        axes.plot([], [], mark, color=colour, label=f"{stage}, stride {strides[stage]}")
    axes.set_xlabel("the picture moves by so many pixels; filled: a multiple of the stride")
    axes.set_ylabel("error of the moved map (%)")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title("A map moves along with its picture, if the move is a whole number of places",
                   fontsize=12, color=INK)
    return figure


def equivariance_words(
    shifts: Sequence[int], errors: Mapping[str, Sequence[float]], strides: Mapping[str, int]
) -> str:
    """`equivariance_figure` for a reader who cannot see it."""
    _check(shifts, errors)
    told = []
    for stage, values in errors.items():
        moved = [(shift, value) for shift, value in zip(shifts, values, strict=True) if shift]
        whole = [value for shift, value in moved if shift % strides[stage] == 0]
        between = [value for shift, value in moved if shift % strides[stage]]
        parts = [
            f"{100 * max(some):.0f} % at most {where}" for some, where in
            ((whole, "at multiples of it"), (between, "between")) if some
        ]
        told.append(f"{stage} with stride {strides[stage]}: {' and '.join(parts)}")
    return "Errors of moved maps. " + "; ".join(told) + "."


def _check(shifts: Sequence[int], errors: Mapping[str, Sequence[float]]) -> None:
    if not 1 <= len(errors) <= len(LOOKS) or any(
        len(values) != len(shifts) for values in errors.values()
    ):
        raise ValueError(
            f"errors has {({stage: len(each) for stage, each in errors.items()})} for "
            f"{len(shifts)} shifts; give 1 to {len(LOOKS)} stages, each with an error for each"
        )
