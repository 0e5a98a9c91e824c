"""Study files, and functions by name: how a study finds its run function on every machine.

A function is named "package.module:function", or "<study file>:function" if it stands in the
study file itself. A study file is loaded by its path under a module name of its own, so it need
not be installed anywhere; a worker loads it in the same way.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hybridlab.ablation.errors import StudyFileError

STUDY_FILE = "<study file>"
_PREFIX = "hybridlab_study_"
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_loading = threading.RLock()


def function_name(function: str | Callable[..., Any]) -> tuple[str, Path | None]:
    """The name of a run function, and the study file that it stands in, if it does.

    Raises:
        ValueError: workers could not find it by a name: a lambda, a function inside another, or
            one that was typed into a notebook.
    """
    if isinstance(function, str):
        if not (_DOTTED.fullmatch(function) or function.startswith(f"{STUDY_FILE}:")):
            raise ValueError(f"run is {function!r}; expected 'package.module:function'")
        return function, None
    name = getattr(function, "__qualname__", "")
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if not callable(function) or module is None or getattr(module, name, None) is not function:
        raise ValueError(
            f"run is {function!r}, which has no name that workers could import; define it with "
            "def at the top level of the study file, or give 'package.module:function'"
        )
    file = getattr(module, "__file__", None)
    if module.__name__ != "__main__" and not module.__name__.startswith(_PREFIX):
        return f"{module.__name__}:{name}", None
    code = getattr(function, "__code__", None)
    if file is None or (code is not None and not Path(code.co_filename).is_file()):
        raise ValueError(
            f"run is the function {name}, typed into a notebook or console, where workers cannot "
            "find it; put it and the study into a file, and give load_study its path"
        )
    return f"{STUDY_FILE}:{name}", Path(file).resolve()


def load_file(path: Path) -> ModuleType:
    """Run a study file as a module; the same content at the same path is run once a process.

    Raises:
        StudyFileError: it cannot be read, or raises; the message has the error and its line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StudyFileError(
            f"the study file {path} cannot be read ({error.strerror}); workers need it at the "
            "same path: put it on a disk that all machines share"
        ) from error
    mark = hashlib.sha256(os.fsencode(path) + b"\0" + content).hexdigest()[:12]
    name = f"{_PREFIX}{mark}"
    with _loading:
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise StudyFileError(f"{path} is no Python file; give one that ends in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickle look modules up there
        try:
            # Compiled from what was hashed: a stale .pyc cannot stand in for it.
            exec(compile(content, str(path), "exec"), module.__dict__)
        except BaseException as error:
            del sys.modules[name]
            if not isinstance(error, (Exception, SystemExit)):
                raise
            raise StudyFileError(f"{path.name} {_told(error, path)}") from error
        return module


def find_function(name: str, file: Path | None) -> Callable[..., Any]:
    """The function of a name that `function_name` gave.

    Raises:
        StudyFileError: it cannot be found here.
    """
    place, _, attribute = name.rpartition(":")
    if place == STUDY_FILE:
        if file is None:
            raise StudyFileError(
                f"run is {name}, but no study file is known; load the study with load_study(PATH)"
            )
        module = load_file(file)
    else:
        module = import_module(place)
    function = getattr(module, attribute, None)
    if not callable(function):
        raise StudyFileError(f"there is no function {attribute} in {place}; give the name of one")
    return function


def import_module(name: str) -> ModuleType:
    """The module of a dotted name, or StudyFileError with the reason."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise StudyFileError(
            f"the module {name} cannot be imported ({error}); install it, or give the path of a "
            "study file"
        ) from error
    except Exception as error:
        raise StudyFileError(f"the module {name} {_told(error, None)}") from error


def _told(error: BaseException, path: Path | None) -> str:
    """ "raises NameError in line 3: ..." """
    line = error.lineno if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if path is not None and frame.filename == str(path):
            line = frame.lineno
    where = f" in line {line}" if line else ""
    return f"raises {type(error).__name__}{where}: {error}; mend it and try again"
