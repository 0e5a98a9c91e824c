"""JSON piece by piece: the same as `json`, whatever the size of the pieces."""

from __future__ import annotations

import io
import json
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.data import json_stream
from hybridlab.data.json_stream import JsonStream, RepeatedKeyError
from hybridlab.data.problems import AnnotationError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12,
)


def stream(data: bytes | str) -> JsonStream:
    return JsonStream(io.BytesIO(data.encode() if isinstance(data, str) else data), "a.json")


def members(data):
    read = stream(data)
    found = {key: read.value() for key in read.members()}
    read.finish()
    return found


def elements(data):
    read = stream(data)
    found = [read.value() for _ in read.elements()]
    read.finish()
    return found


@given(st.dictionaries(st.text(), VALUES), st.lists(VALUES), st.integers(1, 7),
       st.sampled_from([None, 1]), st.booleans())
def test_as_json_reads_it_in_pieces_of_any_size(some, more, block, indent, ascii_only):
    with mock.patch.object(json_stream, "_BLOCK", block):
        text = json.dumps(some, indent=indent, ensure_ascii=ascii_only)
        assert members(text.encode("utf-8", "surrogatepass")) == some
        assert elements(json.dumps(more, indent=indent)) == more


@settings(max_examples=60)
@given(st.dictionaries(st.text(), VALUES, min_size=1), st.integers(1, 7), st.data())
def test_a_text_that_is_cut_anywhere_is_told(some, block, data):
    text = json.dumps(some)
    cut = data.draw(st.integers(0, len(text) - 1))
    with mock.patch.object(json_stream, "_BLOCK", block), pytest.raises(AnnotationError) as caught:
        members(text[:cut])
    assert ("it is cut off" if cut else "it is empty") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty (line 1, column 1)"), (" \n ", "it is empty (line 2"),
        ("[1]", "expected an object in braces (line 1, column 1)"),
        ("3", "expected an object"), ("not json", "expected an object"),
        ('{"a": 1,}', "expected a key in double quotes (line 1, column 9)"),
        ('{"a" 1}', "expected a colon after the key"), ('{"a": 1 "b": 2}', "expected a comma"),
        ('{\n "a": [1\n 2]}', "Expecting ',' delimiter (line 3, column 2)"),
        ("{'a': 1}", "double quotes"), ('{"a": 1} {"b": 2}', "more after the end"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"), ('{"a": ' + "9" * 5000 + "}", "4300"),
        (b'{"a": "\xff\xfe"}', "is not UTF-8 near byte 7; save it as UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"), (b"\0\0", "expected an object"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(text, words):
    with pytest.raises(AnnotationError) as caught:
        members(text)
    assert words in str(caught.value) and str(caught.value).startswith("a.json: ")
    assert caught.value.problem.kind == "annotation file"


def test_a_mark_of_byte_order_is_no_text():
    assert members(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_a_key_twice_is_told_and_reading_may_go_on():
    read = stream('{"a": {"x": 1, "x": 2}, "b": [{"y": {"z": 0, "z": 0}}], "c": 3}')
    keys = read.members()
    for key in ("a", "b"):
        assert next(keys) == key
        with pytest.raises(RepeatedKeyError, match="given twice"):
            read.value()
    assert next(keys) == "c" and read.value() == 3 and list(keys) == []


def test_what_is_not_wanted_is_read_past():
    read = stream('{"a": [1, {"b": 2}], "c": {"d": [3]}, "e": 4, "f": [], "g": {}, "h": 5}')
    for key in read.members():
        if key == "h":
            assert read.value() == 5
        else:
            read.skip()
    read.finish()


def test_one_value_of_endless_length_is_refused():
    with pytest.raises(AnnotationError, match="more than 8 million characters"):
        members('{"a": "' + "x" * 40_000_000)
