"""Honest reports on a synthetic study, in the hands of several students."""

from __future__ import annotations

from hybridlab.ablation.claims import may_be_claimed, may_not_be_claimed
from hybridlab.ablation.findings import Analysis
from hybridlab.ablation.tables import interval, markdown

HYPOTHESES = {
    "gate": "No difference: a gate weighs what concat can weigh as well.",
    "CLIP alone": "Worse: the decoder sees what CLIP does not.",
    "tuned": "Better, as the tower learns.",
}
RECIPE = {"train": 800, "val": 300, "test": 60, "fusion": "concat", "view": "evidence",
          "lr": 0.001, "tune_epochs": 0}
VARIANTS = {"concat": {}, "gate": {"fusion": "gate"}, "CLIP alone": {"view": "none"},
            "tuned": {"tune_epochs": 2}}


def figures(analysis: Analysis, name: str) -> str:
    other = analysis.row(name).comparison
    return interval(other.value, other.low, other.high, "+")


def mean(analysis: Analysis, name: str) -> str:
    row = analysis.row(name)
    return interval(row.mean, row.low, row.high)


def by_template(analysis: Analysis) -> str:
    """The template, filled as it asks, with the table that the tool prints."""
    return f"""# Tuning the tower pays, a gate is not shown to

Author: Ada Byron

<!-- TODO nothing: a comment is not read -->

## Question

What do the decoder, a gate and a tuned tower each bring to the hybrid?

## Hypothesis

- gate: {HYPOTHESES["gate"]}
- CLIP alone: {HYPOTHESES["CLIP alone"]}
- tuned: {HYPOTHESES["tuned"]}

## Recipe

All variants share this:

| setting | value |
|---|---|
| train | 800 |
| val | 300 |
| test | 60 |
| fusion | concat |
| lr | 1e-3 |

What they change: gate: fusion = gate; CLIP alone: view = none; tuned: tune_epochs = 2.

## Seeds

Five seeds: 0, 1, 2, 3, 4, the same for all variants, so differences are paired.

## Results

{markdown(analysis)}
Intervals (95 %) are over seeds and test scenes.

## Multiplicity

Three comparisons, corrected by Holm's method.

## Cost

A run took 1.0 min on two cores of a laptop.

## Claim

tuned is better than concat. CLIP alone is worse than concat. No difference between gate and concat
is shown. My hypothesis on the gate was neither confirmed nor refuted.

## Threats

One small world of drawn emoji, one size of training set, and settings that were chosen for concat:
a gate might want another learning rate.

## How to repeat it

`hybridlab ablate my_study.py --seeds 0 1 2 3 4`, with torch 2.10.
"""


def in_prose(analysis: Analysis) -> str:
    """No table, numbered headings, curly quotes, the true minus, Windows' line ends."""
    worse, better = (figures(analysis, name) for name in ("CLIP alone", "tuned"))
    text = f"""\ufeffWhat each part brings
=====================

By: Grace H.

1. Research question
--------------------
Which part of the hybrid earns its place?

2. Hypotheses
-------------
For the gate I wrote “{HYPOTHESES["gate"]}” For CLIP alone: “{HYPOTHESES["CLIP alone"].upper()}”
And for the tuned one: “{HYPOTHESES["tuned"]}”

3. Setup
--------
`train`: 800, `val`: 300, `test`: 60, lr = 0.001.
The variant gate sets fusion to gate. CLIP alone sets view to "none", and tuned has tune_epochs = 2.

4. Seeds
--------
I used range(5). Comparisons are paired by seed.

5. Results
----------
* “concat”: {mean(analysis, "concat")} mAP, which is the reference.
* “gate”: {mean(analysis, "gate")} mAP; difference to concat {figures(analysis, "gate")}.
* “CLIP alone”: {mean(analysis, "CLIP alone")}; that is {worse} points against concat.
* “tuned”: {mean(analysis, "tuned")}; that is {better} points, p < 0.05.

6. Correction
-------------
There were 3 comparisons in the table, and Holm's correction is over these 3.

7. Cost
-------
About 60 s for each run (4 variants × 5 seeds = 20 runs, 20 minutes).

8. Conclusions
--------------
On these scenes the tuned variant beats concat by {better.partition(" ")[0]} points, whereas CLIP
alone falls behind it. Whether a gate is better than concat remains open: the interval holds 0. I
expected the gate to be equal to concat; the study cannot show that. For other data, nothing follows
from this.

9. Limitations
--------------
Test scenes are few (60), they are drawn, and only one size of training set was tried here.

10. Reproduction
----------------
Give `hybridlab ablate study.py` in the folder of the project.
"""
    return text.replace("-0.", "\u22120.").replace("-1", "\u22121").replace("\n", "\r\n")


def word_for_word(analysis: Analysis) -> str:
    """What the report page says may and may not be claimed, pasted."""
    claims = "\n".join(f"- {text}" for text in may_be_claimed(analysis))
    others = "\n".join(f"- {text}" for text in may_not_be_claimed(analysis))
    text = by_template(analysis)
    before, _, rest = text.partition("## Claim\n")
    after = rest[rest.index("## Threats"):]
    return (f"{before}## Claim\n\nShown:\n\n{claims}\n\nNot shown:\n\n{others}\n\n"
            f"{after}")


def cautious(analysis: Analysis) -> str:
    """Long sentences, several variants in each, negations, and words that look like claims."""
    claim = f"""## Claim

Compared with concat, the tuned variant is better in mAP ({figures(analysis, "tuned")}), and CLIP
alone is worse. We do not claim that the gate is better or worse than the reference; with five seeds
a difference below a few points would often be missed. The gate is not shown to be better than
concat. This does not prove that tuning always helps, and no claim is made for other data sets. All
variants share the same recipe and the same seeds, so that differences are paired. Had the best
epoch been chosen on the test scenes, the gate might look better. tuned adds
{figures(analysis, "tuned").partition(" ")[0]} points to concat. The best threshold was fitted on
validation scenes. We expected the gate to be as good as concat; no difference was found.

"""
    text = by_template(analysis)
    begin, end = text.index("## Claim"), text.index("## Threats")
    return text[:begin] + claim + text[end:]


HONEST = {each.__name__: each for each in (by_template, in_prose, word_for_word, cautious)}
