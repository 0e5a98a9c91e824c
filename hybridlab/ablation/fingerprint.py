"""Which code does a run: a hash of every file that it can reach.

Two machines, or two days, may have different code. A run's result depends on the modules that its
function imports, directly or through others, so those are hashed, found by reading import
statements (and texts such as "hybridlab.model", which are imported by name). What a run does not
touch, a plot say, may change without making its result doubtful.

All modules count that somebody may edit: ours and the user's own, beside the study file, on
PYTHONPATH or installed as editable. Python's own and those in site-packages do not: the manifest
has the versions of those that matter.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from hybridlab.ablation.study_file import STUDY_FILE, load_file

PACKAGE = Path(__file__).resolve().parents[1]
# Every run goes through it, whatever its function.
_WORKER = "hybridlab.ablation.worker"
# A version and tables of lazy names: no result depends on them, and a table is no sign of use.
_LAZY = {PACKAGE / "__init__.py", PACKAGE / "ablation" / "__init__.py"}
_LENGTH = 12
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+(:\w+)?")
_INSTALLED = {"site-packages", "dist-packages"}
# CPython before 3.11.8 and 3.12.2 counts the depth of trees for all threads together: two that
# parse at once can end with a SystemError (python/cpython#106905).
_PARSING = threading.Lock()


def code_fingerprint(function: str, file: Path | None = None) -> dict[str, str]:
    """File -> first 12 hex digits of its SHA-256, for all code that a run function can reach.

    Files are named by their modules: "hybridlab/model.py". Of a study file only what its function
    uses counts, so that seeds and variants can be added to it. Modules are read once a process, as
    Python reads them: what changes later takes a new process to matter.

    Args:
        function: as `Study.run`.
        file: the study file, for a function that stands in it.

    Raises:
        StudyFileError: the study file cannot be loaded.
    """
    place, _, name = function.rpartition(":")
    if place != STUDY_FILE:
        return dict(_reached((_WORKER, place), place.partition(".")[0], None))
    if file is None:
        raise ValueError(f"run is {function}, but no study file is known; use load_study(PATH)")
    load_file(file)  # it may extend sys.path, without which its modules would not be found
    source = file.read_bytes().replace(b"\r\n", b"\n").decode("utf-8", errors="replace")
    used = reachable_source(source, name)
    imports = sorted(set(_imports(_parse(used), "", False)))
    marks = dict(_reached((_WORKER, *imports), PACKAGE.name, file.parent))
    return {STUDY_FILE: hashlib.sha256(used.encode()).hexdigest()[:_LENGTH], **marks}


def differences(expected: dict[str, str], given: dict[str, str]) -> list[str]:
    """A line for each file that is not the same in both; empty if all are."""
    return [
        f"{name} (expected {expected.get(name, 'no such file')}, "
        f"given {given.get(name, 'no such file')})"
        for name in sorted({*expected, *given})
        if expected.get(name) != given.get(name)
    ]


def reachable_source(source: str, name: str) -> str:
    """The parts of a module's text that the function `name` can reach, in their order.

    These are the top-level definitions, assignments and imports of every name that it mentions,
    and that those mention; and every top-level statement that binds no name, save texts and what
    runs only in a script (`if __name__ == "__main__"`).
    """
    lines = source.splitlines()
    parts: list[tuple[set[str], set[str], str]] = []  # (binds, mentions, text)
    for node in _parse(source).body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        text = "\n".join(lines[first - 1 : node.end_lineno])
        mentions = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if not (_is_text(node) or _is_main_guard(node)):
            parts.append((_bound(node), mentions, text))
    wanted, size = {name}, 0
    while len(wanted) > size:
        size = len(wanted)
        for binds, mentions, _ in parts:
            if not binds or binds & wanted:
                wanted |= mentions
    return "\n".join(text for binds, _, text in parts if not binds or binds & wanted)


def _parse(source: str | bytes) -> ast.Module:
    with _PARSING:
        return ast.parse(source)


@cache
def git_facts() -> dict[str, Any] | None:
    """The commit of the package's own repository and whether files differ from it, if any."""
    try:
        # Only where the package itself is under version control: an environment inside somebody's
        # repository would give that one's commit.
        _git("ls-files", "--error-unmatch", "__init__.py")
        commit = _git("rev-parse", "HEAD").strip()
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", ".").strip())}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=PACKAGE, capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout


