"""Progress on disk: never lost, whoever writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hybridlab.grading import verdict as kinds
from hybridlab.grading.progress import NAME, Progress, Record
from hybridlab.grading.table import state, table
from hybridlab.grading.verdict import PartVerdict, Verdict

ROOT = Path(__file__).resolve().parents[2]


def verdict(earned: int, points: int = 5, kind: str = "", exercise: str = "1.2") -> Verdict:
    kind = kind or (kinds.RIGHT if earned == points else kinds.WRONG_VALUE)
    return Verdict(exercise, "title", 0, (
        PartVerdict("a", kinds.RIGHT, earned, earned),
        PartVerdict("b", kind, points - earned, 0 if kind != kinds.RIGHT else points - earned),
    ))


def data(folder: Path) -> dict:
    return json.loads((folder / NAME).read_text())


def test_the_best_result_stays_and_the_last_verdict_is_kept(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    assert progress.records() == {}
    assert progress.add(verdict(2)) == Record(2, 5, kinds.WRONG_VALUE, 1)
    solved = progress.add(verdict(5))
    assert (solved.best, solved.kind, solved.attempts) == (5, kinds.RIGHT, 2)
    assert solved.solved is not None and solved.solved[4] == "-"
    worse = progress.add(verdict(1, kind=kinds.CRASHED))
    assert worse == Record(5, 5, kinds.CRASHED, 3, solved.solved)
    assert Progress(tmp_path).records() == {"1.2": worse}
    assert progress.notices == []


def test_a_stub_is_no_attempt_and_hints_are_counted(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    assert progress.add(verdict(0, kind=kinds.NOT_ATTEMPTED)).attempts == 0
    progress.hinted("1.2", 2)
    assert progress.hinted("1.2", 1).hints == 2, "the furthest one counts"
    assert progress.add(verdict(3)) == Record(3, 5, kinds.WRONG_VALUE, 1, None, 2)


def test_points_of_another_version_are_compared_as_shares(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.add(verdict(4, 5))
    assert progress.add(verdict(6, 10)).best == 4, "6 of 10 is less than 4 of 5"
    assert progress.add(verdict(9, 10)).best == 9


def test_what_this_version_does_not_know_is_kept(tmp_path: Path) -> None:
    later = {"format": 1, "theme": "dark", "exercises": {
        "77.7": {"best": 3, "points": 3, "kind": "superb", "stars": 5}, "88.8": [1],
        "1.2": {"best": 1, "points": 5, "mood": "good"},
    }}
    (tmp_path / NAME).write_text(json.dumps(later))
    progress = Progress(tmp_path)
    assert progress.records()["77.7"] == Record(3, 3)
    progress.add(verdict(5))
    kept = data(tmp_path)
    assert kept["theme"] == "dark"
    assert kept["exercises"]["77.7"] == later["exercises"]["77.7"]
    assert kept["exercises"]["88.8"] == [1]
    assert kept["exercises"]["1.2"]["mood"] == "good" and kept["exercises"]["1.2"]["best"] == 5


def test_a_newer_format_is_left_as_it_is(tmp_path: Path) -> None:
    text = json.dumps({"format": 2, "exercises": ["other"]})
    (tmp_path / NAME).write_text(text)
    progress = Progress(tmp_path)
    assert progress.records() == {}
    progress.add(verdict(5))
    assert (tmp_path / NAME).read_text() == text
    assert "newer version" in progress.notices[0]


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"\xff\x00", b"null", b'{"exercises": {}}', b'{"format": 1, "exercises": 3}',
    b'{"format": 1, "exercises": {"1.2": {"best": Infinity}}}', b"[" * 100_000,
])
def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    progress = Progress(tmp_path)
    assert progress.records() == {} and "damaged" in progress.notices[0]
    assert (tmp_path / NAME).read_bytes() == content, "reading changes nothing"
    progress.add(verdict(5))
    aside = [path for path in tmp_path.iterdir() if "damaged" in path.name]
    assert len(aside) == 1 and aside[0].read_bytes() == content
    assert aside[0].name in progress.notices[1]
    assert Progress(tmp_path).records()["1.2"].best == 5


def test_a_field_that_cannot_be_is_taken_as_not_there(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"format": 1, "exercises": {"1.2": {
        "best": -3, "points": True, "kind": ["right"], "attempts": "many", "solved": 7, "hints": 1,
    }}}))
    assert Progress(tmp_path).records() == {"1.2": Record(hints=1)}
    assert Progress(tmp_path).add(verdict(2)) == Record(2, 5, kinds.WRONG_VALUE, 1, None, 1)


def test_a_folder_that_cannot_be_written_costs_the_note_only(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    progress = Progress(tmp_path)
    assert progress.add(verdict(5)).best == 5
    assert progress.notices and "progress" in progress.notices[0]


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hybridlab.grading.progress import Progress\n"
        "from hybridlab.grading.verdict import PartVerdict, Verdict\n"
        "for number in range(15):\n"
        "    Progress(Path(sys.argv[1])).add(Verdict(sys.argv[2], '', 0,\n"
        "        (PartVerdict('a', 'wrong value', 2, 0),)))\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), exercise],
                         env={"PYTHONPATH": str(ROOT)})
        for exercise in ("1.1", "1.1", "1.2")
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    records = Progress(tmp_path).records()
    assert (records["1.1"].attempts, records["1.2"].attempts) == (30, 15)
    assert [path.name for path in tmp_path.iterdir() if ".part-" in path.name] == []


# --- the table ---


@pytest.mark.parametrize(("record", "words"), [
    (Record(), "not attempted"),
    (Record(attempts=2), "tried before; now not attempted (2 checks)"),
    (Record(2, 5, kinds.WRONG_VALUE, 1), "wrong value (1 check)"),
    (Record(5, 5, kinds.RIGHT, 3, "2026-01-01", 1), "right (3 checks, 1 hint)"),
    (Record(5, 5, kinds.CRASHED, 4, "2026-01-01"),
     "solved; last check: crashed in your code (4 checks)"),
])
def test_where_an_exercise_stands(record: Record, words: str) -> None:
    assert state(record) == words


def test_a_stub_that_was_put_back_is_told() -> None:
    right = Record(5, 5, kinds.RIGHT, 3, "2026-01-01")
    assert state(right, empty=True) == "right before; the stub is there again (3 checks)"
    tried = Record(2, 5, kinds.WRONG_VALUE, 1)
    assert state(tried, empty=True) == "tried before; the stub is there again (1 check)"
    assert state(Record(), empty=True) == "not attempted"


def test_the_table_counts_and_names_what_is_next() -> None:
    from hybridlab.grading.manifest import Exercise

    def entry(id: str, points: int) -> Exercise:
        return Exercise(id, "Title", ("f",), 2, 10, ("a", "b"), {"p": points}, lambda trial: None)

    entries = [entry("1.1", 4), entry("1.2", 6), entry("12.1", 3)]
    lines = table(entries, {
        "1.1": Record(4, 4, kinds.RIGHT, 1, "2026-01-01"), "1.2": Record(5, 10, kinds.TOO_LONG, 2),
        "9.9": Record(1, 1, kinds.RIGHT, 1, "2026-01-01"),
    }).splitlines()
    assert lines[0] == "Lesson 01, Many labels at once: 1 of 2 right, 7 of 10 points"
    assert lines[1].split() == ["+", "1.1", "Title", "medium", "10", "min", "4/4", "right", "(1",
                                "check)"]
    assert "3/6" in lines[2] and "took too long (2 checks)" in lines[2]
    assert lines[4].startswith("Lesson 12") and "0 of 1 right, 0 of 3 points" in lines[4]
    assert "hybridlab grade 1.2" in lines[-1]
    done = Record(1, 1, kinds.RIGHT, 1, "2026-01-01")
    assert table(entries, dict.fromkeys(("1.1", "1.2", "12.1"), done)).endswith("are solved")
    assert table([], {}) == "there are no exercises yet"
