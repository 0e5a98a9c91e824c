"""The trainer is a bare loop where nothing else is asked for, and goes on bit for bit."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from hybridlab.training.checkpoints import CheckpointStore
from hybridlab.training.freezing import FrozenChangedError
from hybridlab.training.guards import DivergedError, MemoryAdvice
from hybridlab.training.interrupts import Stop
from hybridlab.training.loading import Ahead
from hybridlab.training.reports import EpochReport, StepReport, StoppedError
from hybridlab.training.resuming import ResumeError
from hybridlab.training.sampling import batches, epoch_rows
from hybridlab.training.schedules import warmup_cosine
from hybridlab.training.stage import Part, Stage
from hybridlab.training.task import Step
from hybridlab.training.trainer import train_stages

from .toys import Toy, ToyTask, stages


@pytest.fixture(scope="module")
def fabric():
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """A forked child has one, and sums on two may differ in their last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def states_of(store: CheckpointStore) -> dict[str, torch.Tensor]:
    found = store.latest().snapshot
    return {**found.weights, **found.training}


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(
        torch.equal(one[key], two[key]) or (one[key].isnan().all() and two[key].isnan().all())
        for key in one
    )


def test_it_is_the_bare_loop(fabric):
    stage = Stage("all", (Part("", 0.01, statistics=True),), epochs=2, batch_size=7, clip=0.0,
                  weights={"bce": 1.0, "norm": 0.01})
    task, reports = ToyTask(n_held=0), []
    ours = train_stages(Toy(0.0), task, [stage], fabric, seed=3, report=reports.append)
    theirs = Toy(0.0).train()
    optimiser = torch.optim.AdamW([
        {"params": [p for p in theirs.parameters() if p.dim() > 1], "weight_decay": 0.05},
        {"params": [p for p in theirs.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ])
    step = Step(theirs, task, stage)
    losses = []
    for epoch in range(2):
        for rows in batches(epoch_rows(21, 3, epoch), 7):
            for group in optimiser.param_groups:
                group["lr"] = 0.01 * warmup_cosine(len(losses), 6)
            optimiser.zero_grad()
            loss, _ = step(task.batch(rows, stage, epoch), task.counts(rows, stage))
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    assert [each.loss for each in reports if isinstance(each, StepReport)] == losses
    for one, two in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.allclose(one, two, atol=1e-7)


def test_only_what_the_stage_names_learns_and_all_is_put_back(fabric):
    model = Toy()
    model.train()
    model.body[0].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train_stages(model, ToyTask(), stages()[:1], fabric)
    changed = {name for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])}
    assert changed == {"head.1.weight", "head.1.bias"}
    assert model.training and model.body[1].training
    assert not model.body[0].bias.requires_grad and model.body[0].weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("touch", ["write", "train", "gradient"])
def test_what_rests_and_is_touched_is_named(fabric, touch):
    model = Toy()

    def meddle(told):
        if told.step == 2 and isinstance(told, StepReport):
            if touch == "write":
                with torch.no_grad():
                    model.body[0].weight.add_(1.0)
            elif touch == "train":
                model.body[1].train()
            else:
                model.body[0].weight.requires_grad_(True)

    words = {"write": r"body\.0\.weight should rest in this stage, but was written to",
             "train": r"body\.1 should rest in this stage, but is in training mode|written to",
             "gradient": r"body\.0\.weight should rest in this stage, but needs gradients"}[touch]
    with pytest.raises(FrozenChangedError, match=words):
        train_stages(model, ToyTask(20), stages()[:1], fabric, report=meddle)


def killed_at(folder, step, times):
    """A process that trains and is killed, with no chance to tidy up, once it has saved a step for
    the first or second time: an epoch's last step is saved, and saved again after validation."""
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=1)
    store = CheckpointStore(folder)
    save, saves = store.save, []

    def save_and_die(at, *rest):
        save(at, *rest)
        saves.append(at)
        if saves.count(step) == times:
            os.kill(os.getpid(), signal.SIGKILL)

    store.save = save_and_die
    train_stages(Toy(), ToyTask(), stages(), fabric, seed=1, store=store, save_every=1)


@pytest.fixture(scope="module")
def straight(fabric, tmp_path_factory):
    """A run that nobody disturbed: its last checkpoint, its losses, its model."""
    store, reports = CheckpointStore(tmp_path_factory.mktemp("straight")), []
    model = train_stages(Toy(), ToyTask(), stages(), fabric, seed=1, store=store, save_every=1,
                         report=reports.append)
    return states_of(store), reports, model


