"""What `hybridlab data check` does: read, check, print, write."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from hybridlab.data.check import check_photos
from hybridlab.data.check_text import as_text, problem_lines
from hybridlab.data.layouts import Layout, read_labels, read_splits
from hybridlab.data.problems import Problem
from hybridlab.files import write_json


def main_check(
    folder: Path, annotation_files: Sequence[Path] = (), *, layout: Layout = "auto",
    num_classes: int | None = None, labels: Path | None = None, out: Path | None = None,
    show: int = 10, pixels: bool = True,
) -> int:
    """Check a data set; the arguments are those of `command.Check`.

    Returns:
        0, or 1 where something must be mended.

    Raises:
        FileExistsError: `out` is there.
        ValueError, OSError: nothing could be checked.
    """
    if out is not None and out.exists():  # before an hour of reading
        raise FileExistsError(f"{out} exists and is kept; choose another name")
    told: list[Problem] = []
    try:
        splits = read_splits(
            folder, annotation_files, layout=layout, num_classes=num_classes, tell=told.append,
            vocabulary=None if labels is None else read_labels(labels),
        )
    except (ValueError, OSError):
        _print("\n".join(problem_lines(told, show)).strip())  # they say why nothing is left
        raise
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(
            total=sum(len(data) for data in splits.values()), unit=" files", leave=False,
            disable=not sys.stderr.isatty(),
        ))
        report = check_photos(splits, told, pixels=pixels, step=bar.update)
    _print(as_text(report, show))
    if out is not None:
        write_json(out, report.to_dict())
    return 0 if report.fit else 1


def _print(text: str) -> None:
    code = sys.stdout.encoding or "utf-8"
    if text:
        print(text.encode(code, "backslashreplace").decode(code))
