"""Check of lesson 06's layer-wise decay (6.3, seeds 000 and 001)."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridlab.grading import verdict as kinds
from hybridlab.grading.comparing import Wrong
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[list[str], float, float]  # names, lr, decay

_NAME = "layer_rates"
_EXAMPLE = (["stem.weight", "blocks.0.weight", "blocks.1.weight", "head.weight"], 1.0, 0.5)
_SHAPE = "One rate for each name, in the order of the names."
_CRASHES = {
    "TypeError": "re.search gives None where a name holds no block: ask before you take [1].",
    "AttributeError": "re.search gives None where a name holds no block: ask before you take its "
    "group.",
    "ValueError": "int() reads digits alone: take the number between the dots of 'blocks.3.'.",
    "KeyError": "Some names stand before the first block, and some behind the last.",
}


def check_layer_rates(trial: Trial) -> None:
    """Towers of a few blocks, of more than ten, and with names that look alike."""
    with trial.part("the worked example", _CRASHES):
        trial.equal(_called(trial, *_EXAMPLE), _right(*_EXAMPLE), "the rates of the example",
                    own(_right(*_EXAMPLE), _wrongly(*_EXAMPLE)), shape_hint=_SHAPE)
    with trial.part("any tower", _CRASHES):
        drawn, right, mistakes = telling(
            partial(_tower, trial.rng), lambda drawn: (_right(*drawn), _wrongly(*drawn))
        )
        trial.equal(_called(trial, *drawn), right,
                    f"the rates of a tower of {len(drawn[0])} parameters", mistakes,
                    shape_hint=_SHAPE)
        names, lr, _ = drawn
        trial.equal(_called(trial, names, lr, 1.0), np.full(len(names), lr),
                    "the rates with a decay of 1", hint="A decay of 1 leaves every rate at lr.")
        trial.equal(_called(trial, ["a.blocks.0.w"], lr, 0.5), np.array([lr / 2]),
                    "the rate of a tower with one block and nothing else",
                    hint="The last block has lr * decay, also where nothing stands behind it.")
    with trial.part("more than ten blocks", _CRASHES):
        lr, decay = 0.01, float(trial.rng.choice([0.8, 0.9]))
        names = ["visual.conv1.weight", *(f"visual.blocks.{at}.mlp.weight" for at in range(12)),
                 "visual.ln_post.bias"]
        text = sorted(range(12), key=str)
        wrong = np.array([decay**13, *(decay ** (12 - text.index(at)) for at in range(12)), 1.0])
        trial.equal(_called(trial, names, lr, decay), _right(names, lr, decay),
                    "the rates of a tower of 12 blocks",
                    [Mistake("Your blocks stand in the order of text, in which '10' comes before "
                             "'2': make the number an int.", lr * wrong),
                     Mistake("You read one digit of the block's number: 11 became 1.",
                             np.array([lr * decay ** _one_digit(name) for name in names]))],
                    shape_hint=_SHAPE)


def _called(trial: Trial, names: list[str], lr: float, decay: float) -> Array:
    got = trial.call(_NAME, names, lr, decay)
    numbers = isinstance(got, list | tuple) and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in got)
    if not numbers:
        shown = type(got).__name__ if not isinstance(got, list | tuple) else repr(got)[:80]
        raise Wrong(kinds.WRONG_FORM, f"got {shown}, expected a list of numbers", _SHAPE)
    return np.array(got, float)


def _one_digit(name: str) -> int:
    """Steps below the top, if of each number the first digit were read."""
    if "blocks." not in name:
        return 11 if "conv1" in name else 0
    return 10 - int(name.split("blocks.")[1][0])


def _tower(rng: np.random.Generator) -> Drawn:
    """Blocks with one to three parameters each, two names before and two behind."""
    blocks = int(rng.integers(3, 5))
    names = ["trunk.stem.weight", "trunk.stem.bias"]
    for at in range(blocks):
        names += [f"trunk.blocks.{at}.{part}.weight" for part in range(int(rng.integers(1, 4)))]
    decay = float(rng.choice([0.6, 0.7, 0.8]))
    return [*names, "trunk.norm.weight", "head.bias"], float(rng.choice([0.01, 0.1])), decay


def _blocks(names: list[str]) -> list[int | None]:
    return [int(name.split("blocks.")[1].split(".")[0]) if "blocks." in name else None
            for name in names]


def _below(names: list[str]) -> Array:
    """How many steps of decay each parameter is below the top."""
    block = _blocks(names)
    last = max(each for each in block if each is not None)
    first_at = next(at for at, each in enumerate(block) if each is not None)
    return np.array([
        (last + 2 if at < first_at else 0) if each is None else last + 1 - each
        for at, each in enumerate(block)
    ])


def _right(names: list[str], lr: float, decay: float) -> Array:
    return np.asarray(lr * decay ** _below(names))


def _wrongly(names: list[str], lr: float, decay: float) -> list[Mistake]:
    below = _below(names)
    top = below.max()
    before = below == top
    return [
        Mistake("Your rates grow towards the image. Its layers see edges and colours, which every "
                "task needs: they move least.", lr * decay ** (top - below)),
        Mistake("The last block has the whole rate in your result, like what stands behind it; it "
                "has lr * decay.", lr * decay ** np.maximum(below - 1, 0)),
        Mistake("What stands before block 0 has the rate of block 0 in your result; it is one "
                "layer below.", lr * decay ** np.where(before, top - 1, below)),
        Mistake("What stands before block 0 has the whole rate in your result; it is nearest to "
                "the image, and has the smallest.", lr * decay ** np.where(before, 0, below)),
        Mistake("Each parameter has a rate of its own in your result. The parameters of one block "
                "share theirs: count blocks, not names.",
                lr * decay ** np.arange(len(names) - 1, -1, -1)),
        Mistake("You lowered the rate by a fixed amount from block to block. Each has `decay` of "
                "the rate above it: multiply.", lr * np.maximum(0, 1 - below * (1 - decay))),
        Mistake("What stands behind the last block is decayed in your result; it has lr.",
                lr * decay ** (below + 1)),
        Mistake("All parameters have lr in your result.", np.full(len(names), lr)),
    ]
