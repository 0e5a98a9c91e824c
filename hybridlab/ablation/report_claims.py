"""Claims in prose against the verdicts of a study: none may be stronger than what was shown.

A sentence is read clause by clause. One that names a variant and says better, worse, best or equal
is compared with the verdicts; one that says what is not shown, or what was only expected, is not a
claim. This is a reader of plain sentences, no judge of style: what it does not understand, it lets
pass, so that no honest report is called dishonest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hybridlab.ablation.claims import may_be_claimed, may_not_be_claimed
from hybridlab.ablation.findings import BETTER, ONE_SEED, WORSE, Analysis
from hybridlab.ablation.report_markdown import folded

_LONGEST = 2000  # characters of a sentence that are read
_CLAUSE = re.compile(
    r"\s*(?:;|:\s|—|--|,\s+(?:but|while|whereas|although|though|however|yet|so)\b"
    r"|\b(?:but|while|whereas|although|though|however)\b)\s*"
)
# These end a clause only between a verdict and the next subject: "a is better and b is worse".
_SOFT = re.compile(r",\s+(?:and\s+|or\s+)?|\s+(?:and|or)\s+")
_VERB = (r"'?\s*(?:is|are|was|were|has|have|does|did|falls?|loses?|beats?|gains?|outperforms?"
         r"|helps?|improves?|trails?|performs?|stays?|remains?|adds?|brings?|makes?)\b")
# No claim, whatever else it says: what is not shown, what was only expected, what others may do.
_OPEN = re.compile(
    r"\b(?:(?:no|not|never|without|nor|neither|none|nothing|n't)\b(?:\s+\S+){0,4}?\s+"
    r"(?:shown|show|shows|claim|claimed|proven|prove|proves|established|significant\w*|found|find"
    r"|seen|detected|detectable|decided|tell|say|said|know|known|conclude\w*|evidence|demonstrat\w*"
    r"|support\w*|confirm\w*|enough|sure|clear|read|taken|mean|means|follow\w*)\b"
    r"|cannot|can't|no evidence|too few|undecided|inconclusive|unclear|uncertain|open question"
    r"|remains? open|would often be missed|hypothes\w+|expect\w*|predict\w*|believ\w+|guess\w*"
    r"|whether|may|might|could|would|should|perhaps|possibly|if|unless|question"
    r"|(?:on|with|in|for) seed \d+|(?:on|in|for) (?:one|a single|two|some|most) seeds?)\b"
    r"|\b(?:is|are|was|were|do|does|did|has|have|could|would)n't\b(?:\s+\S+){0,3}?\s+"
    r"(?:shown|show|claim|prove|find|found|seen|support|confirm)\b"
)
_NOT = r"(?:\b(?:no|not|never|neither|nor|hardly|without)\b|n't\b)(?:\s+\S+){0,2}?\s+$"
_BETTER = re.compile(
    r"\b(?:better|beats?|beat|outperform\w*|improv\w+|gains?|gained|ahead|superior|surpass\w*"
    r"|exceed\w*|wins?|won|helps?|helped|stronger|raises?|boosts?|benefi\w+|pays?|adds?)\b"
)
_WORSE = re.compile(
    r"\b(?:worse|loses?|lost|behind|inferior|hurts?|harm\w*|degrad\w*|underperform\w*|trails?"
    r"|weaker|damag\w+)\b"
)
_HIGHER, _LOWER = re.compile(r"\bhigher\b"), re.compile(r"\blower\b")
_BEST = re.compile(
    r"\b(?:is|was|are|comes out|clearly|the|performs?|works?)\s+(?:the\s+)?(?:overall\s+)?best\b"
    r"(?!\s+(?:epoch|threshold|rate|checkpoint|guess|case|view|single|patch|practice|of each))"
    r"|\bbest (?:variant|method|model|fusion|of all|of the three|overall|one)\b"
    r"|\b(?:beats?|outperforms?|better than) (?:all|every|any|everything)\b"
)
_EQUAL = re.compile(
    r"\b(?:are|is|were|was|perform\w*|works?|worked|does|do|did)\s+(?:about|equally|just|exactly"
    r"|practically|essentially|statistically|both)?\s*(?:the same\b(?! (?:seed|recipe|scene|data|"
    r"size|test|train|split|in all|for all))|equal\b|equivalent|identical\b|as good as|as well as"
    r"|as strong as|on par|interchangeable|no different)"
    r"|\bequally (?:good|well|strong)\b|\bas good as\b|\bhas no (?:effect|influence|impact)\b"
    r"|\bmakes? no difference\b|\b(?:does|do|did)(?: not|n't) matter\b|\bis (?:useless|redundant"
    r"|irrelevant|superfluous)\b|\bthere is no difference\b(?! shown)|\bbrings? nothing\b"
    r"|\badds? nothing\b"
)
_TOO_WIDE = re.compile(
    r"\b(?:proves?|proven|proof|always|in general|generally|universal\w*|guarantee\w*|certainly"
    r"|undoubtedly|state[- ]of[- ]the[- ]art|(?:for|on|in) (?:all|any|every|each) (?:data|dataset"
    r"|datasets|image|images|picture|pictures|photo|photos|model|models|task|tasks|domain|domains"
    r"|real)\b)"
)
_NEGATION = re.compile(r"\b(?:no|not|never|nor|neither|nothing|cannot|without)\b|n't\b")
_COMPARED = re.compile("|".join(
    [each.pattern for each in (_BETTER, _WORSE, _HIGHER, _LOWER, _BEST, _EQUAL)]
    + [r"\b(?:open|undecided|unclear|shown|found)\b"]))
# What stands before the variant that is compared with.
_AGAINST = re.compile(
    r"\b(?:than|over|against|to|versus|vs\.?|beats?|beat|outperforms?|outperformed|surpass\w*"
    r"|exceeds?|with|from|behind|ahead of|on|of|relative to|unlike|by)\s+"
    r"(?:that of\s+|those of\s+)?(?:the\s+|our\s+)?(?:reference,?\s+)?(?:variant\s+)?[('\s]*$"
)


class Overclaim(NamedTuple):
    """A sentence that says more than the study shows, and what may be written in its place."""

    sentence: str
    advice: str


class _Mention(NamedTuple):
    name: str
    begin: int
    end: int
    other: bool  # it is what the sentence compares with


def overclaims(sentences: Sequence[str], analyses: Sequence[Analysis]) -> list[Overclaim]:
    """The sentences of a report that claim more than its study shows.

    Args:
        sentences: plain text.
        analyses: of the study, by the metric that judges and by others that a sentence may name.
    """
    allowed = {folded(text) for analysis in analyses
               for text in (*may_be_claimed(analysis), *may_not_be_claimed(analysis))}
    allowed |= {text.removeprefix("that ") for text in allowed}
    found = []
    for sentence in sentences:
        text = folded(sentence[:_LONGEST])
        if text in allowed:
            continue
        advice = next((why for why in _troubles(text, analyses)), "")
        if advice:
            found.append(Overclaim(sentence[:200], advice))
    return found


def names_a_variant(sentences: Sequence[str], analysis: Analysis) -> bool:
    """Whether some sentence says which variant it is about."""
    names = [row.name for row in analysis.rows]
    return any(_mentions(folded(text[:_LONGEST]), names, analysis.reference) for text in sentences)


def says_what_is_open(sentences: Sequence[str]) -> bool:
    """Whether some sentence says what is not shown."""
    return any(_OPEN.search(folded(text[:_LONGEST])) or "no difference" in folded(text[:_LONGEST])
               for text in sentences)


def _troubles(text: str, analyses: Sequence[Analysis]) -> Iterator[str]:
    names = [row.name for row in analyses[0].rows]
    subjects: list[_Mention] = []
    for clause in _clauses(text, names):
        words = _masked(clause, names, analyses[0].reference)
        mentions = _mentions(clause, names, analyses[0].reference)
        wide = _TOO_WIDE.search(words)
        if wide and not _NEGATION.search(words) and not _OPEN.search(words):
            yield (f"“{wide[0]}” goes beyond one recipe and one set of scenes: say “in this study”")
        if _OPEN.search(words):
            continue
        own = [each for each in mentions if not each.other]
        if own:
            subjects = own
        # "... and is better than b": who is meant was named in the clause before
        meant = own or subjects
        if not (meant or mentions):
            continue
        judged_by = _metric(text, analyses)
        yield from _judged(words, meant, [each for each in mentions if each.other], judged_by)


def _judged(
    words: str, subjects: Sequence[_Mention], others: Sequence[_Mention], analysis: Analysis
) -> Iterator[str]:
    mine = list(dict.fromkeys(each.name for each in subjects))
    than = list(dict.fromkeys(each.name for each in others if each.name not in mine))
    if _EQUAL.search(words) and len({*mine, *than}) + (not than) > 1:
        name = next((each for each in [*mine, *than] if each != analysis.reference), "it")
        yield (f"no study shows that two are equal: write “no difference between {name} and "
               f"{analysis.reference} is shown”, with the interval")
        return
    if _BEST.search(words):
        for name in mine:
            if name != analysis.best:
                best = f"only “{analysis.best}” is" if analysis.best else "none is"
                yield (f"“{name}” is not shown to be better than every other variant; {best}")
        return
    direction = _direction(words, analysis)
    if direction is None:
        return
    for name in mine:
        for other in than or _implied(name, analysis):
            if name != other:
                yield from _pair(name, other, direction, analysis)


def _implied(name: str, analysis: Analysis) -> list[str]:
    """What a variant is compared with where nothing is named."""
    if name != analysis.reference:
        return [analysis.reference]
    return [row.name for row in analysis.rows if row.name != name]


def _pair(name: str, other: str, direction: str, analysis: Analysis) -> Iterator[str]:
    """What is wrong with the claim that one variant is better (or worse) than another."""
    turned = {BETTER: WORSE, WORSE: BETTER}
    if name == analysis.reference:
        name, other, direction = other, name, turned[direction]
    if other != analysis.reference:
        better = name if direction == BETTER else other
        if better != analysis.best:
            yield (f"“{name}” and “{other}” were not compared: the study compares with "
                   f"“{analysis.reference}”; `hybridlab report FOLDER --reference {other!r}` does")
        return
    row = analysis.row(name)
    if row.comparison is None:
        yield f"“{name}” could not be compared with “{other}”, so nothing may be said of the two"
    elif row.comparison.verdict == ONE_SEED:
        yield ("with one seed only two trained models were compared, not two methods: say so, or "
               "run more seeds")
    elif row.comparison.verdict != direction:
        yield (f"that “{name}” is {direction} than “{other}” in {analysis.metric_name} is not "
               f"shown; the study says: {row.comparison.words}")


def _direction(words: str, analysis: Analysis) -> str | None:
    """BETTER or WORSE, as the first word of comparison in a clause that is not denied says."""
    literal = (WORSE, BETTER) if analysis.lower_is_better else (BETTER, WORSE)
    found = []
    for pattern, meaning in ((_BETTER, BETTER), (_WORSE, WORSE), (_HIGHER, literal[0]),
                             (_LOWER, literal[1])):
        found += [(each.start(), meaning) for each in pattern.finditer(words)
                  if not re.search(_NOT, words[:each.start()][-60:])]
    return min(found)[1] if found else None


def _metric(text: str, analyses: Sequence[Analysis]) -> Analysis:
    """The analysis by the metric that a sentence names; else the one that judges."""
    named = [each for each in analyses
             if re.search(rf"(?<![\w-]){re.escape(each.metric_name.casefold())}(?!\w)", text)]
    return named[0] if len(named) == 1 else analyses[0]


def _clauses(text: str, names: Sequence[str]) -> list[str]:
    """The clauses of a sentence; no name of a variant is cut."""
    spans = [(each.begin, each.end) for each in _mentions(text, names, "")]
    cuts = [cut.span() for cut in _CLAUSE.finditer(text)]
    cuts += [cut.span() for cut in _SOFT.finditer(text) if _begins_anew(text, cut.end(), spans)]
    parts, begin = [], 0
    for first, last in sorted(cuts):
        if first < begin or any(one < last and first < two for one, two in spans):
            continue
        if _SOFT.fullmatch(text[first:last]) and not _COMPARED.search(text[begin:first]):
            continue
        parts.append(text[begin:first])
        begin = last
    return [part for part in [*parts, text[begin:]] if part.strip()]


def _begins_anew(text: str, at: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a name (or "it") and a verb stand there: the subject of another clause."""
    if re.match(rf"(?:it|they|both|this|that|neither){_VERB}", text[at:at + 60]):
        return True
    for one, two in spans:
        between = text[at:one]
        if 0 <= one - at <= 6 and re.fullmatch(r"(?:the |an? )?'?", between):
            return re.match(rf"'?(?: variant)?{_VERB}", text[two:two + 40]) is not None
    return False