# 5 batches an epoch: after the first, within an epoch, before and after its validation, the same
# at the end of the first stage, in the second one, and at its end
@pytest.mark.parametrize(("step", "times"), [
    (1, 1), (3, 1), (5, 1), (5, 2), (10, 1), (10, 2), (13, 1), (19, 1), (20, 2),
])
def test_a_killed_run_goes_on_bit_for_bit(fabric, straight, tmp_path, step, times):
    child = multiprocessing.get_context("fork").Process(
        target=killed_at, args=(tmp_path, step, times)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    store, reports = CheckpointStore(tmp_path), []
    assert store.latest().step == step
    model = train_stages(Toy(seed=5), ToyTask(), stages(), fabric, seed=1, store=store,
                         save_every=1, resume=True, report=reports.append)
    states, told, whole = straight
    assert same(states_of(store), states)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(),
                                                 whole.state_dict().values(), strict=True))
    later = [each for each in told if each.step > step or (
        isinstance(each, EpochReport) and each.step == step and times == 1)]
    assert reports == later
    again = train_stages(Toy(), ToyTask(), stages(), fabric, seed=1, store=store, resume=True)
    assert same(again.state_dict(), whole.state_dict())  # a run that is done stays done


def test_random_states_come_back_after_the_sampler(fabric, straight, tmp_path, monkeypatch):
    """Whatever draws between reading the checkpoint and the first step changes nothing."""
    store = CheckpointStore(tmp_path)
    stop = Stop()
    with pytest.raises(StoppedError):
        train_stages(Toy(), ToyTask(), stages(), fabric, seed=1, store=store, stop=stop,
                     report=lambda told: stop.ask("a test") if told.step == 7 else None)
    from hybridlab.training import trainer

    def noisy(*given):
        torch.rand(3)
        return epoch_rows(*given)

    monkeypatch.setattr(trainer, "epoch_rows", noisy)
    first = []
    train_stages(Toy(), ToyTask(), stages(), fabric, seed=1, store=store, resume=True,
                 report=first.append)
    expected = [each for each in straight[1] if each.step > 7][:3]
    assert first[:3] == expected  # within the epoch; the next one's draw is the test's own noise


def test_a_signal_saves_and_leaves(fabric, tmp_path):
    store = CheckpointStore(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def ask(told):
        if told.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match="stopped by SIGTERM after step 4 of 20; resume"):
        train_stages(Toy(), ToyTask(), stages(), fabric, store=store, report=ask)
    assert store.steps() == [4] and signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("change", "words"), [
    ({"seed": 2}, "seed was 1 and is 2"),
    ({"stages": stages(batch_size=7)}, r"stages\[0\]\.batch_size was 5 and is 7"),
    ({"task": ToyTask(n_samples=20)}, r"task\.rows was 21 and is 20"),
    ({"model": nn.ModuleDict({"head": nn.Linear(2, 2), "body": nn.Linear(2, 2)})},
     r"parameters\.head\.1\.weight was \[3, 8\] and is None"),
])
def test_another_run_is_refused_with_the_differences(fabric, tmp_path, change, words):
    store = CheckpointStore(tmp_path)
    stop = Stop()
    with pytest.raises(StoppedError):
        train_stages(Toy(), ToyTask(), stages(), fabric, seed=1, store=store, stop=stop,
                     report=lambda told: stop.ask("a test"))
    given = {"model": Toy(), "task": ToyTask(), "stages": stages(), "seed": 1, **change}
    with pytest.raises(ResumeError, match=words):
        train_stages(given["model"], given["task"], given["stages"], fabric, seed=given["seed"],
                     store=store, resume=True)
    assert store.steps() == [1]


@pytest.mark.parametrize("accumulate", [2, 3, 5])
def test_parts_of_a_batch_make_up_the_batch(fabric, accumulate):
    curves = []
    for parts in (1, accumulate):
        reports = []
        train_stages(Toy(0.0), ToyTask(), stages(accumulate=parts), fabric,
                     report=reports.append)
        curves.append([each.loss for each in reports if isinstance(each, StepReport)])
    assert curves[0] == pytest.approx(curves[1], abs=1e-6)


def test_memory_that_does_not_suffice_halves_the_parts_and_nothing_else(fabric):
    curves, said = [], []
    for trouble in ({}, {3: "memory"}):
        task, reports = ToyTask(), []
        task.fail_at = dict(trouble)
        train_stages(Toy(0.0), task, stages(), fabric, report=reports.append, say=said.append)
        curves.append([each.loss for each in reports if isinstance(each, StepReport)])
    assert curves[0] == pytest.approx(curves[1], abs=1e-6) and len(said) == 1
    assert "memory does not suffice for 5 images at a time; going on with 2 parts" in said[0]
    assert [len(rows) for rows in task.seen[2:7]] == [5, 5, 3, 2, 1]  # the 4th batch, again, in 2
    task.fail_at = {len(task.seen) + at: "memory" for at in range(9)}
    with pytest.raises(MemoryAdvice, match="1 images at a time; give a smaller batch_size"):
        train_stages(Toy(), task, stages(), fabric)


