"""What should a step of training be told? Teacher forcing, scheduled sampling, free running; see
`decoding`.

    hybridlab reproduce 02
"""

from hybridlab.ablation.study import Study
from hybridlab.studies.decoding import METRICS, RECIPE

# Hypotheses were written before the first run.
STUDY = Study(
    name="feeding",
    question="Does it help to train a decoder on its own mistakes?",
    run="hybridlab.studies.decoding:run",
    recipe=RECIPE,
    variants={
        "teacher forcing": {},
        "scheduled sampling": {"feeding": "scheduled"},
        "free running": {"feeding": "free"},
    },
    reference="teacher forcing",
    seeds=range(5),
    metrics=METRICS,
    hypotheses={
        "scheduled sampling": "Better in OF1 and exact match: it has met its own mistakes.",
        "free running": "Worse: with a fixed order, what it said and what is asked come apart.",
    },
)
