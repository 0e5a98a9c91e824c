"""Check of lesson 04's top-k by the ranks of several prompts (4.3)."""

from __future__ import annotations

import numpy as np

from hybridlab.evaluation.top_k import top_k_decisions
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
_AGAIN = "Only the order of the scores within a prompt counts."


def check_rank_fusion(trial: Trial) -> None:
    """Against the package's ranks and its top-k: without ties, with a loud prompt, with ties."""
    with trial.part("the worked example"):
        example = np.array([
            [[0.1, 0.2, 0.9], [0.5, 0.5, 0.1]], [[0.30, 0.31, 0.29], [0.2, 0.4, 0.3]],
        ])
        right = fused(example, 1)
        trial.equal(trial.call("rank_fusion", example, 1), right, "the best label of the example",
                    own(right, _wrongly(example, 1)))
        right = fused(example, 2)
        trial.equal(trial.call("rank_fusion", example, 2), right,
                    "the best two labels of the example", own(right, _wrongly(example, 2)))
    with trial.part("any scores"):
        rng = trial.rng
        (scores, k), right, mistakes = telling(
            lambda: _no_ties(rng), lambda drawn: (fused(*drawn), _wrongly(*drawn))
        )
        _, images, labels = scores.shape
        what = f"the {k} best of {labels} labels"
        trial.equal(trial.call("rank_fusion", scores, k), right, what, mistakes)
        order = rng.permutation(len(scores))
        trial.equal(trial.call("rank_fusion", scores[order], k), right,
                    f"{what}, prompts in another order",
                    hint="All prompts count the same.")
        order = rng.permutation(images)
        trial.equal(trial.call("rank_fusion", scores[:, order], k), right[order],
                    f"{what}, images in another order",
                    hint="An image's labels depend on its own scores only.")
        trial.equal(trial.call("rank_fusion", scores, labels), np.ones((images, labels), bool),
                    f"the {labels} best of {labels} labels",
                    hint="With k = L every label is chosen; beware of [:-k] and the like.")
        trial.equal(trial.call("rank_fusion", scores[:1], k), top_k_decisions(scores[0], k),
                    f"{what} with one prompt",
                    hint="With one prompt the best ranks are the highest scores.")
    with trial.part("a prompt that shouts"):
        rng = trial.rng
        (scores, k), right, mistakes = telling(
            lambda: _loud(rng), lambda drawn: (fused(*drawn), _loud_wrongly(*drawn))
        )
        trial.equal(trial.call("rank_fusion", scores, k), right,
                    f"the {k} best, one prompt's scores being 40 times as wide", mistakes,
                    hint=_AGAIN)
        trial.equal(trial.call("rank_fusion", scores - 300, k), right,
                    f"the {k} best of scores near -300",
                    hint=f"{_AGAIN} What is used up is marked by a mask or -np.inf, not by a "
                    "number.")
        close = 2.0**-6 + scores / 2**16  # still exact in float32
        trial.equal(trial.call("rank_fusion", close, k), right,
                    f"the {k} best of scores that differ in the sixth decimal",
                    hint="Scores that differ a little are different scores: do not round them.")
    with trial.part("equal scores"):
        rng = trial.rng
        (scores, k), right, mistakes = telling(
            lambda: _with_ties(rng), lambda drawn: (fused(*drawn), _ties_wrongly(*drawn))
        )
        trial.equal(
            trial.call("rank_fusion", scores, k), right, f"the {k} best where scores are equal",
            mistakes,
            hint="If it is right without ties: labels with equal scores share the mean of their "
            "ranks, and of equal mean ranks the lower column is chosen.",
        )
        same = np.zeros_like(scores)
        trial.equal(trial.call("rank_fusion", same, k), top_k_decisions(same[0], k),
                    f"the {k} best where all scores are equal",
                    hint="All mean ranks are equal: the first k columns are chosen.")


def fused(scores: Array, k: int) -> Array:
    """The package's answer, (T, N, L) -> (N, L)."""
    import torch

    from hybridlab.zeroshot.scores import rank_scores, top_k

    return top_k(rank_scores(torch.from_numpy(scores).transpose(0, 1)), k).numpy()


