"""Bundles: a trained hybrid as a folder that can be copied, checked and used for prediction.

A bundle is `bundle.json` (labels, thresholds, preprocessing, sizes, versions) and
`weights.safetensors`. A frozen CNN is not in it: its weights come from their own package and are
compared by hash; one that was trained is. CLIP's text tower is not: the label texts are stored as
they were encoded.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hybridlab import __version__
from hybridlab.bundle_files import (
    MANIFEST_FILE,
    PICKLES,
    WEIGHTS_FILE,
    BundleError,
    read_tensors,
    short,
)
from hybridlab.bundle_format import (
    FORMAT,
    FORMAT_VERSION,
    ClipPart,
    CnnPart,
    DecoderPart,
    FusionPart,
    WeightsPart,
    check_names,
    check_thresholds,
    labels_hash,
    read_manifest,
)
from hybridlab.bundle_model import checked_cnn, has_own_weights, skeleton, stored_tensors
from hybridlab.data.sample import Vocabulary
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.files import atomic_folder, atomic_path, free_space_check, write_json
from hybridlab.model import HybridClassifier

__all__ = ["Bundle", "BundleError", "load_bundle", "save_bundle", "shipped_bundle"]

SHIPPED = "shipped"
SHIPPED_FOLDER = Path(__file__).parent / "assets" / "hybrid"
_PACKAGES = ("torch", "torchvision", "timm", "open_clip_torch", "safetensors", "numpy")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A hybrid that is ready to predict.

    Attributes:
        model: in eval, without gradients. Its CLIP has no text tower.
        vocabulary: label names in the order of the columns.
        thresholds: (L,) in [0, 1]; decide with `probs >= thresholds`.
        info: what the maker wrote about it.
        folder: where it was read.
    """

    model: HybridClassifier
    vocabulary: Vocabulary
    thresholds: np.ndarray
    info: dict
    folder: Path


def save_bundle(
    folder: str | os.PathLike[str],
    model: HybridClassifier,
    vocabulary: Vocabulary,
    thresholds: np.ndarray,
    *,
    info: dict,
    half: bool = False,
) -> Path:
    """Write a bundle: the whole folder, or nothing.

    Args:
        folder: the folder to make; its parent must exist.
        thresholds: (L,) in [0, 1].
        info: plain values about the making of the model (data, seed, figures).
        half: store matrices and kernels as float16, half the size. Vectors (biases, BatchNorm's
            statistics) stay float32: they are small, and a variance can leave float16's range.

    Returns:
        The folder.

    Raises:
        FileExistsError: `folder` exists.
        FileNotFoundError: its parent does not.
        NotEnoughDiskError: the disk is or became full.
        ValueError: labels, thresholds and model disagree, or the weights are not finite.
        TypeError: `info` holds something that JSON has no form for.
    """
    folder = Path(folder)
    if len(vocabulary) != model.decoder.n_labels:
        raise ValueError(
            f"the vocabulary has {len(vocabulary)} labels but the model {model.decoder.n_labels}; "
            "pass the vocabulary that it was trained with"
        )
    check_names(vocabulary.names)
    limits = check_thresholds(thresholds, len(vocabulary))
    with atomic_folder(folder) as part:  # first: a taken name costs no work
        from safetensors.torch import save

        own_cnn = has_own_weights(model.cnn)
        stored = stored_tensors(model, own_cnn)
        data = save({name: _packed(name, value, half) for name, value in stored.items()})
        free_space_check(folder, int(1.1 * len(data)) + 100_000)
        precision = "float16" if half else "float32"
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "labels": list(vocabulary.names),
            "labels_sha256": labels_hash(vocabulary.names),
            "thresholds": limits.tolist(),
            **_parts(model, own_cnn),
            "weights": asdict(WeightsPart(hashlib.sha256(data).hexdigest(), len(data), precision)),
            "versions": versions_of(*_PACKAGES),
            "info": info,
        }
        with atomic_path(part / WEIGHTS_FILE) as file:
            file.write_bytes(data)
        write_json(part / MANIFEST_FILE, manifest)
    return folder


