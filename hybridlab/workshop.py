"""The parts of one experiment on the small world, each made when it is first asked for.

A part's key is a hash of all that it depends on: the parts it is made from, the settings it reads,
the seed and the code. With a `store`, parts are kept on disk under their keys. Two experiments that
differ in the fusion then share features, decoder and baselines, in one process or in many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SPLITS, SceneDataset, label_matrix
from hybridlab.data.world import WORLD, SceneConfig, with_article
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.decoder.decoded import Decoded
from hybridlab.encoders.clip import ClipEncoder, ImageFeatures
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.encoders.zero_shot import global_scores, patch_scores
from hybridlab.frozen import clip_key, cnn_key, drawn, frozen_clip, frozen_cnn, text_embeddings
from hybridlab.fusion import ATTENTIVE
from hybridlab.fusion.view import View
from hybridlab.fusion.views import cnn_rnn_view
from hybridlab.model import HybridClassifier
from hybridlab.part_keys import FEATURES, all_parts, part_key, short_hash
from hybridlab.part_store import PartStore
from hybridlab.training.decoding import DecodedSplit, decode_all, decode_steps
from hybridlab.training.feature_cache import Tensors, in_shards
from hybridlab.training.features import clip_features, cnn_features
from hybridlab.training.held import Held, seeded
from hybridlab.training.loop import Report, silent
from hybridlab.training.probe import train_linear
from hybridlab.training.stages import (
    cross_fitted,
    fused_logits,
    train_decoder,
    train_fusion,
    tune_vision,
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A hybrid after a phase, and its logits (N, L) on two splits."""

    model: HybridClassifier
    val: Tensor
    test: Tensor


