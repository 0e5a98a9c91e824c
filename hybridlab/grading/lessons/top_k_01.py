"""Check of lesson 01's top-k decisions in two senses (1.6)."""

from __future__ import annotations

import numpy as np

from hybridlab.evaluation.top_k import top_k_decisions
from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray


def check_top_k(trial: Trial) -> None:
    """Both senses against the package's, with logits, with ties, and with cuts of their own."""
    example, k = np.array([[0.9, 0.6, 0.2], [0.4, 0.1, 0.4]]), 2
    with trial.part("the worked example"):
        expected = top_k_decisions(example, k)
        trial.equal(trial.call("top_k_always", example, k), expected, "top_k_always",
                    own(expected, [*_always_wrongly(example, k), *_ties_wrongly(example, k)]))
        expected &= example >= 0.5
        trial.equal(trial.call("top_k_confident", example, k), expected, "top_k_confident",
                    own(expected, _confident_wrongly(example, k, 0.5)),
                    hint="Only labels that score 0.5 or more count. Compare the scores as they are "
                    "given: no sigmoid.")
    with trial.part("always k labels"):
        rng = trial.rng
        (scores, k), expected, mistakes = telling(
            lambda: _no_ties(rng),
            lambda drawn: (top_k_decisions(*drawn), _always_wrongly(*drawn)),
        )
        trial.equal(trial.call("top_k_always", scores, k), expected,
                    f"the {k} best of {scores.shape[1]} labels", mistakes)
        order = rng.permutation(len(scores))
        trial.equal(
            trial.call("top_k_always", scores[order], k), expected[order],
            "the same images in another order",
            hint="An image's labels depend on its own scores only.",
        )
        labels = scores.shape[1]
        trial.equal(trial.call("top_k_always", scores, labels), np.ones(scores.shape, bool),
                    f"the {labels} best of {labels} labels",
                    hint="With k = L every label is chosen; beware of [:-k] and the like.")
        trial.equal(trial.call("top_k_always", scores[:1], 1), top_k_decisions(scores[:1], 1),
                    "the best label of one image")
        trial.equal(trial.call("top_k_always", scores - 5000, k), expected,
                    f"the {k} best of scores near -5000",
                    hint="Scores may be any numbers, and a sigmoid makes these equal. What is used "
                    "up is marked by a mask or by -np.inf, not by a number such as -100.")
        trial.equal(trial.call("top_k_always", _close(scores), k), expected,
                    f"the {k} best of scores that differ by 0.0001",
                    hint="Scores that differ a little are different scores: do not round them.")
    with trial.part("equal scores"):
        rng = trial.rng
        (scores, k), expected, mistakes = telling(
            lambda: _with_ties(rng),
            lambda drawn: (top_k_decisions(*drawn), _ties_wrongly(*drawn)),
        )
        trial.equal(
            trial.call("top_k_always", scores, k), expected,
            f"the {k} best where scores are equal", mistakes,
            hint="If it is right without ties: of equal scores the lower column comes first. Many "
            'sorts leave their order to chance; np.argsort(..., kind="stable") keeps it.',
        )
    with trial.part("k labels and a cut"):
        rng = trial.rng
        (scores, k), expected, mistakes = telling(
            lambda: _at_half(rng),
            lambda drawn: (top_k_decisions(*drawn) & (drawn[0] >= 0.5),
                           _confident_wrongly(*drawn, 0.5)),
        )
        trial.equal(trial.call("top_k_confident", scores, k), expected,
                    f"the {k} best with a score of 0.5 or more, which is the cut if none is given",
                    mistakes)
        (scores, k, cut), expected, mistakes = telling(
            lambda: _with_cut(rng),
            lambda drawn: (top_k_decisions(*drawn[:2]) & (drawn[0] >= drawn[2]),
                           _confident_wrongly(*drawn)),
        )
        trial.equal(trial.call("top_k_confident", scores, k, cut), expected,
                    f"the {k} best with a score of {cut} or more", mistakes)
        trial.equal(trial.call("top_k_confident", scores, k, cut=cut), expected,
                    f"the same with cut={cut} given by name")
        trial.equal(trial.call("top_k_confident", _close(scores), k, float(_close(cut))), expected,
                    "the same with scores that differ by 0.0001",
                    hint="Scores that differ a little are different scores: do not round them.")


# Scores are multiples of 1/8: exact in every float type, so that `>=` has one answer.


def _close(scores: Array | float) -> Array:
    """In the same order and exact in float32, but some 1e-4 apart."""
    return 0.5 + np.asarray(scores) / 1024


def _no_ties(rng: np.random.Generator) -> tuple[Array, int]:
    """Logits in which no row has ties, one row all below 0, one all above .5; k is not 2."""
    images, labels = int(rng.integers(6, 10)), int(rng.integers(8, 12))
    scores = np.stack([rng.permutation(4 * labels)[:labels] - 2.0 * labels
                       for _ in range(images)]) / 8
    one, other = rng.permutation(images)[:2]
    scores[one] -= 20
    scores[other] += 20
    return scores, int(rng.integers(3, 6))


