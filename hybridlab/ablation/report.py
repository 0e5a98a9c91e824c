"""One page about a study: what was asked, what came out, what may be said, and how to repeat it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from itertools import combinations
from pathlib import Path

from hybridlab.ablation.claims import lost_runs, may_be_claimed, may_not_be_claimed
from hybridlab.ablation.findings import ABLATE, Analysis, Row
from hybridlab.ablation.page import (
    heading,
    html_table,
    listing,
    page,
    pairs,
    paragraph,
    picture,
    preformatted,
)
from hybridlab.ablation.plots import (
    cost_plot,
    cost_words,
    forest_plot,
    forest_words,
    interaction_plot,
    interaction_words,
)
from hybridlab.ablation.sources import LATER
from hybridlab.ablation.tables import Table, cost_table, effects_table, variants_table, verdict
from hybridlab.evaluation.named import named_metric
from hybridlab.files import write_text

_MOST_PICTURES = 6  # interaction plots: pairs of four factors


def write_report(
    analysis: Analysis,
    path: str | os.PathLike[str],
    others: Sequence[Analysis] = (),
    overwrite: bool = False,
    author: str = "",
) -> Path:
    """Write the page, whole or not at all.

    Args:
        path: ends in .html.
        others: analyses of the same study by further metrics, shown as tables.
        overwrite: replace a file of that name.
        author: stands under the title.

    Raises:
        ValueError: another ending.
        FileExistsError: the file exists and `overwrite` is False.
        FileNotFoundError: its folder is missing.
        NotEnoughDiskError: the disk is full; nothing is left behind.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path.name} ends in {path.suffix!r}; give a name that ends in .html")
    if not overwrite and os.path.lexists(path):  # before the pictures are drawn
        raise FileExistsError(f"{path} exists and is kept; choose another name")
    write_text(path, html_report(analysis, others, author), overwrite)
    return path


def html_report(
    analysis: Analysis, others: Sequence[Analysis] = (), author: str = ""
) -> str:
    """The page as text: pictures inside, no script, nothing from the network."""
    name = analysis.study or "study"
    return page(f"{analysis.question or name} ({name}, {analysis.metric_name})", [
        f"<main>{_top(analysis, name, author)}",
        *_troubles(analysis),
        *_hypotheses(analysis),
        *_figures(analysis),
        *_factors(analysis),
        *_others(others),
        heading("What may be claimed"), listing(may_be_claimed(analysis)),
        heading("What may not"), listing(may_not_be_claimed(analysis)),
        heading("How to read the figures"), listing([
            *_reading(analysis), *(note for note in analysis.notes if LATER not in note)]),
        *_repeat(analysis),
        "</main>",
    ], author)


def _top(analysis: Analysis, name: str, author: str) -> str:
    question = analysis.question or "A comparison of runs"
    return (
        f"<h1>{escape(question)}</h1>"
        + (paragraph(f"Author: {author}") if author else "")
        + paragraph(
            f"Study “{name}”: {len(analysis.rows)} variants, {len(analysis.seeds)} seeds, "
            f"{analysis.samples} test samples, judged by {analysis.metric_name}."
        )
        + paragraph(_in_short(analysis), "short")
    )


def _in_short(analysis: Analysis) -> str:
    """The verdicts on one line, for whoever reads no further."""
    told: dict[str, list[str]] = {}
    for row in analysis.compared():
        told.setdefault(verdict(analysis, row), []).append(row.name)
    if not told:
        return "In short: nothing could be compared."
    groups = "; ".join(f"{words}: {', '.join(names)}" for words, names in told.items())
    return f"In short, against {analysis.reference}: {groups}."


def _troubles(analysis: Analysis) -> Iterator[str]:
    if not analysis.troubles:
        return
    yield heading("Runs that are not in the figures")
    yield listing(lost_runs(analysis), "warn")


def _hypotheses(analysis: Analysis) -> Iterator[str]:
    table = Table(
        ["variant", "expected", "found"],
        [[row.name, row.hypothesis or "–", _found(analysis, row)] for row in analysis.rows],
    )
    yield heading("What was expected, and what was found")
    caption = f"Differences in {analysis.metric_name} to {analysis.reference}"
    yield html_table(table, caption, "words")
    late = [note for note in analysis.notes if LATER in note]
    if late:
        yield listing(late, "warn")


def _found(analysis: Analysis, row: Row) -> str:
    told = verdict(analysis, row)
    if row.comparison is None or row.comparison.words.startswith(told):
        return told if row.comparison is None else row.comparison.words
    return f"{told}: {row.comparison.words}"


def _figures(analysis: Analysis) -> Iterator[str]:
    yield heading("Figures")
    found, tests = _halves(variants_table(analysis))
    yield html_table(
        found,
        f"{analysis.metric_name} in percent. Bold: shown to be better than every other variant.",
        "figures verdict",
    )
    yield html_table(tests, "Tests, power and cost of the same variants")
    if not any(row.comparison and not math.isnan(row.comparison.low) for row in analysis.rows):
        return
    share = f"{100 * analysis.level:g} %"
    yield picture(
        forest_plot(analysis), forest_words(analysis),
        f"Differences to “{analysis.reference}” with {share} intervals; ticks are single seeds.",
    )
    yield picture(
        cost_plot(analysis), cost_words(analysis),
        "Difference against trainable parameters and against seconds.",
    )
    gains = cost_table(analysis)
    if gains.rows:
        yield html_table(
            gains, "Gain for its cost: variants that are better and cost more", "costs"
        )


