"""The encoders of a training: the usual ones, shared by all runs of a process, or others by name.

What cannot be had is told before anything is trained: a network without weights never passes for
one with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, channels_last

from hybridlab.configs import DemoConfig
from hybridlab.decoder.build import CNN_RNNS
from hybridlab.encoder_config import RANDOM, EncoderConfig
from hybridlab.encoders.base import freeze
from hybridlab.encoders.clip import TINY, ClipEncoder
from hybridlab.encoders.clip_hub import FOLDER, build_clip
from hybridlab.encoders.clip_preprocessing import from_open_clip, of_tag
from hybridlab.encoders.cnn import CNNEncoder, build_cnn
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.frozen import frozen_clip, frozen_cnn, text_embeddings
from hybridlab.zeroshot.text_bank import label_embeddings


@dataclass(frozen=True)
class Encoders:
    """What a training begins with.

    Attributes:
        cnn, clip: give them, frozen; whoever asks may train what is given.
        texts: texts -> (L, D_clip), unit length, of that CLIP as it begins.
        decoder: options of `LabelDecoder` in place of its defaults.
    """

    cnn: Callable[[], CNNEncoder]
    clip: Callable[[], ClipEncoder]
    texts: Callable[[Sequence[str]], Tensor]
    decoder: Mapping[str, Any] = field(default_factory=dict)


def usual_encoders(config: DemoConfig) -> Encoders:
    """The Lite0 and the tiny CLIP that come with the package."""
    return Encoders(
        lambda: frozen_cnn(config.cnn_size, config.cnn_stage, config.cnn_places), frozen_clip,
        text_embeddings,
    )


def chosen_encoders(choice: EncoderConfig, config: DemoConfig) -> Encoders:
    """Encoders by name, built once, at once.

    Raises:
        MissingWeightsError: weights are neither on this machine nor to be fetched; the message says
            which, and where to put them.
        ValueError: an unknown name, weights that do not fit, or a CLIP that a bundle cannot name.
    """
    usual = usual_encoders(config)
    options = CNN_RNNS["repository"][1] if choice.model == "cnn-rnn" else {}
    cnn, clip, texts = usual.cnn, usual.clip, usual.texts
    if choice.cnn_name != EncoderConfig().cnn_name or choice.cnn_weights:
        one = freeze(_cnn(choice, config)).to(memory_format=channels_last)
        cnn = lambda: one  # noqa: E731
    if choice.clip != TINY or choice.clip_weights:
        other = freeze(_clip(choice, config.seed)).to(memory_format=channels_last)
        clip, texts = lambda: other, _texts_of(other)
    return Encoders(cnn, clip, texts, options)


def _cnn(choice: EncoderConfig, config: DemoConfig) -> CNNEncoder:
    weights = choice.cnn_weights
    if weights not in ("", RANDOM) and not Path(weights).is_file():
        raise FileNotFoundError(f"there is no file {weights}; look at --cnn-weights")
    return build_cnn(
        choice.cnn_name, stage=config.cnn_stage, image_size=config.cnn_size,
        places=config.cnn_places, seed=config.seed, pretrained=weights != RANDOM,
        weights_path=weights if weights not in ("", RANDOM) else None,
    )


def _clip(choice: EncoderConfig, seed: int) -> ClipEncoder:
    weights = choice.clip_weights
    if choice.clip.startswith(FOLDER):
        raise ValueError(
            f"clip is {choice.clip!r}, but a bundle names its tower by open_clip's names alone; "
            "give MODEL:TAG, and the folder's file of weights as --clip-weights"
        )
    if weights in ("", RANDOM):
        return build_clip(choice.clip, pretrained=weights != RANDOM, seed=seed)
    if not Path(weights).is_file():
        raise FileNotFoundError(f"there is no file {weights}; look at --clip-weights")
    return build_clip(choice.clip, weights_path=weights, preprocessing=_told(choice.clip))


def _told(name: str) -> Preprocessing:
    """The preprocessing that open_clip records for MODEL:TAG; a file of weights tells none."""
    import open_clip

    model, _, tag = name.partition(":")
    config = open_clip.get_model_config(model) if model in open_clip.list_models() else None
    if config is None or tag not in open_clip.list_pretrained_tags_by_model(model):
        raise ValueError(
            f"clip is {name!r}; with --clip-weights give the MODEL:TAG of open_clip whose weights "
            "they are, which says how pictures are prepared"
        )
    return from_open_clip(of_tag(model, tag) or {}, config["vision_cfg"]["image_size"],
                          f"open_clip's record of {name}")


def _texts_of(clip: ClipEncoder) -> Callable[[Sequence[str]], Tensor]:
    """Of a CLIP as it is now, kept: its tower of texts never learns."""
    @cache
    def embedded(texts: tuple[str, ...]) -> Tensor:
        return label_embeddings(clip, texts)

    return lambda texts: embedded(tuple(texts)).clone()
