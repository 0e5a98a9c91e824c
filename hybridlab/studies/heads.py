"""Linear heads on a CLIP's embedding, trained without the annotations of some labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SceneDataset, label_matrix
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.evaluation.inputs import Floats
from hybridlab.part_keys import short_hash
from hybridlab.studies.unseen import features_of
from hybridlab.training.feature_cache import Tensors, cached, feature_key
from hybridlab.training.held import Held
from hybridlab.training.probe import train_linear
from hybridlab.training.sources import training_code


def hide(targets: np.ndarray, hidden: Sequence[int]) -> torch.Tensor:
    """Targets (N, L) with the columns `hidden` not annotated: -1, which losses and mAP pass by."""
    masked = torch.from_numpy(targets.astype(np.float32))  # a copy: astype makes one
    masked[:, list(hidden)] = -1.0
    return masked


def head_logits(
    clip: ClipEncoder,
    data: Mapping[str, SceneDataset],
    hidden: Sequence[int],
    seed: int,
    epochs: int,
    store: Path,
) -> dict[str, Floats]:
    """Logits "val" and "test" (N, L) of a head that was trained on "train".

    Rate and epoch are chosen by the labels of "val" that are not hidden. Columns of hidden labels
    mean nothing.

    Args:
        hidden: columns whose annotations are removed from "train" and "val".
    """
    config = DemoConfig(seed=seed, linear_epochs=epochs)
    keys = {split: feature_key(clip, each) for split, each in data.items()}

    def compute() -> Tensors:
        seen = {split: features_of(clip, each, store).image_emb for split, each in data.items()}
        targets = {split: hide(label_matrix(data[split]), hidden) for split in ("train", "val")}
        held = Held((seen["val"],), targets["val"])
        probe = train_linear("linear head", seen["train"], targets["train"], held, config)
        with torch.no_grad():
            return {split: probe(seen[split]) for split in ("val", "test")}

    here = Path(__file__).read_bytes().replace(b"\r\n", b"\n").decode()
    rates = [config.linear_rates, config.batch_size]
    facts = [keys, sorted(hidden), seed, epochs, rates, training_code(), here, torch.__version__]
    kept = cached(store, short_hash(json.dumps(facts)), compute)
    return {split: logits.double().numpy() for split, logits in kept.items()}
