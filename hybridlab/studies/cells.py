"""Which parts should a CNN-RNN have? Cells, layers, image conditioning, output; see `decoding`.

    hybridlab reproduce 02
"""

from hybridlab.ablation.study import Study
from hybridlab.decoder.build import CNN_RNNS
from hybridlab.studies.decoding import METRICS, RECIPE

# Hypotheses were written before the first run.
STUDY = Study(
    name="cells",
    question="Which parts of the CNN-RNN earn their place?",
    run="hybridlab.studies.decoding:run",
    recipe=RECIPE,
    variants={
        "GRU, 2 layers, attention, linear": {},
        "LSTM": {"cell": "lstm"},
        "linear values": {"read": "linear"},
        "1 layer": {"layers": 1},
        "the map's mean for attention": {"look": "mean"},
        "joint embedding": {"output": "joint"},
        "image at the output only": {"feed_image": False},
        "as in the repository (LSTM, mean)": {**CNN_RNNS["repository"][1], "read": "linear"},
        "as in the paper (LSTM, mean, joint)": {**CNN_RNNS["paper"][1], "read": "linear"},
    },
    reference="GRU, 2 layers, attention, linear",
    seeds=range(3),
    metrics=METRICS,
    hypotheses={
        "LSTM": "No difference: sequences of four steps need no long memory.",
        "1 layer": "No difference.",
        "the map's mean for attention": "Worse by several points, more so for small objects.",
        "joint embedding": "No difference in mAP.",
        "image at the output only": "A little worse: the state cannot tell what it has not yet "
        "written.",
        "as in the paper (LSTM, mean, joint)": "The worst of all.",
    },
)
