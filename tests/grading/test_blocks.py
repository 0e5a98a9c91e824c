"""Files in blocks: split, replaced, and only what is needed is run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hybridlab.grading.blocks import find, needed, replace, split

TEXT = (
    "import numpy as np\n\n\n# %% Exercise 1.1: a\ndef f(x):\n    return x\n\n\n"
    "# %% Exercise 1.2: b\nK = 3\n\n\ndef g(x):\n    return f(x) * K\n\n\n"
    "# %% Exercise 1.10: c\ndef h(x):\n    return x\n"
)


def test_blocks_are_the_whole_file_and_know_their_lines():
    blocks = split(TEXT)
    assert "".join(block.text for block in blocks) == TEXT
    assert [block.id for block in blocks] == ["", "1.1", "1.2", "1.10"]
    for block in blocks[1:]:
        assert TEXT.splitlines()[block.line - 1] == block.text.splitlines()[0]
    assert find(TEXT, "1.3") is None and find(TEXT, "1.1").line == 4


def test_one_block_is_replaced_and_the_rest_stays():
    new = replace(TEXT, "1.1", "# %% Exercise 1.1: a\ndef f(x):\n    return 2 * x\n\n\n\n\n")
    assert find(new, "1.1").text == "# %% Exercise 1.1: a\ndef f(x):\n    return 2 * x\n\n\n"
    assert [block.text for block in split(new)[2:]] == [block.text for block in split(TEXT)[2:]]
    last = replace(TEXT, "1.10", "# %% Exercise 1.10: c\npass")
    assert last.endswith("# %% Exercise 1.10: c\npass\n")


def test_a_new_block_goes_where_its_number_says():
    new = replace(TEXT, "1.3", "# %% Exercise 1.3: d\nx = 1\n")
    assert [block.id for block in split(new)] == ["", "1.1", "1.2", "1.3", "1.10"]
    first = replace("import a\n", "1.1", "# %% Exercise 1.1: a\n")
    assert first == "import a\n\n\n# %% Exercise 1.1: a\n"


@given(st.sampled_from(["1.1", "1.2", "1.5", "1.10", "2.1"]), st.text("abc \n", max_size=30))
def test_replacing_twice_is_replacing_once(exercise, body):
    once = replace(TEXT, exercise, f"# %% Exercise {exercise}: t\n{body}")
    assert replace(once, exercise, f"# %% Exercise {exercise}: t\n{body}") == once
    others = [block.id for block in split(TEXT) if block.id != exercise]
    assert [block.id for block in split(once) if block.id != exercise] == others


def test_needed_follows_names_and_nothing_more():
    assert [block.id for block in needed(TEXT, "1.2")] == ["", "1.1", "1.2"]
    assert [block.id for block in needed(TEXT, "1.10")] == ["", "1.10"]
    assert [block.id for block in needed(TEXT, "1.7")] == [""]  # no such block
    assert needed("def f(x): return x\n", "1.1")[0].text == "def f(x): return x\n"
    broken = TEXT.replace("def g(x):", "def g(x:")
    assert [block.id for block in needed(broken, "1.2")] == ["", "1.2"]


def test_what_another_block_imports_is_needed_unless_the_heading_has_it():
    text = (
        "import numpy as np\n\n# %% Exercise 1.1: a\nimport math as m\nimport numpy as np\n\n"
        "# %% Exercise 1.2: b\ndef f(x):\n    return m.pi * np.ones(x)\n\n"
        "# %% Exercise 1.3: c\ndef g(x):\n    return np.ones(x)\n"
    )
    assert [block.id for block in needed(text, "1.2")] == ["", "1.1", "1.2"]
    assert [block.id for block in needed(text, "1.3")] == ["", "1.3"]
