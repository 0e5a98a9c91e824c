"""HybridLab: a course that builds a hybrid multi-label image classifier.

`import hybridlab` is quick: the names below are imported when they are first used, and torch with
them only where they need it.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# torch's threads spin while they wait for each other. Where another program holds a core, each of
# hundreds of layers then waits for a whole time slice: 5 images/s instead of 35 on two cores. It
# has to be said before torch is imported; a choice of the user's own stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# public name -> the module that defines it
_HOME = {
    "BundleError": "hybridlab.bundle",
    "DemoConfig": "hybridlab.configs",
    "HybridClassifier": "hybridlab.model",
    "LabelDecoder": "hybridlab.decoder.cnn_rnn",
    "PhotoDataset": "hybridlab.data.photos",
    "Prediction": "hybridlab.prediction",
    "Predictor": "hybridlab.predictor",
    "SceneConfig": "hybridlab.data.world",
    "SceneDataset": "hybridlab.data.scenes",
    "Vocabulary": "hybridlab.data.sample",
    "build_clip": "hybridlab.encoders.clip_hub",
    "build_cnn": "hybridlab.encoders.cnn",
    "coco_photos": "hybridlab.data.coco",
    "diagnose": "hybridlab.doctor",
    "folder_photos": "hybridlab.data.folder",
    "load_bundle": "hybridlab.bundle",
    "save_bundle": "hybridlab.bundle",
    "shipped_bundle": "hybridlab.bundle",
    "stratified_split": "hybridlab.data.stratify",
    "voc_photos": "hybridlab.data.voc",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'hybridlab' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value  # the next use finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
