"""Complementary strengths, drawn: maps that move along, shared weights, a sense of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from hybridlab.encoders.equivariance import Weights

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


def sharing_figure(layers: Mapping[str, Weights]) -> Figure:
    """Two bars for each convolution: its weights, and those of a linear layer in its place.

    Raises:
        ValueError: no layer.
    """
    if not layers:
        raise ValueError("no layer to draw; give one or more")
    figure = Figure(figsize=(8.2, 0.9 + 0.55 * len(layers)), facecolor="white",
                    layout="constrained")
    axes = figure.subplots()
    for at, weights in enumerate(layers.values()):
        for up, value, colour in ((0.2, weights.shared, LOOKS[0][0]),
                                  (-0.2, weights.dense, LOOKS[3][0])):
            axes.barh([up - at], [value], height=0.36, color=colour)
            axes.annotate(_count(value), (value, up - at), xytext=(4, 0), va="center",
                          textcoords="offset points", fontsize=9, color=INK)
    axes.set_yticks([-at for at in range(len(layers))], list(layers))
    axes.set_xscale("log")
    axes.set_xlim(right=20 * max(each.dense for each in layers.values()))
    axes.set_xlabel("weights, in powers of ten (blue: shared; grey: each place has its own)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("What a convolution saves by using the same weights everywhere", fontsize=12,
                   color=INK)
    return figure


def sharing_words(layers: Mapping[str, Weights]) -> str:
    """`sharing_figure` for a reader who cannot see it."""
    return "Weights of convolutions, and of linear layers in their place. " + "; ".join(
        f"{name}: {_count(each.shared)} and {_count(each.dense)}" for name, each in layers.items()
    ) + "."


def delay_figure(delays: Sequence[int], differences: Mapping[str, Sequence[float]]) -> Figure:
    """A line for each reader of a sequence: how far its end moves if the same comes later.

    Args:
        delays: in steps.
        differences: reader -> one for each delay, as `encoders.equivariance.delay_difference`
            gives it.

    Raises:
        ValueError: no reader or too many, or one without a difference for each delay.
    """
    _check(delays, differences)
    figure = Figure(figsize=(8.2, 3.2), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for (name, values), (colour, mark) in zip(differences.items(), LOOKS, strict=False):
        axes.plot(delays, [100 * value for value in values], mark + "-", color=colour, label=name,
                  linewidth=1.4, markersize=5)
    axes.set_xlabel("the same inputs come so many steps later")
    axes.set_ylabel("the last output moves by (%)")
    axes.set_ylim(bottom=-2)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    axes.set_title("A recurrent net feels when things came, a mean over time does not",
                   fontsize=12, color=INK)
    return figure


def delay_words(delays: Sequence[int], differences: Mapping[str, Sequence[float]]) -> str:
    """`delay_figure` for a reader who cannot see it."""
    _check(delays, differences)
    return f"The same inputs {', '.join(map(str, delays))} steps later. " + "; ".join(
        f"{name} moves by {', '.join(f'{100 * value:.0f}' for value in values)} %"
        for name, values in differences.items()
    ) + "."


def _count(number: int) -> str:
    """1,234 as it is, millions and billions in words."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if number >= size:
            return f"{number / size:.1f} {word}"
    return f"{number:,}"


def _check(shifts: Sequence[int], errors: Mapping[str, Sequence[float]]) -> None:
    if not 1 <= len(errors) <= len(LOOKS) or any(
        len(values) != len(shifts) for values in errors.values()
    ):
        raise ValueError(
            f"errors has {({stage: len(each) for stage, each in errors.items()})} for "
            f"{len(shifts)} shifts; give 1 to {len(LOOKS)} lines, each with a value for each"
        )
