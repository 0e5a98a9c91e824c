"""A hypothesis counts as one if it stood there before the runs; what came later is told."""

from __future__ import annotations

import json

import pytest

from hybridlab.ablation.analysis import analyse
from hybridlab.ablation.definition import hypothesis_of
from hybridlab.ablation.engine import run_study
from hybridlab.ablation.study import load_study

WORDS = "The noisiest of all."


@pytest.fixture
def go(write_study, tmp_path):
    def run(change=lambda text: text, seeds=(0,), **others):
        write_study(seeds=seeds, change=change, **others)
        study = load_study(tmp_path / "study.py")
        run_study(study, tmp_path / "out", workers=1, store=tmp_path / "store")
        return json.loads((tmp_path / "out" / "study.json").read_text()).get("reworded")

    return run


def said(words):
    return lambda text: text.replace(WORDS, words)


def test_what_stood_there_before_the_first_run_is_kept_without_a_word(go, tmp_path):
    assert go() is None
    assert go(seeds=(0, 1)) is None
    assert go(said("The  noisiest\\nof all."), seeds=(0, 1)) is None  # the same words
    assert not any("written or changed" in note for note in analyse(tmp_path / "out").notes)


def test_a_hypothesis_that_is_changed_after_runs_is_told_for_good(go, tmp_path):
    go()
    (entry,) = go(said("The best of all."))
    assert entry["what"] == hypothesis_of("plain") and entry["was"] == WORDS and entry["runs"] == 1
    (again,) = go(said("The best of all."), seeds=(0, 1))
    assert again == entry
    (note,) = [note for note in analyse(tmp_path / "out").notes if "written or changed" in note]
    assert note.startswith("hypotheses['plain'] was written or changed on 20")
    assert f'when 1 run was done (it was "{WORDS}")' in note
    assert len(go(said(WORDS), seeds=(0, 1))) == 2  # and back: told, too


def test_one_that_was_empty_or_taken_away_is_told(go):
    go(said(" "))
    (entry,) = go()
    assert entry["was"] == " "
    assert [each["was"] for each in go(said(""))] == [" ", WORDS]


def test_a_new_variant_may_have_a_new_hypothesis(go):
    more = {"plain": {}, "less": {"level": 1}, "least": {"level": 2}}
    go()
    assert go(lambda text: text.replace(f'{{"plain": "{WORDS}"}}',
                                        f'{{"plain": "{WORDS}", "least": "Best."}}'),
              variants=more) is None


def test_another_metric_or_reference_after_runs_is_told(go, tmp_path):
    def other(metrics, reference="plain"):
        return lambda text: text.replace(
            'reference="plain",', f'reference="{reference}", metrics={metrics},')

    go(other(("mean_ap", "cf1")))
    assert go(other(("mean_ap", "of1"))) is None  # what is looked at besides
    (entry,) = go(other(("of1", "mean_ap")))
    assert (entry["what"], entry["was"], entry["runs"]) == ("metrics", ["mean_ap", "of1"], 2)
    assert go(other(("of1",), "less"))[-1]["what"] == "reference"


def test_nobody_knows_what_stood_in_a_definition_that_is_lost(go, tmp_path):
    go()
    (tmp_path / "out" / "study.json").unlink()
    (entry,) = go(seeds=(0, 1))
    assert entry["was"] is None
    notes = " ".join(analyse(tmp_path / "out").notes)
    assert "what it was before is not known" in notes


@pytest.mark.parametrize("damage", [{"reworded": [{}]}, {"reworded": 3}, {"reworded": [1]}])
def test_a_damaged_list_is_damage(go, tmp_path, damage):
    go()
    path = tmp_path / "out" / "study.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    with pytest.raises(ValueError, match="damaged"):
        analyse(tmp_path / "out")
