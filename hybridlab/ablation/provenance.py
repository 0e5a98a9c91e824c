"""Where the runs of a study come from: versions, device, commit and date, over all manifests."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from hybridlab.ablation.records import RunRecord

# A path from the root of a disk: it says something about a machine, nothing about a result.
_ABSOLUTE = re.compile(r"(?<![\w./\\:])(?:[A-Za-z]:[\\/]|/)(?:[^\s/\\'\"<>|:;,()]+[\\/])+")


class Provenance(NamedTuple):
    """What the manifests say; where runs differ, all that was found, and a note."""

    versions: dict[str, str]
    device: str
    commit: str
    date: str
    notes: list[str]


def provenance(records: Iterable[RunRecord]) -> Provenance:
    """Gather the manifests of all runs; a run without one is left out."""
    manifests = []
    for record in records:
        try:
            manifests.append(record.manifest())
        except (OSError, ValueError):
            continue
    packages = sorted({name for each in manifests for name in each.get("versions", {})})
    versions = {
        name: _all(each.get("versions", {}).get(name, "none") for each in manifests)
        for name in packages
    }
    device, commit = _all(_device(each) for each in manifests), _all(
        commit_words(each) or "not recorded" for each in manifests
    )
    notes = [
        f"runs were done with different versions of {name}: {found}"
        for name, found in versions.items() if ", " in found
    ]
    if ", " in device:
        notes.append(f"runs were done on different devices: {device}")
    if len({str(sorted(each.get("code", {}).items())) for each in manifests}) > 1:
        notes.append("runs were done by different code: differences may come from it")
    threads = sorted({int(each["threads"]) for each in manifests if each.get("threads")})
    if len(threads) > 1:
        notes.append(
            f"runs used different numbers of threads ({', '.join(map(str, threads))}): sums in "
            "another order round differently, and training carries that on, so small differences "
            "may come from it"
        )
    ended = sorted(str(each["ended"]) for each in manifests if each.get("ended"))
    return Provenance(versions, device, commit, ended[-1][:10] if ended else "", notes)


def without_paths(text: str) -> str:
    """The text with the folders of every absolute path cut off: ".../scores.npz"."""
    return _ABSOLUTE.sub(".../", text)


def _device(manifest: dict[str, Any]) -> str:
    # A comma would look like two devices.
    return str(manifest.get("device", "not recorded")).replace(", ", " ")


def commit_words(manifest: dict[str, Any]) -> str:
    """The commit of a run, with a word where files differed from it; empty if git knew none."""
    git = manifest.get("git")
    if not git:
        return ""
    return git["commit"] + (" with changes that are not committed" if git["dirty"] else "")


def _all(found: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(found))