@cache
def _reached(
    starts: tuple[str, ...], package: str, beside: Path | None
) -> tuple[tuple[str, str], ...]:
    """(file, hash) of all modules that can be reached from these and that somebody may edit.

    Args:
        package: one that counts wherever it is installed.
        beside: a folder whose modules may be imported too.
    """
    found: dict[Path, tuple[str, bytes]] = {}
    waiting = list(starts)
    seen = set(waiting)
    texts: set[str] = set()
    while waiting:
        for path, owner in _files_of(waiting.pop(), package, beside):
            if path in found or path in _LAZY:
                continue
            # by the module's name, not by its place, which is another on each machine
            whole = path.name == "__init__.py"
            shown = owner.replace(".", "/") + ("/__init__.py" if whole else ".py")
            found[path] = shown, path.read_bytes().replace(b"\r\n", b"\n")
            try:
                tree = _parse(found[path][1])
            except (SyntaxError, ValueError):
                continue  # whoever imports it is told; what it imports cannot be known
            texts |= {n.value for n in ast.walk(tree)
                      if isinstance(n, ast.Constant) and isinstance(n.value, str)}
            for name in _imports(tree, owner, whole):
                if name not in seen:
                    seen.add(name)
                    waiting.append(name)
    for folder in sorted((PACKAGE / "assets").glob("*/")):
        if folder.name in texts:  # weights that the reached code names
            found |= {path: (path.relative_to(PACKAGE.parent).as_posix(), path.read_bytes())
                      for path in folder.iterdir() if path.is_file() and path.suffix != ".md"}
    marks = {
        shown: hashlib.sha256(content).hexdigest()[:_LENGTH] for shown, content in found.values()
    }
    return tuple(sorted(marks.items()))


def _imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Dotted names that a module imports, or may; `module` is its own name."""
    by_text = {"hybridlab", module.partition(".")[0]}
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                drop = node.level - is_package
                kept = parents[: len(parents) - drop]
                base = ".".join([*kept, *([base] if base else [])])
            yield base
            for alias in node.names:
                yield _lazy_home(base, alias.name) or f"{base}.{alias.name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "hybridlab":
                yield _lazy_home("hybridlab", node.attr) or f"hybridlab.{node.attr}"
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
            and node.value.partition(".")[0] in by_text and _DOTTED.fullmatch(node.value[:300])
        ):  # a module or function given by name, for an import at run time
            yield node.value.partition(":")[0]


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`, which only type checkers read."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _running(child)


def _lazy_home(base: str, name: str) -> str | None:
    """The module behind a public name of `hybridlab`, which is imported on first use."""
    if base != "hybridlab":
        return None
    import hybridlab

    return hybridlab._HOME.get(name)


def _files_of(module: str, package: str, beside: Path | None) -> Iterator[tuple[Path, str]]:
    """The module's file and those of its parent packages, each with its dotted name."""
    top, *rest = module.split(".")
    for place in _places(top, top in (PACKAGE.name, package), beside):
        names = [top]
        for part in ("", *rest):
            if part:
                names.append(part)
                place = place / part
            for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
                if path.is_file():
                    yield path, ".".join(names)


@cache
def _places(name: str, installed_too: bool, beside: Path | None) -> tuple[Path, ...]:
    """The folders (or the file without .py) of a top-level module, if somebody may edit it."""
    if name == PACKAGE.name:
        return (PACKAGE,)
    try:
        spec = importlib.util.find_spec(name)
        if spec is None and beside is not None:
            spec = PathFinder.find_spec(name, [str(beside)])
    except (ImportError, ValueError, AttributeError):
        return ()
    if spec is None:
        return ()
    if spec.submodule_search_locations is not None:
        places = [Path(each) for each in spec.submodule_search_locations]
    elif spec.has_location and spec.origin is not None:
        places = [Path(spec.origin).with_suffix("")]
    else:
        places = []  # built in
    return tuple(place for place in places if installed_too or _is_editable(place))


def _is_editable(place: Path) -> bool:
    """Whether it is neither Python's own nor installed as a copy."""
    if _INSTALLED & set(place.parts):
        return False
    return not any(place.resolve().is_relative_to(folder) for folder in _python_folders())


@cache
def _python_folders() -> tuple[Path, ...]:
    return tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})


def _bound(node: ast.stmt) -> set[str]:
    """The names that a top-level statement binds, if binding is all that it does."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)) and node.names[0].name != "*":
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n for target in targets for n in ast.walk(target)]
        # `table["x"] = 1` changes something that exists: it always counts
        if all(isinstance(n, (ast.Name, ast.Tuple, ast.List, ast.expr_context)) for n in names):
            return {n.id for n in names if isinstance(n, ast.Name)}
    return set()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "__name__ == '__main__'", "'__main__' == __name__"
    )