# Numbers of labels are 2^n + 1: the package divides by L - 1, and equal mean ranks must stay equal
# in floating point. All scores are exact in float32, so that a learner may compute in it.


def _no_ties(rng: np.random.Generator) -> tuple[Array, int]:
    """No ties in a prompt, nor at the k-th mean rank; prompts agree somewhat. k is not 2."""
    prompts, images, labels = int(rng.integers(3, 6)), int(rng.integers(8, 12)), 17
    k = int(rng.integers(3, 6))
    liked, width = rng.normal(0, 0.7, labels), rng.uniform(0.3, 1, (prompts, 1))
    return np.stack([_image(rng, liked, width, k) for _ in range(images)], axis=1), k


def _image(rng: np.random.Generator, liked: Array, width: Array, k: int) -> Array:
    """(T, L) multiples of 2^-13, at most 3."""
    while True:
        shared = liked + rng.normal(size=len(liked))
        drawn = width * (shared + rng.normal(0, 0.8, (len(width), len(liked))))
        scores = np.round(np.clip(drawn, -3, 3) * 2**13) / 2**13
        mean = np.sort(ranks(scores, axis=1).mean(axis=0))
        distinct = all(len(np.unique(row)) == len(row) for row in scores)
        if distinct and mean[k] - mean[k - 1] > 0.01:
            return scores


def _loud(rng: np.random.Generator) -> tuple[Array, int]:
    scores, k = _no_ties(rng)
    scores[int(rng.integers(len(scores)))] *= 40
    return scores, k


def _with_ties(rng: np.random.Generator) -> tuple[Array, int]:
    """Few different scores in long rows: a sort that is not stable shows there."""
    prompts, images = int(rng.integers(2, 4)), int(rng.integers(8, 12))
    levels = np.array([0, 1, 5, 7]) / 64  # unevenly, so that scores are no ranks
    return levels[rng.integers(0, 4, (prompts, images, 65))], int(rng.integers(12, 20))


def ranks(scores: Array, ties: str = "mean", axis: int = 2) -> Array:
    """Ranks along an axis, the highest score first.

    Args:
        ties: equal scores get the "mean", "best" or "worst" of their ranks, their "own" in the
            order of the columns, or "dense": one more than the next better score.
    """
    moved = np.moveaxis(scores, axis, -1)
    if ties == "own":
        order = np.argsort(-moved, axis=-1, kind="stable")
        found = np.argsort(order, axis=-1, kind="stable") + 1.0
    elif ties == "dense":
        found = np.stack([
            np.unique(-row, return_inverse=True)[1].reshape(row.shape) + 1.0
            for row in moved.reshape(-1, moved.shape[-1])
        ]).reshape(moved.shape)
    else:
        above = (moved[..., None, :] > moved[..., :, None]).sum(axis=-1)
        equal = (moved[..., None, :] == moved[..., :, None]).sum(axis=-1)
        found = above + {"best": 1.0, "worst": equal, "mean": (equal + 1) / 2}[ties]
    return np.moveaxis(found, -1, axis)


def _lowest(rank: Array, k: int) -> Array:
    return top_k_decisions(-rank, k)


