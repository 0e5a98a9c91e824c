"""The parts of a staged training: CNN, decoders, and the joint stages, in their order.

Each part is a training of its own, by the same trainer, with checkpoints and logs of its own. A run
that is resumed goes through all of them again: those that are done say so by their last checkpoint,
and take no step. `train` makes, locks and resumes the folder of a run; `staged_views` has what the
parts look at, `staged_results` what comes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from hybridlab.chosen_encoders import Encoders, usual_encoders
from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SPLITS
from hybridlab.data.world import SceneConfig
from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import ClipEncoder
from hybridlab.encoders.cnn import CNNEncoder
from hybridlab.model import HybridClassifier
from hybridlab.picture_source import PictureSource, SceneSource
from hybridlab.staged_results import Knowledge, Trained, probs_of, write_results
from hybridlab.staged_views import Say, SplitViews
from hybridlab.tower import tower_blocks
from hybridlab.training.checkpoints import CheckpointStore
from hybridlab.training.decoder_task import DecoderTask
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.encoder_task import CnnClassifier, EncoderTask
from hybridlab.training.held import seeded
from hybridlab.training.hybrid_data import HybridData, looks_of
from hybridlab.training.hybrid_task import HybridTask
from hybridlab.training.interrupts import Stop
from hybridlab.training.label_ranks import steps_needed
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

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MOST_STEPS = 9  # that a decoder of scenes may take; more, where pictures have more labels


class Components(NamedTuple):
    """What phase 0 leaves.

    Attributes:
        cnn: up to the stage that the decoder reads.
        tokens: split -> (N, P, C), half precision.
        decoder: fitted on all training pictures.
        others, folds: decoders without a share of them each, and which has not seen which (N,).
    """

    cnn: CNNEncoder
    tokens: dict[str, Tensor]
    decoder: LabelDecoder
    others: list[LabelDecoder]
    folds: Tensor


class StagedRun:
    """The parts of one run, in their order.

    Args:
        folder: of checkpoints and logs; None keeps none.
        phase_0: where the checkpoints of phase 0 are, if not with the others: runs that differ in
            the joint stages alone may share them.
        scenes: the dials of the world; the defaults with the configuration's seed when None.
        source: pictures in place of scenes; the sizes of the configuration are then theirs.
        encoders: in place of those that come with the package.
        quiet: no progress bar.
        report: is told of the steps and epochs of the joint stages, such as a `LivePlot`.
    """

    def __init__(
        self, config: DemoConfig, plan: TrainPlan, devices: DeviceConfig, fabric: Fabric,
        folder: Path | None, cache: Path | None = None, say: Say = lambda line: None,
        stop: Stop | None = None, *, phase_0: Path | None = None,
        scenes: SceneConfig | None = None, source: PictureSource | None = None,
        encoders: Encoders | None = None, quiet: bool = False, report: Report | None = None,
    ):
        self.config, self.plan, self.devices, self.fabric = config, plan, devices, fabric
        self.folder, self.cache, self.stop = folder, cache, stop or Stop()
        self.phase_0, self.quiet, self.report = phase_0 or folder, quiet, report
        self.say: Say = say if fabric.is_global_zero else _silent
        self.source: PictureSource = source or SceneSource(
            (config.train, config.val, config.test), scenes or SceneConfig(seed=config.seed)
        )
        self.targets = self.source.targets
        self.encoders = encoders or usual_encoders(config)
        self.views = SplitViews(
            self.source, config, plan, fabric.device, cache, self.say, self.leave_if_asked
        )
        self.recipe = DecoderRecipe(
            dim=config.dim, order=config.order, read=config.read, lr=config.lr,
            feeding="free" if config.order in ALIGNED else "teacher",
        )

    @property
    def n_labels(self) -> int:
        """L."""
        return len(self.source.vocabulary)

    @property
    def most_steps(self) -> int:
        """Steps that a decoder may take: no fewer than any training picture needs."""
        return max(MOST_STEPS, steps_needed(self.targets["train"], self.recipe))

    def texts(self) -> Tensor:
        """(L, D_clip) of the labels, by the tower as it begins."""
        return self.encoders.texts(self.source.texts)

    def phase_zero(self) -> Components:
        """The parts that are trained by themselves, and what the CNN gives."""
        cnn = self.cnn()
        tokens = {split: self.views.cnn_tokens(cnn, split) for split in SPLITS}
        decoder = self.decoder("decoder", tokens["train"], self.targets["train"], tokens["val"])
        others, folds = self.fold_decoders(tokens["train"])
        return Components(cnn, tokens, decoder, others, folds)

    def all_parts(self, components: Components | None = None) -> Trained:
        """From the CNN to the figures.

        Args:
            components: of phase 0, where it was done already.
        """
        model, data, task = self.hybrid(components or self.phase_zero())
        knowledge = Knowledge(self.source, model.clip, self.texts())
        stages, device = self.joint_stages(model), self.fabric.device
        before = knowledge.of(model.clip.to(device), data["test"].clip.pooled)
        self.part("joint", model, task, stages)
        self.leave_if_asked()
        noun = self.source.noun
        self.say(f"thresholds from the validation {noun}, figures on the test {noun}")
        model = model.eval().to(device)
        after = before
        if any(looks_of(stage).vision for stage in stages):
            after = knowledge.of(model.clip, self.views.image_emb(model.clip, "test"))
        return Trained(
            model, {split: probs_of(model, data[split], stages[-1]) for split in ("val", "test")},
            {name: {"before": before[name], "after": after[name]} for name in before},
        )

    def hybrid(
        self, components: Components
    ) -> tuple[HybridClassifier, dict[str, HybridData], HybridTask]:
        """The hybrid before its joint stages, the three splits as it sees them, and the task."""
        cnn, tokens, decoder, others, folds = components
        model = self.model(cnn, decoder, self.encoders.clip(), self.texts())
        data = self.views.data(model, tokens, (others, folds), self.joint_stages(model))
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
        """The CNN up to the stage that the decoder reads: as it comes, or trained on the labels."""
        config, plan = self.config, self.plan
        cnn = self.encoders.cnn()
        if plan.encoder_epochs:
            self.say("phase 0: the CNN learns the labels, with one weight for each channel")
            source, looks = self.source, [cnn.preprocessing]
            task = EncoderTask(
                source.pictures("train", looks, self.leave_if_asked), self.targets["train"],
                source.pictures("val", looks, self.leave_if_asked), self.targets["val"],
                source.boxes("train", looks) if plan.augment else None, config.classification,
                config.seed,
            )
            classifier = seeded(config.seed, lambda: CnnClassifier(cnn, self.n_labels))
            self.part("cnn", classifier, task, encoder_stages(config, plan))
        return cnn

    def decoder(
        self, name: str, tokens: Tensor, targets: Tensor, held_tokens: Tensor | None
    ) -> LabelDecoder:
        """A decoder on frozen tokens, begun from a model of label sequences where the plan says so.

        Args:
            held_tokens: of the validation pictures; None keeps the last epoch.
        """
        config, plan = self.config, self.plan
        decoder = seeded(config.seed, lambda: LabelDecoder(
            tokens.shape[2], self.n_labels,
            **{"dim": config.dim, "dropout": 0.3, "read": config.read, "max_steps": self.most_steps,
               **self.encoders.decoder},
        ))
        if not plan.crossfits or not config.hears_decoder:  # it learns with the rest, or not at all
            return decoder.eval()
        held = self.targets["val"]
        if plan.language_epochs:
            self.say(f"phase 0: {name}: a language model of label sets, without pictures")
            sets = targets if not plan.language_sets else self.source.label_sets(plan.language_sets)
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
        """Decoders without a share of the pictures each, and which one has not seen which (N,)."""
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

    # --- the end --------------------------------------------------------------------------------

    def write(self, trained: Trained, seconds: float) -> dict[str, Any]:
        """Bundle and `metrics.json`; what the latter holds."""
        assert self.folder is not None
        metrics = write_results(
            self.folder, trained, self.source,
            {"config": self.config.to_dict(), "plan": self.plan.to_dict(), **self.source.facts()},
            {"seconds": round(seconds, 1), "device": str(self.fabric.device),
             "processes": self.fabric.world_size, "precision": self.devices.precision},
            first=self.fabric.is_global_zero,
        )
        self.fabric.barrier()
        return metrics


def _silent(line: str) -> None:
    """What all processes but the first say."""
