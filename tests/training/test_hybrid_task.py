"""The hybrid's joint phases: the loss is the hybrid's, and only what learns looks anew."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from hybridlab.decoder.cnn_rnn import LabelDecoder
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.fusion.view import View
from hybridlab.model import HybridClassifier
from hybridlab.total_loss import HybridLoss
from hybridlab.training.augmentation import ObjectBoxes
from hybridlab.training.checkpoints import CheckpointStore
from hybridlab.training.hybrid_data import HybridData, looks_of, views_of
from hybridlab.training.hybrid_task import HybridTask
from hybridlab.training.interrupts import Stop
from hybridlab.training.reports import EpochReport, StepReport, StoppedError
from hybridlab.training.resuming import ResumeError
from hybridlab.training.sampling import batches, epoch_rows
from hybridlab.training.stage import Part, Stage
from hybridlab.training.trainer import train_stages

LABELS, ROWS, HELD = 5, 13, 7
JOINT = tuple(Part(name, 1e-2) for name in ("fusion", "label_head", "contrastive_head"))
WEIGHTS = {"classification": 1.0, "contrastive": 0.3}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def fabric():
    made = Fabric(accelerator="cpu", devices=1)
    made.launch()
    return made


def hybrid(fusion: str = "concat", **options) -> HybridClassifier:
    torch.manual_seed(0)
    cnn = build_cnn("efficientnet_lite0", stage="stage4", image_size=64, pretrained=False)
    decoder = LabelDecoder(cnn.channels, LABELS, dim=16, max_steps=6)
    texts = F.normalize(torch.randn(LABELS, 256), dim=-1)
    clip = build_tiny_clip(pretrained=False)
    return HybridClassifier(cnn, decoder, clip, texts, dim=16, fusion=fusion, dropout=0.0,
                            tokens="map", **options).eval()


def data(model: HybridClassifier, count: int, seed: int) -> HybridData:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8, generator=draw)
    targets = (torch.rand(count, LABELS, generator=draw) < 0.4).float()
    targets[torch.rand(count, LABELS, generator=draw) < 0.1] = -1
    with torch.no_grad():
        tokens = model.cnn(F.interpolate(images.float() / 255, size=64)).tokens
        rnn = model.decoder_view(model.decoder.decode(tokens), tokens)
        clip = model.clip_view(model.clip.encode_image(model.clip.preprocessing(images)))
    return HybridData(targets, rnn, clip, images)


def task_of(model: HybridClassifier, **options) -> HybridTask:
    train, held = data(model, ROWS, 1), data(model, HELD, 2)
    model.fit_views(train.rnn, train.clip)
    return HybridTask(train, held, **options)


@pytest.mark.parametrize("names", [
    {}, {"classification": "asl", "alignment": "supcon"}, {"alignment": "sigmoid"},
])
@pytest.mark.parametrize("fusion", ["concat", "class_attention"])
def test_the_loss_of_a_step_is_the_hybrids(fabric, fusion, names):
    model = hybrid(fusion)
    task, reports = task_of(model, **names), []
    loss = HybridLoss(1.0, 0.3, **names)
    first = batches(epoch_rows(ROWS, 4, 0), 6)[0]
    with torch.no_grad():
        out = model.fuse(task.train.rnn.rows(first), task.train.clip.rows(first))
        expected = float(loss(out.logits, out.contrastive_logits, task.train.targets[first]))
    stage = Stage("phase 1", JOINT, epochs=1, batch_size=6, weights=WEIGHTS, accumulate=2)
    train_stages(model, task, [stage], fabric, seed=4, report=reports.append)
    assert reports[0].loss == pytest.approx(expected, rel=1e-5)
    assert set(reports[0].terms) == {"classification", "contrastive"}
    ends = [each for each in reports if isinstance(each, EpochReport)]
    with torch.no_grad():
        again = model.fuse(task.held.rnn, task.held.clip).logits
    assert task.score(again) == pytest.approx(ends[0].score)


def test_a_weight_of_0_leaves_its_term_out(fabric, tmp_path):
    """`hybridlab train --beta 0` stopped in its first step."""
    found = []
    for weights in ({"classification": 1.0, "contrastive": 0.0}, {"classification": 1.0}):
        model = hybrid()
        head = {name: value.clone() for name, value in model.contrastive_head.state_dict().items()}
        stage = Stage("phase 1", JOINT, epochs=2, batch_size=6, weights=weights)
        task, store = task_of(model), CheckpointStore(tmp_path / str(len(weights)))
        stop = Stop()

        def after(told, stop=stop):
            if told.step == 4:
                stop.ask("a test")

        with pytest.raises(StoppedError):
            train_stages(model, task, [stage], fabric, store=store, stop=stop, report=after)
        model, reports = hybrid(), []
        model.fit_views(task.train.rnn, task.train.clip)
        train_stages(model, task, [stage], fabric, store=store, resume=True,
                     report=reports.append)
        assert reports[0].step == 5 and set(reports[0].terms) == {"classification"}
        for name, value in model.contrastive_head.state_dict().items():
            assert torch.equal(value, head[name])
        found.append(model.label_head.state_dict())
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name])


def test_in_phase_2_the_tower_sees_pictures_and_the_rest_rests(fabric):
    model = hybrid()
    task = task_of(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stages = [
        Stage("phase 1", JOINT, epochs=1, batch_size=5, weights=WEIGHTS),
        Stage("phase 2", (*JOINT, Part("clip.vision", 1e-3, layer_decay=0.7)), epochs=1,
              batch_size=5, weights=WEIGHTS),
    ]
    reports = []
    train_stages(model, task, stages, fabric, report=reports.append)
    changed = {name for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])}
    assert any(name.startswith("clip.") and "weight" in name for name in changed)
    assert not any(name.startswith(("cnn.", "decoder.", "view_", "text_emb")) for name in changed)
    assert not any("running_" in name for name in changed)  # BatchNorm keeps its statistics
    assert not any("text" in name for name in changed if name.startswith("clip."))
    end = [each for each in reports if isinstance(each, EpochReport)][-1]
    with torch.no_grad():
        seen = model.clip_view(model.clip.encode_image(
            model.clip.preprocessing(task.held.images)))
        now = model.fuse(task.held.rnn, seen).logits
        stale = model.fuse(task.held.rnn, task.held.clip).logits
    assert task.score(now) == pytest.approx(end.score) and not torch.allclose(now, stale)


def train(fabric, folder):
    torch.set_num_threads(1)
    model, reports = hybrid(), []
    stages = [
        Stage("phase 1", JOINT, epochs=1, batch_size=6, weights=WEIGHTS),
        Stage("phase 2", (*JOINT, Part("clip.vision", 1e-3)), epochs=1, batch_size=6,
              weights=WEIGHTS),
    ]
    train_stages(model, task_of(model), stages, fabric, report=reports.append)
    told = [each.loss if isinstance(each, StepReport) else each.score for each in reports]
    (folder / f"{fabric.world_size}-{fabric.global_rank}.json").write_text(json.dumps(told))


def test_two_processes_follow_one_with_the_contrastive_term_and_an_empty_share(tmp_path):
    """13 rows in batches of 6: of the last one, the second process has none."""
    for world in (1, 2):
        strategy = "auto" if world == 1 else DDPStrategy(
            start_method="fork", find_unused_parameters=True
        )
        Fabric(accelerator="cpu", devices=world, strategy=strategy).launch(train, tmp_path)
    one, two = (json.loads((tmp_path / f"{world}-0.json").read_text()) for world in (1, 2))
    assert two == pytest.approx(one, abs=1e-4)


def test_parts_of_a_batch_add_up(fabric):
    model = hybrid()
    task = task_of(model)
    stage = Stage("phase 1", JOINT, epochs=1, weights=WEIGHTS)
    rows = torch.arange(ROWS)
    with torch.no_grad():
        whole = task.sums(model, task.batch(rows, stage, 0), stage)
        parts = [task.sums(model, task.batch(few, stage, 0), stage)
                 for few in (rows[:4], rows[4:4], rows[4:])]
    for name, value in whole.items():
        assert torch.allclose(sum(part[name] for part in parts), value, rtol=1e-5)


CNN_RNN = (Part("cnn", 1e-4), Part("decoder", 1e-2))


def test_the_cnn_rnn_joins_by_a_switch(fabric):
    model = hybrid()
    task, reports = task_of(model), []
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stage = Stage("phase 2", (*JOINT, Part("decoder", 1e-2)), epochs=1, batch_size=5, clip=0.0,
                  weights={"classification": 1.0, "decoder": 0.5})
    train_stages(model, task, [stage], fabric, report=reports.append)
    changed = {name.partition(".")[0] for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])}
    assert changed == {"fusion", "label_head", "decoder"}
    assert set(reports[0].terms) == {"classification", "decoder"}
    for name, value in before.items():
        model.state_dict()[name].copy_(value)
    # what the fusion asks of the decoder reaches it, without the loss of its own
    alone = Stage("phase 2", CNN_RNN, epochs=1, weights={"classification": 1.0})
    rows = torch.arange(4)
    model.requires_grad_(True)
    task.sums(model, task.batch(rows, alone, 0), alone)["classification"].backward()
    assert model.decoder.rnn.weight_hh_l0.grad.abs().sum() > 0
    assert sum(each.grad.abs().sum() for each in model.cnn.parameters()) > 0
    assert all(each.grad is None for each in model.clip.vision.parameters())
    model.zero_grad()


def test_everything_from_the_start_is_one_stage(fabric):
    model = hybrid()
    task, reports = task_of(model), []
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parts = (*JOINT, *CNN_RNN, Part("clip.vision", 1e-4))
    stage = Stage("end to end", parts, epochs=1, batch_size=7, weights={**WEIGHTS, "decoder": 1.0})
    train_stages(model, task, [stage], fabric, report=reports.append)
    changed = {name.partition(".")[0] for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])}
    assert changed == {"fusion", "label_head", "contrastive_head", "decoder", "cnn", "clip"}
    end = [each for each in reports if isinstance(each, EpochReport)][-1]
    with torch.no_grad():  # the score is that of pictures through the whole model
        out = model.eval()(model.cnn.preprocessing(task.held.images),
                           model.clip.preprocessing(task.held.images))
    assert task.score(out.logits) == pytest.approx(end.score)


def augmented_task(model: HybridClassifier) -> tuple[HybridTask, list[LabelDecoder]]:
    others = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        others.append(LabelDecoder(model.cnn.channels, LABELS, dim=16, max_steps=6).eval())
    train, held = data(model, ROWS, 1), data(model, HELD, 2)
    boxes = ObjectBoxes(torch.arange(LABELS).repeat(ROWS, 1),
                        torch.tensor([0.0, 0, 20, 20]).repeat(ROWS, LABELS, 1))
    folds = torch.arange(ROWS) % 2
    train = HybridData(train.targets, train.rnn, train.clip, train.images, boxes, folds)
    return HybridTask(train, held, fold_decoders=others, seed=5), others


def test_augmented_pictures_bypass_the_cache_and_are_decoded_by_who_has_not_seen_them(fabric):
    model = hybrid()
    task, others = augmented_task(model)
    stage = Stage("phase 1", JOINT, epochs=1, batch_size=6, augment="clip", weights=WEIGHTS)
    rows = torch.tensor([4, 1, 7, 2])
    batch = task.batch(rows, stage, 0)
    assert not any(name.startswith(("rnn", "clip")) for name in batch)
    assert (batch["targets"] <= task.train.targets[rows]).all()
    again = task.batch(rows[1:2], stage, 0)
    assert torch.equal(again["images"], batch["images"][1:2])
    assert not torch.equal(task.batch(rows, stage, 1)["images"], batch["images"])
    with torch.no_grad():
        seen = views_of(model, batch, looks_of(stage), others)
        tokens = model.cnn(model.cnn.preprocessing(batch["images"])).tokens
        for at, row in enumerate(rows.tolist()):
            one = tokens[at : at + 1]
            its = model.decoder_view(others[row % 2].decode(one), one)
            assert torch.allclose(seen.rnn.pooled[at], its.pooled[0], atol=1e-4)
            now = model.clip.encode_image(model.clip.preprocessing(batch["images"][at : at + 1]))
            assert torch.allclose(seen.clip.pooled[at], now.image_emb[0], atol=1e-5)
    reports = []
    train_stages(model, task, [stage], fabric, report=reports.append)
    assert len(reports) == 4  # three steps and a validation, on pictures as they are
    with torch.no_grad():
        still = model.fuse(task.held.rnn, task.held.clip).logits
    assert task.score(still) == pytest.approx(reports[-1].score)


def train_it_all(fabric, folder):
    torch.set_num_threads(1)
    model, reports = hybrid(), []
    parts = (*JOINT, *CNN_RNN, Part("clip.vision", 1e-4))
    stages = [
        Stage("phase 1", JOINT, epochs=1, batch_size=6, weights=WEIGHTS, augment="clip"),
        Stage("end to end", parts, epochs=1, batch_size=6, augment="clip",
              weights={**WEIGHTS, "decoder": 1.0}),
    ]
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.decoder.rnn.dropout = 0.0
    task, _ = augmented_task(model)
    train_stages(model, task, stages, fabric, report=reports.append)
    told = [each.loss if isinstance(each, StepReport) else each.score for each in reports]
    (folder / f"{fabric.world_size}-{fabric.global_rank}.json").write_text(json.dumps(told))


def test_two_processes_follow_one_when_all_learns_from_augmented_pictures(tmp_path):
    for world in (1, 2):
        strategy = "auto" if world == 1 else DDPStrategy(
            start_method="fork", find_unused_parameters=True
        )
        Fabric(accelerator="cpu", devices=world, strategy=strategy).launch(train_it_all, tmp_path)
    one, two = (json.loads((tmp_path / f"{world}-0.json").read_text()) for world in (1, 2))
    assert two == pytest.approx(one, abs=1e-3)


def test_a_curriculum_by_clutter_asks_the_data():
    model = hybrid()
    task = task_of(model)
    train = HybridData(task.train.targets, task.train.rnn, task.train.clip,
                       clutter=torch.arange(ROWS).float())
    assert HybridTask(train, task.held).difficulty("clutter") == tuple(range(ROWS))
    with pytest.raises(ValueError, match="'clutter' where the data says how crowded"):
        task.difficulty("clutter")


def test_other_pictures_are_another_run(fabric, tmp_path):
    model = hybrid()
    task, store = task_of(model), CheckpointStore(tmp_path)
    stage = Stage("phase 1", JOINT, epochs=1, batch_size=6, weights=WEIGHTS)
    train_stages(model, task, [stage], fabric, store=store)
    other = HybridTask(replace(task.train, images=255 - task.train.images), task.held)
    with pytest.raises(ResumeError, match=r"task\.pictures was \w+ and is \w+"):
        train_stages(model, other, [stage], fabric, store=store, resume=True)


@pytest.mark.parametrize(("name", "cut"), [
    ("targets", lambda value: value[:-1]), ("images", lambda value: value[:-1]),
    ("rnn", lambda value: value.rows(torch.arange(3))),
])
def test_data_of_different_lengths_are_refused(name, cut):
    whole = data(hybrid(), 6, 0)
    with pytest.raises(ValueError, match=r"is of \d images and targets of \d; give both"):
        replace(whole, **{name: cut(getattr(whole, name))})


def test_mistakes_are_named():
    model = hybrid()
    task = task_of(model)
    rows = torch.arange(2)
    for weights, words in (({"volume": 1.0}, "weighs volume"),
                           ({"contrastive": 0.0}, "nothing would be learnt")):
        with pytest.raises(ValueError, match=words):
            task.counts(rows, Stage("s", JOINT, epochs=1, weights=weights))
    deaf = Stage("s", JOINT, epochs=1, weights={"decoder": 1.0})
    with pytest.raises(ValueError, match="nothing of the CNN-RNN learns in it"):
        task.sums(model, task.batch(rows, deaf, 0), deaf)
    blind = HybridTask(HybridData(task.train.targets, task.train.rnn, task.train.clip), task.held)
    with pytest.raises(ValueError, match=r"an encoder looks at pictures.*holds no images"):
        blind.batch(rows, Stage("s", (Part("clip.vision", 0.1),), epochs=1), 0)
    other = HybridData(torch.zeros(2, 3), View(torch.zeros(2, 3)), View(torch.zeros(2, 256)))
    with pytest.raises(ValueError, match="train has 5 labels and held 3"):
        HybridTask(task.train, other)
