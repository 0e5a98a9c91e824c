"""What a study tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from hybridlab.ablation.study import PlannedRun


@dataclass(frozen=True)
class Event:
    """Something to tell while a study runs.

    Attributes:
        kind: "skipped" (done before), "redone" (its folder was not whole), "submitted", "done",
            "failed", "retried" (its worker died), "undefined" (a metric that was asked for has no
            value: told at the first run that shows it, each reason once), "stopped", "other code"
            (the study is complete, but runs were done by other code than now), or "restored"
            (study.json was damaged and is written anew).
        done, total: runs of the study that count now, and all.
        run: which run; None for the last three kinds.
        message: in words, where there is more to say.
        seconds: the run took; 0 if it was not computed.
        metrics: of a run that is done.
        leading, value: name of the study's first metric, and its value; None where it has none.
    """

    kind: str
    done: int
    total: int
    run: PlannedRun | None = None
    message: str = ""
    seconds: float = 0.0
    metrics: dict[str, float | None] | None = None
    leading: str = ""
    value: float | None = None
