"""What code printed or raised is shown as plain words."""

from __future__ import annotations

import pytest

from hybridlab.grading.cleaning import lines, one_line


@pytest.mark.parametrize(("given", "shown"), [
    ("plain, even é and 犬\n\ttwo lines", "plain, even é and 犬\n\ttwo lines"),
    ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"), ("a\x00b\x9bc", "a\\x00b\\x9bc"),
    ("10%\r20%\r\nend", "10%\n20%\nend"), ("\ud800", "\\ud800"),
    ("\u202eabc", "\\u202eabc"), ("", ""),
])
def test_control_characters_are_written_out(given: str, shown: str) -> None:
    assert lines(given) == shown
    lines(given).encode("utf-8")


def test_long_words_are_cut() -> None:
    assert lines("x" * 10**6) == "x" * 300 + "..."
    assert lines("a\n" * 100).count("\n") == 20 and lines("a\n" * 100).endswith("...")
    assert len(lines("\x1b" * 10**6, most=10**6)) < 1100
    assert len(lines("123456789\n" * 1000, most=10**6)) < 1100
    assert one_line("if a:\n  b") == "if a:   b"