def _mentions(text: str, names: Sequence[str], reference: str) -> list[_Mention]:
    """Where variants are named, longer names first; very short ones only in quotes."""
    found: list[_Mention] = []
    for name in sorted(names, key=len, reverse=True):
        inner = re.escape(folded(name))
        if not inner:
            continue
        pattern = rf"'{inner}'" if len(folded(name)) <= 2 else rf"(?<!\w){inner}(?!\w)"
        for match in re.finditer(pattern, text):
            if not any(one.begin < match.end() and match.start() < one.end for one in found):
                found.append(_Mention(name, match.start(), match.end(), False))
    if reference:
        for match in re.finditer(r"\bthe (?:reference|baseline)\b(?!\s*[,(']?\s*\()", text):
            free = not any(one.begin < match.end() and match.start() < one.end for one in found)
            apposed = any(0 <= one.begin - match.end() <= 4 for one in found)
            if free and not apposed:
                found.append(_Mention(reference, match.start(), match.end(), False))
    found.sort(key=lambda one: one.begin)
    told: list[_Mention] = []
    for each in found:
        before = text[max(0, each.begin - 60):each.begin]
        # "better than a, b and c"; but in "compared with a, b is better" a comma joins nothing
        comma = "|," if any(not one.other for one in told) else ""
        joined = bool(told and told[-1].other and re.fullmatch(
            rf"['\s]*,?\s*(?:and|or{comma})\s*(?:the )?'?", text[told[-1].end:each.begin]))
        told.append(each._replace(other=joined or bool(_AGAINST.search(before))))
    return told


def _masked(text: str, names: Sequence[str], reference: str) -> str:
    """The text without the names: "CLIP, better tokens" is no comparison."""
    for each in reversed(_mentions(text, names, reference)):
        text = f"{text[:each.begin]}§{text[each.end:]}"
    return text

