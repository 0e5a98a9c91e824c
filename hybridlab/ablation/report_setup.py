"""Hypothesis, recipe and seeds of a report: are they those of the study?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hybridlab.ablation.report_facts import (
    TODO,
    Mark,
    StudyFacts,
    is_filled,
    mark,
    missing,
    short,
    todo,
)
from hybridlab.ablation.report_markdown import Section, folded, plain
from hybridlab.ablation.study import Study

_SETTING = re.compile(r"\b([A-Za-z_]\w*)\s*[:=]\s*(\[[^\]]{0,200}\]|\"[^\"]{0,200}\"|[^\s,;]+)")
_LIST = re.compile(r"\d+(?:\s*(?:,\s*and|,|;|and|&)\s*\d+)+")
_RANGE = re.compile(r"(\d+)\s*(?:to|through|until|-|–|—|\.{2,3}|…)\s*(\d+)")
_PYTHON_RANGE = re.compile(r"range\((?:(\d+),\s*)?(\d+)\)")


def hypothesis(section: Section | None, facts: StudyFacts) -> Mark:
    """Points for the hypotheses of the study, as they stood before its first run."""
    if section is None:
        return missing("hypothesis", 3)
    text = f" {folded(section.text)} "
    written = {name: words for name, words in facts.study.hypotheses.items() if words.strip()}
    absent = [name for name, words in written.items() if folded(words) not in text]
    late = [each for each in facts.reworded if str(each["what"]).startswith("hypotheses")]
    if not is_filled(section):
        return Mark("hypothesis", 0, 3, (todo(section) + "say what you expected, and why",))
    open_ = "" if written else (
        "the study has no hypothesis, and one that is written after the runs is none: say so here, "
        "and write it first in the next study")
    return mark("hypothesis", [
        (1, True, ""),
        (1, bool(written) and not absent, open_ or (
            "word for word as in the study's file: " + "; ".join(
                f"{name}: “{short(written[name])}”" for name in absent[:3]))),
        (1, bool(written) and not late, "" if not written else (
            "written or changed after runs were done: " + "; ".join(
                f"{each['what']} on {str(each['when'])[:10]}, after {each['runs']} runs"
                for each in late[:3]) + " (nothing mends that: say so here, as an exploration)")),
    ])


def recipe(section: Section | None, facts: StudyFacts) -> Mark:
    """Points for the recipe of the study, and for what each variant changes in it."""
    if section is None:
        return missing("recipe", 3)
    study = facts.study
    given = dict(_settings(section, study))
    wrong = [f"{name} is {json.dumps(study.recipe[name])} in the study, not {value}"
             for name, value in given.items() if not _same_value(value, study.recipe[name])]
    sizes = [name for name in ("train", "val", "test") if name in study.recipe]
    needed = sizes or list(study.recipe)[:3]
    absent = [name for name in needed if name not in given]
    text = folded(section.text)
    silent = [
        name for name, changes in study.variants.items()
        if changes and not (folded(name) in text and any(
            re.search(rf"(?<!\w){re.escape(key.casefold())}(?!\w)", text) for key in changes))
    ]
    return mark("recipe", [
        (1, is_filled(section) and not absent, todo(section) + (
            "a row of a table, or “name: value”, for " + ", ".join(absent or needed))),
        (1, bool(given) and not wrong, "; ".join(wrong[:4]) or "no setting of the study is given"),
        (1, not silent, "say what these variants change, by the names of settings: " + "; ".join(
            f"{name}: {_changes(study, name)}" for name in silent[:3])),
    ])


def _changes(study: Study, name: str) -> str:
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in study.variants[name].items())


def _settings(section: Section, study: Study) -> Iterator[tuple[str, str]]:
    """Names of the recipe with the values that the report gives them; what a variant changes, in a
    line that names it, is not the recipe's."""
    changing = {folded(name) for name, changes in study.variants.items() if changes}
    for row in section.rows():
        if len(row) >= 2 and row[0] in study.recipe:
            yield row[0], row[1]
    for sentence in section.sentences():
        if any(name in folded(sentence) for name in changing):
            continue
        for found in _SETTING.finditer(sentence):
            if found[1] in study.recipe:
                yield found[1], found[2].rstrip(".")


def _same_value(written: str, value: Any) -> bool:
    """Whether text says what the recipe says: 0.001, 1e-3, "concat" or concat, true or True."""
    text = written.strip().strip("\"'“”")
    if isinstance(value, bool) or value is None:
        return text.casefold() in (json.dumps(value), str(value).casefold())
    if isinstance(value, int | float):
        try:
            return float(text.replace(",", "").replace(" ", "")) == float(value)
        except ValueError:
            return False
    if isinstance(value, str):
        return folded(text) == folded(value) or (not value and text.casefold() in ("", "none", "-"))
    squeezed = re.sub(r"[\s\"'“”]", "", json.dumps(value))
    return re.sub(r"[\s\"'“”]", "", written.replace("(", "[").replace(")", "]")) == squeezed


def seeds(section: Section | None, results: Section | None, facts: StudyFacts) -> Mark:
    """Points for the seeds of the study, and that all variants share them."""
    if section is None:
        return missing("seeds", 2)
    listed = ", ".join(map(str, facts.study.seeds))
    found = _named_seeds(plain(section.text), facts.study.seeds)
    both = folded(section.text + "\n" + (results.text if results else ""))
    paired = bool(re.search(r"\bpair(?:ed|s|ing)?\b|\bsame seeds?\b|\bsame for all\b", both))
    return mark("seeds", [
        (1, not TODO.search(section.text) and found == set(facts.study.seeds),
         todo(section) + f"name the seeds of the study: {listed}" + (
             f" (the report names {', '.join(map(str, sorted(found)))})" if found else "")),
        (1, paired, "say that differences are paired: all variants have the same seeds"),
    ])


def _named_seeds(text: str, seeds: Sequence[int]) -> set[int]:
    """Seeds by their numbers, in a list, a range, or as the one that stands there."""
    found: set[int] = set()
    for each in _PYTHON_RANGE.finditer(text):
        found |= set(range(int(each[1] or 0), min(int(each[2]), 10_000)))
    text = _PYTHON_RANGE.sub(" ", text)
    for each in _RANGE.finditer(text):
        first, last = int(each[1]), int(each[2])
        if first < last <= first + 10_000:
            found |= set(range(first, last + 1))
    text = _RANGE.sub(" ", text)
    for each in _LIST.finditer(text):
        found |= {int(number) for number in re.findall(r"\d+", each[0])}
    if not found:
        found = {int(each[1]) for each in re.finditer(r"\bseeds?\s*(?:is|was|=|:)?\s*(\d{1,9})\b",
                                                      text, re.IGNORECASE)}
    return found
