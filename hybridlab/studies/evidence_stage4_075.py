"""What opinions of other labels are worth at stage 4, at a co-occurrence of 0.75; see `evidence`.

    hybridlab reproduce 02

As `evidence_stage4`, at the dial's usual place, where the mix with the CNN-RNN is 3.4 points ahead
of heads (`stage4_075`).
"""

from hybridlab.studies.evidence import evidence_study

# Written after the first seed of `evidence_stage4` (8.6 points), before the first run of this one.
STUDY = evidence_study(
    0.75,
    {
        "stacked heads": "Ahead by three points, as much as the mix with the CNN-RNN.",
        "told the other labels": "Ahead by five points.",
    },
    regime="stage4_075",
    cnn_stage="stage4",
)
