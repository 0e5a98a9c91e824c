"""Small exercises and learners' files for tests."""

from __future__ import annotations

import textwrap

from hybridlab.grading.launch import Limits
from hybridlab.grading.learner import Learner, Source

QUICK = Limits(cpu_seconds=1, wall_seconds=4.0, memory=2**30)


def source(body: str, exercise: str = "1.1") -> Source:
    """A file whose exercise defines `f(x)` with this body."""
    text = f'"""Heading."""\nimport numpy as np\n\n\n# %% Exercise {exercise}: test\ndef f(x):\n'
    indented = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return Source("lesson_01.py", f"{text}{indented}\n")


def call(body: str, argument: object = 1, limits: Limits = QUICK, gradients: bool = False):
    """What f(argument) gives in a process of its own, and what it printed."""
    with Learner(source(body), "1.1", limits) as learner:
        return learner.call("f", [argument], {}, gradients), learner.output
