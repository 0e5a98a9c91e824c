"""`hybridlab ablate --new`: two files that stand, and nothing that was there is touched."""

from __future__ import annotations

import pytest
import tyro

from hybridlab.ablation.command import Ablate
from hybridlab.ablation.new_study import new_study
from hybridlab.ablation.study import load_study
from hybridlab.studies.small_world import METHODS, workshop_of


def ablate(*arguments):
    return tyro.cli(Ablate, args=[str(argument) for argument in arguments]).run()


def test_the_study_that_is_written_stands_and_waits_for_hypotheses(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert ablate("--new", "my_study") == 0
    told = capsys.readouterr().out
    assert "3 variants x 5 seeds" in told and "minutes on two cores" in told
    study = load_study("my_study.py")
    assert study.name == "my_study" and len(study.variants) == 3 and len(study.seeds) == 5
    assert study.reference in study.variants
    assert set(study.hypotheses) == set(study.variants) - {study.reference}
    assert not any(study.hypotheses.values())
    for name in study.variants:
        config = study.config(name)
        assert config["method"] in METHODS
        workshop_of(config, 0, None)  # every setting is known
    for path in (tmp_path / "my_study.py", tmp_path / "my_study_report.md"):
        text = path.read_text()
        assert "STUDY_" not in text and "REPORT_FILE" not in text
    assert sorted(each.name for each in tmp_path.iterdir()) == ["my_study.py", "my_study_report.md"]


@pytest.mark.parametrize("taken", ["my.py", "my_report.md", "studies/my"])
def test_nothing_that_exists_is_touched(tmp_path, taken):
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine")
    with pytest.raises(FileExistsError, match="is kept; choose another name"):
        new_study(str(tmp_path / "my"), tmp_path / "studies")
    assert (tmp_path / taken).read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / taken]


@pytest.mark.parametrize("name", [
    "", ".", "..", "3d", "a b", "a.b", "-x", "über", "nul", "x" * 61, "a\n", "a\0b", "../",
])
def test_names_that_no_study_can_have_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"cannot be called|1 to 60"):
        new_study(name, tmp_path / "studies")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_may_stand_before_the_name_if_it_is_there(tmp_path):
    (tmp_path / "home work").mkdir()
    made = new_study(str(tmp_path / "home work" / "width.py"), tmp_path / "studies")
    assert made.study == tmp_path / "home work" / "width.py" and made.report.is_file()
    assert load_study(made.study).name == "width"
    assert f"'{made.study}'" in made.study.read_text()  # commands in it can be copied
    strange = tmp_path / 'a"""\\-->'
    strange.mkdir()
    made = new_study(str(strange / "width"), tmp_path / "other")
    assert load_study(made.study).name == "width" and "-->" not in made.study.read_text()
    with pytest.raises(FileNotFoundError, match="make it first"):
        new_study(str(tmp_path / "nowhere" / "width"), tmp_path / "studies")


def test_one_file_without_the_other_is_not_left(tmp_path, monkeypatch):
    from hybridlab.ablation import new_study as module

    def write(path, text):
        if path.suffix == ".md":
            raise OSError(28, "No space left on device")
        path.write_text(text)

    monkeypatch.setattr(module, "write_text", write)
    with pytest.raises(OSError, match="No space"):
        new_study(str(tmp_path / "my"), tmp_path / "studies")
    assert list(tmp_path.iterdir()) == []
