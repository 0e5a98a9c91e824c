"""Small things to test with: what a trunk might have seen, a vocabulary, a method that is quick."""

from __future__ import annotations

import torch

from hybridlab.encoders.base import EncoderOutput
from hybridlab.encoders.cnn import build_cnn
from hybridlab.pretraining.bow import BagOfWords
from hybridlab.pretraining.cross import CrossCaptioner
from hybridlab.pretraining.dual import DualEncoder
from hybridlab.pretraining.methods import Method
from hybridlab.pretraining.prefix import PrefixCaptioner
from hybridlab.pretraining.words import WordVocabulary
from hybridlab.training.held import seeded

CHANNELS = 12
WORDS = WordVocabulary(["a", "cow", "egg", "milk", "of", "picture"], context=9)
CAPTIONS = ["a cow", "a picture of a cow of milk", "egg"]


def seen(count: int, side: int = 2, seed: int = 0) -> EncoderOutput:
    """`count` pictures as a trunk of 12 channels may see them."""
    generator = torch.Generator().manual_seed(seed)
    feature_map = torch.randn(count, CHANNELS, side, side, generator=generator)
    tokens = feature_map.flatten(2).transpose(1, 2)
    return EncoderOutput(feature_map, tokens, tokens.mean(dim=1))


def only(pictures: EncoderOutput, at: int) -> EncoderOutput:
    """One picture of several."""
    rows = slice(at, at + 1)
    return EncoderOutput(pictures.feature_map[rows], pictures.tokens[rows], pictures.pooled[rows])


def quick_method(name: str, vocabulary: WordVocabulary, seed: int = 0) -> Method:
    """A method on the first two stages of the trunk: a tenth of its cost."""
    heads = {
        "clip": DualEncoder, "bow": BagOfWords, "prefix": PrefixCaptioner, "cross": CrossCaptioner
    }
    trunk = build_cnn("efficientnet_lite0", stage="stage2").train()
    return Method(name, trunk, seeded(seed, lambda: heads[name](trunk.channels, vocabulary)))
