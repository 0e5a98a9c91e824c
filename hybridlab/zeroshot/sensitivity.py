"""How far does the wording carry the result? The spread of a metric over prompts.

A table with one prompt hides a choice that nobody trained: other words, other figures. Here every
prompt is measured on the same images and on the same resamples of them, so that differences
between prompts are paired: what makes an image hard for all prompts cancels.

The best of many prompts flatters itself: part of its lead is luck on the images that chose it.
`choice_gain` chooses on validation images and measures what is left of the lead on others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hybridlab.evaluation.bootstrap import Interval, _check_level, _interval, resampled_values
from hybridlab.evaluation.inputs import Floats, as_array
from hybridlab.evaluation.named import named_metric

_FROM_DECISIONS = ("cp", "cr", "cf1", "op", "or_", "of1", "macro_f1", "exact_match")


@dataclass(frozen=True)
class PromptSpread:
    """A metric over prompts, all on the same images.

    Attributes:
        metric: its name in `evaluation.named`.
        names: T prompts, as given.
        each: (T) the metric of each with its interval over images.
        range: best minus worst.
        sd: standard deviation over prompts (T - 1); NaN for one prompt.
        best: the prompt with the highest value on these images.
        best_minus_median: how far it is above the median prompt, with a paired interval. It was
            chosen on these very images, so the interval is no test of it: see `choice_gain`.
    """

    metric: str
    names: tuple[str, ...]
    each: tuple[Interval, ...]
    range: float
    sd: float
    best: str
    best_minus_median: Interval

    @property
    def values(self) -> Floats:
        """(T,) without the intervals."""
        return np.array([one.value for one in self.each])


@dataclass(frozen=True)
class ChoiceGain:
    """What choosing the best prompt on validation images gains on test images.

    Attributes:
        metric: its name.
        chosen: the prompt that is best on the validation images.
        promised: its lead over the median prompt there, where it was chosen.
        kept: its lead over the median prompt on the test images.
        optimism: promised minus kept.
        steady: share of resamples of the validation images in which the same prompt is best.
        rank: place of the chosen prompt on the test images, 1 is the best of T.
    """

    metric: str
    chosen: str
    promised: Interval
    kept: Interval
    optimism: Interval
    steady: float
    rank: int


def prompt_spread(
    scores: Mapping[str, ArrayLike],
    targets: ArrayLike,
    metric: str = "mean_ap",
    decisions: Mapping[str, ArrayLike] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> PromptSpread:
    """Measure every prompt by itself, on the same resamples of the images.

    Args:
        scores: prompt -> (N, L) scores of the labels in that prompt.
        targets: (N, L) in {1, 0, -1 = not annotated}.
        metric: a name of `evaluation.named` for which more is better, such as "mean_ap", "of1" or
            "cf1@3".
        decisions: prompt -> (N, L) boolean, for metrics of decisions such as "of1". Fix each
            prompt's threshold on validation images first (`scores.fixed_threshold`).
        resamples, seed, level: as `evaluation.bootstrap.bootstrap_metrics`.

    Raises:
        ValueError: no prompt, decisions that are missing or of other prompts, a metric that is
            unknown, a loss, or not defined on these targets, or inputs that metrics refuse.
    """
    whole, drawn = _measured(scores, targets, metric, decisions, resamples, seed, level)
    names = tuple(scores)
    method = "basic" if named_metric(metric).basic_interval else "percentile"
    best = int(np.argmax(whole))
    return PromptSpread(
        metric,
        names,
        tuple(_cut(_interval(v, d, level, method)) for v, d in zip(whole, drawn, strict=True)),
        float(np.ptp(whole)),
        float(whole.std(ddof=1)) if len(whole) > 1 else float("nan"),
        names[best],
        _lead(whole, drawn, best, level),
    )


def paired_differences(
    scores: Mapping[str, ArrayLike],
    targets: ArrayLike,
    reference: str,
    metric: str = "mean_ap",
    decisions: Mapping[str, ArrayLike] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Each way of wording minus a reference, with paired intervals: for articles and controls.

    Args:
        scores: name -> (N, L), the reference among them.
        reference: one of the names.
        targets, metric, decisions, resamples, seed, level: as `prompt_spread`.

    Returns:
        name -> difference to the reference, in the given order, without the reference itself.

    Raises:
        ValueError: an unknown reference, or as `prompt_spread`.
    """
    if reference not in scores:
        raise ValueError(f"reference is {reference!r}; expected one of {', '.join(scores)}")
    whole, drawn = _measured(scores, targets, metric, decisions, resamples, seed, level)
    at = list(scores).index(reference)
    return {
        name: _interval(whole[row] - whole[at], drawn[row] - drawn[at], level, "percentile")
        for row, name in enumerate(scores)
        if row != at
    }


