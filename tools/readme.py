"""Keeps the README's tables and picture equal to what was recorded.

    hybridlab demo
    python tools/readme.py --record runs/TIME    # that run becomes notebooks/results/demo.json
    hybridlab reproduce 00                       # records notebooks/results/views.json
    python tools/readme.py                       # rewrite the README's tables and picture
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "notebooks" / "results" / "demo.json"
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "scenes.png"
VIEWS = ROOT / "notebooks" / "results" / "views.json"


def table(record: dict) -> str:
    """The recorded comparison as Markdown, with the words that its figures allow."""
    from hybridlab.demo import INTERVALS, ROWS, THRESHOLDS, verdict

    lines = ["| on the same {:,} test scenes | mAP | CF1 | OF1 |".format(record["test_scenes"])]
    lines.append("|---|---|---|---|")
    for name, label in ROWS.items():
        if name not in record["rows"]:
            continue
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


def views_table(record: dict) -> str:
    """The recorded study of step 1's comparison over seeds, as Markdown."""
    from hybridlab.ablation.findings import Analysis

    analysis = Analysis.from_json(record["metrics"]["mean_ap"])
    lines = [
        f"| mAP over {len(analysis.seeds)} seeds | mean | against {analysis.reference} |  |",
        "|---|---|---|---|",
    ]
    for row in analysis.rows:
        mean = f"{100 * row.mean:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"
        one = row.comparison
        if one is None:
            lines.append(f"| {row.name} | {mean} | | the reference |")
            continue
        gain = f"{100 * one.value:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
        lines.append(f"| {row.name} | {mean} | {gain} | {one.verdict} |")
    lines.append("")
    also = Analysis.from_json(record["also"]["CLIP alone through the fusion, tuned"])
    tuned = also.row("hybrid, tuned").comparison
    gain = f"{100 * tuned.value:+.1f} [{100 * tuned.low:+.1f}, {100 * tuned.high:+.1f}]"
    lines.append(
        f"*{analysis.question} Against CLIP tuned without a decoder, the tuned hybrid: {gain}, "
        f"{tuned.verdict}. The same {analysis.samples:,} test scenes for every run, "
        f"{analysis.recipe['train']:,} training scenes; intervals (95 %) over seeds and test "
        "scenes; verdicts after Holm's correction. Thresholds play no part in mAP. An interval of "
        "mAP may not hold its own value: resamples hold copies of scenes, which raise mAP, and the "
        "interval takes that off again. "
        f"{len(analysis.rows) * len(analysis.seeds)} runs in {record['wall_seconds'] / 60:.0f} "
        f"minutes on {record['workers']} processes of one machine. Repeat it with "
        f"`{record['command']}`.*"
    )
    return "\n".join(lines)


def between(readme: str, name: str, text: str) -> str:
    """The README with what stands between a pair of marks made anew."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, rest = readme.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def renewed(readme: str) -> str:
    """The README with all its tables made anew from what is recorded."""
    readme = between(readme, "demo table", table(json.loads(RECORD.read_text())))
    if VIEWS.exists():
        readme = between(readme, "views", views_table(json.loads(VIEWS.read_text())))
    return readme


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
    README.write_text(renewed(README.read_text()))
    draw_picture()


if __name__ == "__main__":
    main()
