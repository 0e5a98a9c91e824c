"""Gathered batches give what the whole split gives, in any order and sharding."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.evaluation.accumulate import MetricAccumulator
from hybridlab.evaluation.average_precision import mean_ap

quick = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def sharded(draw):
    """A split of distinct images, and the rows that each of several processes meets."""
    n, labels = draw(st.integers(1, 25)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = rng.permutation(1000)[:n] - 500
    if draw(st.booleans()):
        ids = np.array([f"image{i}.png" for i in ids])
    scores = rng.normal(size=(n, labels)).round(1).astype(np.float32)
    targets = rng.choice([-1, 0, 1], size=(n, labels))
    # padding: some images come again, in any shard
    padding = rng.integers(0, n, draw(st.integers(0, 9)))
    rows = rng.permutation(np.concatenate([np.arange(n), padding]))
    shards = np.array_split(rows, draw(st.integers(1, 4)))
    return ids, scores, targets, shards, rng


def same(a, b):
    return all(x.dtype == y.dtype and (x == y).all() for x, y in zip(a[:3], b[:3], strict=True))


@quick
@given(sharded(), st.sampled_from(["objects", "states", "pickled", "saved"]))
def test_sharding_order_and_padding_change_nothing(case, way):
    ids, scores, targets, shards, rng = case
    parts = []
    for rows in shards:
        part = MetricAccumulator()
        for batch in np.array_split(rows, rng.integers(1, 4)):
            part.add(ids[batch], scores[batch], targets[batch])
        parts.append(part)
    if way == "states":
        parts = [part.state() for part in parts]
    elif way == "pickled":
        parts = [pickle.loads(pickle.dumps(part.state())) for part in parts]
    elif way == "saved":
        parts = [saved(part.state()) for part in parts]
    rng.shuffle(parts)
    found = MetricAccumulator().merge(*parts).compute()
    order = np.argsort(ids)
    whole = MetricAccumulator().add(ids, scores, targets).compute()
    assert same(found, whole) and whole.repeats == 0
    assert (found.ids == ids[order]).all() and (found.scores == scores[order]).all()
    assert (found.targets == targets[order]).all()
    assert found.repeats == sum(map(len, shards)) - len(ids)
    measured, expected = mean_ap(found.scores, found.targets), mean_ap(scores, targets)
    assert measured.value == pytest.approx(expected.value, abs=1e-12, nan_ok=True)
    assert measured.absent == expected.absent


def saved(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def test_padding_counted_twice_would_change_map():
    # the reason for the ids: the copy moves mAP, and de-duplication moves it back
    scores, targets = np.array([[0.9], [0.8], [0.7]]), np.array([[1], [0], [1]])
    padded = [0, 1, 2, 2]
    found = MetricAccumulator().add(padded, scores[padded], targets[padded]).compute()
    assert mean_ap(scores[padded], targets[padded]).value != mean_ap(scores, targets).value
    assert mean_ap(found.scores, found.targets).value == mean_ap(scores, targets).value
    assert found.repeats == 1


@quick
@given(st.permutations(range(4)))
def test_copies_that_differ_in_their_last_bits_count_once_in_any_order(order):
    copies = np.float32([[1.0, -0.0], [1.00001, 0.0], [0.99999, 0.0], [1.0, 0.0]])
    gathered = MetricAccumulator()
    for i in order:
        gathered.add([7], copies[[i]], [[1, 0]])
    found = gathered.compute()
    assert found.scores.tobytes() == np.float32([[0.99999, 0.0]]).tobytes()
    assert found.repeats == 3


def test_a_process_sends_its_state_by_file(tmp_path):
    path = tmp_path / "part.npz"
    code = (
        "import sys, numpy as np\n"
        "from hybridlab.evaluation.accumulate import MetricAccumulator\n"
        "part = MetricAccumulator().add([2, 3], [[.1, .2], [.3, .4]], [[0, 1], [1, 0]])\n"
        "np.savez(sys.argv[1], **part.state())\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    here = MetricAccumulator().add([1, 2], [[0.5, 0.6], [0.1, 0.2]], [[1, 1], [0, 1]])
    with np.load(path, allow_pickle=False) as state:
        found = here.merge(state).compute()
    assert found.ids.tolist() == [1, 2, 3] and found.repeats == 1
    assert found.targets.tolist() == [[1, 1], [0, 1], [1, 0]]


def test_nothing_added_is_defined():
    found = MetricAccumulator().compute()
    assert found.ids.shape == (0,) and found.scores.shape == (0, 0) and found.repeats == 0
    found = MetricAccumulator(labels=3).merge(MetricAccumulator(), MetricAccumulator(3)).compute()
    assert found.scores.shape == found.targets.shape == (0, 3)
    assert mean_ap(found.scores, found.targets).absent == (0, 1, 2)
    late = MetricAccumulator().add([], np.empty((0, 2)), np.empty((0, 2)))
    late.add(["a"], [[1, 2]], [[0, 1]])
    assert late.merge(MetricAccumulator()).compute().ids.tolist() == ["a"]


def test_tensors_names_and_the_caller_s_arrays():
    ids, scores = np.array(["b", "long name"]), torch.tensor([[1.0], [2.0]])
    gathered = MetricAccumulator().add(ids, scores, torch.tensor([[1.0], [0.0]]))
    scores += 5
    ids[:] = "changed"
    gathered.add(("c",), scores[:1] * 0, [[-1]])
    found = gathered.compute()
    assert found.ids.tolist() == ["b", "c", "long name"]
    assert found.scores.dtype == np.float32 and found.scores[:, 0].tolist() == [1, 0, 2]
    assert found.targets.dtype == np.int8 and found.targets[:, 0].tolist() == [1, -1, 0]
    assert MetricAccumulator().add(torch.tensor([3]), [[0.5]], [[1]]).compute().ids[0] == 3


def test_one_id_with_two_truths_or_two_predictions_is_refused():
    gathered = MetricAccumulator().add([4, 5], [[1, 2], [3, 4]], [[0, 1], [0, 1]])
    other = MetricAccumulator().add([5], [[3, 4]], [[1, 1]])
    with pytest.raises(ValueError, match=r"image .*5.* different targets: 0 and 1 in column 0"):
        MetricAccumulator().merge(gathered, other).compute()
    other = MetricAccumulator().add([5], [[3, 4.01]], [[0, 1]])
    with pytest.raises(ValueError, match=r"image .*5.* different scores: 4.0 and 4.01.*column 1"):
        MetricAccumulator().merge(other, gathered).compute()
    assert MetricAccumulator(tolerance=0.01).merge(other, gathered).compute().repeats == 1


def test_a_refused_batch_leaves_no_trace():
    gathered = MetricAccumulator().add([1], [[0.5, 1.0]], [[1, 0]])
    cases = [
        ([2], [[0.5, np.nan]], [[1, 0]], "nan at row 0, column 1"),
        ([2], [[0.5, 1e39]], [[1, 0]], "inf at row 0, column 1"),
        ([2], [[0.5, 0.5]], [[1, 3]], "targets is 3 at row 0, column 1"),
        ([2], [[0.5, 0.5]], [[1]], r"targets has shape \(1, 1\)"),
        ([2], [[0.5]], [[1]], "scores has 1 columns but earlier batches.* have 2"),
        ([2, 3], [[0.5, 0.5]], [[1, 0]], r"ids has shape \(2,\); expected \(1,\)"),
        (["x"], [[0.5, 0.5]], [[1, 0]], "by numbers or by strings"),
        ([2.5], [[0.5, 0.5]], [[1, 0]], "ids holds .*2.5.*whole numbers or strings"),
        ([True], [[0.5, 0.5]], [[1, 0]], "whole numbers or strings"),
        ([2], [0.5, 0.5], [1, 0], r"scores has shape \(2,\)"),
        (np.array([2**63], np.uint64), [[0.5, 0.5]], [[1, 0]], "beyond 64-bit"),
    ]
    for ids, scores, targets, message in cases:
        with pytest.raises(ValueError, match=message):
            gathered.add(ids, scores, targets)
    with pytest.raises(ValueError, match="whole numbers or strings"):
        MetricAccumulator().add([1, "a"], [[0.5], [0.5]], [[1], [0]])
    assert gathered.compute().ids.tolist() == [1]


def test_bad_settings_and_states_are_named():
    with pytest.raises(ValueError, match="labels is 0"):
        MetricAccumulator(labels=0)
    with pytest.raises(ValueError, match="tolerance is -1"):
        MetricAccumulator(tolerance=-1)
    with pytest.raises(ValueError, match=r"lacks \['targets'\]"):
        MetricAccumulator().merge({"ids": [1], "scores": [[0.5]]})
    with pytest.raises(ValueError, match="scores has 2 columns"):
        MetricAccumulator(labels=3).merge(MetricAccumulator(labels=2))