def choice_gain(
    val_scores: Mapping[str, ArrayLike],
    val_targets: ArrayLike,
    scores: Mapping[str, ArrayLike],
    targets: ArrayLike,
    metric: str = "mean_ap",
    val_decisions: Mapping[str, ArrayLike] | None = None,
    decisions: Mapping[str, ArrayLike] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> ChoiceGain:
    """Choose the best prompt on validation images; measure the choice on test images.

    Leads over the median prompt are compared, not the values themselves: a split whose images are
    harder lowers all prompts alike. Both splits are resampled, each by itself; the choice stays
    that of the whole validation split, and `steady` tells how firm it is.

    Args:
        val_scores, scores: prompt -> (N, L), the same prompts in both.
        val_decisions, decisions: for metrics of decisions, as in `prompt_spread`.
        metric, resamples, seed, level: as `prompt_spread`.

    Raises:
        ValueError: other prompts in the two splits, or as `prompt_spread`.
    """
    if set(val_scores) != set(scores):
        odd = sorted(set(val_scores) ^ set(scores))
        raise ValueError(f"only one split has scores of {', '.join(odd)}; score both alike")
    names = list(scores)
    in_order = {name: val_scores[name] for name in names}
    # another seed than the test split's: equal draws would tie rows that have nothing in common
    val, val_drawn = _measured(
        in_order, val_targets, metric, val_decisions, resamples, seed + 1, level
    )
    test, test_drawn = _measured(scores, targets, metric, decisions, resamples, seed, level)
    chosen = int(np.argmax(val))
    promised, kept = _lead(val, val_drawn, chosen, level), _lead(test, test_drawn, chosen, level)
    apart = _leads(val_drawn, chosen) - _leads(test_drawn, chosen)
    known = ~np.isnan(val_drawn).any(axis=0)
    again = val_drawn[:, known].argmax(axis=0) == chosen
    return ChoiceGain(
        metric,
        names[chosen],
        promised,
        kept,
        _interval(promised.value - kept.value, apart, level, "percentile"),
        float(again.mean()) if again.size else float("nan"),
        1 + int((test > test[chosen]).sum()),
    )


def _measured(
    scores: Mapping[str, ArrayLike],
    targets: ArrayLike,
    metric: str,
    decisions: Mapping[str, ArrayLike] | None,
    resamples: int,
    seed: int,
    level: float,
) -> tuple[Floats, Floats]:
    """The metric of every prompt: (T,) on the images, (T, R) on the same resamples of them."""
    _check_level(level)
    asked = named_metric(metric)
    if asked.lower_is_better:
        raise ValueError(f"metric is {metric!r}, of which less is better; choose one such as of1")
    if not scores:
        raise ValueError("scores is empty; give the scores of at least one prompt")
    if decisions is None and metric in _FROM_DECISIONS:
        raise ValueError(f"{metric} is about decisions; give decisions= for every prompt")
    if decisions is not None and set(decisions) != set(scores):
        odd = ", ".join(sorted(set(decisions) ^ set(scores)))
        raise ValueError(f"scores and decisions are not of the same prompts: {odd}")
    whole, drawn = [], []
    for name, one in scores.items():
        scored = as_array(one)
        decided = np.zeros(scored.shape, bool) if decisions is None else decisions[name]
        weigh = asked.prepare(scored, decided, targets)
        whole.append(float(weigh(np.ones((1, len(scored)), np.int32))[0]))
        drawn.append(resampled_values(weigh, len(scored), resamples, seed))
    if np.isnan(whole).any():
        raise ValueError(f"{metric} is not defined on these targets; is there no positive?")
    return np.array(whole), np.stack(drawn)


def _leads(drawn: Floats, at: int) -> Floats:
    """How far a prompt is above the median prompt: (T, ...) -> (...)."""
    return np.asarray(drawn[at] - np.median(drawn, axis=0))


def _lead(whole: Floats, drawn: Floats, at: int, level: float) -> Interval:
    return _interval(float(_leads(whole, at)), _leads(drawn, at), level, "percentile")


def _cut(interval: Interval) -> Interval:
    """Metrics are shares; a basic interval may reach beyond."""
    value, low, high = interval
    return Interval(value, max(low, 0.0), min(high, 1.0))
