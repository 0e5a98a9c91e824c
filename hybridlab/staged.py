"""The parts of a staged training: CNN, decoders, the joint stages, and what they are measured by.

Each part is a training of its own, by the same trainer, with checkpoints and logs of its own. A run
that is resumed goes through all of them again: those that are done say so by their last checkpoint,
and take no step. `train` makes, locks and resumes the folder of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hybridlab.bundle import save_bundle
from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SPLITS, SceneDataset, label_matrix
from hybridlab.data.world import WORLD, SceneConfig, with_article
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.evaluation.metrics import mean_ap, threshold_metrics
from hybridlab.evaluation.thresholds import per_label_thresholds
from hybridlab.files import write_json
from hybridlab.frozen import drawn, frozen_clip, frozen_cnn, text_embeddings
from hybridlab.fusion import ATTENTIVE
from hybridlab.fusion.view import View
from hybridlab.fusion.views import cnn_rnn_view
from hybridlab.model import HybridClassifier
from hybridlab.training.augmentation import object_boxes
from hybridlab.training.checkpoints import CheckpointStore
from hybridlab.training.decoder_task import DecoderTask
from hybridlab.training.decoding import decode_steps, together
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.encoder_task import CnnClassifier, EncoderTask
from hybridlab.training.feature_cache import Tensors, cached, feature_facts, in_shards, key_of
from hybridlab.training.features import clip_features, cnn_features
from hybridlab.training.held import seeded
from hybridlab.training.hybrid_data import HybridData, clutter_of, looks_of
from hybridlab.training.hybrid_task import HybridTask
from hybridlab.training.interrupts import Stop
from hybridlab.training.logs import CsvLog, ProgressBar, TensorBoardLog
from hybridlab.training.plans import (
    TrainPlan,
    decoder_stage,
    encoder_stages,
    joint_stages,
    language_stage,
)
from hybridlab.training.recipes import ALIGNED, DecoderRecipe
from hybridlab.training.reports import EpochReport, Report, StepReport, StoppedError
from hybridlab.training.speed import with_channels_last
from hybridlab.training.stage import Stage
from hybridlab.training.task import Task
from hybridlab.training.trainer import train_stages
from hybridlab.zeroshot.naming import naming, other_names

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Say = Callable[[str], None]


class Components(NamedTuple):
    """What phase 0 leaves.

    Attributes:
        cnn: up to the stage that the decoder reads.
        tokens: split -> (N, P, C), half precision.
        decoder: fitted on all training scenes.
        others, folds: decoders without a share of them each, and which has not seen which (N,).
    """

    cnn: CNNEncoder
    tokens: dict[str, Tensor]
    decoder: LabelDecoder
    others: list[LabelDecoder]
    folds: Tensor


@dataclass(frozen=True)
class Trained:
    """A hybrid after all stages.

    Attributes:
        model: on its device.
        probs: "val" and "test" -> probabilities (N, L).
        known: "zero_shot_mean_ap", of the test scenes with words alone, and "naming", of things
            that no scene shows: each "before" and "after" the joint stages, by CLIP's image tower.
    """

    model: HybridClassifier
    probs: dict[str, np.ndarray]
    known: dict[str, dict[str, float]]


class StagedRun:
    """The parts of one run, in their order.

    Args:
        folder: of checkpoints and logs; None keeps none.
        phase_0: where the checkpoints of phase 0 are, if not with the others: runs that differ in
            the joint stages alone may share them.
        scenes: the dials of the world; the defaults with the configuration's seed when None.
        quiet: no progress bar.
        report: is told of the steps and epochs of the joint stages, such as a `LivePlot`.
    """

    def __init__(
        self, config: DemoConfig, plan: TrainPlan, devices: DeviceConfig, fabric: Fabric,
        folder: Path | None, cache: Path | None = None, say: Say = lambda line: None,
        stop: Stop | None = None, *, phase_0: Path | None = None,
        scenes: SceneConfig | None = None, quiet: bool = False, report: Report | None = None,
    ):
        self.config, self.plan, self.devices, self.fabric = config, plan, devices, fabric
        self.folder, self.cache, self.stop = folder, cache, stop or Stop()
        self.phase_0, self.quiet, self.report = phase_0 or folder, quiet, report
        self.say: Say = say if fabric.is_global_zero else _silent
        scenes = scenes or SceneConfig(seed=config.seed)
        sizes = (config.train, config.val, config.test)
        self.scenes = {split: SceneDataset(size, split, scenes)
                       for split, size in zip(SPLITS, sizes, strict=True)}
        self.targets = {split: torch.from_numpy(label_matrix(data))
                        for split, data in self.scenes.items()}
        self.recipe = DecoderRecipe(
            dim=config.dim, order=config.order, read=config.read, lr=config.lr,
            feeding="free" if config.order in ALIGNED else "teacher",
        )

    def phase_zero(self) -> Components:
        """The parts that are trained by themselves, and what the CNN gives."""
        cnn = self.cnn()
        tokens = {split: self.cnn_tokens(cnn, split) for split in SPLITS}
        decoder = self.decoder("decoder", tokens["train"], self.targets["train"], tokens["val"])
        others, folds = self.fold_decoders(tokens["train"])
        return Components(cnn, tokens, decoder, others, folds)

    def all_parts(self, components: Components | None = None) -> Trained:
        """From the CNN to the figures.

        Args:
            components: of phase 0, where it was done already.
        """
        model, data, task = self.hybrid(components or self.phase_zero())
        texts, names = _label_texts(), other_names(model.clip)
        stages = self.joint_stages(model)
        before = self.known(model.clip, data["test"].clip.pooled, texts, names)
        self.part("joint", model, task, stages)
        self.leave_if_asked()
        self.say("thresholds from the validation scenes, figures on the test scenes")
        model = model.eval().to(self.fabric.device)
        after = before
        if any(looks_of(stage).vision for stage in stages):
            seen = clip_features(model.clip, self.images("test"))["image_emb"]
            after = self.known(model.clip, seen, texts, names)
        return Trained(
            model, {split: self.probs(model, data[split], stages[-1]) for split in ("val", "test")},
            {name: {"before": before[name], "after": after[name]} for name in before},
        )

    def hybrid(
        self, components: Components
    ) -> tuple[HybridClassifier, dict[str, HybridData], HybridTask]:
        """The hybrid before its joint stages, the three splits as it sees them, and the task."""
        cnn, tokens, decoder, others, folds = components
        model = self.model(cnn, decoder, frozen_clip(), _label_texts())
        data = self.data(model, tokens, others, folds)
        if self.plan.crossfits:
            model.fit_views(data["train"].rnn, data["train"].clip)
        else:  # what an untrained decoder says has no scale to go by
            model.view_clip.fit(data["train"].clip.pooled)
        return model, data, HybridTask(
            data["train"], data["val"], self.config.classification, self.config.alignment, others,
            self.config.seed,
        )

    # --- parts ----------------------------------------------------------------------------------

    def leave_if_asked(self) -> None:
        """Between the trainings and within long preparations: what they saved is there already.

        Raises:
            StoppedError: somebody asked to stop.
        """
        if self.stop.asked:
            raise StoppedError(
                f"stopped by {self.stop.asked}; "
                + ("resume to go on" if self.folder else "nothing was saved: give a folder")
            )

    def part(self, name: str, model: nn.Module, task: Task, stages: Sequence[Stage]) -> nn.Module:
        """One training, with a folder for its checkpoints and one for its logs."""
        self.leave_if_asked()
        place = self.folder if name == "joint" else self.phase_0
        with ExitStack() as stack:
            told: list[Report] = []
            if self.report is not None and name == "joint":
                told.append(self.report)
            if not self.quiet:
                told.append(stack.enter_context(ProgressBar()))
            if self.fabric.is_global_zero and place is not None:
                logs = place / "logs" / name
                for log in (CsvLog(logs, stages), TensorBoardLog(logs)):
                    stack.callback(log.close)
                    told.append(log)

            def report(each: StepReport | EpochReport) -> None:
                for one in told:
                    one(each)

            if self.devices.channels_last:
                with_channels_last(model)
            train_stages(
                model, task, stages, self.fabric, seed=self.config.seed,
                store=None if place is None else CheckpointStore(place / "checkpoints" / name),
                save_every=self.plan.save_every, resume=True, report=report, say=self.say,
                stop=self.stop, workers=self.devices.workers, compiles=self.devices.compile,
            )
        return model.eval()

    def cnn(self) -> CNNEncoder:
        """The CNN up to the stage that the decoder reads: as it comes, or trained on the scenes."""
        config, plan = self.config, self.plan
        cnn = frozen_cnn(config.cnn_size, config.cnn_stage, config.cnn_places)
        if plan.encoder_epochs:
            self.say("phase 0: the CNN learns the labels, with one weight for each channel")
            boxes = object_boxes(self.scenes["train"]) if plan.augment else None
            task = EncoderTask(
                self.images("train"), self.targets["train"], self.images("val"),
                self.targets["val"], boxes, config.classification, config.seed,
            )
            classifier = seeded(config.seed, lambda: CnnClassifier(cnn, len(WORLD)))
            self.part("cnn", classifier, task, encoder_stages(config, plan))
        return cnn

    def decoder(
        self, name: str, tokens: Tensor, targets: Tensor, held_tokens: Tensor | None
    ) -> LabelDecoder:
        """A decoder on frozen tokens, begun from a model of label sequences where the plan says so.

        Args:
            held_tokens: of the validation scenes; None keeps the last epoch.
        """
        config, plan = self.config, self.plan
        decoder = seeded(config.seed, lambda: LabelDecoder(
            tokens.shape[2], len(WORLD), dim=config.dim, dropout=0.3, read=config.read,
        ))
        if not plan.crossfits or not config.hears_decoder:  # it learns with the rest, or not at all
            return decoder.eval()
        held = self.targets["val"]
        if plan.language_epochs:
            self.say(f"phase 0: {name}: a language model of label sets, without pictures")
            sets = targets if not plan.language_sets else self.label_sets(plan.language_sets)
            task = DecoderTask(sets, None, held, None, self.recipe, seed=config.seed)
            self.part(f"{name}, label sequences", decoder, task, [language_stage(config, plan)])
        self.say(f"phase 0: {name}: the CNN-RNN learns to write labels one by one")
        task = DecoderTask(
            targets, tokens, held if held_tokens is not None else held[:0], held_tokens,
            self.recipe, seed=config.seed,
        )
        self.part(name, decoder, task, [decoder_stage(config, plan, name)])
        return decoder

    def fold_decoders(self, tokens: Tensor) -> tuple[list[LabelDecoder], Tensor]:
        """Decoders without a share of the scenes each, and which one has not seen which (N,)."""
        config = self.config
        order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(config.seed))
        folds = torch.zeros(len(tokens), dtype=torch.long)
        heard = config.view == "evidence" and config.hears_decoder
        if not (self.plan.crossfits and heard and config.folds > 1):
            return [], folds
        for number, rows in enumerate(order.tensor_split(config.folds)):
            folds[rows] = number
        return [
            self.decoder(
                f"decoder without fold {number + 1}", tokens[folds != number],
                self.targets["train"][folds != number], None,
            )
            for number in range(config.folds)
        ], folds

    def model(
        self, cnn: CNNEncoder, decoder: LabelDecoder, clip: ClipEncoder, texts: Tensor
    ) -> HybridClassifier:
        """The hybrid with fusion and heads that know nothing yet."""
        config = self.config
        return seeded(config.seed, lambda: HybridClassifier(
            cnn, decoder, clip, texts, dim=config.dim, fusion=config.fusion,
            dropout=config.dropout, view=config.view, tokens=config.tokens,
            without=config.without, text_bias=config.alignment == "sigmoid",
            options=config.fusion_options, own_opinion=config.own_opinion,
        ))

    def joint_stages(self, model: HybridClassifier) -> list[Stage]:
        """What the plan says for this model."""
        blocks = tower_blocks(model.clip) if self.plan.plan == "gradual" else ()
        return joint_stages(self.config, self.plan, self.config.own_opinion, blocks)

    # --- data -----------------------------------------------------------------------------------

    def images(self, split: str) -> Tensor:
        """(N, 3, H, W) uint8."""
        return drawn(self.scenes[split])

    def label_sets(self, count: int) -> Tensor:
        """(count, L): sets of labels as scenes have them, of scenes that are never drawn. Those of
        the training scenes are not among them: a decoder without a fold must not have read its
        labels either (trap 6)."""
        scenes = self.scenes["train"]
        more = SceneDataset(len(scenes) + count, "train", scenes.config)
        return torch.from_numpy(label_matrix(more)[len(scenes):])

    def features(
        self, encoder: CNNEncoder | ClipEncoder, name: str, split: str,
        encode: Callable[[Tensor], Tensors],
    ) -> Tensors:
        """What an encoder gives for a split, from the cache, or made piece by piece."""
        facts = feature_facts(encoder, self.scenes[split])

        def compute() -> Tensors:
            images = self.images(split)
            self.say(f"encoding {len(images)} {split} scenes with {name}")

            def piece(begin: int, end: int) -> Tensors:
                self.leave_if_asked()
                return encode(images[begin:end])

            return in_shards(self.cache, key_of(facts), len(images), piece)

        return cached(self.cache, key_of(facts), compute, facts)

    def cnn_tokens(self, cnn: CNNEncoder, split: str) -> Tensor:
        """(N, P, C), half precision."""
        return self.features(
            cnn, "the CNN", split,
            lambda images: cnn_features(cnn.to(self.fabric.device), images),
        )["tokens"]

    def clip_view(self, clip: ClipEncoder, split: str) -> View:
        """CLIP's view of a split, by a tower as it is now."""
        seen = self.features(
            clip, "CLIP", split,
            lambda images: clip_features(clip.to(self.fabric.device), images),
        )
        attends = self.config.fusion in ATTENTIVE
        return View(seen["image_emb"], seen["tokens"].float() if attends else None)

    def data(
        self, model: HybridClassifier, tokens: dict[str, Tensor], others: list[LabelDecoder],
        folds: Tensor,
    ) -> dict[str, HybridData]:
        """The three splits, with what the plan looks at."""
        plan, found = self.plan, {}
        looks = plan.plan != "frozen"
        for split in SPLITS:
            crossed = (others, folds) if others and split == "train" else None
            extra: dict[str, Any] = {}
            if split == "train" and looks and plan.augment:
                extra["boxes"] = object_boxes(self.scenes[split])
            if crossed:
                extra["folds"] = folds
            if split == "train" and plan.curriculum == "clutter":
                extra["clutter"] = clutter_of(self.scenes[split])
            found[split] = HybridData(
                self.targets[split], self.rnn_view(model, tokens[split], crossed),
                self.clip_view(model.clip, split), self.images(split) if looks else None, **extra,
            )
        return found

    def rnn_view(
        self, model: HybridClassifier, tokens: Tensor,
        crossed: tuple[list[LabelDecoder], Tensor] | None,
    ) -> View:
        """The CNN-RNN's view; of the training split by decoders that have not seen the scene."""
        config = self.config
        reads = config.tokens if config.fusion in ATTENTIVE else None
        seen = tokens.float() if "map" in (config.view, reads) else None
        if config.view == "map":
            return cnn_rnn_view("map", None, seen, reads)
        if not config.hears_decoder:
            width = config.dim if config.view == "state" else len(WORLD)
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

    # --- the end --------------------------------------------------------------------------------

    def known(
        self, clip: ClipEncoder, image_emb: Tensor, texts: Tensor, names: Tensor
    ) -> dict[str, float]:
        """What CLIP's image tower knows by words alone: of the test scenes, and of other things."""
        truth = self.targets["test"].numpy()
        return {"zero_shot_mean_ap": mean_ap((image_emb @ texts.T).numpy(), truth).value,
                "naming": naming(clip.to(self.fabric.device), names)}

    @torch.no_grad()
    def probs(self, model: HybridClassifier, data: HybridData, stage: Stage) -> np.ndarray:
        """Probabilities (N, L) of a split."""
        logits = HybridTask(data, data).predict(model, torch.arange(len(data)), stage)
        return torch.sigmoid(logits.float()).cpu().numpy()

    def write(self, trained: Trained, seconds: float) -> dict[str, Any]:
        """Bundle and `metrics.json`; what the latter holds."""
        assert self.folder is not None
        truth = {split: self.targets[split].numpy() for split in ("val", "test")}
        limits = per_label_thresholds(trained.probs["val"], truth["val"])
        cut = threshold_metrics(trained.probs["test"] >= limits.values, truth["test"])
        metrics = {
            "mean_ap": mean_ap(trained.probs["test"], truth["test"]).value,
            "of1": cut.of1, "cf1": cut.cf1, **trained.known,
            "seconds": round(seconds, 1), "device": str(self.fabric.device),
            "processes": self.fabric.world_size, "precision": self.devices.precision,
            "config": self.config.to_dict(), "plan": self.plan.to_dict(),
        }
        if self.fabric.is_global_zero:
            if not (self.folder / "metrics.json").exists():
                write_json(self.folder / "metrics.json", metrics)
            if not (self.folder / "bundle").exists():
                save_bundle(
                    self.folder / "bundle", trained.model.cpu(), WORLD, limits.values,
                    info={"made_by": "hybridlab train", "config": self.config.to_dict(),
                          "plan": self.plan.to_dict()},
                )
        self.fabric.barrier()
        return metrics


def _label_texts() -> Tensor:
    return text_embeddings([with_article(name) for name in WORLD])


def tower_blocks(clip: ClipEncoder) -> tuple[str, ...]:
    """The parts of CLIP's image tower by their names in the hybrid, the last ones first; at the end
    the tower itself, for what stands before its blocks.

    Raises:
        ValueError: a tower whose blocks are not known here.
    """
    for name in ("trunk.blocks", "trunk.stages", "transformer.resblocks"):
        try:
            blocks = clip.vision.get_submodule(name)
        except AttributeError:
            continue
        top = [each for each in ("head", "trunk.conv_head", "trunk.norm", "ln_post")
               if any(True for _ in _parameters(clip.vision, each))]
        numbers = reversed(range(len(list(blocks.children()))))
        inner = (*top, *(f"{name}.{number}" for number in numbers))
        return (*(f"clip.vision.{each}" for each in inner), "clip.vision")
    raise ValueError(
        f"the blocks of the tower {clip.name} are not known; choose another plan than 'gradual'"
    )


def _parameters(module: nn.Module, name: str) -> list[nn.Parameter]:
    try:
        return list(module.get_submodule(name).parameters())
    except AttributeError:
        return []


def _silent(line: str) -> None:
    """What all processes but the first say."""
