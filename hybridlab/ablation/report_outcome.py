"""Results, multiplicity, cost and claim of a report: do they say what the study says?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from hybridlab.ablation.claims import may_be_claimed
from hybridlab.ablation.findings import Analysis
from hybridlab.ablation.report_claims import names_a_variant, overclaims, says_what_is_open
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
from hybridlab.ablation.report_figures import has_difference, has_mean, odd_figures
from hybridlab.ablation.report_markdown import Document, Section, folded, plain
from hybridlab.ablation.tables import interval, signed

_TIME = re.compile(
    r"\d(?:[\d.,]*)\s*(?:s|sec|secs|seconds?|min|mins|minutes?|h|hours?|ms|core[- ]\w+)\b")
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_PASTE = " (`hybridlab report FOLDER --format markdown` prints the table)"


def results(
    section: Section | None, both: Sequence[Section], document: Document, facts: StudyFacts
) -> list[Mark]:
    """Points for means and differences that are the study's own, and for their intervals."""
    if section is None:
        return [missing("results", 2), Mark("figures", 0, 2, ("there are no results to look at",)),
                Mark("intervals", 0, 1, ("there are no results to look at",))]
    texts = _about(section, facts)
    first = facts.first
    with_value = [row.name for row in first.rows if row.seeds]
    absent = [name for name in with_value if not has_mean(texts[name], facts.known[name])]
    bare = [row.name for row in first.compared()
            if not has_difference(texts[row.name], facts.known[row.name])]
    lost = bool(first.troubles) and not re.search(
        r"\b(?:missing|failed|not done|undefined|lost|left out|fewer)\b", folded(document.text))
    odd = list(islice(_odd(section, both, facts), 6))
    return [
        mark("results", [
            (1, is_filled(section, 2) and not absent, todo(section) + "give " + "; ".join(
                f"{first.metric_name} of {name} ({signed(first.row(name).mean).lstrip('+')})"
                for name in absent[:4]) + _PASTE if absent else todo(section) + _PASTE),
            (1, not lost and is_filled(section, 2), "" if not lost else
             f"{len(first.troubles)} runs are not in the figures: say which, and why"),
        ]),
        Mark("figures", 0 if odd or not any(texts.values()) else 2, 2,
             tuple(odd) or (() if any(texts.values()) else ("there are no figures",))),
        mark("intervals", [(1, not bare, "give the difference to the reference with its interval: "
                             + "; ".join(_wanted(first, name) for name in bare[:4]))]),
    ]


def _wanted(analysis: Analysis, name: str) -> str:
    other = analysis.row(name).comparison
    assert other is not None
    return f"{name}: {interval(other.value, other.low, other.high, '+')}"


def _about(section: Section, facts: StudyFacts) -> dict[str, list[str]]:
    """Variant -> rows of tables and sentences that are about it."""
    found: dict[str, list[str]] = {name: [] for name in facts.study.variants}
    for row in section.rows():
        name = _of_row(row, facts)
        if name is not None:
            found[name].append(" | ".join(row[1:]))
    for sentence in section.sentences():
        for name in _named(sentence, facts):
            found[name].append(sentence)
    return found


def _odd(section: Section, both: Sequence[Section], facts: StudyFacts) -> Iterator[str]:
    """Figures, and verdicts in a table, that are not those of the study."""
    for row in section.rows():
        name = _of_row(row, facts)
        if name is None:
            continue
        for figure in odd_figures(" | ".join(row[1:]), [facts.known[name]]):
            yield f"{figure} in the row of {name} is none of its figures in the study"
        verdicts = {each.row(name).comparison.verdict for each in facts.analyses  # type: ignore[union-attr]
                    if each.row(name).comparison is not None}
        for cell in row[1:]:
            if folded(cell) in ("better", "worse", "no difference shown") and (
                    folded(cell) not in verdicts):
                yield f"“{cell}” in the row of {name} is not the study's verdict"
    everybody = list(facts.known.values())
    for part in both:
        for sentence in part.sentences():
            named = [facts.known[name] for name in _named(sentence, facts)]
            for figure in odd_figures(sentence, named or everybody):
                whose = " or ".join(each.name for each in named[:3]) or "any variant"
                yield f"{figure} in “{short(sentence, 60)}” is no figure of {whose} in the study"


def _of_row(row: Sequence[str], facts: StudyFacts) -> str | None:
    """The variant that a row of a table is about, by its first cell."""
    first = folded(row[0]) if row else ""
    for name in sorted(facts.study.variants, key=len, reverse=True):
        if first == folded(name) or re.match(rf"{re.escape(folded(name))}\s*[(,:]", first):
            return name
    return None


def _named(sentence: str, facts: StudyFacts) -> list[str]:
    text, found = folded(sentence), []
    for name in sorted(facts.study.variants, key=len, reverse=True):
        inner = re.escape(folded(name))
        pattern = rf"'{inner}'|^{inner}\s*:" if len(name) <= 2 else rf"(?<!\w){inner}(?!\w)"
        if re.search(pattern, text):
            found.append(name)
            text = re.sub(pattern, "§", text)
    return found


def multiplicity(section: Section | None, facts: StudyFacts) -> Mark:
    """A point for how many comparisons there are, and how p was corrected for that."""
    if section is None:
        return missing("multiplicity", 1)
    count = sum(row.comparison is not None for row in facts.first.rows)
    text = folded(section.text)
    word = _NUMBERS[count - 1] if 1 <= count <= len(_NUMBERS) else "§"
    counted = bool(re.search(rf"\b(?:{count}|{word})\b", text))
    named = "holm" in text or (count <= 1 and ("no correction" in text or "single" in text))
    return mark("multiplicity", [
        (1, counted and named and not TODO.search(section.text), todo(section) +
         f"say how many comparisons there are ({count}), and that p has Holm's correction"),
    ])


def cost(section: Section | None) -> Mark:
    """A point for how long a run takes."""
    if section is None:
        return missing("cost", 1)
    timed = bool(_TIME.search(plain(section.text)))
    return mark("cost", [(1, timed and not TODO.search(section.text), todo(section) +
                           "give a time with its unit, such as “12 s a run”")])


def claim(section: Section | None, document: Document, facts: StudyFacts) -> Mark:
    """Points for claims that are no stronger than the verdicts."""
    if section is None:
        return missing("claim", 4)
    sentences = section.sentences()
    said = [document.title, *sentences] if document.title else sentences
    too_much = overclaims(said, facts.analyses)
    filled = is_filled(section) and names_a_variant(sentences, facts.first)
    unshown = [row.name for row in facts.first.compared()
               if row.comparison is not None and not row.comparison.shown]
    told = [] if filled else [
        f"{todo(section)}say what is shown, of which variant: “{may_be_claimed(facts.first)[0]}”"]
    told += [f"“{short(each.sentence)}”: {each.advice}" for each in too_much[:6]]
    open_ = not unshown or says_what_is_open(sentences)
    if not open_:
        told.append("say also what is not shown: " + ", ".join(unshown[:4]))
    points = (max(0, 3 - len(too_much)) if filled else 0) + (1 if open_ and filled else 0)
    return Mark("claim", points, 4, tuple(told))
