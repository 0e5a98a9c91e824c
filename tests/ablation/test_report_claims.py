"""Sentences against verdicts: what honest people write passes, what says too much does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hybridlab.ablation.report_claims import overclaims

from .test_tables import analysis, comparison, row

BETTER, WORSE = comparison(0.05, 0.03, 0.07, "better"), comparison(-0.06, -0.08, -0.04, "worse")
OPEN = comparison(-0.01, -0.03, 0.01, "no difference shown")
STUDY = replace(analysis(
    row("concat"), row("gate", 0.6, OPEN), row("CLIP alone", 0.5, WORSE), row("tuned", 0.7, BETTER),
    row("no phase 2", 0.5, WORSE), row("0.5 for all", 0.6, OPEN), row("a", 0.6, OPEN),
), reference="concat", best="tuned")

HONEST = """
tuned is better than concat.
“tuned” beats concat by 5.0 points [3.0, 7.0].
The tuned variant outperforms the reference.
Against concat, tuned gains 5 points.
CLIP alone is worse than concat, and tuned is better.
CLIP alone falls behind concat by 6 points.
concat is better than CLIP alone.
concat beats CLIP alone and no phase 2.
CLIP alone and no phase 2 are worse than concat.
no phase 2 is worse than concat: phase 2 is worth 6 points.
No difference between gate and concat is shown.
There is no difference shown between gate and concat.
The gate is not shown to be better than concat.
gate was not significantly better than concat.
We cannot say that gate is better than concat.
Nothing shows that gate is better than concat.
Whether gate helps is open.
It is unclear whether gate is better or worse than concat.
gate might be better than concat; this study cannot tell.
With five seeds, a gate that is better by 2 points would often be missed.
My hypothesis that gate is better than concat was not supported.
I expected gate to be better than concat.
That gate and concat are equal may not be claimed.
This does not show that gate and concat are equal.
gate is not better than concat in this study, as far as five seeds can show.
The gate did not help.
tuned is the best variant of this study.
tuned is better than every other variant.
tuned is better than gate.
0.5 for all is not shown to be worse than concat.
A larger study is needed to say more about a gate.
A better gate may exist.
All variants have the same seeds and the same recipe, so gate and concat are compared in pairs.
The best epoch of gate was chosen on validation scenes.
The result holds for this recipe only; nothing is said about other data sets.
tuned costs more time than concat, and is better.
gate has 10 k parameters more than concat.
The interval of gate, [-3.0, 1.0], holds 0, so no claim is made.
This does not prove that tuned is better for all data.
Tuning helps: tuned is ahead of concat by 5.0 points.
In contrast to tuned, no gain of gate over concat was found.
gate is higher by 1 point on seed 3, but this is not significant over all seeds.
In summary, tuned is better, CLIP alone is worse, and gate is undecided.
tuned is better and CLIP alone is worse than concat.
tuned is better than concat and CLIP alone is worse.
tuned is better than concat, CLIP alone is worse.
tuned is better than gate, CLIP alone, and concat.
tuned is better, and gate is open.
Compared with CLIP alone, tuned is better.
tuned and concat are better than CLIP alone.
None of the other variants is shown to be better than concat.
"""
FALSE = """
gate is better than concat.
A gate helps.
Adding a gate improves the hybrid.
gate outperforms the reference.
gate beats concat.
CLIP alone is better than concat.
concat is worse than CLIP alone.
tuned is worse than concat.
tuned and gate are better than concat.
CLIP alone is worse, but gate is better.
While tuned is better, gate is worse than concat.
No difference was found for 0.5 for all, but gate is better than concat.
gate and concat are equal.
gate is as good as concat.
gate performs equally well.
gate makes no difference.
There is no difference between gate and concat.
gate has no effect.
gate is the best variant.
concat is the best.
gate is better than CLIP alone.
CLIP alone is better than gate.
tuned is always better than concat.
This proves that tuned is better than concat.
tuned is better than concat in general.
tuned is better for all datasets.
Our hypothesis is open; gate clearly improves on concat.
gate gains 1 point over concat.
Compared with concat, gate is higher.
concat loses to gate.
"a" is better than concat.
tuned is better and gate is better than concat.
tuned is better than concat, gate is better.
tuned is better than concat, and it is better than all for any data.
tuned is better, and gate is worse.
gate, tuned and CLIP alone are worse than concat.
0.5 for all is worse than concat.
"""


@pytest.mark.parametrize("sentence", [line for line in HONEST.splitlines() if line])
def test_an_honest_sentence_passes(sentence):
    assert overclaims([sentence], [STUDY]) == []


@pytest.mark.parametrize("sentence", [line for line in FALSE.splitlines() if line])
def test_one_that_says_too_much_is_found_and_told_what_to_write(sentence):
    (found,) = overclaims([sentence], [STUDY])
    assert found.sentence == sentence and len(found.advice) > 30


def test_a_loss_is_better_when_it_is_lower():
    loss = replace(STUDY, metric="hamming")
    assert overclaims(["tuned is lower than concat, and better."], [loss]) == []
    assert overclaims(["tuned is higher than concat."], [loss]) != []
    assert overclaims(["tuned is lower than concat."], [STUDY]) != []


def test_a_metric_that_is_named_judges_its_sentence():
    other = replace(STUDY, metric="of1", rows=tuple(
        replace(each, comparison=BETTER) if each.name == "gate" else each for each in STUDY.rows))
    assert overclaims(["In OF1 gate is better than concat."], [STUDY, other]) == []
    assert overclaims(["In mAP gate is better than concat."], [STUDY, other]) != []
    assert overclaims(["gate is better than concat."], [STUDY, other]) != []


def test_with_one_seed_no_method_is_better():
    one = replace(STUDY, rows=(STUDY.rows[0], row("tuned", 0.7, comparison(
        0.1, 0.05, 0.15, "one seed only", seeds=(0,)))))
    (found,) = overclaims(["tuned is better than concat."], [one])
    assert "only two trained models were compared" in found.advice
