"""The recorded studies of the course: which lesson rests on which."""

from __future__ import annotations

# lesson -> dotted names of its studies; each becomes notebooks/results/NAME.json
RECORDED: dict[int, tuple[str, ...]] = {
    0: ("hybridlab.studies.views",),
    1: (
        "hybridlab.studies.losses", "hybridlab.studies.losses_rare",
        "hybridlab.studies.losses_balanced",
    ),
    3: (
        "hybridlab.studies.contrast", "hybridlab.studies.false_negatives",
        "hybridlab.studies.siglip_start", "hybridlab.studies.compute",
    ),
    4: (
        "hybridlab.studies.prompts", "hybridlab.studies.unseen", "hybridlab.studies.unseen_others",
        "hybridlab.studies.together", "hybridlab.studies.together_others",
        "hybridlab.studies.styles", "hybridlab.studies.within", "hybridlab.studies.within_pictures",
    ),
    8: ("hybridlab.studies.parts",),
}
