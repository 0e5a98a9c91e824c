"""Where in a picture do words fit? Patch heatmaps of any words, and their scores as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hybridlab.viz.words import room_for_bars, typed_embeddings

if TYPE_CHECKING:
    from hybridlab.encoders.clip import ClipEncoder

BLUE, PALE, INK = "#0067a5", "#9fc3da", "#222222"
MOST = 8  # heatmaps in one figure


def typed_words(text: str) -> tuple[str, ...]:
    """What a reader typed, "a cow, an egg", as phrases; the same phrase counts once.

    Raises:
        ValueError: nothing but commas and spaces, or more than `MOST` phrases.
    """
    from hybridlab.zeroshot.prompts import normal_form

    typed = [part.strip() for part in text.split(",") if part.strip()]
    found: dict[str, str] = {}
    for part in typed:
        found.setdefault(normal_form(part), part)
    words = tuple(found.values())
    if not 1 <= len(words) <= MOST:
        raise ValueError(
            f"{text!r} holds {len(words)} phrases; type 1 to {MOST}, with commas between them, "
            "such as: a cow, a glass of milk"
        )
    return words


def word_heat(
    clip: ClipEncoder, image: np.ndarray, words: Sequence[str], image_size: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Score every phrase in the picture, and in each place of it.

    Args:
        clip: any CLIP of `hybridlab.encoders.clip`.
        image: (H, W, 3) uint8.
        words: V phrases as they stand in a sentence ("a cow").
        image_size: side in pixels at which the encoder sees the picture, if not its own. A tower of
            convolutions, such as the tiny CLIP's, then gives a finer grid; its scores change too.

    Returns:
        scores (V,), cosine of the best patch; heat (V, H, W), cosines between the patches' middles,
        NaN where the encoder's crop does not look.

    Raises:
        TypeError: one string in place of a list.
        ValueError: no words, a phrase longer than the encoder reads, or two that are the same to
            it.
    """
    from dataclasses import replace

    import torch

    from hybridlab.zeroshot.patches import heatmap, max_pool, token_scores

    prepare = clip.preprocessing
    if image_size is not None:
        prepare = replace(prepare, image_size=image_size)
    with torch.inference_mode():
        text_emb = typed_embeddings(clip, words)
        seen = clip.encode_image(prepare([image]))
        scores = token_scores(seen.tokens, text_emb)  # (1, P, V)
        size = (image.shape[0], image.shape[1])
        maps = [heatmap(one, seen.grid, size, prepare.resize_mode) for one in scores[0].T]
    return max_pool(scores)[0].numpy(), torch.stack(maps).numpy()


