"""Is a report on a study whole, and does it say what the study says? Points for each part of it.

    hybridlab report STUDY_FOLDER --check REPORT.md

What is checked is structure and honesty, not style: each part is there and filled, hypotheses stood
there before the runs, recipe, seeds and figures are the study's, and no claim is stronger than its
verdicts.
"""

from __future__ import annotations

import re
from pathlib import Path

from hybridlab.ablation.report_facts import (
    HEADINGS,
    TODO,
    CheckedReport,
    Mark,
    StudyFacts,
    is_filled,
    mark,
    missing,
    study_facts,
    todo,
)
from hybridlab.ablation.report_markdown import Document, Section, parse, plain, read_document
from hybridlab.ablation.report_outcome import claim, cost, multiplicity, results
from hybridlab.ablation.report_setup import hypothesis, recipe, seeds

_TEMPLATE_TITLE, _TEMPLATE_AUTHOR = "TITLE", "NAME"
_AUTHOR = re.compile(r"^\W*(?:authors?|by|name)\W*[:\s]\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)


def check_report(report: str | Path, study: str | Path | StudyFacts) -> CheckedReport:
    """Check a report against the study that it is about.

    Args:
        report: its text, or the path of its file.
        study: its folder, or the `study_facts` of it, where many reports are checked.

    Raises:
        StudyFileError: the folder holds no study.
        ValueError: no run of it is done, or the report is no text in UTF-8 of at most
            `report_markdown.MOST` characters.
        OSError: a file cannot be read.
    """
    document = read_document(report) if isinstance(report, Path) else parse(report)
    facts = study if isinstance(study, StudyFacts) else study_facts(study)
    parts = {name: document.section(frozenset(each.casefold() for each in names))
             for name, names in HEADINGS.items()}
    prose = [each for each in (parts["results"], parts["claim"]) if each is not None]
    marks = [
        _top(document), _question(parts["question"]), hypothesis(parts["hypothesis"], facts),
        recipe(parts["recipe"], facts), seeds(parts["seeds"], parts["results"], facts),
        *results(parts["results"], prose, document, facts),
        multiplicity(parts["multiplicity"], facts), cost(parts["cost"]),
        claim(parts["claim"], document, facts),
        _filled("threats", parts["threats"], 8,
                "say what might make the claim wrong, or keep it from holding elsewhere"),
        _repeat(parts["repeat"]),
    ]
    return CheckedReport(tuple(marks), document.troubles)


def _top(document: Document) -> Mark:
    author = _AUTHOR.search(document.text)
    titled = bool(document.title) and not re.search(rf"\b{_TEMPLATE_TITLE}\b", document.title)
    named = author is not None and plain(author[1]) != _TEMPLATE_AUTHOR
    return mark("title and author", [
        (1, titled and named, "begin with “# ” and a title that says what was found, then a line "
                              "“Author: ” with your name")])


def _question(section: Section | None) -> Mark:
    if section is None:
        return missing("question", 1)
    asked = is_filled(section) and "?" in section.text
    return mark("question", [
        (1, asked, todo(section) + "ask one question, in a sentence that ends in “?”")])


def _filled(part: str, section: Section | None, least: int, advice: str) -> Mark:
    if section is None:
        return missing(part, 1)
    return mark(part, [(1, is_filled(section, least), todo(section) + advice)])


def _repeat(section: Section | None) -> Mark:
    if section is None:
        return missing("repeat", 1)
    command = re.search(r"\bhybridlab (?:ablate|reproduce)\b", plain(section.text))
    return mark("repeat", [
        (1, command is not None and not TODO.search(section.text), todo(section) +
         "give the command that repeats the study: `hybridlab ablate STUDY`")])