class Workshop:
    """Scenes, features, baselines, decoder, fusion and tuned model of one configuration.

    Args:
        config: sizes, epochs, rates, seed.
        scenes: the dials of the world; the defaults with the configuration's seed when None.
        cache: folder for the features of frozen encoders; None keeps them in memory only.
        store: folder for everything that is trained; None trains anew each time.
        say: called with one line at the start of each part that is made.
        report: called after each training step.

    Attributes:
        splits: "train", "val" and "test" -> scenes.
    """

    def __init__(
        self,
        config: DemoConfig,
        scenes: SceneConfig | None = None,
        *,
        cache: Path | None = None,
        store: Path | None = None,
        say: Say = lambda line: None,
        report: Report = silent,
    ):
        self.config, self.cache, self.store = config, cache, store
        self.say, self.report = say, report
        self.scenes = scenes = scenes or SceneConfig(seed=config.seed)
        sizes = (config.train, config.val, config.test)
        self.splits = {
            split: SceneDataset(size, split, scenes)
            for split, size in zip(SPLITS, sizes, strict=True)
        }
        self._parts = PartStore()
        self._keys: dict[str, str] = {}

    def variant(self, **changes: Any) -> Workshop:
        """The same experiment with some settings changed; what they do not touch is shared.

        Args:
            changes: fields of the configuration that do not change the scenes.

        Raises:
            ValueError: a change of `train`, `val` or `test`, which would need other scenes.
        """
        if {"train", "val", "test"} & set(changes):
            raise ValueError(f"{changes} would change the scenes; make a new Workshop")
        other = Workshop(
            replace(self.config, **changes), self.scenes, cache=self.cache, store=self.store,
            say=self.say, report=self.report,
        )
        other._parts = self._parts
        given = ["targets", "clip", "text_emb"]
        if not {"cnn_size", "cnn_stage", "cnn_places"} & set(changes):
            given += ["cnn", "_whole_cnn"]
        for name in given:
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    # --- what is given --------------------------------------------------------------------------

    @cached_property
    def targets(self) -> Tensors:
        """Split -> (N, L)."""
        return {split: torch.from_numpy(label_matrix(data)) for split, data in self.splits.items()}

    @cached_property
    def cnn(self) -> CNNEncoder:
        """The frozen CNN, up to the stage that the decoder reads."""
        config = self.config
        return frozen_cnn(config.cnn_size, config.cnn_stage, config.cnn_places)

    @cached_property
    def _whole_cnn(self) -> CNNEncoder:
        return frozen_cnn(self.config.cnn_size)

    @cached_property
    def clip(self) -> ClipEncoder:
        """The frozen tiny CLIP."""
        return frozen_clip()

    @cached_property
    def text_emb(self) -> Tensor:
        """(L, D_clip), the label texts."""
        return text_embeddings([with_article(name) for name in WORLD])

    # --- features -------------------------------------------------------------------------------

    def cnn_features(self, split: str) -> Tensors:
        """"tokens" (N, P, C) of the cut CNN, and "pooled" (N, C') of the whole one."""

        def compute() -> Tensors:
            self.say(f"encoding {len(self.splits[split])} {split} scenes with the frozen CNN")
            rest = nn.Sequential(*list(self._whole_cnn.trunk)[len(self.cnn.trunk) :])
            images = self.images(split)
            return in_shards(
                self.cache, self.key(f"cnn {split}"), len(images),
                lambda begin, end: cnn_features(self.cnn, images[begin:end], rest),
            )

        return self._made(self.cache, f"cnn {split}", compute)

    def clip_features(self, split: str) -> Tensors:
        """"image_emb" (N, D) and "tokens" (N, P, D) of the frozen CLIP."""

        def compute() -> Tensors:
            self.say(f"encoding {len(self.splits[split])} {split} scenes with the frozen CLIP")
            images = self.images(split)
            return in_shards(
                self.cache, self.key(f"clip {split}"), len(images),
                lambda begin, end: clip_features(self.clip, images[begin:end]),
            )

        return self._made(self.cache, f"clip {split}", compute)

    def images(self, split: str) -> Tensor:
        """(N, 3, H, W) uint8, drawn when first asked for."""
        return drawn(self.splits[split])

    # --- the single views -----------------------------------------------------------------------

    def linear(self, view: str) -> Tensors:
        """Logits "val" and "test" of a linear head on the frozen "cnn" or "clip"."""
        features = {"cnn": self._pooled, "clip": self._embedded}[view]
        name = {"cnn": "CNN", "clip": "CLIP"}[view]

        def compute() -> Tensors:
            seen = {split: features(split) for split in SPLITS}
            self.say(f"baseline: a linear head on the frozen {name}")
            held = Held((seen["val"],), self.targets["val"])
            probe = train_linear(
                f"linear {name}", seen["train"], self.targets["train"], held, self.config,
                self.report,
            )
            with torch.no_grad():
                return {split: probe(seen[split]) for split in ("val", "test")}

        return self._made(self.store, f"linear {view}", compute)

    def zero_shot(self, score: str) -> Tensors:
        """Cosines "val" and "test" of CLIP with the label texts: "patch" or "global"."""
        function = {"patch": patch_scores, "global": global_scores}[score]

        def scores(split: str) -> Tensor:
            seen = self.clip_features(split)
            features = ImageFeatures(seen["image_emb"], seen["tokens"].float(), (0, 0))
            return function(features, self.text_emb)

        return {split: scores(split) for split in ("val", "test")}

    @cached_property
    def decoder(self) -> LabelDecoder:
        """Phase 0: fitted on all training scenes."""

        def compute() -> Tensors:
            train, val = self._tokens("train"), self._tokens("val")
            self.say("phase 0: the CNN-RNN learns to write labels one by one")
            held = Held((val,), self.targets["val"])
            decoder = train_decoder(train, self.targets["train"], held, self.config, self.report)
            return decoder.state_dict()

        decoder = self._untrained_decoder()
        decoder.load_state_dict(self._made(self.store, "decoder", compute))
        return decoder.eval()

    def _untrained_decoder(self) -> LabelDecoder:
        config = self.config
        return seeded(
            config.seed,
            lambda: LabelDecoder(
                self.cnn.channels, len(WORLD), dim=config.dim, dropout=0.3, read=config.read
            ),
        )

    def decoded(self, split: str) -> DecodedSplit:
        """Free-running decoding of a split by `decoder`."""
        found = self._made(
            self.store, f"decoded {split}",
            lambda: decode_all(self.decoder, self._tokens(split))._asdict(),
        )
        return DecodedSplit(**found)

    # --- the hybrid -----------------------------------------------------------------------------

    def views(self, split: str) -> tuple[View, View]:
        """What enters the fusion: the CNN-RNN's view and CLIP's; with tokens if the fusion attends.

        On the training split, evidence comes from decoders that have not seen the scene.
        """
        return self._cnn_rnn_view(split), self.clip_view(split)

    def seen_by(self, clip: ClipEncoder, images: Tensor) -> View:
        """CLIP's view of images (N, 3, H, W), by a tower of which nothing is kept on disk."""
        return self._as_view(clip_features(clip, images))

    def clip_view(self, split: str) -> View:
        """CLIP's half of `views`, for which no decoder is trained."""
        return self._as_view(self.clip_features(split))

    def _as_view(self, seen: Tensors) -> View:
        attends = self.config.fusion in ATTENTIVE
        return View(seen["image_emb"], seen["tokens"].float() if attends else None)

    def _cnn_rnn_view(self, split: str) -> View:
        """By `fusion.views.cnn_rnn_view`, of parts that are made once."""
        config = self.config
        tokens = config.tokens if config.fusion in ATTENTIVE else None
        cnn_tokens = self._tokens(split).float() if tokens == "map" else None
        if config.view == "map":
            return cnn_rnn_view("map", None, self._tokens(split).float(), tokens)
        if not config.hears_decoder:  # and so none is trained
            width = config.dim if config.view == "state" else len(WORLD)
            nothing = torch.zeros(len(self.splits[split]), width)
            parts = nothing[:, None] if tokens == "steps" else cnn_tokens
            return View(nothing, parts).absent()
        if tokens == "steps":
            decoded = self._steps(split)
        else:
            h_rnn, probs, _ = self.decoded(split)
            empty = torch.empty(0)
            decoded = Decoded(empty, empty, empty, empty, h_rnn, empty, probs)
        if split == "train" and config.view == "evidence" and config.folds > 1:
            decoded = replace(decoded, **self._cross_fitted())
        return cnn_rnn_view(config.view, decoded, cnn_tokens, tokens)

    def _steps(self, split: str) -> Decoded:
        """Free-running decoding of a split by `decoder`, with everything that each step had."""
        found = self._made(
            self.store, f"steps {split}",
            lambda: vars(decode_steps(self.decoder, self._tokens(split))),
        )
        return Decoded(**found)

    def _cross_fitted(self) -> Tensors:
        def compute() -> Tensors:
            tokens, targets = self._tokens("train"), self.targets["train"]
            self.say("cross-fitting: each part of the scenes is decoded by who has not seen it")
            return cross_fitted(tokens, targets, self.config, self.report)

        return self._made(self.store, "cross-fit", compute)

    @cached_property
    def fused(self) -> Trained:
        """Phase 1: fusion and heads on the two frozen views."""
        model = self.new_model(self.clip)

        def compute() -> Tensors:
            views = {split: self.views(split) for split in SPLITS}
            self.say(f"phase 1: fusion and heads; the decoder brings its {self.config.view}")
            held = Held(views["val"], self.targets["val"])
            train_fusion(
                model, *views["train"], self.targets["train"], held, self.config, self.report
            )
            logits = {split: fused_logits(model.eval(), *views[split]) for split in ("val", "test")}
            return {**logits, **_prefixed("joint.", model.joint_modules())}

        made = self._made(self.store, "fusion", compute)
        _load("joint.", made, model.joint_modules())
        return Trained(model.eval(), made["val"], made["test"])

    @cached_property
    def tuned(self) -> Trained:
        """Phase 2: CLIP's vision tower joins at a lower rate; without epochs, phase 1's model."""
        if self.config.tune_epochs == 0:
            return self.fused
        clip = frozen_clip()
        model = self.new_model(clip)

        def compute() -> Tensors:
            model.joint_modules().load_state_dict(self.fused.model.joint_modules().state_dict())
            rnn = {split: self._cnn_rnn_view(split) for split in SPLITS}
            images, targets = self.images("train"), self.targets
            self.say("phase 2: CLIP's vision tower joins, at a lower rate")
            held = Held((rnn["val"], self.images("val")), targets["val"])
            tune_vision(
                model, rnn["train"], images, targets["train"], held, self.config, self.report
            )
            logits = {
                split: fused_logits(
                    model.eval(), rnn[split], self.seen_by(clip, self.images(split))
                )
                for split in ("val", "test")
            }
            return {**logits, **_prefixed("joint.", model.joint_modules()),
                    **_prefixed("vision.", clip.vision)}

        made = self._made(self.store, "tuned", compute)
        _load("joint.", made, model.joint_modules())
        _load("vision.", made, clip.vision)
        return Trained(model.eval(), made["val"], made["test"])

    # --- keys -----------------------------------------------------------------------------------

    def key(self, part: str) -> str:
        """The name of a part: a hash of all that it depends on."""
        if part not in self._keys:
            self._keys[part] = (
                self._feature_key(*part.split(" ")) if part.startswith(FEATURES) and " " in part
                else part_key(part, self.config, self.key, self._texts)
            )
        return self._keys[part]

    @cached_property
    def _texts(self) -> str:
        return short_hash(str(self.text_emb.tolist()))

    def _feature_key(self, kind: str, split: str) -> str:
        data = self.splits[split]
        if kind == "clip":
            return clip_key(data)
        config = self.config
        cut = cnn_key(config.cnn_size, config.cnn_stage, data, config.cnn_places)
        return short_hash(cut + cnn_key(config.cnn_size, None, data))

    def _made(
        self, folder: Path | None, part: str, compute: Callable[[], Tensors]
    ) -> Tensors:
        return self._parts.made(folder, self.key(part), compute)

    def seconds(self, part: str) -> dict[str, float]:
        """What a part and all that it is made from took to make, by part, whoever made them.

        A part that was neither made here nor is in the store is left out.
        """
        costs = {}
        for name in sorted(all_parts(part, self.config)):
            folder = self.cache if name.startswith(FEATURES) else self.store
            cost = self._parts.seconds(folder, self.key(name))
            if cost is not None:
                costs[name] = cost
        return costs

    # --- shorthands -----------------------------------------------------------------------------

    def _tokens(self, split: str) -> Tensor:
        return self.cnn_features(split)["tokens"]

    def _pooled(self, split: str) -> Tensor:
        return self.cnn_features(split)["pooled"]

    def _embedded(self, split: str) -> Tensor:
        return self.clip_features(split)["image_emb"]

    def new_model(self, clip: ClipEncoder) -> HybridClassifier:
        """The hybrid before phase 1: a trained decoder, if it is heard; fusion and heads anew."""
        config = self.config
        decoder = self.decoder if config.hears_decoder else self._untrained_decoder()
        return seeded(
            config.seed,
            lambda: HybridClassifier(
                self.cnn, decoder, clip, self.text_emb, dim=config.dim, fusion=config.fusion,
                dropout=config.dropout, view=config.view, tokens=config.tokens,
                without=config.without, text_bias=config.alignment == "sigmoid",
                options=config.fusion_options, own_opinion=config.own_opinion,
            ),
        )


def _prefixed(prefix: str, module: nn.Module) -> Tensors:
    return {prefix + name: value for name, value in module.state_dict().items()}


def _load(prefix: str, tensors: Tensors, module: nn.Module) -> None:
    module.load_state_dict(
        {name.removeprefix(prefix): value for name, value in tensors.items()
         if name.startswith(prefix)}
    )
