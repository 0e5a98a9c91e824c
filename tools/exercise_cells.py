"""Keeps `%%exercise` cells of the notebooks' sources in step with the stubs of the exercises."""

from __future__ import annotations

import re

from hybridlab.grading.blocks import MARK
from hybridlab.grading.workbook import stub

# A cell's first line as jupytext writes the magic, and all up to the next cell.
_CELL = re.compile(r"^# %%exercise (\d+\.\d+)\n(.*?)(?=^# %%(?: |$)|\Z)", re.MULTILINE | re.DOTALL)


def with_stubs(source: str) -> str:
    """A notebook's source with the stub of its exercise in each `%%exercise` cell."""

    def renewed(cell: re.Match[str]) -> str:
        body = MARK.sub("", stub(cell[1]), count=1).strip("\n")
        return f"# %%exercise {cell[1]}\n{body}\n\n"

    return _CELL.sub(renewed, source)