def _with_ties(rng: np.random.Generator) -> tuple[Array, int]:
    """Long rows of few different scores: a sort that is not stable shows there."""
    images, labels = int(rng.integers(6, 10)), int(rng.integers(40, 60))
    return rng.integers(-3, 3, (images, labels)) / 8, int(rng.integers(12, 20))


def _with_cut(rng: np.random.Generator) -> tuple[Array, int, float]:
    """The cut is the k-th best score of a weak image, and not near 0.5."""
    scores, k = _no_ties(rng)
    labels = scores.shape[1]
    scores += rng.integers(0, labels, (len(scores), 1)) / 4
    weak = np.argsort(scores.max(axis=1))[1]  # the weakest of all reaches no cut
    cut = float(np.sort(scores[weak])[-k])
    return (scores, k, cut) if abs(cut - 0.5) > 1 else _with_cut(rng)


def _at_half(rng: np.random.Generator) -> tuple[Array, int]:
    """The k-th best score of one image is 0.5."""
    scores, k, cut = _with_cut(rng)
    weak = np.flatnonzero(np.sort(scores, axis=1)[:, -k] == cut)[0]
    scores[weak] += 0.5 - cut
    return scores, k


def _mask(scores: Array, columns: Array) -> Array:
    chosen = np.zeros(scores.shape, bool)
    np.put_along_axis(chosen, columns, True, axis=1)
    return chosen


def _always_wrongly(scores: Array, k: int) -> list[Mistake]:
    ranked = np.argsort(-scores, axis=1, kind="stable")
    best = _mask(scores, ranked[:, :k])
    over_images = np.argsort(-scores, axis=0, kind="stable")[:k]
    whole = np.zeros(scores.size, bool)
    whole[np.argsort(-scores.ravel(), kind="stable")[: k * len(scores)]] = True
    return [
        Mistake(f"Those are the {k} lowest scores; take the highest.",
                _mask(scores, ranked[:, ::-1][:, :k])),
        Mistake("You took the best images of each label (axis 0); take the best labels of each "
                "image (axis 1).", _mask(scores.T, over_images.T).T),
        Mistake("You took the highest scores of all images together; each image has k labels of "
                "its own.", whole.reshape(scores.shape)),
        Mistake("You left out labels with a low score: that is the other sense, top_k_confident. "
                "This one gives k labels, however low they score.", best & (scores >= 0.5)),
        Mistake("You left out labels with a score below 0. This sense gives k labels, however low "
                "they score.", best & (scores >= 0)),
        Mistake("You took one label more than k.", _mask(scores, ranked[:, : k + 1])),
        Mistake("You took one label less than k.", _mask(scores, ranked[:, : k - 1])),
        Mistake("You began with the second best label: the best has index 0.",
                _mask(scores, ranked[:, 1 : k + 1])),
        Mistake("You took 2 labels, the example's k; k is an argument.",
                _mask(scores, ranked[:, :2])),
    ]


def _ties_wrongly(scores: Array, k: int) -> list[Mistake]:
    last_first = _mask(scores, np.argsort(scores, axis=1, kind="stable")[:, ::-1][:, :k])
    kth = np.sort(scores, axis=1)[:, -k][:, None]
    return [
        Mistake("Of equal scores you took the higher columns: a sort turned round turns ties "
                'round, too. Sort the negative scores with kind="stable".', last_first),
        Mistake("You compared with the k-th score: with ties that takes more than k labels.",
                scores >= kth),
        Mistake("You took what is above the next score: with ties that takes fewer than k labels.",
                scores > kth),
    ]


def _confident_wrongly(scores: Array, k: int, cut: float) -> list[Mistake]:
    best = top_k_decisions(scores, k)
    return [
        Mistake("You left out labels that score exactly the cut; it is `cut` or more: >=, not >.",
                best & (scores > cut)),
        Mistake("You took every label that scores the cut or more; it is at most k of an image.",
                scores >= cut),
        Mistake("You gave k labels whatever they score; those below the cut do not count.", best),
        Mistake("You took labels in the best k or above the cut; both must hold.",
                best | (scores >= cut)),
        Mistake("You gave every image its best label at least; an image may have none.",
                (best & (scores >= cut)) | top_k_decisions(scores, 1)),
        Mistake("You took those of the best k that score less than the cut.",
                best & (scores < cut)),
        *([Mistake("You compared with 0.5; the cut is an argument.", best & (scores >= 0.5))]
          if cut != 0.5 else
          # elsewhere all or none of the probabilities reach the cut
          [Mistake("You took a sigmoid. Scores may be logits or probabilities, and are compared "
                   "with the cut as they are.", best & (scores >= 0))]),
        *(Mistake("Look at top_k_always first. " + words, value & (scores >= cut))
          for words, value in _always_wrongly(scores, k) if not _has_cut(value, best)),
    ]


def _has_cut(value: Array, best: Array) -> bool:
    """It leaves out some of the best k, and takes no other: a cut does so, too."""
    return bool((value <= best).all())