def test_nan_in_the_data_names_step_rows_and_place(fabric, tmp_path):
    store, task = CheckpointStore(tmp_path), ToyTask()
    task.fail_at = {6: "nan", 7: "nan"}  # the second time while the culprit is looked for
    with pytest.raises(DivergedError, match=(
        r"one: the loss is nan at step 7 \(rows [\d, ]+\); the input of body\.0 is not finite: "
        r"look at the data of these rows.*the checkpoint of step 5 is untouched"
    )):
        train_stages(Toy(), task, stages(), fabric, store=store)
    assert store.latest().step == 5


def test_an_absurd_rate_stops_within_a_step_of_the_first_bad_number(fabric, tmp_path):
    store = CheckpointStore(tmp_path)
    good = train_stages(Toy(), ToyTask(), stages()[:1], fabric, store=store)
    kept = {name: value.clone() for name, value in store.latest().snapshot.weights.items()}
    wild = [Stage("wild", (Part("", 1e20),), epochs=3, batch_size=5)]
    reports = []
    with pytest.raises(DivergedError, match=r"wild: the (loss|gradient's norm) is (nan|inf)"):
        train_stages(good, ToyTask(), wild, fabric, report=reports.append)
    assert len(reports) <= 2 and all(math.isfinite(each.loss) for each in reports)
    assert all(torch.equal(kept[name], value)
               for name, value in store.latest().snapshot.weights.items())


def test_weights_that_nobody_can_believe_are_never_saved(fabric, tmp_path):
    """One step at an absurd rate leaves finite weights of 1e19 and a finite loss before it."""
    store = CheckpointStore(tmp_path)
    good = [Stage("good", (Part("", 0.01),), epochs=1, batch_size=5)]
    wild = [*good, Stage("wild", (Part("", 1e20),), epochs=1, batch_size=21)]  # a single step
    with pytest.raises(DivergedError, match=r"wild: a weight of \S+ is \S+e\+\d+ after step 6, so "
                       r"nothing is saved\. Lower the rate; the checkpoint of step 5 is untouched"):
        train_stages(Toy(), ToyTask(), wild, fabric, store=store, save_every=1)
    assert max(store.steps()) == 5
    kept = store.latest().snapshot.weights
    assert all(value.abs().max() < 100 for value in kept.values() if value.is_floating_point())


@pytest.mark.parametrize(("scores", "bests", "kept"), [
    ((math.nan, 0.2, 0.1), [True, True, False], 1),
    ((0.3, math.nan, 0.1), [True, False, False], 0),
    ((math.nan, math.nan, math.nan), [True, True, True], 2),
])
def test_a_score_that_is_not_a_number_is_worse_than_any(fabric, tmp_path, scores, bests, kept):
    class Scored(ToyTask):
        def score(self, predictions):
            weights.append({name: value.clone() for name, value in model.state_dict().items()})
            return scores[len(weights) - 1]

    weights, reports, said, model = [], [], [], Toy()
    store = CheckpointStore(tmp_path)
    stage = Stage("s", (Part("head", 0.1),), epochs=3, batch_size=7)
    train_stages(model, Scored(), [stage], fabric, report=reports.append, say=said.append,
                 store=store)
    assert [each.best for each in reports if isinstance(each, EpochReport)] == bests
    assert same(model.state_dict(), weights[kept])
    assert any("no epoch has a score" in line for line in said) == (kept == 2)
    finite = [each for each in scores if each == each]
    assert store.best_score() == (max(finite) if finite else None)


def test_memory_that_runs_out_in_validation_is_advised(fabric):
    class Large(ToyTask):
        def predict(self, model, rows, stage):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MemoryAdvice, match=r"one: memory does not suffice; give a smaller batch"):
        train_stages(Toy(), Large(), stages()[:1], fabric)


def test_another_precision_is_told(fabric, tmp_path):
    half, said = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed"), []
    half.launch()
    store, stop = CheckpointStore(tmp_path), Stop()
    stop.ask("a test")
    with pytest.raises(StoppedError):
        train_stages(Toy(), ToyTask(), stages()[:1], fabric, store=store, stop=stop)
    train_stages(Toy(), ToyTask(), stages()[:1], half, store=store, resume=True, say=said.append)
    assert "the checkpoint is of a run in 32-true and this one is in bf16-mixed" in said[0]


