"""Making the shipped hybrid: small enough, described, and swapped in whole."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hybridlab import ship
from hybridlab.bundle import SHIPPED_FOLDER, load_bundle
from hybridlab.configs import DemoConfig


def test_a_shipped_bundle_is_small_and_described(tmp_path, capsys):
    # the real width: the size limit is about this
    config = replace(DemoConfig.quick(), dim=DemoConfig.shipped().dim, tune_epochs=0)
    bundle = ship.main_ship(config, runs=tmp_path)
    assert sum(file.stat().st_size for file in bundle.iterdir()) <= ship.MAX_BYTES
    assert load_bundle(bundle).info["made_by"] == "hybridlab ship"
    card = (bundle / "README.md").read_text()
    assert "hybridlab ship" in card and "CC BY 4.0" in card and "linear head on CLIP" in card
    assert json.loads((bundle / "metrics.json").read_text())["config"]["train"] == config.train
    assert "MB" in capsys.readouterr().out


def test_installing_replaces_the_old_only_by_a_whole_new_one(tmp_path, monkeypatch):
    new, old = tmp_path / "new", tmp_path / "assets" / "hybrid"
    for folder, words in ((new, "new"), (old, "old")):
        folder.mkdir(parents=True)
        (folder / "bundle.json").write_text(words)
    ship._swap(new, old)
    assert (old / "bundle.json").read_text() == "new"
    assert [path.name for path in old.parent.iterdir()] == ["hybrid"]

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ship.shutil, "copytree", full_disk)
    with pytest.raises(OSError, match="No space"):
        ship._swap(new, old)
    assert (old / "bundle.json").read_text() == "new"


def test_what_ships_loads_and_says_how_it_was_made():
    bundle = load_bundle(SHIPPED_FOLDER)
    # settings that came later stand at what was the only choice before
    now = json.loads(json.dumps(DemoConfig.shipped().to_dict()))
    assert {**DemoConfig().to_dict(), **bundle.info["config"]} == now
    assert sum(f.stat().st_size for f in SHIPPED_FOLDER.iterdir()) <= ship.MAX_BYTES
    rows = json.loads((SHIPPED_FOLDER / "metrics.json").read_text())["rows"]
    assert 0.30 <= rows["linear_cnn"]["mean_ap"] <= 0.60  # hard enough, not too hard: 6,000 scenes
