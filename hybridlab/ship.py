"""`hybridlab ship`: make the hybrid that comes with the package, with its card."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from hybridlab.bundle import SHIPPED_FOLDER, save_bundle
from hybridlab.configs import DemoConfig
from hybridlab.data.world import WORLD
from hybridlab.demo import ProgressBars, check_room, measure, table
from hybridlab.files import run_folder, write_json, write_text
from hybridlab.pipeline import build_hybrid

MAX_BYTES = 12_000_000  # beside the encoders


def main_ship(
    config: DemoConfig, *, runs: Path = Path("runs"), cache: Path | None = None,
    install: bool = False,
) -> Path:
    """Train, measure, and write a half-precision bundle with `metrics.json` and a card.

    Args:
        config: the recipe.
        runs: a new folder is made here.
        cache: of features; None keeps none.
        install: also put the bundle in place of the one that comes with the package.

    Returns:
        The bundle's folder.

    Raises:
        ValueError: the bundle is over 12 MB.
    """
    check_room(config, runs, cache)
    with run_folder(runs) as folder, ProgressBars() as bars:
        built = build_hybrid(config, cache=cache, say=bars.say, report=bars)
        bars.close()
        metrics = measure(built, config)
        metrics["seconds"] = round(time.perf_counter() - bars.started, 1)
        bundle = save_bundle(
            folder / "hybrid",
            built.model,
            WORLD,
            built.thresholds.values,
            info={"made_by": "hybridlab ship", "config": config.to_dict()},
            half=True,
        )
        size = sum(file.stat().st_size for file in bundle.iterdir())
        if size > MAX_BYTES:
            raise ValueError(f"the bundle takes {size:,} bytes, over {MAX_BYTES:,}; lower dim")
        write_json(bundle / "metrics.json", metrics)
        write_text(bundle / "README.md", card(metrics, size))
    print(table(metrics))
    print(f"\nwritten to {bundle} ({size / 1e6:.1f} MB)")
    if install:
        _swap(bundle, SHIPPED_FOLDER)
        print(f"installed in {SHIPPED_FOLDER}")
    return bundle


def _swap(source: Path, target: Path) -> None:
    """Put a copy of `source` in the place of `target`; the old one goes only when the new one is
    whole."""
    fresh = target.with_name(target.name + ".part")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(source, fresh)
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def card(metrics: dict, size: int) -> str:
    """The model card of the shipped hybrid."""
    config = metrics["config"]
    return f"""# The shipped hybrid

A hybrid of a CNN-RNN and the tiny CLIP, trained on {config["train"]:,} scenes of the course's
world at its default dials, so that the first notebook can label a scene before anything is
trained. {size / 1e6:.1f} MB in half precision; the CNN's weights come from their own package.

**Made by** `hybridlab ship`: seed {config["seed"]}, {config["decoder_epochs"]} epochs of phase 0,
{config["fusion_epochs"]} of phase 1, {config["tune_epochs"]} of phase 2;
{metrics["seconds"] / 60:.0f} minutes on the CPU. Thresholds: one per label, from {config["val"]:,}
validation scenes. `metrics.json` holds every figure.

**Good for** scenes of this world. It is of no use on photographs: it has seen none.

Its weights derive from EfficientNet-Lite0 (Apache-2.0) and from Twemoji art (CC BY 4.0).
```text
{table(metrics).strip()}
```
"""
