"""`hybridlab train`: every plan gives a hybrid, and a killed run goes on as if it had not been."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock
from lightning_fabric import Fabric
from safetensors.torch import load_file

from hybridlab.bundle import load_bundle
from hybridlab.cli import main
from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SceneDataset, label_matrix
from hybridlab.staged import StagedRun
from hybridlab.tower import tower_blocks
from hybridlab.train import BusyError, begin, run_training, settings_to_resume
from hybridlab.train_command import STOPPED_AND_SAVED, Train
from hybridlab.training.checkpoints import CheckpointStore
from hybridlab.training.devices import DeviceConfig
from hybridlab.training.plans import PLANS, TrainPlan, joint_stages
from hybridlab.training.resuming import ResumeError

pytestmark = pytest.mark.timeout(600)
TINY = DemoConfig(
    train=24, val=16, test=16, batch_size=10, cnn_size=64, dim=16, decoder_epochs=1,
    fusion_epochs=2, tune_epochs=2, fusion="class_attention", tokens="map",
)
OPTIONS = [
    "--train", "24", "--val", "16", "--test", "16", "--batch-size", "10", "--cnn-size", "64",
    "--dim", "16", "--decoder-epochs", "1", "--fusion-epochs", "2", "--tune-epochs", "2",
    "--fusion", "class_attention", "--tokens", "map", "--save-every", "1",
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fabric():
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def trained(fabric, parent, cache, plan, config=TINY, devices=None):
    folder = begin(parent, config, plan, fabric)
    metrics = run_training(config, plan, devices or DeviceConfig(), fabric, folder, cache)
    return folder, metrics


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_gives_a_hybrid(fabric, tmp_path, cache, name):
    plan = TrainPlan(plan=name, augment="clip", ema=0.9, curriculum="clutter")
    folder, metrics = trained(fabric, tmp_path, cache, plan)
    bundle = load_bundle(folder / "bundle")
    assert bundle.info["plan"]["plan"] == name and 0 < metrics["mean_ap"] < 1
    assert json.loads((folder / "metrics.json").read_text())["of1"] == metrics["of1"]
    shot = metrics["zero_shot_mean_ap"]
    assert (shot["before"] == pytest.approx(shot["after"], abs=1e-6)) == (name == "frozen")
    told = rows(folder / "logs" / "joint" / "epochs.csv")
    epochs = {"frozen": 2, "end_to_end": 1 + 2 + 2}.get(name, 4)
    assert len(told) == epochs and all(float(row["score"]) > 0 for row in told)
    parts = {each.name for each in (folder / "checkpoints").iterdir()}
    assert ("decoder without fold 2" in parts) == (name != "end_to_end")
    last = CheckpointStore(folder / "checkpoints" / "joint").latest().snapshot
    assert last.facts["settings"]["stages"][-1]["ema"] == 0.9
    # what the bundle says is what was measured
    stored = load_file(folder / "bundle" / "weights.safetensors")
    own_cnn = any(each.startswith("cnn.") for each in stored)
    assert own_cnn == (name in ("joined", "end_to_end"))


def test_phase_0_may_train_the_cnn_and_begin_with_a_language_model(fabric, tmp_path, cache):
    plan = TrainPlan(plan="frozen", encoder_epochs=1, language_epochs=1, language_sets=50,
                     augment="crop")
    folder, _ = trained(fabric, tmp_path, cache, plan)
    parts = {each.name for each in (folder / "checkpoints").iterdir()}
    assert {"cnn", "decoder, label sequences", "decoder", "joint"} <= parts
    cnn = CheckpointStore(folder / "checkpoints" / "cnn").latest().snapshot
    assert len(cnn.facts["settings"]["stages"]) == 2
    sets = CheckpointStore(folder / "checkpoints" / "decoder, label sequences").latest().snapshot
    assert sets.facts["settings"]["task"]["rows"] == 50
    stored = load_file(folder / "bundle" / "weights.safetensors")
    assert any(each.startswith("cnn.") for each in stored)


def test_extra_label_sets_are_of_no_training_scene(fabric):
    run = StagedRun(TINY, TrainPlan(), DeviceConfig(), fabric, None)
    more = SceneDataset(TINY.train + 30, "train", run.source.splits["train"].config)
    sets = run.source.label_sets(30)
    assert torch.equal(sets, torch.from_numpy(label_matrix(more)[TINY.train:]))
    assert torch.equal(torch.from_numpy(label_matrix(more)[:TINY.train]), run.targets["train"])


def command(*more: str, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "hybridlab", "train", *more], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )


def wait_for(path, process, seconds=240):
    until = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.05)


def only_run(parent):
    found = [each for each in parent.iterdir() if not each.name.startswith(".")]
    assert len(found) == 1
    return found[0]


def end_of(folder):
    last = CheckpointStore(folder / "checkpoints" / "joint").latest()
    return {**last.snapshot.weights, **last.snapshot.training}


@pytest.mark.parametrize("how", ["kill", "term"])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(fabric, tmp_path, cache, how):
    plan = TrainPlan(save_every=1)
    straight, metrics = trained(fabric, tmp_path / "straight", cache, plan)
    process = command(*OPTIONS, "--runs", str(tmp_path / "runs"), cwd=tmp_path)
    while not (tmp_path / "runs").exists() or not [
        each for each in (tmp_path / "runs").iterdir() if not each.name.startswith(".")
    ]:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    folder = only_run(tmp_path / "runs")
    wait_for(folder / "checkpoints" / "joint" / "step-00000002", process)
    if how == "kill":
        process.kill()
        process.communicate()
    else:
        process.terminate()
        _, told = process.communicate(timeout=60)
        assert process.returncode == STOPPED_AND_SAVED
        assert "stopped by SIGTERM after step" in told
        assert f"hybridlab train --resume {folder}" in told
    assert not (folder / "bundle").exists()
    again = command("--resume", str(folder), "--runs", str(tmp_path / "runs"), cwd=tmp_path)
    _, told = again.communicate(timeout=300)
    assert again.returncode == 0, told
    one, two = end_of(straight), end_of(folder)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]) or bool(value.isnan().all()), name
    for name in ("mean_ap", "of1", "cf1"):
        assert json.loads((folder / "metrics.json").read_text())[name] == metrics[name]
    shown = rows(folder / "logs" / "joint" / "steps.csv")
    assert [int(row["step"]) for row in shown] == list(range(1, 13))


def test_two_processes_follow_one(tmp_path):
    """Without a decoder, whose dropout draws other noise in each process."""
    losses = []
    for devices in ("1", "2"):
        runs = tmp_path / devices
        process = command(*OPTIONS, "--view", "map", "--dropout", "0", "--runs", str(runs),
                          "--devices", devices, "--accelerator", "cpu", cwd=tmp_path)
        _, told = process.communicate(timeout=500)
        assert process.returncode == 0, told
        steps = rows(only_run(runs) / "logs" / "joint" / "steps.csv")
        losses.append([float(row["loss"]) for row in steps])
        assert json.loads((only_run(runs) / "metrics.json").read_text())["processes"] == int(
            devices)
    assert len(losses[0]) == 12 and losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_half_precision_and_fewer_rows_than_a_batch(fabric, tmp_path, cache):
    half = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    half.launch()
    config = replace(TINY, train=6, val=6, test=6, batch_size=64, view="map", tune_epochs=1)
    _, metrics = trained(half, tmp_path, cache, TrainPlan(), config,
                         DeviceConfig(precision="bf16-mixed"))
    assert 0 < metrics["mean_ap"] <= 1 and metrics["precision"] == "bf16-mixed"


def test_gradual_unfreezing_takes_as_many_steps_as_the_other_plans():
    blocks = tuple(f"clip.vision.{name}" for name in "abcde")
    for epochs in (0, 1, 2, 3, 5, 7):
        config = replace(TINY, tune_epochs=epochs)
        stages = joint_stages(config, TrainPlan(plan="gradual"), False, blocks)[1:]
        assert sum(stage.epochs for stage in stages) == epochs
        if epochs:
            last = [part.module for part in stages[-1].parts]
            assert set(blocks) <= set(last)  # in the end all of the tower learns
            counts = [len(stage.parts) for stage in stages]
            assert counts == sorted(set(counts))
    with pytest.raises(ValueError, match="needs the blocks of the tower"):
        joint_stages(TINY, TrainPlan(plan="gradual"), False)


@pytest.mark.parametrize(("changes", "plan", "told"), [
    ({"alpha": 0.0, "beta": 0.0}, {}, "alpha and beta are both 0"),
    ({"train": 1}, {}, "1 training scenes for 2 folds; give --train 2 or more, or --folds 1"),
    ({"fusion_epochs": 1}, {"plan": "frozen", "curriculum": "labels"}, "two epochs or more"),
    ({"tune_epochs": 1}, {"plan": "gradual"}, "give --tune-epochs 2 or more"),
])
def test_a_plan_that_cannot_end_is_refused_before_anything_is_made(
    fabric, tmp_path, changes, plan, told
):
    with pytest.raises(ValueError, match=told):
        begin(tmp_path, replace(TINY, **changes), TrainPlan(**plan), fabric)
    assert not list(tmp_path.iterdir())


def test_the_blocks_of_a_tower_from_its_top():
    from hybridlab.encoders.clip import build_tiny_clip
    from hybridlab.encoders.clip_hub import build_clip

    tiny = tower_blocks(build_tiny_clip(pretrained=False))
    assert tiny[0] == "clip.vision.trunk.conv_head" or tiny[0] == "clip.vision.head"
    assert tiny[-2:] == ("clip.vision.trunk.blocks.0", "clip.vision") and len(tiny) >= 8
    vit = tower_blocks(build_clip("ViT-B-32", pretrained=False))
    assert vit[0] == "clip.vision.ln_post" and len(vit) == 14
    assert vit[-2:] == ("clip.vision.transformer.resblocks.0", "clip.vision")


# --- bad input -----------------------------------------------------------------------------------


def test_another_setting_is_refused_and_listed(fabric, tmp_path):
    folder = begin(tmp_path, TINY, TrainPlan(), fabric)
    usual = DemoConfig(), TrainPlan()
    assert settings_to_resume(folder, *usual, usual) == (TINY, TrainPlan())
    with pytest.raises(ResumeError, match=r"dim was 16 and is 32; plan was gentle and is frozen"):
        settings_to_resume(folder, replace(usual[0], dim=32), TrainPlan(plan="frozen"), usual)
    # what agrees with the run may be given again
    assert settings_to_resume(folder, replace(usual[0], dim=16), usual[1], usual)[0] == TINY
    with pytest.raises(ResumeError, match="there is no run to resume"):
        settings_to_resume(tmp_path, *usual, usual)
    (folder / "train.json").write_text('{"config": {"dim": "a"}')
    with pytest.raises(ResumeError, match="there is no run to resume"):
        settings_to_resume(folder, *usual, usual)


def test_how_often_it_is_saved_may_change(fabric, tmp_path):
    folder = begin(tmp_path, TINY, TrainPlan(), fabric)
    usual = DemoConfig(), TrainPlan()
    found = settings_to_resume(folder, usual[0], TrainPlan(save_every=7), usual)
    assert found == (TINY, TrainPlan(save_every=7))


def test_the_line_to_go_on_with_names_the_devices():
    given = Train(TINY, devices=DeviceConfig(precision="bf16-mixed", workers=2,
                                             channels_last=False))
    assert given._options() == " --precision bf16-mixed --workers 2 --no-channels-last"
    assert Train(TINY)._options() == ""


@pytest.mark.parametrize("asked", ["SIGTERM", "SIGUSR1"])
def test_a_signal_while_pictures_are_encoded_leaves_cleanly(tmp_path, asked):
    """Outside the stages, too: a job is mostly stopped while it prepares."""
    process = command(*OPTIONS, "--runs", str(tmp_path / "runs"), cwd=tmp_path)
    for line in process.stdout:
        if "encoding" in line:
            process.send_signal(getattr(signal, asked))
            break
    _, told = process.communicate(timeout=120)
    assert process.returncode == STOPPED_AND_SAVED, told
    folder = only_run(tmp_path / "runs")
    assert f"stopped by {asked}" in told and f"--resume {folder}" in told
    assert (folder / "train.json").is_file()


def test_a_run_may_have_a_name_of_its_own(fabric, tmp_path):
    named = begin(tmp_path, TINY, TrainPlan(), fabric, tmp_path / "jobs" / "17")
    assert named == tmp_path / "jobs" / "17" and (named / "train.json").is_file()
    with pytest.raises(FileExistsError, match=r"exists and is kept; resume it \(--resume"):
        begin(tmp_path, TINY, TrainPlan(), fabric, named)


def test_two_runs_in_one_folder_are_refused(fabric, tmp_path, cache):
    folder = begin(tmp_path, TINY, TrainPlan(), fabric)
    code = ("import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1]); "
            "lock.acquire(); print('held', flush=True); time.sleep(60)")
    holder = subprocess.Popen([sys.executable, "-c", code, str(folder / ".lock")],
                              stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline().strip() == "held"
        with pytest.raises(BusyError, match="another process trains in"):
            run_training(TINY, TrainPlan(), DeviceConfig(), fabric, folder, cache)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert FileLock(folder / ".lock").acquire(timeout=5)


@pytest.mark.parametrize(("options", "words"), [
    (["--accelerator", "gpu"], "a GPU was asked for"),
    (["--precision", "16-mixed", "--accelerator", "cpu"], "16-mixed needs a GPU"),
    (["--devices", "0"], "devices is 0; give 1 or more"),
    (["--weights", "learnt"], "a stage weighs its terms itself"),
    (["--layer-decay", "2"], "layer_decay is 2"),
    (["--resume", "nowhere", "--folder", "new"], "give --folder for a new run, or --resume"),
    (["--resume", "nowhere"], "there is no run to resume in nowhere"),
])
def test_mistakes_take_one_line(capsys, tmp_path, monkeypatch, options, words):
    if torch.cuda.is_available() and "gpu" in options:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["train", *options])
    except SystemExit as left:
        status = left.code
    assert status == 2 and words in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_metrics_are_numbers_of_json(fabric, tmp_path, cache):
    _, metrics = trained(fabric, tmp_path, cache, TrainPlan(plan="frozen"),
                         replace(TINY, view="none"))
    assert np.isfinite([metrics["mean_ap"], metrics["of1"], metrics["seconds"]]).all()
