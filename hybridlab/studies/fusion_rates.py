"""Which rate suits each fusion of `hybridlab.studies.fusions`? Trials on validation scenes.

    hybridlab ablate hybridlab/studies/fusion_rates.py

The same rates for all, one run each, with a seed that the studies themselves do not use. The best
of each family are `hybridlab.studies.fusions.RATES`; differences between trials carry no claim.
"""

from __future__ import annotations

from hybridlab.ablation.study import Study
from hybridlab.studies.fusing import RECIPE
from hybridlab.studies.fusions import EPOCHS, FAMILIES

SEED = 100
TRIED = (3e-4, 1e-3, 3e-3)


def trial(family: str, rate: float) -> str:
    """The name of a trial: "gate, rate 0.001"."""
    return f"{family}, rate {rate:g}"


STUDY = Study(
    name="fusion_rates",
    question="Which learning rate suits each fusion?",
    run="hybridlab.studies.fusing:run",
    recipe={**RECIPE, "split": "val", "fusion_epochs": EPOCHS, "fusion_lr": TRIED[0]},
    variants={
        trial(family, rate): {**change, **({"fusion_lr": rate} if rate != TRIED[0] else {})}
        for rate in TRIED
        for family, change in FAMILIES.items()
    },
    reference=trial("concat", TRIED[0]),
    seeds=(SEED,),
    metrics=("mean_ap",),
)
