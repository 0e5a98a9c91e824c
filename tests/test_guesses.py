"""Decisions from log-odds, how sure they are, and the lines that keep them."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridlab.guesses import (
    NOTE,
    BadFile,
    Guess,
    GuessLines,
    beside,
    decide,
    guess_line,
    head_line,
    parse_line,
    read_guesses,
)
from hybridlab.guesses_text import review_csv

LABELS = ("cat", "dog", "Käse 🧀")
HEAD = head_line({"model": "m", "labels": list(LABELS)})


def log_odds(*probs):
    probs = np.array(probs)
    return np.log(probs / (1 - probs))


@pytest.mark.parametrize(("threshold", "top_k", "columns", "margin", "nearest"), [
    (0.5, None, (2, 0), 0.1, 0),      # 0.6 must fall by 0.1; 0.3 must rise by 0.2
    (0.35, None, (2, 0), 0.05, 1),    # 0.3 must rise by 0.05
    (None, 1, (2,), 0.2, 0),          # 0.6 against 0.8
    (None, 2, (2, 0), 0.3, 1),        # 0.3 against 0.6
    (None, 3, (2, 0, 1), 1.0, 2),     # all three, whatever they are
    (0.5, 1, (2,), 0.2, 0),           # full: 0.6 is kept out, and would have to pass 0.8
    (0.7, 2, (2,), 0.1, 0),           # one place is free
    (0.9, None, (), 0.1, 2),
])
def test_labels_and_what_the_smallest_change_is(threshold, top_k, columns, margin, nearest):
    found = decide("a.jpg", log_odds(0.6, 0.3, 0.8), threshold, top_k)
    assert found.columns == columns and found.nearest == nearest
    assert found.margin == pytest.approx(margin)
    np.testing.assert_allclose(found.probs, [0.6, 0.3, 0.8])


def test_something_must_be_asked_for():
    with pytest.raises(ValueError, match="neither a threshold nor top_k"):
        decide("a.jpg", log_odds(0.5), None, None)


def test_equal_probabilities_keep_the_order_of_the_columns():
    assert decide("a.jpg", np.zeros(3), None, 2).columns == (0, 1)
    # far beyond where probabilities are rounded to 1
    assert decide("a.jpg", np.array([800.0, 900.0, 850.0]), None, 2).columns == (1, 2)


@given(
    st.lists(st.integers(1, 999), min_size=1, max_size=6, unique=True),
    st.none() | st.integers(0, 1000), st.none() | st.integers(1, 6), st.data(),
)
def test_no_smaller_change_of_one_probability_changes_the_labels(parts, cut, top_k, data):
    probs = np.array(parts) / 1000
    threshold = None if cut is None else cut / 1000 + 0.0005  # not on a probability
    top_k = None if top_k is None or top_k > len(probs) else top_k
    if threshold is None and top_k is None:
        threshold = 0.5005

    def labels(values):
        kept = decide("x", log_odds(*values), threshold, top_k)
        return set(kept.columns)

    found = decide("x", log_odds(*probs), threshold, top_k)
    column = data.draw(st.integers(0, len(probs) - 1))
    up = data.draw(st.booleans())
    moved = probs.copy()
    moved[column] += (1 if up else -1) * 0.98 * found.margin
    if 0 < moved[column] < 1:
        assert labels(moved) == set(found.columns)
    if found.margin < 1:
        across = probs.copy()
        inside = found.nearest in found.columns
        across[found.nearest] += (-1 if inside else 1) * (found.margin + 1e-6)
        if 0 < across[found.nearest] < 1:
            assert labels(across) != set(found.columns)


# --- lines -------------------------------------------------------------------------------------


def test_a_line_is_read_back():
    guess = decide("a/b\udce9.jpg", log_odds(0.6, 0.3, 0.8), 0.5, None)
    text = guess_line(guess, LABELS)
    assert text.isascii() and text.endswith("\n") and text.count("\n") == 1
    found = parse_line(text, {name: at for at, name in enumerate(LABELS)})
    assert isinstance(found, Guess)
    assert (found.picture, found.columns, found.nearest) == ("a/b\udce9.jpg", (2, 0), 0)
    np.testing.assert_allclose(found.log_odds, guess.log_odds, rtol=1e-5)
    assert json.loads(text)["probabilities"] == pytest.approx([0.8, 0.6])
    bad = BadFile("x.png", "is empty")
    assert parse_line(guess_line(bad, LABELS), {}) == bad


def test_the_first_line_says_what_the_file_is():
    assert json.loads(HEAD)["note"] == NOTE and "not annotations" in NOTE


def test_lines_of_an_earlier_run_are_counted_and_others_refused():
    lines = GuessLines(HEAD, LABELS)
    with pytest.raises(ValueError, match="another model"):
        lines(head_line({"model": "n"}))
    lines(HEAD)
    lines(guess_line(decide("a.jpg", np.zeros(3), 0.5, None), LABELS))
    lines(guess_line(BadFile("b.jpg", "is empty"), LABELS))
    assert (lines.names, lines.pictures, lines.problems) == ({"a.jpg", "b.jpg"}, 1, 1)
    for text in (
        "", "{", "[]", "{}", '{"picture": 3}', '{"picture": "a"}',
        '{"picture": "a", "labels": ["owl"], "log_odds": [0, 0, 0], "margin": 0, "nearest": "cat"}',
        '{"picture": "a", "labels": [], "log_odds": [0, 0], "margin": 0, "nearest": "cat"}',
        '{"picture": "a", "labels": [], "log_odds": [0, 0, NaN], "margin": 0, "nearest": "cat"}',
        '{"picture": "a", "labels": [], "log_odds": ["x"], "margin": 0, "nearest": "cat"}',
        '{"picture": "a", "labels": [], "log_odds": [0, 0, 0], "margin": null, "nearest": "cat"}',
    ):
        with pytest.raises(ValueError):
            lines(text)
    assert lines.pictures == 1


def test_a_file_of_guesses(tmp_path):
    path = tmp_path / "g.guesses.jsonl"
    guesses = [decide(f"{at}.jpg", np.array([at, -1.0, 2.0]), 0.5, None) for at in range(3)]
    path.write_text(HEAD + "".join(guess_line(each, LABELS) for each in guesses)
                    + guess_line(BadFile("x.png", "is empty"), LABELS))
    found = read_guesses(path)
    assert found.labels == LABELS and found.settings["model"] == "m"
    assert [each.picture for each in found.guesses] == ["0.jpg", "1.jpg", "2.jpg"]
    assert found.problems == (BadFile("x.png", "is empty"),)
    np.testing.assert_allclose(found.probs[:, 0], 1 / (1 + np.exp(-np.arange(3.0))), rtol=1e-5)
    path.write_text(HEAD)
    assert read_guesses(path).probs.shape == (0, 3)
    path.write_text(HEAD + guess_line(guesses[0], LABELS) + "{torn")
    with pytest.raises(ValueError, match=r"line 3 cannot be used .*; make the guesses anew"):
        read_guesses(path)
    for text in ("", "3\n", '{"format": "x"}\n', '{"format": "hybridlab guesses"}\n', "{\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="does not begin as a file of guesses"):
            read_guesses(path)


# --- review ------------------------------------------------------------------------------------


def test_the_least_sure_pictures_come_first():
    guesses = [
        decide("sure.jpg", log_odds(0.99, 0.01, 0.02), 0.5, None),
        decide("none\n.jpg", log_odds(0.1, 0.2, 0.4), 0.5, None),
        decide("doubt.jpg", log_odds(0.51, 0.01, 0.9), 0.5, None),
    ]
    rows = list(csv.DictReader(io.StringIO(review_csv(guesses, LABELS))))
    assert [row["picture"] for row in rows] == ["doubt.jpg", "'none\\n.jpg'", "sure.jpg"]
    assert rows[0] == {
        "picture": "doubt.jpg", "margin": "0.01", "in doubt": "cat", "its probability": "0.51",
        "was given": "yes", "labels": "Käse 🧀; cat",
    }
    assert (rows[1]["in doubt"], rows[1]["was given"], rows[1]["labels"]) == ("Käse 🧀", "no", "")


def test_names_of_the_files_that_go_together(tmp_path):
    assert beside(tmp_path / "a.b.json", "labels.txt") == tmp_path / "a.b.labels.txt"
