"""Tables of an analysis, as Markdown, LaTeX (booktabs) and CSV.

Metrics stand in percent with one decimal, intervals in brackets. A mean is bold only where its
variant is shown to be better than every other.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hybridlab.ablation.escapes import latex_text, markdown_text
from hybridlab.ablation.findings import BETTER, LARGEST, Analysis, Comparison, Effect, Row
from hybridlab.evaluation.p_values import p_text

NOTHING = "–"
FORMATS = ("markdown", "latex", "csv")


class Table(NamedTuple):
    """Cells as text, before they are written in any format.

    Attributes:
        header, rows: texts; a row is as long as the header.
        bold: (row, column) of the cells that stand out.
    """

    header: list[str]
    rows: list[list[str]]
    bold: frozenset[tuple[int, int]] = frozenset()


def variants_table(analysis: Analysis) -> Table:
    """A row for each variant: mean, difference, tests, effect, power and cost."""
    share = f"{100 * analysis.level:g} %"
    header = [
        "variant", f"{analysis.metric_name} [{share}]",
        f"difference to {analysis.reference} [{share}]", "p (Holm)", "p of t-test (Holm)",
        "d_z", "detectable", "seeds", "seeds needed", "parameters", "time", "verdict",
    ]
    rows = []
    for row in analysis.rows:
        rows.append([
            row.name, interval(row.mean, row.low, row.high),
            *_compared(row.comparison, analysis.alpha),
            f"{len(row.seeds)} of {len(analysis.seeds)}", _needed(row.comparison),
            count(row.parameters), duration(row.seconds), verdict(analysis, row),
        ])
    bold = frozenset(
        (at, 1) for at, row in enumerate(analysis.rows) if row.name == analysis.best
    )
    return Table(header, rows, bold)


def cost_table(analysis: Analysis) -> Table:
    """What each variant that is better than the reference, and costs more, gives for it.

    Only where the difference is shown: the rest would be noise divided by a cost.
    """
    header = ["variant", "difference", "points for each million parameters more",
              "points for each minute more"]
    rows = [
        [row.name, signed(row.comparison.value), ratio(row.per_million_parameters),
         ratio(row.per_minute)]
        for row in analysis.compared()
        if row.comparison is not None and row.comparison.verdict == BETTER
        and not (math.isnan(row.per_million_parameters) and math.isnan(row.per_minute))
    ]
    return Table(header, rows)


def effects_table(analysis: Analysis, effects: Sequence[Effect]) -> Table:
    """A row for each main effect or interaction."""
    header = [
        "effect", f"difference [{100 * analysis.level:g} %]", "p (Holm)", "p of t-test (Holm)",
        "d_z", "detectable", "verdict",
    ]
    rows = [
        [effect.name, *_compared(effect.comparison, analysis.alpha), _effect_verdict(effect)]
        for effect in effects
    ]
    return Table(header, rows)


def markdown(analysis: Analysis) -> str:
    """The table of variants, and those of effects where the study has factors, in Markdown."""
    return _all(analysis, _markdown)


def latex(analysis: Analysis) -> str:
    """The same in LaTeX; needs the package booktabs."""
    return _all(analysis, _latex)


def csv_table(analysis: Analysis) -> str:
    """Variants and effects as CSV for a program or a spreadsheet: one number in a cell.

    Numbers are as they were computed, in full: metrics and differences are shares (0.612, not
    61.2), times seconds; NaN is an empty cell. `kind` is "variant", "main effect" or
    "interaction". `seeds` are those of the mean, `paired_seeds` those of the difference;
    `value_seed_K` and `difference_seed_K` are the figures of seed K.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([
        "kind", "name", "metric", "mean", "low", "high", *_CSV_COMPARED, "seeds", "parameters",
        "seconds", "verdict", *(f"value_seed_{seed}" for seed in analysis.seeds),
        *(f"difference_seed_{seed}" for seed in analysis.seeds),
    ])
    for row in analysis.rows:
        values = dict(zip(row.seeds, row.values, strict=True))
        writer.writerow([
            "variant", row.name, analysis.metric, *map(_cell, (row.mean, row.low, row.high)),
            *_csv_compared(row.comparison), _listed(row.seeds),
            "" if row.parameters is None else row.parameters, _cell(row.seconds),
            verdict(analysis, row), *(_cell(values.get(seed)) for seed in analysis.seeds),
            *_csv_differences(analysis, row.comparison),
        ])
    for kind, effects in (
        ("main effect", analysis.main_effects), ("interaction", analysis.interactions)
    ):
        for effect in effects:
            writer.writerow([
                kind, effect.name, analysis.metric, "", "", "", *_csv_compared(effect.comparison),
                "", "", "", _effect_verdict(effect), *[""] * len(analysis.seeds),
                *_csv_differences(analysis, effect.comparison),
            ])
    return out.getvalue()


def as_format(analysis: Analysis, name: str) -> str:
    """The table in one of `FORMATS`.

    Raises:
        ValueError: another format.
    """
    if name not in FORMATS:
        raise ValueError(f"format is {name!r}; choose one of {', '.join(FORMATS)}")
    return {"markdown": markdown, "latex": latex, "csv": csv_table}[name](analysis)


