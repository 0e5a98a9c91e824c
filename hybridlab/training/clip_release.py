"""`hybridlab pretrain-clip`: train the tiny CLIP, measure it, and write weights with their card."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from hybridlab.configs import PretrainConfig
from hybridlab.data.captioned import catalogue
from hybridlab.data.labels import HELD_OUT_WORD, label_names
from hybridlab.data.never import never_drawn
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import HELD_OUT, WORLD, with_article
from hybridlab.encoders.clip import TINY_FOLDER, WEIGHTS_FILE, ClipEncoder
from hybridlab.encoders.zero_shot import global_scores, patch_scores
from hybridlab.evaluation.metrics import average_precision_per_label
from hybridlab.files import atomic_path, write_json, write_text
from hybridlab.tensor_files import save_tensors
from hybridlab.training.clip_pretraining import PretrainState, averaged, load_state, pretrain
from hybridlab.training.features import clip_features, scene_images
from hybridlab.zeroshot.text_bank import label_embeddings

TEST_SCENES = 1000
MAX_BYTES = 24_000_000


def main_pretrain(folder: Path, config: PretrainConfig, *, install: bool = False) -> None:
    """Train from wherever `folder` stands to the end, then write the release.

    Args:
        folder: checkpoints; a killed run resumes from here. The release goes to its `release/`.
        config: the recipe.
        install: also put the release in place of the package's own weights.

    Raises:
        ValueError: `install` with labels that are never shown, or a damaged checkpoint.
        OSError: nothing can be written to the folder.
        Both are told before any training.
    """
    if install and config.never:
        raise ValueError(
            f"--install with --never ({len(config.never)} labels): the package's own weights have "
            "seen every label; leave one of the two out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass  # who cannot write here shall know it now, not at the first checkpoint
    state = load_state(config, folder)
    if state.step:
        print(f"resuming at step {state.step} of {config.steps}")
    with tqdm(total=config.steps, initial=state.step, unit="step", desc="tiny CLIP") as bar:

        def on_step(now: PretrainState, parts: dict[str, float]) -> None:
            bar.update(now.step - bar.n)
            bar.set_postfix(loss=f"{parts['loss']:.3f}", refresh=False)

        for _ in pretrain(config, folder, on_step, state):
            pass  # each turn is a checkpoint written; the state is trained in place
    release = write_release(state, config, folder / "release")
    print(f"weights, record and card written to {release}")
    if install:
        for file in release.iterdir():
            with atomic_path(TINY_FOLDER / file.name, overwrite=True) as part:
                shutil.copyfile(file, part)
        print(f"installed in {TINY_FOLDER}; make the shipped hybrid anew: hybridlab ship --install")


def write_release(state: PretrainState, config: PretrainConfig, folder: Path) -> Path:
    """Half-precision weights, `training.json` and the model card `README.md`."""
    encoder = averaged(state)
    half = {name: value.half().contiguous() for name, value in encoder.model.state_dict().items()
            if value.dtype.is_floating_point}
    whole = {name: value.contiguous() for name, value in encoder.model.state_dict().items()
             if not value.dtype.is_floating_point}
    encoder.model.load_state_dict({**half, **whole})  # measure what is shipped, rounding included
    record = {
        "command": _command(config),
        "config": config.to_dict(),
        "parameters": sum(p.numel() for p in encoder.model.parameters()),
        "emoji": len(catalogue()) - len(never_drawn(config.never)),
        "held_out": list(HELD_OUT),
        "seconds": round(state.seconds),
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "timm", "open_clip_torch")},
        },
        "log": state.log,
        "zero_shot": zero_shot_figures(encoder),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / WEIGHTS_FILE, overwrite=True) as part:
        save_tensors(part, {**half, **whole})
        record["sha256"] = hashlib.sha256(part.read_bytes()).hexdigest()
        if (size := part.stat().st_size) > MAX_BYTES:
            raise ValueError(
                f"the weights take {size:,} bytes, over {MAX_BYTES:,}; make a tower smaller"
            )
    write_json(folder / "training.json", record, overwrite=True)
    write_text(folder / "README.md", model_card(json.loads(json.dumps(record))), overwrite=True)
    return folder


def _command(config: PretrainConfig) -> str:
    """The command of a run whose other settings are the usual ones."""
    if config.never == label_names([HELD_OUT_WORD]):
        return f"hybridlab pretrain-clip --never {HELD_OUT_WORD}"
    return shlex.join(["hybridlab", "pretrain-clip", *(["--never"] * bool(config.never)),
                       *config.never])


def zero_shot_figures(encoder: ClipEncoder, scenes: int = TEST_SCENES) -> dict[str, object]:
    """mAP on default test scenes, from words alone: whole picture and best patch; all labels and
    the held-out ones."""
    dataset = SceneDataset(scenes, "test")
    images, targets = scene_images(dataset)
    features = clip_features(encoder, images)
    text_emb = label_embeddings(encoder, [with_article(name) for name in WORLD])
    held_out = np.array([name in HELD_OUT for name in WORLD])
    figures: dict[str, object] = {"scenes": scenes, "dials": asdict(dataset.config)}
    from hybridlab.encoders.clip import ImageFeatures

    seen = ImageFeatures(features["image_emb"], features["tokens"].float(), (0, 0))
    for name, score in (("global", global_scores), ("patch", patch_scores)):
        each = average_precision_per_label(score(seen, text_emb).numpy(), targets.numpy())
        figures[f"{name}_mean_ap"] = float(np.nanmean(each))
        figures[f"{name}_mean_ap_held_out"] = float(np.nanmean(each[held_out]))
    return figures


def model_card(record: dict) -> str:
    """The card of the weights, from the record of their training."""
    figures, config = record["zero_shot"], record["config"]
    stages = ", then ".join(f"{steps:,} steps at {size} px" for steps, size in config["schedule"])
    pictures = config["batch_size"] * sum(steps for steps, _ in config["schedule"])
    never = config.get("never", ())
    trained, singles = 80 - len(never), 100 * config["singles"]
    held_out = ", ".join(record["held_out"])
    rows = "\n".join(
        f"| {label} | {100 * figures[f'{name}_mean_ap']:.1f} "
        f"| {100 * figures[f'{name}_mean_ap_held_out']:.1f} |"
        for name, label in (("global", "whole picture"), ("patch", "best patch"))
    )
    return f"""# The tiny CLIP

