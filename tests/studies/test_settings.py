"""Settings of a run: all of them, no other, and known names."""

from __future__ import annotations

import pytest

from hybridlab.studies.settings import check_settings

RECIPE = {"method": "a", "size": 3}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"method": "a"}, r"unknown or missing settings \['size'\]"),
        ({**RECIPE, "sise": 4}, r"unknown or missing settings \['sise'\]"),
        ({**RECIPE, "method": "c"}, "method is 'c'; choose one of a, b"),
        ({**RECIPE, "size": 5}, "size is 5; choose one of 3, 4"),
    ],
)
def test_what_is_wrong_is_named(config, message):
    with pytest.raises(ValueError, match=message):
        check_settings(config, RECIPE, method=("a", "b"), size=(3, 4))


def test_a_whole_config_of_known_names_passes():
    assert check_settings({**RECIPE, "method": "b"}, RECIPE, method=("a", "b")) is None
