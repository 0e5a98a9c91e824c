"""Make the exercises from the solutions: `python tools/make_exercises.py [--check]`.

Each `solutions/lesson_NN.py` becomes `exercises/lesson_NN.py`, which students change, and
`hybridlab/grading/stubs/lesson_NN.py.txt`, which stays pristine. No stub may earn a point.
--check writes nothing and fails where they differ.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hybridlab.files import write_text
from hybridlab.grading.manifest import file_name, of_lesson
from hybridlab.grading.markers import refuse_passing, stubs_of

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Make or check the exercises; the exit status is 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    check = parser.parse_args(arguments).check
    try:
        made = stubs_of(root / "solutions")
        for lesson, text in made.items():
            refuse_passing(text, f"exercises/{file_name(lesson)}", of_lesson(lesson))
    except ValueError as error:  # a MarkerError, or a manifest that is not whole
        print(error, file=sys.stderr)
        return 1
    good = True
    for lesson, text in made.items():
        pristine = root / "hybridlab" / "grading" / "stubs" / f"{file_name(lesson)}.txt"
        given = root / "exercises" / file_name(lesson)
        # The students' file first: only the old stubs tell whether anybody has worked in it.
        good &= _put(given, text, check, keep=_text(pristine))
        good &= _put(pristine, text, check, keep=None)
    return 0 if good else 1


def _put(path: Path, text: str, check: bool, keep: str | None) -> bool:
    """Write a file that differs; whether all is well.

    Args:
        keep: the text that may be replaced; another one is somebody's work.
    """
    before = _text(path)
    if before == text:
        return True
    name = f"{path.parent.name}/{path.name}"
    if check:
        print(f"{name} differs from its solutions; run: python tools/make_exercises.py",
              file=sys.stderr)
        return False
    if before is not None and keep is not None and before != keep:
        print(f"{name} holds somebody's answers and is kept; move it away, and run this again",
              file=sys.stderr)
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text, overwrite=True)
    print(f"{name} written")
    return True


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
