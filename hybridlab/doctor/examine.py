"""All checks in order. A check that breaks down is itself a finding: the doctor never crashes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hybridlab.doctor import files, machine
from hybridlab.doctor.finding import Finding, Status
from hybridlab.doctor.speed import check_speed

CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": machine.check_python,
    "system": machine.check_system,
    "packages": machine.check_packages,
    "torch": machine.check_torch,
    "Jupyter": machine.check_jupyter,
    "emoji artwork": files.check_artwork,
    "CNN weights": files.check_cnn_weights,
    "tiny CLIP": files.check_tiny_clip,
    "shipped hybrid": files.check_hybrid,
    "disk": machine.check_disk,
    "memory": machine.check_memory,
    "processor": machine.check_cores,
    "working folder": machine.check_writing,
    "Colab": machine.check_colab,
}
_RANK: dict[Status, int] = {"ok": 0, "warn": 1, "fail": 2}


def diagnose(*, speed: bool = True) -> list[Finding]:
    """Look at everything that the course needs.

    Args:
        speed: measure the speed too (two seconds, and some to load the network).

    Returns:
        findings in the order in which to act on them. Nothing is raised but KeyboardInterrupt.
    """
    findings = [_guarded(name, check) for name, check in CHECKS.items()]
    if speed:
        findings.append(_guarded("speed", check_speed))
    return findings


def worst(findings: Sequence[Finding]) -> Status:
    """The worst status among them; "ok" where there are none."""
    return max((finding.status for finding in findings), key=_RANK.__getitem__, default="ok")


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # whatever it is, the other checks are still worth having
        text = " ".join(str(error).split()) or "no message"
        return Finding(
            name,
            "fail",
            f"this check broke down ({type(error).__name__}: {text})",
            "run `make setup`; if it stays, report it as an issue with this line",
        )