def _wrongly(scores: Array, k: int) -> list[Mistake]:
    rank = ranks(scores)
    mean = rank.mean(axis=0)
    single = [top_k_decisions(each, k) for each in scores]
    once = np.argsort(-scores, axis=2, kind="stable")
    return [
        Mistake("You took the k highest mean scores: a prompt with widely spread scores then "
                "decides alone. Rank the labels in each prompt, and take the mean of the ranks.",
                top_k_decisions(scores.mean(axis=0), k)),
        Mistake("You chose the worst mean ranks; rank 1 is the best.",
                top_k_decisions(mean, k)),
        Mistake("argsort gives the labels in their order, and not the rank of each label: an "
                "argsort of it does.", _lowest(once.mean(axis=0), k)),
        Mistake("You ranked the images of each label (axis 1); rank the labels of each image "
                "(axis 2).", _lowest(ranks(scores, axis=1).mean(axis=0), k)),
        Mistake("You ranked the prompts (axis 0); rank the labels of each image (axis 2).",
                _lowest(ranks(scores, axis=0).mean(axis=0), k)),
        Mistake("You counted in how many prompts a label is among the best k; take the mean of its "
                "ranks.", top_k_decisions(np.mean(single, axis=0), k)),
        Mistake("You took what is among the best k in any prompt: that can be more than k labels.",
                np.any(single, axis=0)),
        Mistake("You took what is among the best k in every prompt: that can be fewer than k "
                "labels.", np.all(single, axis=0)),
        Mistake("You took the first prompt's best labels; all prompts count.", single[0]),
        Mistake("You took each label's best rank over prompts; take the mean.",
                _lowest(rank.min(axis=0), k)),
        Mistake("You took each label's worst rank over prompts; take the mean.",
                _lowest(rank.max(axis=0), k)),
        Mistake("You took the median rank over prompts; take the mean.",
                _lowest(np.median(rank, axis=0), k)),
        Mistake("You took the mean of 1 / rank (reciprocal ranks): first places count most there. "
                "Take the mean of the ranks.", top_k_decisions((1 / rank).mean(axis=0), k)),
        Mistake("You took one label more than k.",
                _lowest(mean, min(k + 1, mean.shape[1]))),
        Mistake("You took one label less than k.",
                _lowest(mean, k - 1) if k > 1 else np.zeros(mean.shape, bool)),
    ] + ([Mistake("You took the best label, as in the example; k is an argument.",
                  _lowest(mean, 1))] if k > 2 else [])


def _loud_wrongly(scores: Array, k: int) -> list[Mistake]:
    middle, spread = scores.mean(axis=2, keepdims=True), scores.std(axis=2, keepdims=True)
    low, high = scores.min(axis=2, keepdims=True), scores.max(axis=2, keepdims=True)
    ways = {
        "You took the k highest mean scores: the prompt with widely spread scores decides alone. "
        "Rank the labels in each prompt first.": scores,
        "You standardised each prompt's scores and took their mean; take ranks. Of a prompt with "
        "one outlier, its rank counts, not its distance.": (scores - middle) / spread,
        "You stretched each prompt's scores to [0, 1] and took their mean; take ranks.":
            (scores - low) / (high - low),
    }
    return [Mistake(words, top_k_decisions(way.mean(axis=0), k)) for words, way in ways.items()]


def _ties_wrongly(scores: Array, k: int) -> list[Mistake]:
    mean = ranks(scores).mean(axis=0)
    last = np.sort(mean, axis=1)[:, k - 1 : k]
    above = np.sort(mean, axis=1)[:, k : k + 1]
    high = _lowest(mean[:, ::-1], k)[:, ::-1]
    ways = {
        "own": "You broke ties within a prompt by the column, as a double argsort does. Labels "
               "with equal scores share the mean of their ranks.",
        "best": "Labels with equal scores all got the best of their ranks; they share the mean of "
                "them.",
        "worst": "Labels with equal scores all got the worst of their ranks; they share the mean "
                 "of them.",
        "dense": "You counted different scores, so that a tie takes one rank (dense ranks). A tie "
                 "of two takes two ranks, and both get their mean.",
    }
    return [
        *(Mistake(words, _lowest(ranks(scores, way).mean(axis=0), k))
          for way, words in ways.items()),
        Mistake("Of equal mean ranks you took the higher columns; take the lower ones: "
                'np.argsort(rank, axis=1, kind="stable").', high),
        Mistake("You compared with the k-th mean rank: with ties that takes more than k labels.",
                mean <= last),
        Mistake("You took what is below the next mean rank: with ties that takes fewer than k "
                "labels.", mean < above),
        Mistake("You took the k highest mean scores; take ranks.",
                top_k_decisions(scores.mean(axis=0), k)),
    ]