def heatmap_figure(image: np.ndarray, heat: ArrayLike, words: Sequence[str] | str) -> Figure:
    """The picture, and over a grey copy of it the heat of each phrase, on one scale of colours.

    Args:
        image: (H, W, 3) uint8.
        heat: (V, H, W), or (H, W) for one phrase; NaN is left bare.
        words: V phrases, or one; the titles.

    Raises:
        ValueError: other shapes, no phrase or more than `MOST`, or a phrase without any heat.
    """
    names, maps = _checked(image, heat, words)
    ends = (float(np.nanmin(maps)), float(np.nanmax(maps)))
    down = -(-(1 + len(names)) // 4)
    across = -(-(1 + len(names)) // down)
    figure = Figure(
        figsize=(2.5 * across + 0.9, 0.5 + 2.75 * down), facecolor="white", layout="constrained"
    )
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    grid[0].imshow(image, interpolation="nearest")
    grid[0].set_title("the scene", fontsize=10, color=INK)
    for axes, name, one in zip(grid[1:], names, maps, strict=False):
        drawn = _overlay(axes, image, one, ends)
        axes.set_title(
            f"“{name}”, at most {np.nanmax(one):.2f}", fontsize=10, color=INK, parse_math=False
        )
    figure.colorbar(drawn, ax=list(grid), label="cosine of patch and words", shrink=0.8)
    figure.suptitle("The lighter a place, the better the words fit there", fontsize=12, color=INK)
    return figure


def heatmap_words(heat: ArrayLike, words: Sequence[str] | str) -> str:
    """`heatmap_figure` for a reader who cannot see it: where each phrase fits best."""
    maps = np.asarray(heat, float)
    maps = maps[None] if maps.ndim == 2 else maps
    names = [words] if isinstance(words, str) else list(words)
    told = []
    for name, one in zip(names, maps, strict=True):
        row, column = np.unravel_index(int(np.nanargmax(one)), one.shape)
        down = ("top", "middle", "bottom")[min(2, 3 * int(row) // one.shape[0])]
        across = ("left", "centre", "right")[min(2, 3 * int(column) // one.shape[1])]
        told.append(f"“{name}” fits best at the {down} {across}, with {np.nanmax(one):.2f}")
    return "Heatmaps over the scene: " + "; ".join(told) + "."


def scene_scored(
    image: np.ndarray, words: Sequence[str], scores: ArrayLike, heat: ArrayLike | None = None,
    at: int | None = None,
) -> Figure:
    """The scene, the heat of one phrase over it, and a bar for each phrase, best first.

    Args:
        image: (H, W, 3) uint8.
        words: V phrases.
        scores: (V,) such as `word_heat` gives.
        heat: (V, H, W); without it there is no heatmap.
        at: which phrase the heatmap shows; None: the best.

    Raises:
        ValueError: other shapes, no phrase or more than `MOST`, or `at` is no phrase.
    """
    scored = np.asarray(scores, float)
    if scored.shape != (len(words),) or not 1 <= len(words) <= MOST:
        raise ValueError(
            f"scores has shape {scored.shape} for {len(words)} phrases; give 1 to {MOST} phrases "
            "and a score for each"
        )
    shown = int(np.argmax(scored)) if at is None else at
    if not 0 <= shown < len(words):
        raise ValueError(f"at is {at}; expected 0 to {len(words) - 1}, a place in words")
    figure = Figure(
        figsize=(10.2 if heat is not None else 7.6, max(2.9, 0.9 + 0.34 * len(words))),
        facecolor="white", layout="constrained",
    )
    widths = (1.0, 1.25, 1.7) if heat is not None else (1.0, 1.7)
    panels = list(figure.subplots(1, len(widths), width_ratios=widths))
    panels[0].imshow(image, interpolation="nearest")
    panels[0].set_axis_off()
    if heat is not None:
        _, maps = _checked(image, heat, words)
        drawn = _overlay(panels[1], image, maps[shown], None)
        panels[1].set_axis_off()
        panels[1].set_title(f"where: “{words[shown]}”", fontsize=10, color=INK, parse_math=False)
        figure.colorbar(drawn, ax=panels[1], label="cosine", shrink=0.8)
    order = np.argsort(scored, kind="stable")  # bars are drawn from the bottom up
    bars = panels[-1].barh(
        np.arange(len(order)), scored[order],
        color=[BLUE if row == shown else PALE for row in order],
    )
    # a $ that someone typed begins no formula
    panels[-1].set_yticks(
        np.arange(len(order)), [words[row] for row in order], parse_math=False
    )
    panels[-1].bar_label(bars, fmt="%.2f", padding=3, fontsize=9, color=INK)
    panels[-1].axvline(0, color=INK, linewidth=0.8)
    panels[-1].set_xlim(*room_for_bars(scored))
    panels[-1].set_xlabel("cosine of words and best patch")
    panels[-1].spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        f"CLIP finds “{words[order[-1]]}” the best fit", fontsize=12, color=INK, parse_math=False
    )
    return figure


def scored_words(words: Sequence[str], scores: ArrayLike) -> str:
    """`scene_scored` for a reader who cannot see it."""
    scored = np.asarray(scores, float)
    order = np.argsort(-scored, kind="stable")
    return "Words by their cosine with the best patch of the scene: " + ", ".join(
        f"{words[at]} {scored[at]:.2f}" for at in order
    ) + "."


def _overlay(
    axes: Any, image: np.ndarray, heat: np.ndarray, ends: tuple[float, float] | None
) -> Any:
    """Heat in the colours of viridis, which also rise in lightness, over the picture in grey."""
    grey = np.asarray(image, float).mean(axis=2)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    low, high = (None, None) if ends is None else ends
    return axes.imshow(heat, cmap="viridis", vmin=low, vmax=high, alpha=0.6)


def _checked(
    image: np.ndarray, heat: ArrayLike, words: Sequence[str] | str
) -> tuple[list[str], np.ndarray]:
    names = [words] if isinstance(words, str) else list(words)
    maps = np.asarray(heat, float)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.shape != (len(names), *np.shape(image)[:2]) or not 1 <= len(names) <= MOST:
        raise ValueError(
            f"heat has shape {np.shape(heat)} for {len(names)} phrases over a picture of shape "
            f"{np.shape(image)}; give 1 to {MOST} phrases and (V, H, W)"
        )
    for name, one in zip(names, maps, strict=True):
        if np.isnan(one).all():
            raise ValueError(f"the heat of {name!r} is NaN everywhere; look at its scores")
    return names, maps
