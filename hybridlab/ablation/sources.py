"""The runs that an analysis is about, from a study's folder or given as records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hybridlab.ablation.definition import load_definition, read_definition
from hybridlab.ablation.findings import Trouble
from hybridlab.ablation.provenance import without_paths
from hybridlab.ablation.records import RunRecord
from hybridlab.ablation.state import load_results, study_state
from hybridlab.ablation.study import Study

# In notes about what was changed after runs: the page shows them beside the hypotheses.
LATER = "was written or changed on"


class Source(NamedTuple):
    """Runs, and what is known of the study that they belong to."""

    records: list[RunRecord]
    study: Study | None
    variants: list[str]
    seeds: tuple[int, ...]
    troubles: list[Trouble]
    notes: list[str]


def from_folder(folder: Path, reference: str | None, without: Sequence[str]) -> Source:
    """The done runs of a study's folder, and what is missing, save some variants.

    Raises:
        StudyFileError: the folder holds no study.
        ValueError: as `_kept`.
    """
    study = load_definition(folder)
    kept = _kept(list(study.variants), reference or study.reference, without)
    if without:
        study = replace(
            study, variants={name: study.variants[name] for name in kept},
            reference=study.reference if reference is None else reference,
            hypotheses={k: v for k, v in study.hypotheses.items() if k in kept},
        )
    state = study_state(study, folder)
    troubles = [
        Trouble(each.variant, each.seed, "failed", without_paths(str(each)))
        for each in state.failed
    ]
    troubles += [
        Trouble(each.variant, each.seed, "missing", state.broken.get(each.key, ""))
        for each in state.missing
    ]
    order = list(study.variants)
    troubles.sort(key=lambda each: (order.index(each.variant), each.seed))
    stored = read_definition(folder) or {}
    mixed = stored.get("mixed_code")
    notes = ["runs of other code were let in with --allow-mixed-code"] if mixed else []
    notes += [_later(each) for each in stored.get("reworded", [])]
    if without:
        notes.append(_left_out(without))
    records = [each for each in load_results(folder) if each.variant in study.variants]
    return Source(records, study, order, tuple(study.seeds), troubles, notes)


def from_records(
    records: list[RunRecord], reference: str | None, without: Sequence[str]
) -> Source:
    """The same from records alone: what is missing is what another variant or seed has.

    Raises:
        ValueError: as `_kept`, or a variant and seed are there twice.
    """
    if without:
        known = list(dict.fromkeys(record.variant for record in records))
        kept = _kept(known, reference or known[0], without)
        records = [record for record in records if record.variant in kept]
    variants = list(dict.fromkeys(record.variant for record in records))
    seeds = tuple(dict.fromkeys(record.seed for record in records))
    there = [(record.variant, record.seed) for record in records]
    if len(set(there)) < len(there):
        twice = next(pair for pair in there if there.count(pair) > 1)
        raise ValueError(f"the records hold variant {twice[0]!r}, seed {twice[1]} twice; drop one")
    troubles = [
        Trouble(name, seed, "missing")
        for name in variants for seed in seeds if (name, seed) not in set(there)
    ]
    return Source(records, None, variants, seeds, troubles, [_left_out(without)] if without else [])


def _kept(variants: list[str], reference: str, without: Sequence[str]) -> list[str]:
    """The variants that stay.

    Raises:
        ValueError: one that shall be left out is none of them, or is the reference.
    """
    for name in without:
        if name not in variants:
            raise ValueError(
                f"cannot leave out {name!r}, which is no variant; the variants are "
                + ", ".join(map(repr, variants))
            )
        if name == reference:
            raise ValueError(
                f"cannot leave out {name!r}, with which all others are compared; name another "
                "variant with --reference (reference=)"
            )
    return [name for name in variants if name not in without]


def _later(entry: Mapping[str, Any]) -> str:
    """An entry of `definition.reworded` as a sentence."""
    was, runs = entry["was"], entry["runs"]
    known = "what it was before is not known" if was is None else (
        f"it was {json.dumps(was, ensure_ascii=False)}" if str(was).strip() else "it was empty")
    return (
        f"{entry['what']} {LATER} {str(entry['when'])[:10]}, when {runs} "
        f"{'run was' if runs == 1 else 'runs were'} done ({known}): whoever has seen results may "
        "have been led by them"
    )


def _left_out(without: Sequence[str]) -> str:
    names = ", ".join(f"“{name}”" for name in dict.fromkeys(without))
    return f"left out on request (--without): {names}; Holm's correction is over what is left"
