"""A recorded study as text: its figures are those of the file, and what is unknown is named."""

import pytest

from hybridlab.course import recorded
from hybridlab.viz.recorded import recorded_table


def test_table_says_what_was_recorded():
    record = recorded("beams")
    lines = recorded_table(record, ("mean_ap", "exact_match")).splitlines()
    rows = record["metrics"]["mean_ap"]["rows"]
    assert "5 seeds" in lines[0] and "hybridlab reproduce 02" in lines[0]
    assert lines[1].split()[:3] == ["mAP", "exact", "match"]
    assert len(lines) == 2 + len(rows)
    assert "the reference" in lines[2]
    for line, row in zip(lines[2:], rows, strict=True):
        assert line.startswith(row["name"])
        assert f"{100 * row['mean']:.1f}" in line
        if row["comparison"]:
            low, high = (100 * row["comparison"][end] for end in ("low", "high"))
            assert f"[{low:+.1f}, {high:+.1f}] {row['comparison']['verdict']}" in line


def test_table_of_some_variants_in_the_order_asked_for():
    lines = recorded_table(recorded("beams"), ("of1",), ("4 beams", "greedy")).splitlines()
    assert [line[:7].strip() for line in lines[2:]] == ["4 beams", "greedy"]


@pytest.mark.parametrize(("metrics", "only", "told"), [
    ((), None, "give one or more of mean_ap"),
    (("accuracy",), None, "give one or more of mean_ap"),
    (("of1",), ("5 beams",), "no variants of this study; there are greedy"),
])
def test_unknown_names_are_told(metrics, only, told):
    with pytest.raises(ValueError, match=told):
        recorded_table(recorded("beams"), metrics, only)
