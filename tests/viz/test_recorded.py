"""A recorded study as text: its figures are those of the file, and what is unknown is named."""

import pytest

from hybridlab.course import recorded
from hybridlab.viz.recorded import against, recorded_table


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


def test_a_control_gives_its_own_changes_in_every_metric():
    record = recorded("dial_075")
    control = record["against_control"]["control"]
    table = recorded_table(against(record, control), ("exact_match", "of1")).splitlines()
    assert repr(control) in table[1]
    rows = record["against_control"]["metrics"]["exact_match"]["rows"]
    for line, row in zip(table[2:], rows, strict=True):
        assert line.startswith(row["name"])
        if row["comparison"]:
            assert f"{100 * row['comparison']['value']:+5.1f} [" in line
    with pytest.raises(ValueError, match="nothing was compared with 'magic'.*" + control):
        against(record, "magic")


def test_another_reference_gives_its_own_changes_in_the_first_metric():
    record = recorded("cnn_stages")
    (other,) = record["also"]
    table = recorded_table(against(record, other), ("mean_ap",)).splitlines()
    assert repr(other) in table[1]
    for line, row in zip(table[2:], record["also"][other]["rows"], strict=True):
        assert line.startswith(row["name"])
        if row["comparison"]:
            assert f"{100 * row['comparison']['value']:+5.1f} [" in line
    with pytest.raises(ValueError, match="give one or more of mean_ap"):
        recorded_table(against(record, other), ("of1",))
