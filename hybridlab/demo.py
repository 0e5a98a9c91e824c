"""`hybridlab demo`: the whole pipeline in one command, measured on the same test scenes."""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hybridlab.bundle import save_bundle
from hybridlab.configs import DemoConfig
from hybridlab.data.world import WORLD
from hybridlab.evaluation.bootstrap import Predictions, bootstrap_metrics, paired_bootstrap
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.files import free_space_check, new_run_folder, write_json
from hybridlab.pipeline import Built, build_hybrid
from hybridlab.training.loop import Progress
from hybridlab.viz.predictions import prediction_figure, save_figure

ROWS = {
    "linear_cnn": "linear head on the CNN (0.5)",
    "cnn_rnn": "CNN-RNN alone (its own sets)",
    "clip_zero_shot_global": "CLIP zero-shot, whole picture",
    "clip_zero_shot": "CLIP zero-shot, best patch",
    "linear_clip": "linear head on CLIP (0.5)",
    "hybrid_phase1": "hybrid, CLIP frozen (0.5)",
    "hybrid": "hybrid (0.5)",
    "hybrid_calibrated": "hybrid, calibrated thresholds",
}
SINGLE_VIEWS = ("linear_cnn", "cnn_rnn", "clip_zero_shot", "clip_zero_shot_global", "linear_clip")
SHOWN = 12  # scenes in the figure
NEEDED_BYTES = 300_000_000


