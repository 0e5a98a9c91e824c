"""What opinions of other labels are worth at stage 4, at a co-occurrence of 1; see `evidence`.

    hybridlab reproduce 02

A rival of the CNN-RNN that beats heads by six points there (`stage4_100`): a network that reads all
opinions at once, and writes no sequence.
"""

from hybridlab.studies.evidence import evidence_study

# Written after `stage4_100` and `rivals_100`, before the first run.
STUDY = evidence_study(
    1.0,
    {
        "stacked heads": "Ahead by three points, half of what the CNN-RNN gains: company is seen "
        "here, but an opinion is all that is told of it.",
        "told the other labels": "Ahead by ten points.",
    },
    regime="stage4",
    cnn_stage="stage4",
)
