"""Labels by index, by name, or both: which column each is, and what contradicts itself."""

from __future__ import annotations

import pytest

from hybridlab.data.label_book import LabelBook, UnknownLabelError
from hybridlab.data.sample import Vocabulary

ANIMALS = Vocabulary(("cat", "dog", "owl"))


def test_indices_are_columns_and_gaps_have_a_placeholder():
    book = LabelBook()
    codes = [book.code(5, "car"), book.code(0, "person"), book.code(2, None)]
    assert book.vocabulary().names == ("person", "class 1", "class 2", "class 3", "class 4", "car")
    assert book.columns(codes) == (0, 2, 5)
    assert len(LabelBook(num_classes=80).vocabulary()) == 80


def test_names_alone_stand_in_alphabetical_order():
    book = LabelBook()
    codes = [book.code(None, name) for name in ("owl", " cat ", "dog", "cat")]
    assert book.vocabulary() == ANIMALS and book.columns(codes) == (0, 1, 2)
    more = book.code(None, "bee")  # of a second file
    assert book.columns([more, codes[0]]) == (0, 3)
    assert LabelBook(num_classes=2).vocabulary().names == ("class 0", "class 1")


def test_a_name_may_come_before_its_index():
    book = LabelBook()
    early = book.code(None, "owl")
    late = book.code(2, "owl")
    assert book.columns([early]) == book.columns([late]) == (2,)
    book.code(None, "cow")
    with pytest.raises(UnknownLabelError, match="'cow' has no index, while others have one"):
        book.columns([book.code(None, "cow")])


def test_an_index_and_a_name_always_go_together():
    book = LabelBook()
    book.code(3, "dog")
    with pytest.raises(ValueError, match="label 3 is 'cat' here and 'dog' elsewhere"):
        book.code(3, "cat")
    with pytest.raises(ValueError, match="'dog' is label 4 here and 3 elsewhere"):
        book.code(4, "dog")
    assert book.vocabulary().names[3] == "dog" and len(book.vocabulary()) == 4


def test_with_a_vocabulary_nothing_else_is_accepted():
    book = LabelBook(ANIMALS)
    assert book.columns([book.code(2, "owl"), book.code(None, "cat"), book.code(1, None)]) == (
        0, 1, 2)
    assert book.vocabulary() is ANIMALS
    with pytest.raises(UnknownLabelError, match=r"unknown label 'cst'.*cat"):
        book.code(None, "cst")
    with pytest.raises(UnknownLabelError, match="unknown label 3; labels are 0 to 2"):
        book.code(3, None)
    with pytest.raises(ValueError, match="label 0 is 'dog' here and 'cat' elsewhere"):
        book.code(0, "dog")
    assert book.by_place(0, "owl") == 2  # a column of a file, which has its own order
    assert LabelBook().by_place(0, "owl") == 0


@pytest.mark.parametrize("index", [-1, 80, 10**30, True, 1.0, "1", [1]])
def test_what_is_no_index(index):
    with pytest.raises(ValueError, match=r"unknown label|give a whole number"):
        LabelBook(num_classes=80).code(index, None)


@pytest.mark.parametrize("name", ["", "  ", 3, ["cat"]])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match="the label's name is"):
        LabelBook().code(None, name)


def test_sizes_that_disagree():
    with pytest.raises(ValueError, match="num_classes is 4, but 3 labels are named"):
        LabelBook(ANIMALS, 4)
    for size in (0, -1, 10**9):
        with pytest.raises(ValueError, match="num_classes is"):
            LabelBook(num_classes=size)
    with pytest.raises(UnknownLabelError, match=r"label 1000000; labels are 0 to 99,999"):
        LabelBook().code(1_000_000, None)
    with pytest.raises(ValueError, match="no picture has a label"):
        LabelBook().vocabulary()
    book = LabelBook(num_classes=1)
    book.code(None, "cat"), book.code(None, "dog")
    with pytest.raises(ValueError, match="num_classes is 1, but there are 2 labels"):
        book.vocabulary()
