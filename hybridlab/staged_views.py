"""What the parts of a staged training look at: features of frozen encoders, and the two views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SPLITS
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.encoders.preprocessing import Preprocessing
from hybridlab.fusion import ATTENTIVE
from hybridlab.fusion.view import View
from hybridlab.fusion.views import cnn_rnn_view
from hybridlab.model import HybridClassifier
from hybridlab.picture_source import Leave, PictureSource
from hybridlab.training.decoding import decode_steps, together
from hybridlab.training.feature_cache import Tensors, cached, feature_facts, in_shards, key_of
from hybridlab.training.features import clip_features, cnn_features
from hybridlab.training.hybrid_data import HybridData, looks_of
from hybridlab.training.plans import TrainPlan
from hybridlab.training.stage import Stage

Say = Callable[[str], None]
Crossed = tuple[list[LabelDecoder], Tensor]  # decoders, and which has not seen which picture (N,)


class SplitViews:
    """The splits of a source as encoders see them.

    Args:
        device: where the encoders work.
        cache: folder of the features of frozen encoders; None keeps them in memory only.
        leave: raises if somebody asked to stop.
    """

    def __init__(
        self, source: PictureSource, config: DemoConfig, plan: TrainPlan, device: torch.device,
        cache: Path | None, say: Say, leave: Leave,
    ):
        self.source, self.config, self.plan = source, config, plan
        self.device, self.cache, self.say, self.leave = device, cache, say, leave

    def features(
        self, encoder: CNNEncoder | ClipEncoder, name: str, split: str,
        encode: Callable[[Tensor], Tensors],
    ) -> Tensors:
        """What an encoder gives for a split, from the cache, or made piece by piece."""
        data = self.source.splits[split]
        facts = feature_facts(encoder, data)

        def compute() -> Tensors:
            self.say(f"encoding {len(data)} {split} {self.source.noun} with {name}")

            def piece(begin: int, end: int) -> Tensors:
                self.leave()
                found = [encode(few) for few in
                         self.source.chunks(split, begin, end, encoder.preprocessing)]
                return {key: torch.cat([each[key] for each in found]) for key in found[0]}

            return in_shards(self.cache, key_of(facts), len(data), piece)

        return cached(self.cache, key_of(facts), compute, facts)

    def cnn_tokens(self, cnn: CNNEncoder, split: str) -> Tensor:
        """(N, P, C), half precision."""
        return self.features(
            cnn, "the CNN", split, lambda images: cnn_features(cnn.to(self.device), images),
        )["tokens"]

    def clip_view(self, clip: ClipEncoder, split: str) -> View:
        """CLIP's view of a split, by a tower as it is now."""
        seen = self.features(
            clip, "CLIP", split, lambda images: clip_features(clip.to(self.device), images),
        )
        attends = self.config.fusion in ATTENTIVE
        return View(seen["image_emb"], seen["tokens"].float() if attends else None)

    def image_emb(self, clip: ClipEncoder, split: str) -> Tensor:
        """(N, D) of a tower that has learnt, of which nothing is kept."""
        count = len(self.source.splits[split])
        return torch.cat([
            clip_features(clip, few)["image_emb"]
            for few in self.source.chunks(split, 0, count, clip.preprocessing)
        ])

    def data(
        self, model: HybridClassifier, tokens: dict[str, Tensor], crossed: Crossed,
        stages: Sequence[Stage],
    ) -> dict[str, HybridData]:
        """The three splits, with what the stages look at."""
        plan, found = self.plan, {}
        looks = lookers(stages, model) if plan.plan != "frozen" else []
        for split in SPLITS:
            seen_by_others = crossed if crossed[0] and split == "train" else None
            extra: dict[str, Any] = {}
            if split == "train" and looks and plan.augment:
                extra["boxes"] = self.source.boxes(split, looks)
            if seen_by_others:
                extra["folds"] = crossed[1]
            if split == "train" and plan.curriculum == "clutter":
                extra["clutter"] = self.source.clutter(split)
            found[split] = HybridData(
                self.source.targets[split], self.rnn_view(model, tokens[split], seen_by_others),
                self.clip_view(model.clip, split),
                self.source.pictures(split, looks, self.leave) if looks else None, **extra,
            )
        return found

    def rnn_view(self, model: HybridClassifier, tokens: Tensor, crossed: Crossed | None) -> View:
        """The CNN-RNN's view; of the training split by decoders that have not seen the picture."""
        config = self.config
        reads = config.tokens if config.fusion in ATTENTIVE else None
        seen = tokens.float() if "map" in (config.view, reads) else None
        if config.view == "map":
            return cnn_rnn_view("map", None, seen, reads)
        if not config.hears_decoder:
            width = config.dim if config.view == "state" else len(self.source.vocabulary)
            nothing = torch.zeros(len(tokens), width)
            return View(nothing, nothing[:, None] if reads == "steps" else seen).absent()
        if crossed is None:
            decoded = decode_steps(model.decoder, tokens)
        else:
            decoders, folds = crossed
            rows = [(folds == number).nonzero()[:, 0] for number in range(len(decoders))]
            whole = together([decode_steps(decoder, tokens[its])
                              for decoder, its in zip(decoders, rows, strict=True)])
            back = torch.cat(rows).argsort()
            decoded = type(whole)(**{name: value[back] for name, value in vars(whole).items()})
        return cnn_rnn_view(config.view, decoded, seen, reads)


def lookers(stages: Sequence[Stage], model: HybridClassifier) -> list[Preprocessing]:
    """The preprocessing of each encoder that looks at pictures anew in some stage."""
    looks = [looks_of(stage) for stage in stages]
    found = [model.cnn.preprocessing] if any(each.cnn_rnn for each in looks) else []
    return found + ([model.clip.preprocessing] if any(each.clip for each in looks) else [])