def test_the_best_epoch_is_kept_and_patience_ends_a_stage(fabric):
    class Falling(ToyTask):
        scores = (0.1, 0.5, 0.4, 0.3, 0.9)

        def score(self, predictions):
            self.at = getattr(self, "at", -1) + 1
            weights.append({name: value.clone() for name, value in model.state_dict().items()})
            return self.scores[self.at]

    weights, reports, model = [], [], Toy()
    stage = Stage("s", (Part("head", 0.1),), epochs=5, batch_size=7, patience=2)
    train_stages(model, Falling(), [stage], fabric, report=reports.append)
    ends = [each for each in reports if isinstance(each, EpochReport)]
    assert [each.score for each in ends] == [0.1, 0.5, 0.4, 0.3]
    assert [each.best for each in ends] == [True, True, False, False]
    assert same(model.state_dict(), weights[1]) and not same(weights[1], weights[3])


def test_a_curriculum_begins_with_easy_rows_at_an_equal_number_of_steps(fabric):
    task = ToyTask(n_held=0)
    plain = stages(curriculum="labels", begin=0.3, full=1.0)
    reports = []
    train_stages(Toy(), task, plain[:1], fabric, report=reports.append)
    hard = task.difficulty("labels")
    first = [hard[row] for rows in task.seen[:5] for row in rows]
    assert len(first) == 21 and max(first) <= sorted(hard)[6]
    assert len([each for each in reports if isinstance(each, StepReport)]) == 10


def test_mistakes_are_named(fabric):
    with pytest.raises(ValueError, match="the model has no part 'wings'; it has body, head"):
        train_stages(Toy(), ToyTask(), [Stage("s", (Part("wings", 0.1),), epochs=1)], fabric)
    with pytest.raises(ValueError, match="weighs loudness, which the task does not sum"):
        train_stages(Toy(), ToyTask(), [Stage("s", (Part("head", 0.1),), epochs=1,
                                              weights={"loudness": 1.0})], fabric)


def test_another_number_of_threads_is_told(fabric, tmp_path):
    store, said = CheckpointStore(tmp_path), []
    train_stages(Toy(), ToyTask(), stages(), fabric, store=store)
    torch.set_num_threads(2)
    train_stages(Toy(), ToyTask(), stages(), fabric, store=store, resume=True, say=said.append)
    torch.set_num_threads(1)
    assert len(said) == 1 and "on 1 threads and this one is on 2" in said[0]


def test_what_goes_on_learning_keeps_its_moments(fabric, tmp_path):
    """Trap 15: phase 2 adds parameters, and phase 1's go on where their optimiser was."""
    store, kept = CheckpointStore(tmp_path), {}
    store.save = lambda step, snapshot, score=None: kept.update({step: {
        name: value.clone() for name, value in snapshot.training.items()}})
    train_stages(Toy(), ToyTask(), stages(), fabric, store=store, save_every=1)
    assert int(kept[10]["optimiser.head.1.weight:step"]) == 10
    assert int(kept[11]["optimiser.head.1.weight:step"]) == 11
    assert int(kept[11]["optimiser.body.0.weight:step"]) == 1  # it begins
    before, after = (kept[step]["optimiser.head.1.weight:exp_avg_sq"] for step in (10, 11))
    assert (after >= 0.999 * before - 1e-9).all()  # what was, and a thousandth of what is new


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_workers_see_the_same_batches_as_none(fabric, tmp_path, accumulate):
    found = []
    for workers in (0, 2):
        store, reports = CheckpointStore(tmp_path / str(workers)), []
        train_stages(Toy(), ToyTask(), stages(accumulate=accumulate), fabric, seed=2, store=store,
                     report=reports.append, workers=workers)
        found.append((states_of(store), [each.loss for each in reports
                                         if isinstance(each, StepReport)]))
    assert found[0][1] == found[1][1] and same(found[0][0], found[1][0])


def test_after_memory_was_short_the_data_is_made_on_the_spot(fabric):
    task, stage = ToyTask(), stages()[0]
    pieces = [torch.arange(0, 5), torch.arange(5, 10), torch.arange(10, 15)]
    load = Ahead(task, stage, 0, pieces, workers=1)
    assert torch.equal(load(pieces[0])["x"], task.x[:5])
    assert torch.equal(load(torch.arange(5, 7))["x"], task.x[5:7])  # half of what was foreseen
    assert torch.equal(load(pieces[2])["x"], task.x[10:15])
    assert task.seen == [[5, 6], [10, 11, 12, 13, 14]]


def test_what_a_worker_raises_is_told(fabric):
    task = ToyTask()
    task.batch = lambda *_: (_ for _ in ()).throw(ValueError("row 3 is no picture"))
    with pytest.raises(ValueError, match="row 3 is no picture"):
        train_stages(Toy(), task, stages(), fabric, workers=1)
