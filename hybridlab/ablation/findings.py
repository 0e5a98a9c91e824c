"""What an analysis found, as plain values: they travel as JSON and are drawn without the runs.

Figures of metrics are shares (0.612, not 61.2). NaN stands for what is not defined; JSON has null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hybridlab.ablation.plain import build, plain
from hybridlab.evaluation.named import named_metric

FORMAT = "hybridlab.analysis/1"

BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"
ONE_SEED, UNDEFINED = "one seed only", "not defined"
OTHER_SAMPLES = "tested on other samples"
SHOWN = frozenset({BETTER, WORSE})
# Less more than the reference costs is the clock's noise: no gain is divided by it.
LEAST_SHARE, LEAST_SECONDS = 0.01, 0.5
ABLATE = "hybridlab ablate"
LARGEST = 1.0  # the largest difference of two metrics, as a share


@dataclass(frozen=True)
class Comparison:
    """A difference over paired seeds: of a variant to the reference, or of a factor's levels.

    Attributes:
        value, low, high: the difference and its interval, by the hierarchical bootstrap over seeds
            and test samples. With one seed it covers the samples only.
        seeds, per_seed: the seeds that both sides have, and the difference with each.
        p, p_holm: of the same bootstrap, and corrected for all comparisons of its table; the
            verdict rests on `p_holm` and the interval.
        t_low, t_high, p_t, p_t_holm: the paired t-test over seeds, which takes the test samples as
            given; NaN with one seed.
        effect: d_z with Hedges' correction; NaN below three seeds.
        detectable: the true difference that such a study shows roughly four times in five, with
            its number of seeds and test samples, at the strictest step of Holm's correction, by the
            test that judges (`hybridlab.ablation.detecting`). 1, the largest there is, says that
            none is likely to be shown with so few seeds; NaN with one seed, and where the
            difference is the same in every run and resample.
        seeds_needed: roughly how many seeds show a true difference as large as `value` four times
            in five on the same number of test samples; None if no number up to 1,000 does, and
            wherever `detectable` is NaN.
        verdict: "better", "worse", "no difference shown", "one seed only", or "not defined" where
            there is no interval.
        words: the same as a sentence with its figures.
        resamples: that interval and p rest on.
        p_holm_low, p_holm_high: between which `p_holm` would lie with resamples without end.
    """

    value: float
    low: float
    high: float
    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    p: float
    p_holm: float
    t_low: float
    t_high: float
    p_t: float
    p_t_holm: float
    effect: float
    detectable: float
    seeds_needed: int | None
    verdict: str
    words: str
    resamples: int = 0
    p_holm_low: float = math.nan
    p_holm_high: float = math.nan

    def close(self, alpha: float) -> bool:
        """Whether the verdict at `alpha` may hang on the resamples that were drawn."""
        judged = self.verdict not in (ONE_SEED, UNDEFINED)
        return judged and self.p_holm_low < alpha <= self.p_holm_high

    @property
    def shown(self) -> bool:
        """Whether a difference may be claimed."""
        return self.verdict in SHOWN


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        name: of the variant.
        mean, low, high: mean over seeds, and its interval over seeds and test samples.
        seeds, values: the seeds that have a value, and the value of each.
        parameters: trainable ones (median over seeds); None without a run.
        seconds: median over seeds of the sum of the stages' seconds; NaN without a run.
        comparison: with the reference; None for the reference itself and where no seed is shared.
        per_million_parameters: points of difference for each million trainable parameters more
            than the reference has; NaN unless the variant has at least 1 % more.
        per_minute: the same for each minute more; NaN also below half a second more.
        hypothesis: what was expected.
        changes: what it changes in the recipe.
        levels: factor -> name of its level.
    """

    name: str
    mean: float
    low: float
    high: float
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    parameters: int | None
    seconds: float
    comparison: Comparison | None
    per_million_parameters: float
    per_minute: float
    hypothesis: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    levels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """A main effect (one factor) or a two-way interaction (two).

    Attributes:
        factors: one name or two.
        levels: the level of each that is compared.
        baselines: the level of each that it is compared with: the reference's.
        comparison: main effect: mean over all other factors at the level, less that at the
            baseline. Interaction: what the first factor's step adds at the second's level, less
            what it adds at the second's baseline.
    """

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    baselines: tuple[str, ...]
    comparison: Comparison

    @property
    def name(self) -> str:
        """Such as "fusion: gate against late", or two of these joined by "x"."""
        steps = zip(self.factors, self.levels, self.baselines, strict=True)
        return " × ".join(f"{factor}: {level} against {base}" for factor, level, base in steps)


