"""What a study allows to be said, and what it does not: sentences that follow the verdicts."""

from __future__ import annotations

from hybridlab.ablation.asked import alike
from hybridlab.ablation.findings import LARGEST, NOT_SHOWN, ONE_SEED, Analysis, Row
from hybridlab.ablation.tables import signed


def may_be_claimed(analysis: Analysis) -> list[str]:
    """A sentence for each difference that is shown; one that says so if there is none."""
    told = []
    if analysis.best is not None:
        told.append(f"“{analysis.best}” is better in {analysis.metric_name} than every other "
                    "variant of this study.")
    for row in analysis.compared():
        if row.comparison is not None and row.comparison.shown:
            told.append(f"“{row.name}” is {row.comparison.verdict} than “{analysis.reference}” in "
                        f"{analysis.metric_name}: {row.comparison.words}.")
    for effect in analysis.main_effects:
        if effect.comparison.shown:
            told.append(f"Over all levels of the other factors, {effect.name} is "
                        f"{effect.comparison.verdict}: {effect.comparison.words}.")
    for effect in analysis.interactions:
        if effect.comparison.shown:
            told.append(f"{effect.name}: together they give another difference than the sum of "
                        f"both: {effect.comparison.words}.")
    return told or [f"No difference in {analysis.metric_name} is shown by this study."]


def may_not_be_claimed(analysis: Analysis) -> list[str]:
    """What a reader might wrongly take from the study."""
    told = []
    for row in analysis.compared():
        if row.comparison is not None and row.comparison.verdict == NOT_SHOWN:
            told.append(_not_equal(analysis, row))
    if any(row.comparison and row.comparison.verdict == ONE_SEED for row in analysis.rows):
        told.append("That one method is better than another: with one seed, only two trained "
                    "models were compared.")
    shown = [row for row in analysis.compared() if row.comparison and row.comparison.shown]
    if len(shown) > 1 and analysis.best is None:
        told.append("That one of the variants is the best: none is shown to be better than every "
                    "other.")
    lost = {each.variant for each in analysis.troubles if each.kind != "missing"}
    for name in [row.name for row in analysis.rows if row.name in lost and row.seeds]:
        told.append(f"That “{name}” works with every seed: it is judged by the seeds that "
                    "gave a value, and those that did not may not be chance.")
    told.append("Anything about another recipe, another data set, or more training: all runs share "
                "the recipe below.")
    return told


def lost_runs(analysis: Analysis) -> list[str]:
    """The runs that are not in the figures: a sentence for each reason."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    first: dict[str, str] = {}  # a metric that cannot be computed is told once, whatever figures
    for each in analysis.troubles:
        why = each.why
        if each.kind == "undefined":
            why = first.setdefault(alike(why), why)
        groups.setdefault((each.variant, each.kind, why), []).append(each.seed)
    merged: dict[tuple[str, str, tuple[int, ...]], list[str]] = {}
    for (variant, kind, why), seeds in groups.items():
        merged.setdefault((kind, why, tuple(seeds)), []).append(variant)
    told = []
    if all(not row.seeds for row in analysis.rows) and len(first) == 1:
        (why,) = first.values()
        told.append(f"every run that is done: undefined ({why})")
        merged = {key: names for key, names in merged.items() if key[0] != "undefined"}
    for (kind, why, which), variants in merged.items():
        listed = ", ".join(map(str, which))
        every = len(which) == len(analysis.seeds) > 1
        where = "every seed" if every else f"seed{'s' if len(which) > 1 else ''} {listed}"
        whole = len(variants) == len(analysis.rows) > 1
        who = "every variant" if whole else ", ".join(f"“{name}”" for name in variants)
        told.append(f"{who}, {where}: {kind}" + (f" ({why})" if why else ""))
    return told


def _not_equal(analysis: Analysis, row: Row) -> str:
    other = row.comparison
    assert other is not None
    words = f"That “{row.name}” and “{analysis.reference}” are equal: no difference is shown"
    if other.detectable == LARGEST:
        words += ", and none, however large, is likely to be shown with so few seeds"
    elif other.detectable > 0:  # not NaN
        words += f", and one below {signed(other.detectable).lstrip('+')} points would often be "
        words += "missed"
    if other.seeds_needed is not None:
        words += (f"; to show one of {signed(other.value)} points would take about "
                  f"{other.seeds_needed} seeds")
    elif other.value and other.detectable > 0:
        words += (f"; no number of seeds up to 1,000 would show one of {signed(other.value)} "
                  "points: more test samples are needed")
    return words + "."
