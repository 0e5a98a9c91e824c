"""Does the hybrid beat its best single view? The comparison of `hybridlab demo`, over five seeds.

    hybridlab reproduce 00
"""

from hybridlab.ablation.study import Study
from hybridlab.studies.small_world import RECIPE

STUDY = Study(
    name="views",
    question="Does fusing the two views beat the better of them, and what does each part add?",
    run="hybridlab.studies.small_world:run",
    recipe=RECIPE,
    variants={
        "linear head on the CNN": {"method": "linear_cnn"},
        "CNN-RNN alone": {"method": "cnn_rnn"},
        "CLIP zero-shot, whole picture": {"method": "zero_shot_global"},
        "CLIP zero-shot, best patch": {"method": "zero_shot_patch"},
        "linear head on CLIP": {"method": "linear_clip"},
        "CLIP alone through the fusion, frozen": {"method": "hybrid_frozen", "view": "none"},
        "CLIP alone through the fusion, tuned": {"view": "none"},
        "hybrid, decoder's state, frozen": {"method": "hybrid_frozen", "view": "state"},
        "hybrid without cross-fitting, frozen": {"method": "hybrid_frozen", "folds": 1},
        "hybrid without the contrastive loss, frozen": {"method": "hybrid_frozen", "beta": 0.0},
        "hybrid, frozen": {"method": "hybrid_frozen"},
        "hybrid, tuned": {},
    },
    reference="linear head on CLIP",
    seeds=range(5),
    hypotheses={
        "hybrid, frozen": "The decoder sees what CLIP does not: fusing both beats CLIP alone.",
        "hybrid, decoder's state, frozen": "A state that was fitted on the same scenes misleads "
        "the fusion: no gain.",
        "hybrid without cross-fitting, frozen": "Opinions on scenes that the decoder knows by "
        "heart are trusted too much: less gain than with cross-fitting.",
        "hybrid, tuned": "Tuning CLIP's tower adds to fusion.",
        "CLIP alone through the fusion, tuned": "Tuning alone does not reach the tuned hybrid.",
    },
)

# Tuned against tuned: what of the gain is fusion, and what is tuning. And what each part of the
# frozen hybrid is worth by itself.
ALSO_AGAINST = ("CLIP alone through the fusion, tuned", "hybrid, frozen")
