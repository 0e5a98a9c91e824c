"""What label dependency adds to good heads at a co-occurrence of 0.75; see `evidence`.

    hybridlab reproduce 02
"""

from hybridlab.studies.evidence import evidence_study

STUDY = evidence_study(0.75, {})
