"""Which mistakes are told where the input is given."""

from __future__ import annotations

import numpy as np

from hybridlab.grading.comparing import Mistake
from hybridlab.grading.telling import own


def test_mistakes_that_give_the_same_are_told_together():
    found = own(1.0, [
        Mistake("a pair.", 2.0), Mistake("right here.", 1.0), Mistake("alone.", 3.0),
        Mistake("its twin.", 2.0), *(Mistake(f"crowd {at}.", 5.0) for at in range(4)),
    ])
    assert [(each.words, each.value) for each in found] == [
        ("Either: a pair. Or: its twin.", 2.0), ("alone.", 3.0)
    ]


def test_arrays_of_other_shapes_differ():
    ones, more = np.ones(2), np.ones((2, 2))
    assert len(own(np.zeros(2), [Mistake("one", ones), Mistake("two", more)])) == 2
    assert own(np.zeros(2), []) == []