def interval(value: float, low: float, high: float, sign: str = "") -> str:
    """Shares in percent: "61.2 [60.1, 62.3]"."""
    if math.isnan(value):
        return NOTHING
    inner = "no interval" if math.isnan(low) else f"{_of(low, sign)}, {_of(high, sign)}"
    return f"{_of(value, sign)} [{inner}]"


def signed(value: float) -> str:
    """A difference of shares in points: "+1.2"; "-0.0" is one below 0 that rounds to it."""
    return NOTHING if math.isnan(value) else _of(value, "+")


def p_value(p: float, alpha: float = 0.05) -> str:
    """ "0.012", "< 0.001", or a dash; near `alpha` with the digits that tell the side."""
    return NOTHING if math.isnan(p) else p_text(p, alpha)


def count(number: int | None) -> str:
    """ "950", "12.3 k", "4.56 M"."""
    if number is None:
        return NOTHING
    if number < 1000:
        return str(number)
    # 999,950 would round to "1000.0 k"
    return f"{number / 1e3:.1f} k" if number < 999_950 else f"{number / 1e6:.2f} M"


def duration(seconds: float) -> str:
    """ "3.2 s", "4.1 min", "2.5 h"."""
    if math.isnan(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def ratio(value: float) -> str:
    """Points for each unit of cost, with three figures or all before the point."""
    if math.isnan(value):
        return NOTHING
    return f"{value:+.3g}" if abs(value) < 999.5 else f"{value:+,.0f}"


def verdict(analysis: Analysis, row: Row) -> str:
    """The verdict on a variant, in a few words."""
    if not row.seeds:
        return "no run with a value"
    if row.name == analysis.reference:
        return "reference"
    return "no seed shared with the reference" if row.comparison is None else row.comparison.verdict


def _compared(other: Comparison | None, alpha: float) -> list[str]:
    if other is None:
        return [NOTHING] * 5
    effect = NOTHING if math.isnan(other.effect) else f"{other.effect:+.2f}"
    detectable = NOTHING if math.isnan(other.detectable) else _of(other.detectable, "")
    if other.detectable == LARGEST:
        detectable = "none"
    return [
        interval(other.value, other.low, other.high, "+"), p_value(other.p_holm, alpha),
        p_value(other.p_t_holm, alpha), effect, detectable,
    ]


def _effect_verdict(effect: Effect) -> str:
    # An interaction is neither better nor worse: it says that effects do not add up.
    if len(effect.factors) == 1 or not effect.comparison.shown:
        return effect.comparison.verdict
    return "interaction shown"


def _needed(other: Comparison | None) -> str:
    if other is None or math.isnan(other.detectable) or other.value == 0:
        return NOTHING
    return "> 1000" if other.seeds_needed is None else str(other.seeds_needed)


def _of(value: float, sign: str) -> str:
    return f"{0.0 if value == 0 else 100 * value:{sign if value else ''}.1f}"


_CSV_COMPARED = (
    "difference", "difference_low", "difference_high", "p_raw", "p_holm", "t_low", "t_high",
    "p_t_raw", "p_t_holm", "d_z", "detectable", "seeds_needed", "paired_seeds",
)


def _csv_compared(other: Comparison | None) -> list[str]:
    if other is None:
        return [""] * len(_CSV_COMPARED)
    return [
        *map(_cell, (
            other.value, other.low, other.high, other.p, other.p_holm, other.t_low, other.t_high,
            other.p_t, other.p_t_holm, other.effect, other.detectable,
        )),
        "" if other.seeds_needed is None else str(other.seeds_needed), _listed(other.seeds),
    ]


def _csv_differences(analysis: Analysis, other: Comparison | None) -> list[str]:
    known = {} if other is None else dict(zip(other.seeds, other.per_seed, strict=True))
    return [_cell(known.get(seed)) for seed in analysis.seeds]


def _listed(seeds: Sequence[int]) -> str:
    return " ".join(map(str, seeds))


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _all(analysis: Analysis, write: Callable[[Table], str]) -> str:
    tables = [variants_table(analysis)]
    for effects in (analysis.main_effects, analysis.interactions):
        if effects:
            tables.append(effects_table(analysis, effects))
    return "\n".join(write(table) for table in tables)


def _markdown(table: Table) -> str:
    lines = [[markdown_text(cell) for cell in table.header]]
    lines.append(["---", *["---:"] * (len(table.header) - 2), "---"])
    for at, row in enumerate(table.rows):
        cells = [markdown_text(cell) for cell in row]
        lines.append([
            f"**{cell}**" if (at, column) in table.bold else cell
            for column, cell in enumerate(cells)
        ])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _latex(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(cells) + r" \\"

    body = []
    for at, row in enumerate(table.rows):
        name, *figures = map(latex_text, row)
        # a hyphen is no minus; in a name it stays one
        cells = [name, *(re.sub(r"(?<!\w)-(?=\d)", "$-$", each) for each in figures)]
        body.append(line([
            rf"\textbf{{{cell}}}" if (at, column) in table.bold else cell
            for column, cell in enumerate(cells)
        ]))
    return "\n".join([
        rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 2)}l}}", r"\toprule",
        line([latex_text(cell) for cell in table.header]), r"\midrule", *body, r"\bottomrule",
        r"\end{tabular}", "",
    ])
