"""The whole pipeline in one command, at the smallest size, with the shipped weights."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hybridlab import demo
from hybridlab.bundle import load_bundle
from hybridlab.configs import DemoConfig
from hybridlab.data.world import LABEL_NAMES
from hybridlab.evaluation.metrics import mean_ap, threshold_metrics
from hybridlab.evaluation.thresholds import Thresholds
from hybridlab.pipeline import Built, Scored

ROWS = ("linear_cnn", "cnn_rnn", "clip_zero_shot", "linear_clip", "hybrid", "hybrid_calibrated")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return demo.run_demo(DemoConfig.quick(), runs, cache=runs / ".cache")


def test_a_run_leaves_a_bundle_metrics_and_a_figure(run):
    assert sorted(path.name for path in run.iterdir()) == ["bundle", "metrics.json", "scenes.png"]
    assert (run / "scenes.png").read_bytes()[:4] == b"\x89PNG"
    bundle = load_bundle(run / "bundle")
    assert bundle.vocabulary.names == LABEL_NAMES and bundle.thresholds.shape == (80,)


def test_metrics_hold_every_row_with_its_intervals(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(ROWS) <= set(metrics["rows"]) and metrics["seconds"] > 0
    for name in ROWS:
        row = metrics["rows"][name]
        for metric in ("mean_ap", "cf1", "of1"):
            low, high = row[f"{metric}_ci"]
            assert 0 <= low <= high <= 1 and 0 <= row[metric] <= 1, (name, metric)
    assert metrics["rows"]["hybrid"]["mean_ap"] == metrics["rows"]["hybrid_calibrated"]["mean_ap"]
    assert metrics["config"]["train"] == DemoConfig.quick().train
    assert 0 <= metrics["decoder_of1"]["train"] <= 1
    assert metrics["versions"]["torch"] and metrics["scenes"]["cooccurrence"] == 0.75


def test_the_bundle_gives_the_probabilities_that_were_measured(run):
    """From the bundle alone, the hybrid's row comes out again."""
    from hybridlab.data.scenes import SceneDataset
    from hybridlab.predict import Predictor

    metrics = json.loads((run / "metrics.json").read_text())
    scenes = list(SceneDataset(DemoConfig.quick().test, "test"))
    predictor = Predictor(run / "bundle")
    found = predictor.predict([scene.image for scene in scenes])
    probs = np.stack([prediction.probs for prediction in found])
    targets = np.stack([scene.targets for scene in scenes])
    row = metrics["rows"]["hybrid_calibrated"]
    assert mean_ap(probs, targets).value == pytest.approx(row["mean_ap"], abs=2e-3)
    decisions = probs >= load_bundle(run / "bundle").thresholds
    assert threshold_metrics(decisions, targets).of1 == pytest.approx(row["of1"], abs=5e-3)


