"""`docs/benchmarks.md` and its figure: every recorded ratio, what it was meant to be, and what a
step costs. Written by `python -m benchmarks all`, or by `python -m benchmarks.page` alone."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hybridlab.files import write_text

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE, PLOT = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.png"
BLUE, INK, GRID = "#0067a5", "#222222", "#dddddd"
# what the project set out to reach; the others are told without a judgement
GOALS = {
    "scenes_vs_encoder": 5.0, "loop_overhead": 0.971, "cache_vs_recompute": 100.0,
    "cached_epoch": 0.9, "data_share": 0.9, "gpu_models": 0.95, "thresholds_vs_loop": 100.0,
    "predict_vs_loop": 0.9,
}


def page_of(results: dict[str, Any]) -> str:
    """The page, as Markdown."""
    rows = []
    for name, found in results.items():
        about = (import_module(f"benchmarks.{name}").__doc__ or "").strip().split("\n\n")[0]
        goal = GOALS.get(name)
        judged = "" if goal is None else (
            f"{goal:g}, {'met' if found['ratio'] >= goal else '**not met**'}"
        )
        sizes = ", ".join(f"{key} {value}" for key, value in found["sizes"].items())
        rows.append(f"| `{name}` | {' '.join(about.split())} | {found['ratio']:g} | {judged} | "
                    f"{found['other_s']:g} / {found['ours_s']:g} | {sizes} |")
    versions: dict[str, str] = {}
    for found in results.values():
        versions |= found["versions"]
    parts = [
        "# How fast\n",
        "Every figure is a ratio of two jobs that took turns in one run on the same machine: the "
        "other's time over ours, the median over the rounds. Absolute seconds differ from machine "
        "to machine. `python -m benchmarks NAME` repeats one, `make bench` all of them, with this "
        "page.\n",
        "| name | what | ratio | goal | seconds, other / ours | sizes |",
        "|---|---|---|---|---|---|", *rows, "",
        "Measured with " + ", ".join(f"{key} {value}" for key, value in versions.items()) + ".\n",
    ]
    if "costs" in results:
        costs = results["costs"]
        memory = ", ".join(f"{value:g} MB at {side} px"
                           for side, value in costs["memory_mb_per_image"].items())
        parts += [
            "## What a step costs\n",
            "![time against N, L and the side of an image](benchmarks.png)\n",
            f"In phase 2 each image of a batch takes memory for its gradients: {memory}. A batch "
            "for which it does not suffice fits in parts (`--accumulate`).\n",
        ]
    return "\n".join([*parts, *_on_a_gpu(results)])


def _on_a_gpu(results: dict[str, Any]) -> list[str]:
    if "gpu_models" not in results or "gpu_hybrid" not in results:
        return ["## On a GPU\n",
                "Not recorded yet: no GPU was to be had. Where there is one, `python -m benchmarks "
                "gpu_models gpu_hybrid --record` adds them here.\n"]
    models, hybrid = results["gpu_models"], results["gpu_hybrid"]
    each = [f"| {name} | {ratio:g} |" for name, ratio in models["each"].items()]
    rates = ", ".join(f"{rate:g} at a batch of {batch}"
                      for batch, rate in hybrid["images_per_second"].items())
    return [f"## On a GPU ({models['sizes']['device']})\n",
            "| in bf16 | timm's seconds / ours |", "|---|---|", *each, "",
            f"Phase 2 of the whole hybrid, images per second: {rates}.\n"]


def plot_of(costs: dict[str, Any]) -> Figure:
    """Time of an epoch against N, of a step against L, and of a step against the image's side."""
    figure = Figure(figsize=(9.6, 3.0), facecolor="white", layout="constrained")
    for axes, (key, title, along) in zip(figure.subplots(1, 3), (
        ("by_images", "an epoch of phase 1", "images N"),
        ("by_labels", "a step of phase 1", "labels L"),
        ("by_side", "a step of phase 2", "side of an image (px)"),
    ), strict=True):
        found = {int(at): value for at, value in costs[key].items()}
        axes.plot(list(found), list(found.values()), "o-", color=BLUE)
        axes.set(xlabel=along, ylabel="seconds")
        axes.set_title(title, fontsize=10, color=INK)
        axes.set_ylim(bottom=0)
        axes.grid(color=GRID, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def write() -> None:
    """Both files, from what is recorded."""
    results = json.loads(RESULTS.read_text("utf-8"))
    if "costs" in results:
        plot_of(results["costs"]).savefig(PLOT, dpi=110)
    write_text(PAGE, page_of(results), overwrite=True)


if __name__ == "__main__":
    write()
