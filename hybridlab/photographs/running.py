"""What `hybridlab train` does with photographs before the first stage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from hybridlab.chosen_encoders import Encoders
from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SPLITS
from hybridlab.photographs.options import PhotoConfig
from hybridlab.photographs.preparing import Prepared, limited, prepare
from hybridlab.photographs.record import recorded
from hybridlab.photographs.source import PhotoSource, shared_look
from hybridlab.tower import tower_blocks
from hybridlab.training.hybrid_data import looks_of
from hybridlab.training.plans import TrainPlan, joint_stages

_NAMED = 20  # files that were left out, on the terminal


def photos_of(
    photos: PhotoConfig, resume: Path | None, most: Mapping[str, int] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Prepared:
    """The pictures of a run: of a new one, or of one that is resumed.

    Args:
        resume: the folder of the latter.
        most: split -> no more pictures than so many, of a new run.
        say: is told what was left out, and what is worth knowing.

    Raises:
        as `preparing.prepare` and `record.recorded`.
    """
    if resume is not None:
        return recorded(resume, photos)
    with tqdm(desc="looking into the files", unit=" files", leave=False,
              disable=not sys.stderr.isatty()) as bar:
        found = prepare(photos, bar.update)
    if most is not None:
        found = limited(found, most)
    for problem in found.left_out[:_NAMED]:
        say(f"left out: {problem}")
    if len(found.left_out) > _NAMED:
        say(f"left out: {len(found.left_out) - _NAMED:,} more; the run's pictures.json names all")
    for note in found.notes:
        say(f"note: {note}")
    return found


def sized(config: DemoConfig, prepared: Prepared) -> DemoConfig:
    """The settings with the sizes of the splits."""
    train, val, test = (len(prepared.photos[name]) for name in SPLITS)
    return replace(config, train=train, val=val, test=test)


def check_photo_plan(
    config: DemoConfig, plan: TrainPlan, encoders: Encoders, source: PhotoSource
) -> None:
    """Refuse what would fail only after phase 0, which takes minutes or hours.

    Raises:
        ValueError: something that only scenes have, labels of which no text can be made, or a plan
            in which two encoders share pictures that they cannot share.
    """
    if plan.curriculum == "clutter":
        source.clutter("train")
    if plan.language_sets:
        source.label_sets(plan.language_sets)
    encoders.texts(source.texts)
    cnn, clip = encoders.cnn(), encoders.clip()
    blocks = tower_blocks(clip) if plan.plan == "gradual" else ()
    looks = [looks_of(stage) for stage in joint_stages(config, plan, config.own_opinion, blocks)]
    both = [cnn.preprocessing] if any(each.cnn_rnn for each in looks) else []
    both += [clip.preprocessing] if any(each.clip for each in looks) else []
    if both:
        shared_look(both)
