"""The runs of `within`, asked about pictures: is a scene near to others of its labels?

A first look at the CLIP as shipped asked single pictures, where nothing is left to gain (AUC .998).
So scenes are asked. The hypotheses were written before any training run.
"""

from hybridlab.studies.within import within_study

STUDY = within_study(
    "within_pictures",
    "Does a loss among images bring pictures of one label together?",
    "pictures",
    {
        "as shipped": "Worse: without batches of pairs there is no such pull at all.",
        "30 steps, weight 1": "Better by some points, and the AUC of pairs rises.",
        "30 steps, weight 3": "Better still.",
    },
)
