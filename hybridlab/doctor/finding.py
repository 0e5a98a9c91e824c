"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: what was looked at ("disk").
        status: "ok"; "warn", the course works but something is worth knowing; "fail", it does not.
        what: what was found, in words.
        advice: what to do about it; may be empty where all is well.
    """

    name: str
    status: Status
    what: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.status != "ok" and not self.advice:
            raise ValueError(f"the finding {self.name!r} is {self.status} without advice; add some")
