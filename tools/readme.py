"""Keeps the README's table and picture equal to what was recorded.

    hybridlab demo
    python tools/readme.py --record runs/TIME    # that run becomes notebooks/results/demo.json
    python tools/readme.py                       # rewrite the README's table and picture
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "notebooks" / "results" / "demo.json"
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "scenes.png"
BEGIN, END = "<!-- demo table -->", "<!-- end demo table -->"


def table(record: dict) -> str:
    """The recorded comparison as Markdown, with the words that its figures allow."""
    from hybridlab.demo import INTERVALS, ROWS, THRESHOLDS, verdict

    lines = ["| on the same {:,} test scenes | mAP | CF1 | OF1 |".format(record["test_scenes"])]
    lines.append("|---|---|---|---|")
    for name, label in ROWS.items():
        row = record["rows"][name]
        cells = []
        for metric in ("mean_ap", "cf1", "of1"):
            low, high = row[f"{metric}_ci"]
            cells.append(f"{100 * row[metric]:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    config = record["config"]
    lines.append("")
    lines.append(
        f"*{INTERVALS} {verdict(record)} {THRESHOLDS} "
        f"One training run: {config['train']:,} scenes, seed {config['seed']}, "
        f"{record['seconds'] / 60:.1f} minutes on {record['device']}. "
        "Repeat it with `hybridlab demo`.*"
    )
    return "\n".join(lines)


def with_table(readme: str, record: dict) -> str:
    """The README with its table made anew."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table(record)}\n{END}{after}"


def draw_picture() -> None:
    """Twelve test scenes as the shipped hybrid labels them."""
    from hybridlab import Predictor, SceneDataset, shipped_bundle
    from hybridlab.viz.predictions import prediction_figure, save_figure

    scenes = list(SceneDataset(12, "test"))
    found = Predictor(shipped_bundle()).predict([scene.image for scene in scenes])
    figure = prediction_figure(
        [scene.image for scene in scenes],
        SceneDataset.vocabulary,
        [scene.targets for scene in scenes],
        [one.probs >= one.thresholds for one in found],
        [one.probs for one in found],
    )
    alt = "Twelve unseen scenes, each with the labels the shipped hybrid found, missed and made up"
    save_figure(figure, PICTURE, alt=alt, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, help="a run of `hybridlab demo` to record")
    run = parser.parse_args().record
    if run is not None:
        record = json.loads((run / "metrics.json").read_text())
        record["command"] = "hybridlab demo"
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    README.write_text(with_table(README.read_text(), json.loads(RECORD.read_text())))
    draw_picture()


if __name__ == "__main__":
    main()
