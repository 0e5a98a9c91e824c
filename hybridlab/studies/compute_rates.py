"""Which rates suit each method of `hybridlab.studies.compute`? Trials on validation scenes.

    hybridlab ablate hybridlab/studies/compute_rates.py

One run each, with a seed that the study itself does not use. The best of each method are
`hybridlab.studies.compute.RATES`; differences between trials carry no claim.
"""

from __future__ import annotations

from hybridlab.ablation.study import Study
from hybridlab.studies.compute import COMPARED, RECIPE

SEED = 100
TRIED = ((1e-3, 1e-4), (1e-3, 5e-4), (2e-3, 1e-3), (3e-3, 1e-4), (3e-3, 5e-4),
         (4e-3, 2e-3))


def trial(method: str, lr: float, trunk_lr: float) -> str:
    """The name of a trial: "clip, head 0.001, trunk 0.0005"."""
    return f"{method}, head {lr:g}, trunk {trunk_lr:g}"


STUDY = Study(
    name="compute_rates",
    question="Which rates suit each way to learn from captions?",
    run="hybridlab.studies.compute:run",
    recipe={**RECIPE, "split": "val", "lr": TRIED[0][0], "trunk_lr": TRIED[0][1]},
    variants={
        trial(method, lr, trunk_lr): {
            name: value
            for name, value in (("method", method), ("lr", lr), ("trunk_lr", trunk_lr))
            if value != {**RECIPE, "lr": TRIED[0][0], "trunk_lr": TRIED[0][1]}[name]
        }
        for lr, trunk_lr in TRIED
        for method in COMPARED
    },
    reference=trial("clip", *TRIED[0]),
    seeds=(SEED,),
    metrics=("mean_ap",),
)
