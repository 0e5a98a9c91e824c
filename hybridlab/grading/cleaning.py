"""Words of a learner's process as a terminal may show them: no control characters, not too long.

An exception's message, a printed line or the name of a class is whatever the code made it. Escape
sequences would colour, move or rename the terminal; half a surrogate pair would end the printing.
"""

from __future__ import annotations

import re

_LONGEST, _MOST = 1_000, 20  # characters and lines of a message
_WIDEST = 300  # characters of a line
# C0 and C1 controls but tab and newline, marks that turn the direction of writing, surrogates
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069"
                       "\u2028\u2029\ud800-\udfff]")


def lines(words: str, longest: int = _LONGEST, most: int = _MOST) -> str:
    """Words without control characters, which are written out (`\\x1b`), and cut.

    Args:
        longest: characters of all.
        most: lines of all.
    """
    words = words[: longest + 1].replace("\r\n", "\n").replace("\r", "\n")
    plain = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], words)
    kept = plain.split("\n")
    text = "\n".join(_cut(line, _WIDEST) for line in kept[:most])
    return _cut(text, longest) if len(kept) <= most else f"{_cut(text, longest)}\n..."


def one_line(words: str) -> str:
    """The same as one line."""
    return lines(words.replace("\n", " "))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."
