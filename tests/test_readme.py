"""The README shows what was recorded, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

from hybridlab.configs import DemoConfig

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("readme_tool", ROOT / "tools" / "readme.py")
readme = importlib.util.module_from_spec(spec)
spec.loader.exec_module(readme)
TEXT = readme.README.read_text()


def test_the_table_is_the_recorded_run_of_the_default_demo():
    record = json.loads(readme.RECORD.read_text())
    # settings that came later stand at what was the only choice before
    now = json.loads(json.dumps(DemoConfig().to_dict()))
    assert {**now, **record["config"]} == now
    assert readme.renewed(TEXT) == TEXT, "run `python tools/readme.py`"
    assert record["seconds"] < 300, "the demo should take under 5 minutes"


def test_the_first_screen_says_what_it_is_and_shows_a_picture_and_two_commands():
    first_screen = "\n".join(TEXT.splitlines()[:22])
    assert "make demo" in first_screen and "make lab" in first_screen
    assert re.search(r"!\[.{20,}\]\(docs/scenes\.png\)", first_screen)
    assert readme.PICTURE.read_bytes()[:4] == b"\x89PNG"


def test_links_and_make_targets_exist():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / link).exists(), link
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for target in re.findall(r"^(?:UV_TORCH_BACKEND=cpu )?make ([a-z]+)", TEXT, re.M):
        assert target in targets
