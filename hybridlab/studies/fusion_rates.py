"""Which rate suits each fusion of `hybridlab.studies.fusions`? Trials on validation scenes.

    hybridlab ablate hybridlab/studies/fusion_rates.py

The same rates for all, one run each, with a seed that the studies themselves do not use; where the
best of them is the lowest or the highest, the next one is tried too. The best of each family are
`hybridlab.studies.fusions.RATES`; differences between trials carry no claim.
"""

from __future__ import annotations

from hybridlab.ablation.study import Study
from hybridlab.studies.fusing import RECIPE
from hybridlab.studies.fusions import EPOCHS, FAMILIES

SEED = 100
TRIED = (3e-4, 1e-3, 3e-3)
# Those for whom the best of the three stood at an end.
BEYOND = {
    1e-4: ("bilinear", "compact bilinear", "compact bilinear with the views themselves",
           "cross-attention of two vectors", "cross-attention, steps and patches",
           "cross-attention, both maps"),
    1e-2: ("gate", "late", "factorised bilinear", "class attention, both maps",
           "class attention, one softmax"),
}
TRIALS = [
    *((family, rate) for rate in TRIED for family in FAMILIES),
    *((family, rate) for rate, families in BEYOND.items() for family in families),
]


def trial(family: str, rate: float) -> str:
    """The name of a trial: "gate, rate 0.001"."""
    return f"{family}, rate {rate:g}"


STUDY = Study(
    name="fusion_rates",
    question="Which learning rate suits each fusion?",
    run="hybridlab.studies.fusing:run",
    recipe={**RECIPE, "split": "val", "fusion_epochs": EPOCHS, "fusion_lr": TRIED[0]},
    variants={
        trial(family, rate): FAMILIES[family] | ({} if rate == TRIED[0] else {"fusion_lr": rate})
        for family, rate in TRIALS
    },
    reference=trial("concat", TRIED[0]),
    seeds=(SEED,),
    metrics=("mean_ap",),
)