def _factors(analysis: Analysis) -> Iterator[str]:
    for head, effects, caption in (
        ("Main effects", analysis.main_effects,
         "Each level against the reference's, as a mean over all levels of the other factors"),
        ("Interactions", analysis.interactions,
         "A difference of differences: 0 where the effects of two factors add up"),
    ):
        if effects:
            yield heading(head)
            yield html_table(
                _effect_columns(effects_table(analysis, effects)), caption, "figures verdict"
            )
    known = {cell.factors for cell in analysis.cells}
    drawn = [pair for pair in combinations(analysis.factors, 2) if pair in known]
    for one, two in drawn[:_MOST_PICTURES]:
        pair = (one, two)
        yield picture(
            interaction_plot(analysis, pair), interaction_words(analysis, pair),
            f"{analysis.metric_name} by {one} and {two}: lines that are not parallel hint at an "
            "interaction; the table says whether it is shown.",
        )


def _others(others: Sequence[Analysis]) -> Iterator[str]:
    if not others:
        return
    yield heading("By other metrics")
    yield paragraph(
        "Holm's correction is over the variants of one table, not over metrics: read these as "
        "descriptions, and judge by the metric that was chosen beforehand."
    )
    for other in others:
        found, _ = _halves(variants_table(other))
        yield html_table(found, f"{other.metric_name} in percent", "figures verdict")
        undefined = [each for each in other.troubles if each.kind == "undefined"]
        if undefined:
            yield listing(lost_runs(replace(other, troubles=tuple(undefined))), "warn")


def _halves(table: Table) -> tuple[Table, Table]:
    """The table of variants as two that fit a narrow window: what was found, and the rest.

    The verdict comes second: a reader must not have to scroll for it.
    """
    def columns(*names: str) -> Table:
        keep = [0, *(at for name in names for at, head in enumerate(table.header)
                     if at and head.startswith(name))]
        bold = {(row, keep.index(at)) for row, at in table.bold if at in keep}
        rows = [[row[at] for at in keep] for row in table.rows]
        return Table([table.header[at] for at in keep], rows, frozenset(bold))

    measured = table.header[1]
    return (
        columns("verdict", measured, "difference to", "p (Holm)"),
        columns("p of t-test", "d_z", "detectable", "seeds", "parameters", "time"),
    )


def _effect_columns(table: Table) -> Table:
    """The verdict second, as with variants."""
    def moved(row: list[str]) -> list[str]:
        return [row[0], row[-1], *row[1:-1]]

    return Table(moved(table.header), [moved(row) for row in table.rows])


def _reading(analysis: Analysis) -> list[str]:
    share = f"{100 * analysis.level:g} %"
    return [
        f"A figure in brackets is a {share} interval over seeds and test samples together "
        f"(hierarchical bootstrap, {_resamples(analysis)}, its seed {analysis.bootstrap_seed}).",
        f"A difference is shown if its interval leaves out 0 and its corrected p is below "
        f"{analysis.alpha:g}; it needs two seeds or more.",
        *_own_value(analysis),
        "d_z: the mean difference over its standard deviation over seeds, with Hedges' correction.",
        "detectable: the true difference, in points, that a study of this size shows roughly four "
        "times in five (69 to 81 % of simulated studies), by the test that judges and at the "
        "strictest step of Holm's correction; none: not even 100 points, with so few seeds. seeds "
        "needed: roughly, to show a difference as large as the one observed, on as many test "
        "samples.",
        "time: seconds of all stages added up, also of those that another run had computed; "
        "median over seeds.",
    ]


def _own_value(analysis: Analysis) -> list[str]:
    """Why an interval may lie beside its own value; nothing where it cannot."""
    if not named_metric(analysis.metric).basic_interval:
        return []
    return [
        f"An interval of {analysis.metric_name} may not hold its own value: resamples hold copies "
        f"of samples, which raise {analysis.metric_name}, and the interval takes that off again, "
        "while the value stays that of the test samples."
    ]


def _resamples(analysis: Analysis) -> str:
    effects = (*analysis.main_effects, *analysis.interactions)
    most = max([row.comparison.resamples for row in analysis.rows if row.comparison]
               + [effect.comparison.resamples for effect in effects], default=0)
    more = f", {most:,} where that left a verdict open" if most > analysis.resamples else ""
    return f"{analysis.resamples:,} resamples{more}"


def _repeat(analysis: Analysis) -> Iterator[str]:
    yield heading("How to repeat it")
    if analysis.command:
        yield preformatted(analysis.command)
        if analysis.command.startswith(ABLATE):
            yield paragraph(
                "The study's file and the folder of its runs are given by name: say where they "
                "are. What is done is then skipped; in another folder, all is run anew."
            )
    else:
        yield paragraph(
            "The runs do not tell which file their study was read from. Give that file, or the "
            "module that holds the study, to “hybridlab ablate”, with the seeds below, and name "
            "the folder of the runs with “--folder”: what is done is then skipped. In another "
            "folder, all is run anew."
        )
    versions = ", ".join(f"{name} {found}" for name, found in analysis.versions.items())
    yield pairs([
        ("seeds", ", ".join(map(str, analysis.seeds))),
        ("device", analysis.device or "not recorded"),
        ("code", analysis.commit or "not recorded"),
        ("last run", analysis.date or "not recorded"),
        ("versions", versions or "not recorded"),
    ])
    if analysis.recipe:
        yield heading("Recipe that all variants share")
        yield pairs((name, json.dumps(value)) for name, value in analysis.recipe.items())
    changed = [(row.name, json.dumps(row.changes)) for row in analysis.rows if row.changes]
    if changed:
        yield heading("What each variant changes")
        yield pairs(changed)
