"""The cluster guide: its commands are the command line's, its symptoms are messages of the code."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
import tyro

from hybridlab.ablation.command import Ablate
from hybridlab.ablation.slurm import slurm_executor

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "cluster.md").read_text("utf-8")
COMMANDS = sorted(set(re.findall(r"^hybridlab ablate ([^#\n]+)", GUIDE, re.MULTILINE)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command):
    assert isinstance(tyro.cli(Ablate, args=command.split()), Ablate)


def test_all_ways_to_run_are_there():
    assert len(COMMANDS) >= 6
    assert {"--dask", "--slurm", "--estimate", "--watch"} <= set(" ".join(COMMANDS).split())


def test_the_messages_that_it_explains_are_those_of_the_code():
    code = " ".join(path.read_text("utf-8") for path in (ROOT / "hybridlab").rglob("*.py"))
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # texts over several lines
    code = re.sub(r"\{[^{}\n]*\}", "...", code)
    table = GUIDE[GUIDE.index("## What to check when it fails"):]
    messages = re.findall(r"^\| `([^`|]*[^`|-][^`|]*)`", table, re.MULTILINE)
    messages = [each for each in messages if not each.startswith("--")]
    assert len(messages) >= 7
    for message in messages:
        for part in message.split("..."):
            assert re.sub(r"\d+", "...", part).strip() in code or part.strip() in code, message


def test_the_example_of_python_fits_the_function():
    example = next(each for each in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
                   if "slurm_executor" in each)
    (call,) = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Call)
               and getattr(node.func, "id", "") == "slurm_executor"]
    given = {each.arg: None for each in call.keywords}
    bound = inspect.signature(slurm_executor).bind("partition", "folder", **given)
    assert given and len(bound.arguments) > 2  # else bind has nothing to refuse


def test_links_within_it_lead_somewhere():
    headings = {re.sub(r"[^\w -]", "", each).strip().lower().replace(" ", "-")
                for each in re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)}
    for target in re.findall(r"\]\(#([^)]*)\)", GUIDE):
        assert target in headings