def load_bundle(
    folder: str | os.PathLike[str], device: str = "cpu", *, cnn: CNNEncoder | None = None
) -> Bundle:
    """Read a bundle and rebuild its model. Nothing in the folder is executed, and every byte of
    the weights is checked first.

    Args:
        folder: as `save_bundle` returned it.
        device: where the model goes.
        cnn: the encoder to use instead of building it by name, for weights of one's own; its
            hash must be the saved one all the same. It is frozen.

    Raises:
        BundleError: anything about the bundle that is missing, damaged, contradictory or from a
            newer version, and a CNN whose weights are missing or others.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    cnn = checked_cnn(folder, manifest.cnn, cnn)
    if cnn.dim != manifest.decoder.channels:
        raise BundleError(
            f"{folder}: the decoder reads {manifest.decoder.channels} channels but "
            f"{manifest.cnn.name} gives {cnn.dim}; save the bundle anew"
        )
    try:
        model = skeleton(manifest, cnn)
    except Exception as error:  # sizes that no layer accepts, from open_clip and timm as well
        raise BundleError(
            f"{folder}: no model can be built from {MANIFEST_FILE} ({short(str(error))})"
        ) from error
    weights = manifest.weights
    expected = stored_tensors(model, manifest.cnn.own_weights)
    tensors = read_tensors(folder, weights.bytes, weights.sha256, expected)
    # assign: the skeleton on "meta" has no memory of its own to copy into
    model.load_state_dict(tensors, strict=False, assign=True)
    model.eval().requires_grad_(False)
    model.to(device).to(memory_format=torch.channels_last)  # twice as fast on a CPU
    return Bundle(model, manifest.vocabulary, manifest.thresholds, manifest.info, folder)


def bundle_named(name: str) -> Path:
    """A bundle's folder as the command line takes it: a path, or the word "shipped".

    The folder of a run stands for the bundle in it. So does a file of weights in it that is not
    there: published scripts ask for ./checkpoints/best_model.pth, which is never written here, and
    one that is there is never read; it is said which bundle is taken.

    Raises:
        BundleError: the shipped hybrid is not there.
    """
    if name == SHIPPED:
        return shipped_bundle()
    path = Path(name)
    if (path / MANIFEST_FILE).exists():
        return path
    if path.suffix in PICKLES and not os.path.lexists(path):
        inside = path.parent / "bundle"
        if (inside / MANIFEST_FILE).is_file():
            print(f"hybridlab: there is no {path}; taken: {inside}", file=sys.stderr)
            return inside
    return path / "bundle" if (path / "bundle" / MANIFEST_FILE).is_file() else path


def shipped_bundle() -> Path:
    """The folder of the hybrid that comes with the package.

    Raises:
        BundleError: it is not there.
    """
    if not (SHIPPED_FOLDER / MANIFEST_FILE).is_file():
        raise BundleError(
            f"the shipped hybrid is missing: {SHIPPED_FOLDER}; reinstall hybridlab, or make it "
            "with `hybridlab ship --install`"
        )
    return SHIPPED_FOLDER


def _packed(name: str, value: Tensor, half: bool) -> Tensor:
    value = value.detach().cpu().contiguous()
    if half and value.dim() >= 2 and value.is_floating_point():
        value = value.half()
    if not bool(torch.isfinite(value).all()):
        raise ValueError(
            f"{name} holds NaN or infinity{' as float16' if half else ''}; lower the learning rate "
            f"and train again{', or pass half=False' if half else ''}"
        )
    return value.clone()  # safetensors refuses tensors that share memory


def _parts(model: HybridClassifier, own_cnn: bool) -> dict[str, object]:
    cnn, clip, decoder = model.cnn, model.clip, model.decoder
    parts = {
        "cnn": CnnPart(
            cnn.name, cnn.stage, cnn.weights_hash(), cnn.preprocessing.to_dict(), cnn.places,
            own_cnn,
        ),
        "clip": ClipPart(clip.name, int(model.text_emb.shape[1]), clip.preprocessing.to_dict()),
        "decoder": DecoderPart(
            decoder.channels, decoder.dim, decoder.layers, decoder.dropout.p, decoder.max_steps,
            decoder.cell, decoder.look, decoder.output, decoder.feed_image, decoder.reading,
        ),
        "fusion": FusionPart(
            model.fusion_name, model.dim, model.dropout, model.view, model.tokens, model.without,
            model.text_bias, model.options, model.own is not None,
        ),
    }
    return {name: asdict(part) for name, part in parts.items()}  # type: ignore[call-overload]


def versions_of(*packages: str) -> dict[str, str]:
    """Of hybridlab and of the packages named, as a bundle and an export keep them."""
    return {"hybridlab": __version__, **{package: version(package) for package in packages}}
