"""The settings of a run, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def check_settings(
    config: Mapping[str, Any], recipe: Mapping[str, Any], **choices: Sequence[Any]
) -> None:
    """That a run has all settings of its recipe and no other, and names that are known.

    Args:
        config: of the run.
        recipe: settings and what they are where nothing else is asked.
        choices: setting -> the values that it may have.

    Raises:
        ValueError: an unknown or a missing setting, or an unknown value (the message lists the
            known ones).
    """
    if strange := set(config) ^ set(recipe):
        raise ValueError(f"unknown or missing settings {sorted(strange)}; see RECIPE")
    for name, known in choices.items():
        if config[name] not in known:
            listed = ", ".join(map(str, known))
            raise ValueError(f"{name} is {config[name]!r}; choose one of {listed}")
