"""What crosses the line is data: everything plain comes back, everything else is refused."""

from __future__ import annotations

import json
import struct
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hybridlab.grading import comparing
from hybridlab.grading.values import HEAD, BadMessageError, Other, device, pack, sizes, unpack


def there_and_back(value):
    data = pack({"v": value})
    text, buffers = sizes(data[:HEAD])
    assert len(data) == HEAD + text + buffers
    return unpack(data[HEAD : HEAD + text], data[HEAD + text :])["v"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(plain)
def test_plain_values(value):
    assert there_and_back(value) == value


@settings(max_examples=60, deadline=None)
@given(
    npst.arrays(
        npst.boolean_dtypes() | npst.integer_dtypes(endianness="<")
        | npst.floating_dtypes(endianness="<", sizes=(16, 32, 64)),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_arrays(array):
    back = there_and_back(array)
    assert back.dtype == array.dtype and back.shape == array.shape
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.int64, torch.float16, torch.bfloat16, torch.float64]
)
def test_tensors(dtype):
    tensor = torch.arange(6).reshape(2, 3).T.to(dtype)
    back = there_and_back(tensor)
    assert back.dtype == dtype and torch.equal(back, tensor)
    assert there_and_back(torch.ones(2, requires_grad=True)).requires_grad


def test_scalars_keep_their_type():
    assert isinstance(there_and_back(np.float32(1.5)), np.float32)
    assert np.isnan(there_and_back(float("nan")))


class Array(np.ndarray):
    """As np.matrix is one."""


@pytest.mark.parametrize(("value", "is_now"), [
    (Fraction(1, 3), 1 / 3), (np.longdouble(0.25), 0.25),
    (np.array([0.25, 3], np.longdouble), [0.25, 3]), (np.array([1]).view(Array), [1]),
    (np.array([1.5, 2], ">f4"), [1.5, 2]), (np.ma.array([1.0, 2.0]), [1, 2]),
])
def test_numbers_of_other_kinds_arrive_as_common_ones(value, is_now):
    back = there_and_back(value)
    assert type(back) in (float, np.float64, np.ndarray) and np.array_equal(back, is_now)


def test_where_a_tensor_was_is_known():
    data = json.loads(pack({"v": torch.ones(2)})[HEAD:].split(b"]]}")[0] + b"]]}")
    assert device(there_and_back(torch.ones(2))) == device(torch.ones(2)) == "cpu"
    data["v"][0][1]["p"] = "cuda:1"
    moved = unpack(json.dumps(data).encode(), np.ones(2, np.float32).tobytes())["v"]
    assert device(moved) == "cuda:1" and moved.device.type == "cpu"
    with pytest.raises(comparing.Wrong, match="is on cuda:1, expected cpu"):
        comparing.tensor(moved, torch.ones(2))


@pytest.mark.parametrize(
    "value", [object(), np.ma.array([1.0, 2.0], mask=[0, 1]), 10**30, torch.nn.Linear(2, 2),
              np.array([object()]), lambda: 1, torch.ones(2).to_sparse()]
)
def test_the_rest_arrives_as_its_description(value):
    assert isinstance(there_and_back(value), Other)


def test_a_repr_that_raises_harms_nobody():
    class Bad:
        def __repr__(self):
            raise SystemError

    assert "raises SystemError" in there_and_back(Bad()).shown


def message(data, buffers=b""):
    return json.dumps({"t": "dict", "v": [["v", data]]}).encode(), buffers


@pytest.mark.parametrize(
    ("data", "buffers"),
    [
        ({"t": "array", "d": "float64", "s": [10**12], "n": 8}, bytes(8)),
        ({"t": "array", "d": "float64", "s": [-1], "n": 8}, bytes(8)),
        ({"t": "array", "d": "object", "s": [1], "n": 8}, bytes(8)),
        ({"t": "array", "d": "float64", "s": [1], "n": 8}, b""),
        ({"t": "array", "d": "float64", "s": [1], "n": 8}, bytes(9)),
        ({"t": "array", "d": "float64"}, b""),
        ({"t": "pickle", "v": 1}, b""),
        ([1, 2], b""),
        ({"t": "dict", "v": [[{"t": "list", "v": []}, 1]]}, b""),
    ],
)
def test_what_no_honest_child_sends_is_refused(data, buffers):
    with pytest.raises(BadMessageError):
        unpack(*message(data, buffers))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=20))
def test_noise_is_refused_and_nothing_else_happens(text, buffers):
    with pytest.raises(BadMessageError):
        unpack(text, buffers)


def test_long_messages_are_refused_before_they_are_read():
    with pytest.raises(BadMessageError):
        sizes(struct.pack("<II", 2**31, 2**31))
    with pytest.raises(BadMessageError, match="MB"):
        pack({"v": np.zeros(2**24)})
