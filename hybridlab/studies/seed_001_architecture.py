"""Which choice of each kind: backbone, RNN, attention, fusion? Seed 001's architecture variations.

    hybridlab ablate hybridlab.studies.seed_001_architecture --estimate
    hybridlab ablate hybridlab.studies.seed_001_architecture

Some 25 core-minutes for five seeds; it shares its reference with `seed_001_components`. The
backbones are those whose ImageNet weights come as packages, all at one size of image, though each
was trained at its own (224, 240, 260): a larger one is not at its best here.
"""

from hybridlab.studies.fusions import RATES
from hybridlab.studies.seed_001 import BACKBONES, seed_001_study

STUDY = seed_001_study(
    "seed_001_architecture",
    "Which backbone, which RNN, which attention, which fusion?",
    {
        "backbone Lite1": {"backbone": BACKBONES[1]},
        "backbone Lite2": {"backbone": BACKBONES[2]},
        "LSTM": {"cell": "lstm"},
        "one layer": {"layers": 1},
        "attention of each label, no RNN": {"reader": "look"},
        "fusion: gate": {"fusion": "gate", "fusion_lr": RATES["gate"]},
        "fusion: late": {"fusion": "late", "fusion_lr": RATES["late"]},
        "fusion: factorised bilinear": {
            "fusion": "factorised", "fusion_lr": RATES["factorised bilinear"]},
        "fusion: cross-attention": {
            "fusion": "cross_attention", "fusion_lr": RATES["cross-attention, both maps"]},
        "fusion: class attention": {
            "fusion": "class_attention", "fusion_lr": RATES["class attention, both maps"]},
    },
    # Written before the first run, after the studies of lesson 05.
    {
        "backbone Lite1": "No difference: all know photographs, and none knows drawings.",
        "backbone Lite2": "No difference.",
        "LSTM": "No difference.",
        "one layer": "No difference.",
        "attention of each label, no RNN": "Better by 1 mAP or more: heads learn from every label "
        "at once.",
        "fusion: gate": "No difference.",
        "fusion: late": "Worse: a vote cannot learn what two weak hints say together.",
        "fusion: factorised bilinear": "No difference.",
        "fusion: cross-attention": "Better by 1 mAP or more: it reads the maps.",
        "fusion: class attention": "Best of all: each label looks at both maps.",
    },
)
