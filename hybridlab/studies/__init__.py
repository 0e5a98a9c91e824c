"""The recorded studies of the course: which lesson rests on which."""

from __future__ import annotations

# lesson -> dotted names of its studies; each becomes notebooks/results/NAME.json
RECORDED: dict[int, tuple[str, ...]] = {
    0: ("hybridlab.studies.views",),
    1: (
        "hybridlab.studies.losses", "hybridlab.studies.losses_rare",
        "hybridlab.studies.losses_balanced",
    ),
    2: (
        "hybridlab.studies.dial_000", "hybridlab.studies.dial_025", "hybridlab.studies.dial_050",
        "hybridlab.studies.dial_075", "hybridlab.studies.dial_100", "hybridlab.studies.orders",
        "hybridlab.studies.feeding", "hybridlab.studies.beams", "hybridlab.studies.cnn_stages",
        "hybridlab.studies.regime_small", "hybridlab.studies.regime_large",
        "hybridlab.studies.regime_hidden", "hybridlab.studies.regime_clear",
        "hybridlab.studies.regime_few", "hybridlab.studies.regime_missing",
        "hybridlab.studies.evidence_000", "hybridlab.studies.evidence_075",
        "hybridlab.studies.evidence_100", "hybridlab.studies.evidence_small",
        "hybridlab.studies.evidence_hidden", "hybridlab.studies.evidence_few",
        "hybridlab.studies.stage4_000", "hybridlab.studies.stage4_075",
        "hybridlab.studies.stage4_100", "hybridlab.studies.rivals_000",
        "hybridlab.studies.rivals_075", "hybridlab.studies.rivals_100",
        "hybridlab.studies.evidence_stage4", "hybridlab.studies.evidence_stage4_075",
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
    5: (
        "hybridlab.studies.fusions", "hybridlab.studies.fused_styles",
        "hybridlab.studies.fused_unseen", "hybridlab.studies.fused_seen",
        "hybridlab.studies.fused_000", "hybridlab.studies.fused_100",
        "hybridlab.studies.fused_questions",
    ),
    6: ("hybridlab.studies.stages", "hybridlab.studies.stage_switches"),
    8: ("hybridlab.studies.parts",),
}
