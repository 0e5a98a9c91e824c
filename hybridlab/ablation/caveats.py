"""What a reader must know besides the figures: how p is made, and what weakens the study."""

from __future__ import annotations

from collections.abc import Sequence

from hybridlab.ablation.findings import Effect, Row
from hybridlab.ablation.measuring import Measurements
from hybridlab.evaluation.p_values import p_text
from hybridlab.evaluation.significance import wilcoxon_smallest_p


def caveats(
    rows: Sequence[Row], seeds: Sequence[int], reference: str, measured: Measurements,
    level: float,
) -> list[str]:
    """Sentences, each about one thing; none where there is nothing to tell.

    Args:
        seeds: all of the study.
    """
    notes = []
    compared = [row.comparison for row in rows if row.comparison is not None]
    most = max((len(each.seeds) for each in compared), default=0)
    if most > 1:
        holm = f", corrected by Holm's method over {len(compared)} comparisons"
        least = wilcoxon_smallest_p(most)
        cannot = f", so it cannot reach {1 - level:.2g}" if least >= 1 - level else ""
        notes.append(
            "p is that of the hierarchical bootstrap over seeds and test samples"
            f"{holm if len(compared) > 1 else ''}; it judges, since a claim should hold for other "
            "seeds and other samples. The paired t-test asks about seeds alone. Wilcoxon's "
            f"signed-rank test is not used: with {most} paired seeds its smallest p is "
            f"{least:.4g}{cannot}, however large the difference."
        )
    if len(seeds) == 1:
        notes.append(
            "one seed: intervals cover the test samples only, there is no t-test, and no claim "
            "about methods can be made; run more seeds"
        )
    if measured.fewest == 1:
        notes.append(
            "one test sample: it says nothing about others, so there are no intervals and no "
            "difference is judged; test on more samples"
        )
    resamples = max((each.resamples for each in compared), default=0)
    if compared and 2 * len(compared) / (resamples + 1) >= 1 - level:
        notes.append(
            f"{resamples} resamples are too few for {len(compared)} comparisons: the smallest "
            f"corrected p is {2 * len(compared) / (resamples + 1):.3f}; ask for more resamples"
        )
    if any(not row.seeds for row in rows if row.name == reference):
        notes.append(f"the reference {reference!r} has no run with a value: nothing is compared")
    for row in rows:
        if row.comparison is not None and len(row.comparison.seeds) < len(seeds):
            told = ", ".join(map(str, row.comparison.seeds))
            notes.append(f"{row.name!r} and the reference share only the seeds {told}")
    if measured.absent:
        notes.append(
            f"{measured.absent} of {measured.labels} labels have no positive among the test "
            "samples and are left out of means over labels"
        )
    if measured.shared and measured.fewest > 1:
        notes.append(
            "test samples are the same in all runs; intervals over samples speak of other samples "
            "of the same kind"
        )
    elif not measured.shared:
        notes.append("each seed has test samples of its own")
    return notes


def close_calls(rows: Sequence[Row], effects: Sequence[Effect], level: float) -> list[str]:
    """A sentence for each verdict that other resamples might turn."""
    alpha = round(1 - level, 12)
    judged = [(f"“{row.name}”", row.comparison) for row in rows if row.comparison is not None]
    judged += [(effect.name, effect.comparison) for effect in effects]
    return [
        f"the verdict on {name} is a close call: its corrected p is {p_text(one.p_holm, alpha)} "
        f"with {one.resamples:,} resamples, and between {p_text(one.p_holm_low, alpha)} and "
        f"{p_text(one.p_holm_high, alpha)} with resamples without end, so another seed of the "
        f"bootstrap may turn it at {alpha:g}; do not rest a claim on it"
        for name, one in judged if one.close(alpha)
    ]
