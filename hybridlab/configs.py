"""Settings as frozen dataclasses. No torch here: the command line reads them to print its help."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from hybridlab.data.labels import label_names
from hybridlab.fusion import ATTENTIVE, FUSIONS

# what the CNN-RNN can bring to a fusion: see fusion.views
VIEWS = ("evidence", "state", "map", "none")
_OF_DECODER = ("evidence", "state")
ORDERS = ("frequent", "rare", "random", "size", "reading", "pla", "mla")
_BY_BOX = ("size", "reading")
# The decoder's parts.
CELLS = ("gru", "lstm")
LOOKS = ("attention", "mean")
OUTPUTS = ("linear", "joint")
READS = ("linear", "gelu")
ALL_PLACES = 1024  # a side of a CNN's map: no map has more
TOKENS = ("steps", "map")  # what a fusion that attends reads of the CNN-RNN
CLASSIFICATION = ("bce", "asl")
ALIGNMENT = ("infonce", "supcon", "softmax", "sigmoid")
WEIGHTS = ("fixed", "learnt")  # of the terms of the loss
WITHOUT = ("", "cnn_rnn", "clip")  # which view is left out


@dataclass(frozen=True)
class PretrainConfig:
    """How the course's tiny CLIP is pretrained (`hybridlab pretrain-clip`).

    Attributes:
        schedule: (steps, image size) in turn; small pictures first, because they cost less.
        batch_size: B, pictures in a step.
        lr: peak learning rate of the text tower and the projection.
        vision_lr: peak learning rate of the image tower, which starts from ImageNet weights.
        weight_decay: of AdamW, on matrices only.
        warmup: steps of linear warm-up before the cosine.
        ema: decay of the moving average of the weights, which is what is shipped.
        patch_weight: weight of the loss on patch scores beside the one on global scores; 0 is plain
            CLIP, whose patches were never trained to match words.
        caption_weight: weight of the loss on captions of whole pictures.
        singles: share of single-emoji pictures.
        seed: of the pictures, the captions and the fresh weights.
        save_every: steps between checkpoints.
        never: labels that are never shown, neither their emoji nor their names; "held-out" stands
            for the world's 16 held-out labels. For a second checkpoint, to compare with.

    Raises:
        ValueError: a setting that makes no sense, named; or `never` names something that is no
            label.
    """

    schedule: tuple[tuple[int, int], ...] = ((320, 96), (80, 128))
    batch_size: int = 64
    lr: float = 2e-3
    vision_lr: float = 7e-4
    weight_decay: float = 0.05
    warmup: int = 50
    ema: float = 0.998
    patch_weight: float = 0.0
    caption_weight: float = 0.5
    singles: float = 0.35
    seed: int = 0
    save_every: int = 50
    never: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "never", label_names(self.never, "never"))
        if not self.schedule or any(
            steps < 1 or not 32 <= size <= 512 for steps, size in self.schedule
        ):
            raise ValueError(
                f"schedule is {self.schedule}; give stages of 1 step or more at 32 to 512 px"
            )
        # two pictures at least: one has no wrong caption
        for name, least in (("batch_size", 2), ("save_every", 1), ("warmup", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; give {least} or more")
        for name in ("lr", "vision_lr", "weight_decay", "patch_weight", "caption_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; give a finite number >= 0")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is {self.ema}; give a number from 0, and below 1")
        if not 0 <= self.singles <= 1:
            raise ValueError(f"singles is {self.singles}; give a share, from 0 to 1")

    @property
    def steps(self) -> int:
        """All steps together."""
        return sum(steps for steps, _ in self.schedule)

    def to_dict(self) -> dict[str, object]:
        """As a dictionary for cards and checkpoints; `never` only where it names something, so that
        records of before it was there still stand."""
        given = asdict(self)
        if not self.never:
            del given["never"]
        return given


@dataclass(frozen=True)
class DemoConfig:
    """The whole pipeline on the small world (`hybridlab demo`).

    Attributes:
        train: scenes to learn from.
        val: scenes to fit thresholds on.
        test: scenes to measure on.
        seed: of the scenes, the weights and the order of the batches.
        batch_size: B of all stages.
        cnn_size: side in pixels at which the CNN sees a scene; its map has a place per 32 px.
        cnn_stage: where the CNN is cut for the decoder.
        cnn_places: most places a side that the decoder reads; a larger map is averaged down to it.
        folds: decoders that are fitted, each without its share of the scenes, so that the fusion
            learns from opinions on scenes that their decoder has not seen; 1 does not cross-fit.
        view: what the CNN-RNN brings to the fusion: its decoder's "evidence" or "state"; without
            a decoder the mean of the CNN's "map"; or "none", nothing.
        order, read: of the decoder's training and of the decoder; see `training.recipes`. It is
            taught with true labels, but in the orders that are found in training, "pla" and "mla".
        fusion: how the views are joined.
        fusion_options: of that fusion alone; see its class.
        tokens: what a fusion that attends reads of the CNN-RNN: its "steps", or the CNN's "map".
        own_opinion: the decoder's opinion of a label is also added to its logit, past the fusion.
        without: "cnn_rnn" or "clip" leaves that view out of the fusion; "" none.
        decoder_epochs: phase 0, the decoder on frozen CNN features.
        linear_epochs: the two linear baselines.
        fusion_epochs: phase 1, fusion and heads on cached views.
        tune_epochs: phase 2, with CLIP's vision tower unfrozen; 0 leaves the phase out.
        lr: peak learning rate of the decoder.
        fusion_lr: peak learning rate of fusion and heads.
        dropout: on the fused vector.
        linear_rates: peak learning rates that the linear baselines try; validation chooses.
        vision_lr: peak learning rate of CLIP's vision tower in phase 2.
        alpha: weight of the binary cross-entropy.
        beta: weight of the contrastive loss.
        weights: "fixed", alpha and beta; or "learnt" beside the model, from 1 on: then alpha and
            beta only say whether there is such a term (0 leaves it out).
        classification: "bce", or "asl" in its place.
        alignment: how the several texts of an image enter the contrastive loss, by name: see
            `hybridlab.alignment`.
        dim: D of the decoder and of the fused vector.
        resamples: bootstrap resamples of the test scenes.
    """

    train: int = 3000
    val: int = 600
    test: int = 1000
    seed: int = 0
    batch_size: int = 64
    cnn_size: int = 192
    cnn_stage: str = "stage5"
    cnn_places: int = ALL_PLACES
    folds: int = 2
    view: str = "evidence"
    order: str = "frequent"
    read: str = "linear"
    fusion: str = "concat"
    fusion_options: dict[str, object] = field(default_factory=dict)
    tokens: str = "steps"
    own_opinion: bool = False
    without: str = ""
    decoder_epochs: int = 8
    linear_epochs: int = 60
    fusion_epochs: int = 30
    tune_epochs: int = 1
    lr: float = 2e-3
    fusion_lr: float = 3e-3
    dropout: float = 0.5
    linear_rates: tuple[float, ...] = (1e-3, 1e-2)
    vision_lr: float = 1e-4
    alpha: float = 1.0
    beta: float = 0.1
    weights: str = "fixed"
    classification: str = "bce"
    alignment: str = "infonce"
    dim: int = 256
    resamples: int = 1000

    def __post_init__(self) -> None:
        for name in ("train", "val", "test", "batch_size", "dim", "resamples", "folds",
                     "cnn_places"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give 1 or more")
        if self.cnn_size < 32:
            raise ValueError(f"cnn_size is {self.cnn_size}; give 32 pixels or more")
        for name in ("decoder_epochs", "linear_epochs", "fusion_epochs", "tune_epochs", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give 0 or more")
        if self.view not in VIEWS:
            raise ValueError(f"view is {self.view!r}; choose one of {', '.join(VIEWS)}")
        if self.fusion not in FUSIONS:
            raise ValueError(f"unknown fusion {self.fusion!r}; known ones: {', '.join(FUSIONS)}")
        orders = tuple(name for name in ORDERS if name not in _BY_BOX)
        for name, known in (("order", orders), ("read", READS), ("tokens", TOKENS),
                            ("without", WITHOUT), ("classification", CLASSIFICATION),
                            ("alignment", ALIGNMENT), ("weights", WEIGHTS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {known}")
        if self.view == "map" and self.fusion in ATTENTIVE and self.tokens != "map":
            raise ValueError(
                f"view is 'map', without a decoder, but fusion {self.fusion!r} would read its "
                "steps; give tokens='map'"
            )
        if self.own_opinion and self.view != "evidence":
            raise ValueError(
                f"own_opinion adds the decoder's evidence to the logits, but view is {self.view!r};"
                " give view='evidence'"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; give a number from 0, and below 1")
        if not self.linear_rates:
            raise ValueError("linear_rates is empty; give one rate or more")
        rates = [("linear_rates", rate) for rate in self.linear_rates]
        single = ("lr", "fusion_lr", "vision_lr", "alpha", "beta")
        for name, value in [*rates, *((name, getattr(self, name)) for name in single)]:
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value}; give a finite number >= 0")

    @property
    def hears_decoder(self) -> bool:
        """Whether the fusion listens to a decoder; if not, none is trained."""
        return self.view in _OF_DECODER and self.without != "cnn_rnn"

    @classmethod
    def quick(cls) -> DemoConfig:
        """A very small run of every stage, for tests and a first look: figures mean nothing."""
        return cls(
            train=96, val=64, test=64, batch_size=32, decoder_epochs=2, linear_epochs=3,
            fusion_epochs=2, tune_epochs=1, resamples=50, dim=64,
        )

    @classmethod
    def shipped(cls) -> DemoConfig:
        """The recipe of the hybrid that comes with the package: twice the scenes."""
        return cls(train=6000, val=1000, tune_epochs=2)

    def to_dict(self) -> dict[str, object]:
        """As a dictionary for `metrics.json` and bundles."""
        return asdict(self)
