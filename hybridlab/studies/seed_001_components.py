"""Which component of a CNN-RNN with attention and fusion matters? Seed 001's component analysis.

    hybridlab ablate hybridlab.studies.seed_001_components --estimate
    hybridlab ablate hybridlab.studies.seed_001_components

Some 10 core-minutes for five seeds (one for a run that trains a reader, seconds where the store has
it). Each variant takes one component away. "No attention" and "global features" differ in where the
map is averaged: behind the decoder's projection, or before it.
"""

from hybridlab.studies.seed_001 import seed_001_study

STUDY = seed_001_study(
    "seed_001_components",
    "Which component matters: attention, a map of places, the RNN, or the fusion with CLIP?",
    {
        "no attention": {"look": "mean"},
        "global features": {"features": "global"},
        "mean pooling in the RNN's place": {"reader": "mean"},
        "no fusion": {"fused": False},
        "no attention, no fusion": {"look": "mean", "fused": False},
        "mean pooling, no fusion": {"reader": "mean", "fused": False},
    },
    # Written before the first run.
    {
        "no attention": "Worse by less than 1 mAP: the fusion leans on CLIP.",
        "global features": "As without attention: no difference to it, worse than the reference.",
        "mean pooling in the RNN's place": "No difference: opinions of either kind are weak.",
        "no fusion": "Worse by 15 mAP or more: CLIP knows emoji, ImageNet does not.",
        "no attention, no fusion": "Worse than without fusion alone by 5 mAP: here attention is "
        "all that finds small things.",
        "mean pooling, no fusion": "Worse than without fusion alone.",
    },
)
# What attention and the RNN bring where no CLIP hides it.
ALSO_AGAINST = ("no fusion",)
