"""What is told of guesses: a summary that says what they are worth, and a list for whoever looks
them through. No torch here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hybridlab.data.images import shown
from hybridlab.guesses import GUESSES, LABELS, REVIEW, Guess, Guesses, beside
from hybridlab.prediction import printable


def review_csv(guesses: Sequence[Guess], labels: Sequence[str]) -> str:
    """All pictures, the least sure first: those whose labels the smallest change would change."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["picture", "margin", "in doubt", "its probability", "was given", "labels"])
    for each in sorted(guesses, key=lambda guess: (guess.margin, guess.picture)):
        rows.writerow([
            printable(each.picture), f"{each.margin:.4g}", labels[each.nearest],
            f"{each.probs[each.nearest]:.4g}", "yes" if each.nearest in each.columns else "no",
            "; ".join(labels[at] for at in each.columns),
        ])
    return text.getvalue()


def summary(found: Guesses, output: Path, folder: Path, review: bool) -> str:
    """What was done, what it is worth, and what to do next."""
    counts = np.zeros(len(found.labels), int)
    for each in found.guesses:
        counts[list(each.columns)] += 1
    order = np.argsort(-counts, kind="stable")
    most = [f"{found.labels[at]} {counts[at]:,}" for at in order if counts[at]]
    never = [name for name, count in zip(found.labels, counts, strict=True) if not count]
    settings = found.settings
    rule = []
    if settings["threshold"] is not None:
        rule.append(f"probability >= {settings['threshold']:g}")
    if settings["top_k"] is not None:
        rule.append(f"the {settings['top_k']} most probable")
    none = sum(not each.columns for each in found.guesses)
    lines = [
        f"{len(found.guesses):,} pictures labelled by {settings['model']} from words alone "
        f"({', '.join(rule)}; {settings['view']}, {settings['probability']}), "
        f"{len(found.problems):,} files gave none",
        f"  given: {_some(most) or 'no label'}; without a label: {none:,} pictures",
    ]
    if never:
        lines.append(f"  never given: {_some(never)}")
    lines += [
        "These labels are guesses by a model, not annotations: nobody has looked at the pictures.",
        "Look them through before anything is trained on them, and measure on none of them"
        + (f"; the doubtful ones\nstand first in {beside(output, REVIEW)}." if review
           else "; --review lists the\ndoubtful ones first."),
        f"Written: {output}, {beside(output, LABELS).name}, {beside(output, GUESSES).name}. Next:",
        f"  hybridlab data check {shown(folder)} --annotation-file {output} "
        f"--labels {beside(output, LABELS)}",
    ]
    return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(printable, names[:10])) + more
