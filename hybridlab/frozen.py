"""What the parts of an experiment begin with: frozen encoders and drawn scenes.

Reading weights, cutting a network and hashing it takes half a second, drawing a thousand scenes
one or two; the runs of a study ask for the same few again and again. So each is made once in a
process. Who asks for an encoder gets a copy, which may be trained or changed without harm to the
next; the keys are those of the originals.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache

from torch import Tensor, channels_last

from hybridlab.configs import ALL_PLACES
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import SceneConfig
from hybridlab.encoders.base import freeze
from hybridlab.encoders.clip import ClipEncoder, build_tiny_clip
from hybridlab.encoders.cnn import CNNEncoder, build_cnn
from hybridlab.training.feature_cache import feature_key
from hybridlab.training.features import scene_images
from hybridlab.zeroshot.text_bank import label_embeddings

BACKBONE = "efficientnet_lite0"
_once = lru_cache(maxsize=8)


def frozen_cnn(
    image_size: int, stage: str | None = None, places: int = ALL_PLACES
) -> CNNEncoder:
    """A CNN with ImageNet weights, up to a stage (None: to the end); places as in `build_cnn`."""
    return deepcopy(_cnn(image_size, stage, places))


def frozen_clip() -> ClipEncoder:
    """The tiny CLIP."""
    original = _clip()
    # the tokenizer has nothing to change, and is slow to copy
    return deepcopy(original, {id(original.tokenizer): original.tokenizer})


def text_embeddings(texts: Sequence[str]) -> Tensor:
    """(L, D_clip) of the tiny CLIP."""
    return _texts(tuple(texts)).clone()


def cnn_key(
    image_size: int, stage: str | None, scenes: SceneDataset, places: int = ALL_PLACES
) -> str:
    """The name of a cache file of `frozen_cnn`'s features."""
    asked = image_size, stage, places
    return feature_key(_cnn(*asked), scenes, _cnn_weights(*asked))


def clip_key(scenes: SceneDataset) -> str:
    """The name of a cache file of `frozen_clip`'s features."""
    return feature_key(_clip(), scenes, _clip_weights())


def drawn(scenes: SceneDataset) -> Tensor:
    """All images of a split, (N, 3, H, W) uint8; the same tensor for all who ask: leave it be."""
    return _drawn(len(scenes), scenes.split, scenes.config)


@lru_cache(maxsize=3)  # the splits of one world: more would fill the memory
def _drawn(size: int, split: str, config: SceneConfig) -> Tensor:
    return scene_images(SceneDataset(size, split, config))[0]


@_once
def _cnn(image_size: int, stage: str | None, places: int) -> CNNEncoder:
    cnn = build_cnn(BACKBONE, image_size=image_size, stage=stage, places=places)
    return freeze(cnn).to(memory_format=channels_last)


@_once
def _clip() -> ClipEncoder:
    return freeze(build_tiny_clip()).to(memory_format=channels_last)


@_once
def _cnn_weights(image_size: int, stage: str | None, places: int) -> str:
    return _cnn(image_size, stage, places).weights_hash()


@_once
def _clip_weights() -> str:
    return _clip().weights_hash()


@_once
def _texts(texts: tuple[str, ...]) -> Tensor:
    return label_embeddings(_clip(), texts)


def forget() -> None:
    """Build all anew when it is asked for next, as a new process would."""
    for made in (_cnn, _clip, _cnn_weights, _clip_weights, _texts, _drawn):
        made.cache_clear()
