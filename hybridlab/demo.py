"""`hybridlab demo`: the whole pipeline in one command, measured on the same test scenes."""

from __future__ import annotations

import os
import platform
import textwrap
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hybridlab.bundle import save_bundle
from hybridlab.configs import DemoConfig
from hybridlab.data.world import WORLD
from hybridlab.evaluation.bootstrap import Predictions, bootstrap_metrics, paired_bootstrap
from hybridlab.evaluation.metrics import mean_ap
from hybridlab.files import free_space_check, run_folder, write_json
from hybridlab.pipeline import Built, build_hybrid
from hybridlab.training.loop import Progress
from hybridlab.viz.predictions import prediction_figure, save_figure

ROWS = {
    "linear_cnn": "linear head on the CNN (0.5)",
    "cnn_rnn": "CNN-RNN alone (its own sets)",
    "clip_zero_shot_global": "CLIP zero-shot, whole picture",
    "clip_zero_shot": "CLIP zero-shot, best patch",
    "linear_clip": "linear head on CLIP (0.5)",
    "hybrid_clip_only": "CLIP alone in the fusion (0.5)",
    "hybrid_state": "hybrid, decoder's state (0.5)",
    "hybrid_phase1": "hybrid, CLIP frozen (0.5)",
    "hybrid": "hybrid (0.5)",
    "hybrid_calibrated": "hybrid, calibrated thresholds",
}
SINGLE_VIEWS = ("linear_cnn", "cnn_rnn", "clip_zero_shot", "clip_zero_shot_global", "linear_clip")
SHOWN = 12  # scenes in the figure
BUNDLE_BYTES = 60_000_000  # a bundle, metrics and figure, with room to spare
CACHED_BYTES = 40_000  # of features for each scene, at the default sizes


class ProgressBars:
    """Lines for parts on stdout, a bar for the stage in progress on stderr."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.bar: tqdm | None = None
        self.stage = ""

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        NotEnoughDiskError: too little room where the run, or its cache, would be written.
        MissingWeightsError: an encoder's weights are not on this machine.
    """
    check_room(config, runs, cache)
    with run_folder(runs) as folder, ProgressBars() as bars:
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
    print(table(metrics))
    print(f"\nwritten to {folder}: bundle/, metrics.json, scenes.png")
    print(f"label your own pictures: hybridlab predict {folder / 'bundle'} PICTURE...")
    return folder


def check_room(config: DemoConfig, runs: Path, cache: Path | None) -> None:
    """Say where features are kept, and refuse to begin without room for all that is written."""
    if runs.exists() and not runs.is_dir():
        raise NotADirectoryError(f"{runs} is a file; name a folder for runs")
    needed = BUNDLE_BYTES
    if cache is not None:
        needed += CACHED_BYTES * (config.train + config.val + config.test)
        print(f"features are kept in {cache} (up to {needed / 1e6:.0f} MB; delete it at any time)")
    free_space_check(runs, needed)


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

    def gain(name: str, over: str) -> dict[str, object]:
        one, other = built.rows[name], built.rows[over]
        interval = paired_bootstrap(
            Predictions(one.scores, one.decisions),
            Predictions(other.scores, other.decisions),
            built.targets,
            resamples=config.resamples,
            seed=config.seed,
            method="basic",
        )["mean_ap"]
        return {"mean_ap": interval.value, "mean_ap_ci": [interval.low, interval.high]}

    absent = mean_ap(built.rows["hybrid"].scores, built.targets).absent
    return {
        "rows": rows,
        "best_single_view": best,
        "gain_over_best_single_view": {
            name: gain(name, best) for name in ("hybrid_phase1", "hybrid_calibrated")
        },
        "gain_of_decoder": gain("hybrid_phase1", "hybrid_clip_only"),
        "decoder_of1": {"train": built.decoder_on_train, "test": rows["cnn_rnn"]["of1"]},
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
    """What the figures allow to say about the hybrid, its best single view, and its parts."""
    config = metrics["config"]
    best = ROWS[metrics["best_single_view"]]
    words = [
        f"Against its best single view ({best}), paired on the same scenes, the hybrid with CLIP "
        f"frozen {_compared(metrics['gain_over_best_single_view']['hybrid_phase1'])}"
    ]
    if config["tune_epochs"]:
        words.append(
            "; with CLIP tuned it "
            f"{_compared(metrics['gain_over_best_single_view']['hybrid_calibrated'])}, a figure "
            "that mixes fusion with tuning, for the single views rest on frozen encoders"
        )
    words.append(". ")
    if "gain_of_decoder" in metrics:
        words.append(
            "With the decoder left out, and the fusion and all else the same: frozen, the hybrid "
            f"{_compared(metrics['gain_of_decoder'], 'CLIP alone')}; much of that comes from a "
            "second look at the picture of any kind, and heads in the decoder's place brought more "
            "(lesson 05). "
        )
    train, test = (100 * metrics["decoder_of1"][split] for split in ("train", "test"))
    words.append(
        f"The decoder's OF1 is {train:.0f} on the scenes that it learnt from and {test:.0f} on new "
        "ones"
    )
    if config["view"] == "evidence" and config["folds"] > 1:
        words.append(
            "; against such optimism the fusion learns from cross-fitted opinions. The row on the "
            "decoder's state fuses its last hidden state instead, as the seed has it; states "
            "cannot be cross-fitted"
        )
    return "".join([*words, "."])


def _compared(gain: dict, other: str = "it") -> str:
    low, high = gain["mean_ap_ci"]
    words = (
        f"beats {other}" if low > 0 else f"falls short of {other}" if high < 0
        else f"shows no difference to {other}"
    )
    return f"{words} ({100 * gain['mean_ap']:+.1f} mAP [{100 * low:+.1f}, {100 * high:+.1f}])"


INTERVALS = (
    "In brackets: 95 % bootstrap intervals over the test scenes, one seed of training. They are "
    "approximate, and corrected for the bias of resampling (copies of a scene push mAP up), so a "
    "value may lie near an end or, with few scenes, beyond it."
)
THRESHOLDS = (
    "Thresholds: 0.5 where marked; zero-shot rows use one threshold, and the calibrated hybrid one "
    "per label, both from validation scenes, on which the best epoch of each method was chosen "
    "too. Zero-shot here means that no labelled scene was used: this CLIP has read the name of "
    "every emoji, and its card has the figures of 16 labels that it never saw in a composite."
)
FEW = 300  # test scenes below which a comparison is not worth reading
TOO_FEW = (
    "A run this small shows that every stage works, and nothing else: its figures mean nothing."
)


def _caption(metrics: dict) -> str:
    parts = [INTERVALS, verdict(metrics), THRESHOLDS]
    if metrics["test_scenes"] < FEW:
        parts = [TOO_FEW]
    return "\n" + "\n".join(textwrap.fill(part, 96) for part in parts)


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