@dataclass(frozen=True)
class Cell:
    """Mean at one level of each of two factors, over all levels of the others, with interval."""

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Trouble:
    """A run that the figures do not hold.

    Attributes:
        variant, seed: which run.
        kind: "failed", "missing", "undefined" (the metric has no value for it), or
            `OTHER_SAMPLES` (it cannot be paired with the reference).
        why: in words; may be empty.
    """

    variant: str
    seed: int
    kind: str
    why: str = ""


@dataclass(frozen=True)
class Analysis:
    """All that a study shows about one metric.

    Attributes:
        study, question: of the study; empty where records alone were given.
        metric: by its name in code, such as "mean_ap" (`hybridlab.evaluation.named`).
        reference: the variant that others are compared with.
        seeds: of the study.
        level, resamples, bootstrap_seed: of the intervals; a comparison may rest on more resamples.
        samples: test samples of a run (of the first seed, where each seed has its own).
        rows: one for each variant, in the study's order.
        best: the variant that is shown to be better than every other; None if there is none.
        main_effects, interactions, cells: of a factorial study.
        factors: factor -> names of its levels.
        troubles: runs that are not in the figures.
        notes: what a reader must know besides.
        recipe: what all variants share.
        versions, device, commit, date: of the runs, as their manifests tell.
        command: repeats the study; empty where it is not known.
    """

    study: str
    question: str
    metric: str
    reference: str
    seeds: tuple[int, ...]
    level: float
    resamples: int
    bootstrap_seed: int
    samples: int
    rows: tuple[Row, ...]
    best: str | None
    main_effects: tuple[Effect, ...]
    interactions: tuple[Effect, ...]
    cells: tuple[Cell, ...]
    factors: dict[str, list[str]]
    troubles: tuple[Trouble, ...]
    notes: tuple[str, ...]
    recipe: dict[str, Any]
    versions: dict[str, str]
    device: str
    commit: str
    date: str
    command: str

    @property
    def metric_name(self) -> str:
        """As it stands in print: "mAP"."""
        return named_metric(self.metric).printed

    @property
    def lower_is_better(self) -> bool:
        """Whether the metric is a loss."""
        return named_metric(self.metric).lower_is_better

    @property
    def alpha(self) -> float:
        """The level of the tests."""
        return round(1 - self.level, 12)

    def row(self, variant: str) -> Row:
        """The row of a variant.

        Raises:
            ValueError: no such variant.
        """
        for row in self.rows:
            if row.name == variant:
                return row
        raise ValueError(
            f"there is no variant {variant!r}; there are {', '.join(row.name for row in self.rows)}"
        )

    def compared(self) -> list[Row]:
        """The rows that have a difference to the reference."""
        return [row for row in self.rows if row.comparison is not None]

    def to_json(self) -> dict[str, Any]:
        """A plain dict for `hybridlab.files.write_json`: NaN is None, no paths of the machine."""
        return {"format": FORMAT, **plain(asdict(self))}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Analysis:
        """The analysis that `to_json` wrote down, for plots and tables without the runs.

        Raises:
            ValueError: it is something else, or of another version.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
            raise ValueError(f"this is no analysis of format {FORMAT!r} but {found!r}; "
                             "record it again with Analysis.to_json")
        try:
            return build(cls, data, _NESTED)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"the recorded analysis is damaged ({type(error).__name__}: {error}); "
                "record it again with Analysis.to_json"
            ) from error


_NESTED = {each.__name__: each for each in (Comparison, Row, Effect, Cell, Trouble)}
