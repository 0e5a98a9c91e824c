"""`hybridlab ablate STUDY --estimate`: the cost of a study in words."""

from __future__ import annotations

import math

from hybridlab.ablation.costs import CostEstimate
from hybridlab.ablation.tables import duration


def cost_lines(cost: CostEstimate, workers: int) -> list[str]:
    """Time of a run of each variant, and of all that is left, with so many workers."""
    total = cost.done + cost.left
    if math.isnan(cost.seconds):
        return [f"none of the {total} runs is done, and none like them in another study"]
    lines = [f"time of a run, typical and longest ({cost.done} of {total} runs are done):"]
    width = min(60, max(len(each.name) for each in cost.variants))
    for each in cost.variants:
        where = "" if each.source == "this study" else f", in {each.source}"
        told = "not known yet; taken to be like the others" if not each.source else (
            f"{duration(each.seconds)}, {duration(each.most)}{where}")
        lines.append(f"  {each.name:{width}}  {told}")
    if not cost.left:
        return [*lines, "nothing is left to do"]
    usual, most = cost.wall(workers)
    lines.append(
        f"{cost.left} runs are left: about {duration(usual)} with {workers} "
        f"worker{'s' if workers > 1 else ''}, at most some {duration(most)} "
        f"({duration(cost.seconds)} one after another)"
    )
    unknown = sum(not each.source for each in cost.variants)
    if unknown:
        lines.append(
            f"{unknown} of {len(cost.variants)} variants are guessed: ask again once each has a run"
        )
    return lines