A CLIP model small enough to ship with a course: an EfficientNet-Lite0 image tower, a text
transformer of 3 layers and width 128, one space of 256 dimensions, {record["parameters"]:,}
parameters, stored in half precision. It is an open_clip model: `open_clip_config.json` beside this
card describes it, preprocessing included.

**Made by** `{record["command"]}`: {stages}, batch {config["batch_size"]}, seed {config["seed"]},
AdamW, {record["seconds"] / 60:.0f} minutes on {record["threads"]} CPU threads of a shared machine.
`training.json` holds the recipe, versions and log.

**Data.** {pictures:,} drawn pictures with captions; no photograph, nothing from the web. The image
tower starts from ImageNet weights (EfficientNet-Lite0, Apache-2.0), the text tower from nothing.
{record["emoji"]:,} emoji (Twemoji art, CC BY 4.0) under the names of the Unicode list, the course's
{trained} labels also under their own names. {singles:.0f} % of the pictures show one
emoji, large, on a plain ground; the rest 1 to 4 emoji on the backgrounds that the course's scenes
use, tidier than the scenes: larger objects, fuller colours, less noise.

**What it has seen.** {_seen(never)} In composites, all but these
{len(record["held_out"])} held-out labels: {held_out}. It has never seen a scene of the course, nor
which labels go together: composites draw emoji independently.

**What it has not seen.** Photographs with captions, other artists' emoji, words beyond emoji names
and some templates, text in any language but English. It is of no use on real photographs.

**Loss.** Multi-positive contrastive loss on emoji words, and on whole captions with weight
{config["caption_weight"]}; weight of the loss on patches: {config["patch_weight"]}.

**Zero-shot on {figures["scenes"]:,} default test scenes** (mean average precision, %):

| score | all 80 labels | the 16 held-out labels |
|---|---|---|
{rows}

One training run, one seed; intervals over test scenes are in the comparison of `hybridlab demo`.
Another run of the same command gives other figures by a point or two: rounding differs with the
machine, and training amplifies it.
"""


def _seen(never: Sequence[str]) -> str:
    """Which labels it has seen by themselves."""
    if not never:
        return "Every one of the 80 labels as a single emoji."
    return (
        f"{80 - len(never)} of the 80 labels as a single emoji. Never, neither their emoji nor "
        f"their names: {', '.join(never)}."
    )
