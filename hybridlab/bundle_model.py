"""Rebuilding a bundle's model: the CNN by name and hash, the rest as shapes to be filled."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from hybridlab.bundle_files import BundleError, short
from hybridlab.bundle_format import ClipPart, CnnPart, Manifest
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.base import MissingWeightsError, freeze
from hybridlab.encoders.clip import TINY, TINY_FOLDER, ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder, build_cnn
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.model import HybridClassifier


def stored_tensors(model: HybridClassifier, own_cnn: bool = False) -> dict[str, Tensor]:
    """The tensors that a bundle holds: of CLIP only what sees images, and the CNN only where its
    weights are no package's."""
    kept = ("clip.model.visual.", "clip.model.logit_scale", *(("cnn.",) if own_cnn else ()))
    return {
        name: value
        for name, value in model.state_dict().items()
        if not name.startswith(("cnn.", "clip.")) or name.startswith(kept)
    }


def has_own_weights(cnn: CNNEncoder) -> bool:
    """Whether a CNN's weights are others than those that its name stands for."""
    try:
        known = build_cnn(
            cnn.name, stage=cnn.stage, image_size=cnn.preprocessing.image_size, places=cnn.places
        )
    except (ValueError, MissingWeightsError):
        return True
    return known.weights_hash() != cnn.weights_hash()


def checked_cnn(folder: Path, part: CnnPart, cnn: CNNEncoder | None) -> CNNEncoder:
    """The frozen CNN that a bundle was trained on: `cnn`, or built by name.

    Raises:
        BundleError: it cannot be built, or its weights or preprocessing are not the saved ones.
    """
    preprocessing = Preprocessing.from_dict(part.preprocessing)
    if cnn is None:
        try:
            cnn = build_cnn(
                part.name, stage=part.stage, image_size=preprocessing.image_size,
                places=part.places, pretrained=not part.own_weights,
            )
        except (ValueError, MissingWeightsError) as error:
            raise BundleError(f"{folder}: its CNN cannot be built: {error}") from error
        cnn.preprocessing = preprocessing
        if part.own_weights:  # they come from the file, every byte of which is checked
            return freeze(cnn)
    if cnn.weights_hash() != part.weights_hash:
        raise BundleError(
            f"{folder}: it was trained on a {part.name} with other weights than the ones here; "
            "install the package versions that bundle.json names, or pass the encoder as cnn="
        )
    if cnn.preprocessing != preprocessing:
        raise BundleError(
            f"{folder}: {part.name} was used with {preprocessing}, but it has {cnn.preprocessing} "
            "here; build it with the bundle's and pass it as cnn="
        )
    return freeze(cnn)


def skeleton(manifest: Manifest, cnn: CNNEncoder) -> HybridClassifier:
    """The model's shapes on "meta": no memory, no random numbers drawn, whatever the sizes say."""
    decoder, fusion, clip = manifest.decoder, manifest.fusion, manifest.clip
    n_labels = len(manifest.vocabulary)
    with torch.device("meta"):
        return HybridClassifier(
            cnn,
            LabelDecoder(
                decoder.channels, n_labels, decoder.dim, decoder.layers, decoder.dropout,
                decoder.max_steps, decoder.cell, decoder.look, decoder.output, decoder.feed_image,
                decoder.read,
            ),
            _image_only_clip(clip),
            torch.empty(n_labels, clip.dim),
            dim=fusion.dim,
            fusion=fusion.name,
            dropout=fusion.dropout,
            view=fusion.view,
            tokens=fusion.tokens,
            without=fusion.without,
            text_bias=fusion.text_bias,
            options=fusion.options,
            own_opinion=fusion.own_opinion,
        )


class _ImageTower(nn.Module):
    """What is left of a CLIP model without its texts."""

    def __init__(self, visual: nn.Module):
        super().__init__()
        self.visual = visual
        self.logit_scale = nn.Parameter(torch.empty(()))


def _no_texts(texts: list[str]) -> Tensor:
    raise NotImplementedError(
        "a bundle has no text tower, only the label texts in `model.text_emb`; build the CLIP "
        "model by name to encode other texts"
    )


def _image_only_clip(part: ClipPart) -> ClipEncoder:
    # The tower alone. `open_clip.create_model` would build the texts' tower too, and warn of
    # random weights; and it takes names that fetch files, which a stranger's bundle must not.
    import open_clip
    from open_clip.model import _build_vision_tower

    preprocessing = Preprocessing.from_dict(part.preprocessing)
    if part.name == TINY:
        config = json.loads((TINY_FOLDER / "open_clip_config.json").read_text())["model_cfg"]
    else:
        name, _, tag = part.name.partition(":")
        if name not in open_clip.list_models():  # first: get_model_config also fetches by address
            raise ValueError(f"open_clip knows no model {short(name)}; update open_clip_torch")
        config = open_clip.get_model_config(name)
        if tag in open_clip.list_pretrained_tags_by_model(name):
            # some weights were trained with another GELU than their model's name says
            quick = bool(open_clip.get_pretrained_cfg(name, tag).get("quick_gelu"))
            config["quick_gelu"] = config.get("quick_gelu", False) or quick
    vision = {
        **config["vision_cfg"],
        "timm_model_pretrained": False,
        "image_size": preprocessing.image_size,  # a ViT's position table depends on it
    }
    visual = _build_vision_tower(config["embed_dim"], vision, config.get("quick_gelu", False))
    clip = ClipEncoder(_ImageTower(visual), _no_texts, preprocessing, part.name)
    clip.dim = part.dim
    return clip