class ProgressBars:
    """Lines for parts on stdout, a bar for the stage in progress on stderr."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.bar: tqdm | None = None
        self.stage = ""

    def say(self, line: str) -> None:
        """Begin a new part."""
        self.close()
        print(f"[{time.perf_counter() - self.started:4.0f} s] {line}", flush=True)

    def __call__(self, progress: Progress) -> None:
        if progress.stage != self.stage or self.bar is None:
            self.close()
            self.stage = progress.stage
            self.bar = tqdm(
                total=progress.steps, desc=f"         {progress.stage}", unit="step", leave=False
            )
        self.bar.update()
        self.bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
        self.bar, self.stage = None, ""


def run_demo(config: DemoConfig, runs: Path = Path("runs"), cache: Path | None = None) -> Path:
    """Train, calibrate, compare, and write a new run folder.

    Writes `bundle/`, `metrics.json` and `scenes.png` under `runs/<time>/`; an earlier run is never
    touched, and a run that fails or is stopped leaves no folder behind.

    Returns:
        The run's folder.

    Raises:
        NotEnoughDiskError: less than 300 MB free where the run would be written.
        MissingWeightsError: an encoder's weights are not on this machine.
    """
    runs.mkdir(parents=True, exist_ok=True)
    free_space_check(runs, NEEDED_BYTES)
    folder = new_run_folder(runs)
    bars = ProgressBars()
    try:
        built = build_hybrid(config, cache=cache, say=bars.say, report=bars)
        bars.say("bootstrap intervals over the test scenes")
        metrics = measure(built, config)
        save_bundle(
            folder / "bundle",
            built.model,
            WORLD,
            built.thresholds.values,
            info={"made_by": "hybridlab demo", "config": config.to_dict()},
        )
        figure_of(built, folder / "scenes.png")
        metrics["seconds"] = round(time.perf_counter() - bars.started, 1)
        write_json(folder / "metrics.json", metrics)
    except BaseException:
        bars.close()
        _remove(folder)
        raise
    print(table(metrics))
    print(f"\nwritten to {folder}: bundle/, metrics.json, scenes.png")
    print(f"label your own pictures: hybridlab predict {folder / 'bundle'} PICTURE...")
    return folder


def measure(built: Built, config: DemoConfig) -> dict[str, object]:
    """Rows of the comparison with 95 % intervals, and the hybrid against its best single view."""
    rows = {}
    for name, scored in built.rows.items():
        # "basic" intervals: resampling with copies pushes AP up, so that percentile ones miss
        intervals = bootstrap_metrics(
            scored.scores,
            scored.decisions,
            built.targets,
            resamples=config.resamples,
            seed=config.seed,
            method="basic",
        )
        row: dict[str, object] = {}
        for metric, interval in intervals.items():
            row[metric] = interval.value
            row[f"{metric}_ci"] = [interval.low, interval.high]
        rows[name] = row
    best = max(SINGLE_VIEWS, key=lambda name: _value(rows[name]["mean_ap"]))
    hybrid = built.rows["hybrid_calibrated"]
    gain = paired_bootstrap(
        Predictions(hybrid.scores, hybrid.decisions),
        Predictions(built.rows[best].scores, built.rows[best].decisions),
        built.targets,
        resamples=config.resamples,
        seed=config.seed,
        method="basic",
    )["mean_ap"]
    absent = mean_ap(hybrid.scores, built.targets).absent
    return {
        "rows": rows,
        "best_single_view": best,
        "gain_over_best_single_view": {
            "mean_ap": gain.value,
            "mean_ap_ci": [gain.low, gain.high],
        },
        "labels_without_positives_in_test": [WORLD.names[column] for column in absent],
        "labels_with_global_threshold": [
            WORLD.names[column] for column in built.thresholds.fell_back
        ],
        "test_scenes": len(built.targets),
        "config": config.to_dict(),
        "scenes": built.test.config.to_dict(),
        "intervals": f"95 % basic bootstrap over test scenes, {config.resamples} resamples",
        "device": f"{os.cpu_count()} CPU cores",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("hybridlab", "torch", "timm", "open_clip_torch")},
        },
    }


def _value(number: object) -> float:
    value = float(number)  # type: ignore[arg-type]
    return value if np.isfinite(value) else -1.0


def table(metrics: dict) -> str:
    """The comparison as text, with a caption that says what may be concluded."""
    lines = [f"\n{'on the same ' + str(metrics['test_scenes']) + ' test scenes':<32}"
             f"{'mAP':>18}{'CF1':>18}{'OF1':>18}"]
    for name, label in ROWS.items():
        if name not in metrics["rows"]:
            continue
        row = metrics["rows"][name]
        cells = "".join(f"{_cell(row, metric):>18}" for metric in ("mean_ap", "cf1", "of1"))
        lines.append(f"{label:<32}{cells}")
    lines.append(_caption(metrics))
    return "\n".join(lines)


def _cell(row: dict, metric: str) -> str:
    low, high = row[f"{metric}_ci"]
    return f"{100 * row[metric]:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def verdict(metrics: dict) -> str:
    """What the figures allow to say about the hybrid and its best single view."""
    gain = metrics["gain_over_best_single_view"]
    low, high = gain["mean_ap_ci"]
    best = ROWS[metrics["best_single_view"]]
    if low > 0:
        words = "The hybrid beats its best single view"
    elif high < 0:
        words = "The hybrid falls short of its best single view"
    else:
        words = "No difference is shown between the hybrid and its best single view"
    return (
        f"{words} ({best}): {100 * gain['mean_ap']:+.1f} mAP "
        f"[{100 * low:+.1f}, {100 * high:+.1f}], paired on the same scenes."
    )


def _caption(metrics: dict) -> str:
    return (
        f"\nIn brackets: 95 % bootstrap intervals over the test scenes (one seed of training).\n"
        f"{verdict(metrics)}\n"
        "Thresholds: 0.5 where marked; zero-shot rows use one threshold, and the calibrated hybrid "
        "one per label,\nboth from validation scenes. The hybrid's vision tower was tuned in "
        "phase 2; the linear heads rest on frozen encoders."
    )


def figure_of(built: Built, path: Path) -> None:
    """Twelve test scenes with right, missed and wrong labels."""
    count = min(SHOWN, len(built.test))
    hybrid = built.rows["hybrid_calibrated"]
    figure = prediction_figure(
        [built.test[index].image for index in range(count)],
        WORLD,
        built.targets[:count],
        hybrid.decisions[:count],
        hybrid.scores[:count],
    )
    save_figure(
        figure, path, alt=f"{count} test scenes with the labels that the hybrid found, missed, "
        "and wrongly gave",
    )


def _remove(folder: Path) -> None:
    import shutil

    with suppress(OSError):
        shutil.rmtree(folder)
    print("\nstopped: nothing of this run was kept", file=sys.stderr)
