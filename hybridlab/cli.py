"""The command line: `hybridlab demo | predict | world | doctor | lab | grade | ...`.

Parsing, exit statuses and errors in one line; `commands` holds the commands themselves.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, subcommand

from hybridlab import __version__
from hybridlab.commands import (
    Ablate,
    Command,
    Data,
    Demo,
    Doctor,
    Evaluate,
    Export,
    Grade,
    Lab,
    Predict,
    PretrainClip,
    Report,
    Reproduce,
    Ship,
    Train,
    World,
)
from hybridlab.configs import DemoConfig

DEBUG = "HYBRIDLAB_DEBUG"
FAILED, STOPPED, NO_READER = 2, 130, 141  # 128 + SIGINT, 128 + SIGPIPE
# What tyro draws its boxes with, on a terminal of any encoding.
_FRAME = " │|+╭╮╰╯"
_RULE = _FRAME + "─-"

# How int(), float() and tyro name a type, and how we do.
_KINDS = {"int()": "a whole number", "INT": "a whole number", "float": "a number",
          "FLOAT": "a number"}


def parse(argv: Sequence[str]) -> Command:
    """Arguments -> a command; prints help or usage errors and exits as argparse does."""
    # --quick sets other defaults, which single options still override.
    quick = "--quick" in argv
    sizes = DemoConfig.quick() if quick else DemoConfig()
    shipped = DemoConfig.quick() if quick else DemoConfig.shipped()
    commands = (
        Annotated[Demo, subcommand("demo", default=Demo(sizes))]
        | Annotated[Predict, subcommand("predict")]
        | Annotated[World, subcommand("world")]
        | Annotated[Doctor, subcommand("doctor")]
        | Annotated[Lab, subcommand("lab")]
        | Annotated[Grade, subcommand("grade")]
        | Annotated[Ablate, subcommand("ablate")]
        | Annotated[Report, subcommand("report")]
        | Annotated[Reproduce, subcommand("reproduce")]
        | Annotated[PretrainClip, subcommand("pretrain-clip")]
        | Annotated[Ship, subcommand("ship", default=Ship(shipped))]
        | Annotated[Train, subcommand("train", default=Train(sizes))]
        | Annotated[Data, subcommand("data")]
        | Annotated[Evaluate, subcommand("evaluate")]
        | Annotated[Export, subcommand("export")]
    )
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            return _parsed(commands, argv)
    except SystemExit:
        text = complaint.getvalue()
        sys.stderr.write(_plain_value_error(text, argv) or text)
        raise


def _parsed(commands: Any, argv: Sequence[str]) -> Command:
    return tyro.cli(
        commands,
        prog="hybridlab",
        description=(
            "A course that builds a hybrid multi-label image classifier: CNN-RNN and CLIP.\n"
            f"Begin with `hybridlab lab`. {DEBUG}=1 shows where an error came from."
        ),
        args=list(argv),
        config=(FlagCreatePairsOff,),
    )


def _plain_value_error(box: str, argv: Sequence[str]) -> str | None:
    """tyro's box about a value -> one line; None for its other boxes, which hold suggestions.

    tyro names the field by a class that the user never sees ("Error parsing Predict: top is 0").
    """
    lines = [line.strip(_FRAME) for line in box.splitlines()]
    if not lines or lines[0].strip(_RULE) != "Value error":
        return None
    # rules stand between the title (in ASCII), the message, and where to find help
    parts = "\n".join(line if line.strip(_RULE) else "\0" for line in lines[1:]).split("\0")
    message = next(part for part in parts if part.strip())
    text = re.sub(r"^Error parsing (?!-)\S+: ", "", " ".join(message.split())).rstrip(".;")
    option = re.match(r"Error parsing (-\S+): (.*)", text)
    if option:
        text = f"{option[1]}: {_plain_type_error(option[2])}"
    return f"hybridlab: {text}; see `hybridlab {argv[0]} --help`\n"


def _plain_type_error(text: str) -> str:
    """What int() and tyro say of a value of the wrong type -> words for users."""
    given = re.search(r"'[^']*'", text)
    kind = next(
        (words for sign, words in _KINDS.items() if sign in text), None
    )
    return f"{given[0]} is not {kind}" if given and kind else text


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done; 1 done in part, or the doctor found a failure; 2 nothing could be done (one line on
    stderr says why); 130 stopped by Ctrl-C. Bugs keep their traceback.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv[:1] in (["--version"], ["-V"]):
        print(f"hybridlab {__version__}")
        return 0
    try:
        status = parse(argv or ["--help"]).run()
        sys.stdout.flush()  # a reader that has gone is noticed here, not at the interpreter's end
        return status
    except BrokenPipeError:
        # Nobody reads any more (`| head`). Python would complain while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except KeyboardInterrupt:
        _say("stopped; nothing half-written")
        return STOPPED
    except Exception as error:
        line = explain(error)
        if line is None or os.environ.get(DEBUG, "0") not in ("", "0"):
            raise
        _say(line)
        return FAILED


def explain(error: Exception) -> str | None:
    """One line for an error that a user can do something about; None for a bug."""
    # A class of ours, or a plain ValueError: told by name, so that torch need not be imported.
    ours = any(kind.__module__.startswith("hybridlab.") for kind in type(error).__mro__)
    text = " ".join(str(error).split()) or type(error).__name__
    if ours or isinstance(error, (ValueError, FloatingPointError)):
        return text
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("hybridlab"):
        return f"the package {error.name} is not installed; run `make setup`, or `hybridlab doctor`"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return "not enough memory; close other programs, or try `--quick` or a smaller size"
    if isinstance(error, OSError):
        if error.filename is not None and error.strerror:
            return f"{error.filename}: {error.strerror}"
        return text
    return None


def _say(line: str) -> None:
    print(f"hybridlab: {line}", file=sys.stderr)
