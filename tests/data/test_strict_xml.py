"""XML of strangers: read as ElementTree reads it, and no DTD is looked at."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import pytest

from hybridlab.data import strict_xml
from hybridlab.data.problems import AnnotationError
from hybridlab.data.strict_xml import read_xml

from .photo_files import voc_xml, write

LAUGHS = "".join(
    f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10)
)
BOMB = f'<?xml version="1.0"?><!DOCTYPE z [<!ENTITY l0 "ha">{LAUGHS}]><annotation>&l9;</annotation>'
QUADRATIC = f'<!DOCTYPE z [<!ENTITY a "{"x" * 10000}">]><z>{"&a;" * 10000}</z>'
OUTSIDE = '<!DOCTYPE z [<!ENTITY f SYSTEM "file:///etc/passwd">]><z>&f;</z>'


@pytest.mark.parametrize("text", [voc_xml(("cat", (1, 2, 3, 4), 0)), "<a x='1'>b<c/>d</a>",
                                  '<?xml version="1.0" encoding="latin-1"?><a>é</a>'])
def test_as_elementtree_reads_it(tmp_path, text):
    path = tmp_path / "a.xml"
    path.write_bytes(text.encode("latin-1"))
    expected = ElementTree.parse(path).getroot()
    assert ElementTree.tostring(read_xml(path)) == ElementTree.tostring(expected)


@pytest.mark.parametrize("text", [BOMB, QUADRATIC, OUTSIDE, "<!DOCTYPE a SYSTEM 'x.dtd'><a/>",
                                  "<!DOCTYPE a><a/>"])
def test_a_dtd_is_refused_at_once(tmp_path, text):
    path = write(tmp_path / "a.xml", text)
    began = time.process_time()
    with pytest.raises(AnnotationError, match=r"has a DTD.*take the <!DOCTYPE"):
        read_xml(path)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no element found"), ("<a><b></a>", "mismatched tag (line 1, column 9)"),
        (voc_xml(("cat", None, 0))[:-20], "is no XML that can be used"), ("{}", "not well-formed"),
        ("<a>&nothing;</a>", "undefined entity"), ("<a>" * 60, "nested more than 50 deep"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "unknown encoding"),
        ("<a x='1' x='2'/>", "duplicate attribute"), ("<a>\0</a>", "not well-formed"),
    ],
)
def test_what_is_no_xml_is_told(tmp_path, text, words):
    with pytest.raises(AnnotationError) as caught:
        read_xml(write(tmp_path / "a.xml", text))
    assert words in str(caught.value) and ";" in str(caught.value)


def test_missing_and_too_large(tmp_path, monkeypatch):
    with pytest.raises(AnnotationError, match=r"cannot be read .No such file"):
        read_xml(tmp_path / "a.xml")
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_xml(tmp_path)
    monkeypatch.setattr(strict_xml, "MOST_BYTES", 100)
    with pytest.raises(AnnotationError, match="too many for the annotation"):
        read_xml(write(tmp_path / "b.xml", f"<a>{'x' * 100}</a>"))