def test_a_second_run_reads_the_cache_and_never_touches_the_first(run):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    again = demo.run_demo(DemoConfig.quick(), run.parent, cache=run.parent / ".cache")
    assert again != run
    assert all(path.read_bytes() == content for path, content in before.items())
    first, second = (json.loads((r / "metrics.json").read_text())["rows"] for r in (run, again))
    assert first == second  # the same seed, the same figures


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_run_that_is_stopped_leaves_nothing(monkeypatch, tmp_path, error, capsys):
    def stop(*args, **kwargs):
        raise error

    monkeypatch.setattr(demo, "build_hybrid", stop)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        demo.run_demo(DemoConfig.quick(), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "nothing of this run was kept" in capsys.readouterr().err


def fake_built(better: str, seed: int = 0) -> Built:
    """Rows of which `better` ranks the labels best."""
    random = np.random.default_rng(seed)
    targets = (random.random((200, 80)) < 0.1).astype(np.float32)
    rows = {}
    for name in demo.ROWS:
        signal = 0.5 if name.startswith(better) else 0.25
        scores = np.clip(0.25 + signal * targets + 0.2 * random.random((200, 80)), 0, 1)
        rows[name] = Scored(scores, scores >= 0.5)
    rows["hybrid_calibrated"] = Scored(rows["hybrid"].scores, rows["hybrid"].decisions)
    from hybridlab.data.scenes import SceneDataset

    thresholds = Thresholds(np.full(80, 0.5), (), 0.5)
    return Built(None, thresholds, rows, targets, SceneDataset(200, "test"), 0.5)


@pytest.mark.parametrize(
    ("better", "words"),
    [("hybrid", "with CLIP frozen beats it"), ("linear_clip", "falls short of it")],
)
def test_the_caption_follows_the_figures(better, words):
    config = replace(DemoConfig.quick(), resamples=100)
    built = fake_built(better)
    noise = 0.6 * np.random.default_rng(7).random(built.targets.shape)
    noisy = {
        name: row if name.startswith(better) else Scored(row.scores + noise, row.decisions)
        for name, row in built.rows.items()
    }
    metrics = demo.measure(replace_rows(built, noisy), config)
    assert words in demo.verdict(metrics)
    if better == "linear_clip":
        assert metrics["best_single_view"] == "linear_clip"


def test_equal_scores_show_no_difference():
    built = fake_built("nothing")
    same = {name: built.rows["linear_clip"] for name in built.rows}
    metrics = demo.measure(replace_rows(built, same), DemoConfig.quick())
    assert demo.verdict(metrics).count("shows no difference to it") == 2
    assert "shows no difference to CLIP alone" in demo.verdict(metrics)


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"tune_epochs": 0}, "with CLIP tuned"),
        ({"folds": 1}, "cross-fitted"),
        ({"view": "state"}, "cross-fitted"),
        ({"view": "none"}, "cross-fitted"),
    ],
)
def test_the_caption_speaks_of_what_was_done_only(changes, absent):
    metrics = demo.measure(fake_built("hybrid"), replace(DemoConfig(), resamples=50))
    assert absent in demo.verdict(metrics)
    metrics["config"] = {**metrics["config"], **changes}
    assert absent not in demo.verdict(metrics)


def test_a_very_small_run_says_that_its_figures_mean_nothing():
    metrics = demo.measure(fake_built("hybrid"), DemoConfig.quick())
    assert demo.TOO_FEW in " ".join(demo.table(metrics).split())
    assert "Against its best" not in demo.table(metrics)
    assert "Against its best" in demo.table({**metrics, "test_scenes": 1000})


def test_a_file_in_place_of_the_runs_folder_is_told_first(tmp_path, capsys):
    (tmp_path / "runs").write_text("x")
    with pytest.raises(NotADirectoryError, match="name a folder"):
        demo.run_demo(DemoConfig.quick(), tmp_path / "runs", tmp_path / "runs" / ".cache")
    assert capsys.readouterr().out == ""


def replace_rows(built: Built, rows: dict[str, Scored]) -> Built:
    return replace(built, rows=rows)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train", 0), ("cnn_size", 31), ("lr", -1.0), ("beta", float("nan")),
        ("tune_epochs", -1), ("seed", -3), ("view", "feeling"), ("dropout", 1.0),
        ("order", "size"), ("read", "relu"), ("fusion", "glue"), ("tokens", "words"),
        ("without", "cnn"), ("classification", "hinge"), ("alignment", "triplet"),
        ("linear_rates", ()), ("linear_rates", (1e-3, -1.0)), ("folds", 0),
    ],
)
def test_settings_that_cannot_be_right_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        DemoConfig(**{field: value})


def test_too_little_room_is_told_before_anything_is_trained(monkeypatch, tmp_path):
    from hybridlab.files import NotEnoughDiskError

    room = SimpleNamespace(total=10**9, used=10**9, free=10**6)
    monkeypatch.setattr("hybridlab.files.shutil.disk_usage", lambda path: room)
    with pytest.raises(NotEnoughDiskError, match="MB"):
        demo.run_demo(DemoConfig.quick(), tmp_path)
    assert list(tmp_path.iterdir()) == []
