"""Check of lesson 03's bags of words (3.5, seed 004 baseline 1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from string import punctuation

import numpy as np

from hybridlab.grading.telling import own, telling
from hybridlab.grading.trial import Mistake, Trial

Array = np.ndarray
Drawn = tuple[list[str], list[str]]  # captions, vocabulary
Words = Callable[[str], list[str]]

# a word, and one that it hides in
_HIDDEN = (
    ("cat", "caterpillar"), ("car", "cartoon"), ("egg", "eggplant"), ("pea", "peacock"),
    ("ant", "elephant"), ("owl", "bowl"), ("ox", "fox"), ("bee", "beetle"), ("hen", "kitchen"),
    ("bat", "bathtub"), ("pen", "penguin"), ("ham", "hamster"),
)
_MARKED = (  # a mark inside, and a part that is a word, too
    ("t-shirt", "shirt"), ("ice-cream", "cream"), ("x-ray", "ray"), ("hot-dog", "dog"),
    ("jack-o'-lantern", "lantern"), ("rock'n'roll", "rock"), ("post-box", "box"),
)
_EXAMPLE = ["A cow, a cow and an egg!", "caterpillar", ""], ["cow", "egg", "a", "cat"]
_SHAPE = (
    "One row for each caption, those without a known word too, and one column for each word of the "
    "vocabulary. Beginning with zeros of that shape makes all cases right, no captions included."
)
_CRASHES = {
    "ValueError": "If it is vocabulary.index(...): it raises where a word is not there. Ask first "
                  "whether it is, and go on to the next word if not.",
    "KeyError": "A word that the vocabulary lacks is no key: ask first whether it is there, and go "
                "on to the next word if not.",
    "IndexError": "If a caption has no word, or there is no caption: begin with zeros of the whole "
                  "shape, and fill in what is there.",
}
_ALL_MARKS = (
    "Look at capitals and marks first: caption.lower() takes care of the ones, "
    "word.strip(string.punctuation) of the others at both ends of a word."
)


def check_bow_targets(trial: Trial) -> None:
    """Targets of captions with hidden words, marks, capitals, odd spaces, and of nothing."""
    title = "captions (rows) by words (columns)"
    with trial.part("the worked example", _CRASHES):
        right = _bag(*_EXAMPLE)
        trial.equal(trial.call("bow_targets", *_EXAMPLE), right, "the targets of the example",
                    own(right, _bagged_wrongly(*_EXAMPLE)), picture=title, hint=_ALL_MARKS,
                    shape_hint=_SHAPE)
    with trial.part("any captions", _CRASHES):
        rng = trial.rng
        (captions, vocabulary), right, mistakes = telling(
            lambda: _captions(rng),
            lambda drawn: (_bag(*drawn), _bagged_wrongly(*drawn)),
        )
        trial.equal(trial.call("bow_targets", captions, vocabulary), right, "the targets", mistakes,
                    picture=title, hint=_ALL_MARKS, shape_hint=_SHAPE)
        order = [int(at) for at in rng.permutation(len(vocabulary))]
        again = [vocabulary[at] for at in order]
        trial.equal(trial.call("bow_targets", captions, again), right[:, order],
                    "the targets with the vocabulary in another order", picture=title,
                    hint="Columns follow the order of the vocabulary.")
    with trial.part("marks inside words, lines and spaces", _CRASHES):
        rng = trial.rng
        (captions, vocabulary), right, mistakes = telling(
            lambda: _marked(rng), lambda drawn: (_bag(*drawn), _split_wrongly(*drawn))
        )
        trial.equal(trial.call("bow_targets", captions, vocabulary), right,
                    "the targets of captions with hyphens, apostrophes and odd spaces", mistakes,
                    picture=title, hint=_ALL_MARKS, shape_hint=_SHAPE)
    with trial.part("nothing to find", _CRASHES):
        captions, vocabulary = _captions(trial.rng)
        some = ["", "?!", "unheard of", captions[0]]
        trial.equal(trial.call("bow_targets", some, vocabulary), _bag(some, vocabulary),
                    "the targets of captions without a known word, and of one with",
                    [_last_column(some, vocabulary)], picture=title, hint=_ALL_MARKS,
                    shape_hint=_SHAPE)
        trial.equal(trial.call("bow_targets", [], vocabulary), np.zeros((0, len(vocabulary))),
                    "the result for no captions", shape_hint=_SHAPE)


def _right_words(caption: str) -> list[str]:
    return [word.strip(punctuation) for word in caption.lower().split()]


def _counts(captions: Sequence[str], vocabulary: Sequence[str], words: Words) -> Array:
    return np.array([[words(caption).count(word) for word in vocabulary] for caption in captions],
                    dtype=float)


def _bag(
    captions: Sequence[str], vocabulary: Sequence[str], words: Words = _right_words
) -> Array:
    """(B, V) of 0 and 1."""
    return (_counts(captions, vocabulary, words) > 0).astype(float)


def _captions(rng: np.random.Generator) -> Drawn:
    """The vocabulary is not sorted, and lacks some words that hide in others, or hide others."""
    pairs = [_HIDDEN[at] for at in rng.permutation(len(_HIDDEN))[:5]]
    known = ["a", *pairs[0], *pairs[1], pairs[2][0], pairs[3][1], pairs[4][1]]
    others = [pairs[2][1], pairs[3][0], pairs[4][0], "zebra"]
    vocabulary = [known[at] for at in rng.permutation(len(known))]
    captions = []
    for _ in range(int(rng.integers(6, 9))):
        nouns = [str(each) for each in rng.choice([*known[1:], *others], int(rng.integers(1, 4)))]
        words = [word for noun in nouns for word in (str(rng.choice(["a", "the"])), noun)]
        captions.append(" ".join(_written(rng, word) for word in words))
    return captions, vocabulary


def _written(rng: np.random.Generator, word: str) -> str:
    """As people write: a capital here, marks before or after there."""
    ways = (word, word.capitalize(), word.upper())
    word = ways[rng.choice(3, p=[0.6, 0.25, 0.15])]
    before = str(rng.choice(["", '"', "("], p=[0.8, 0.1, 0.1]))
    after = str(rng.choice(["", ",", ".", "!", ";", ")", '?"'], p=[0.5, *[0.5 / 6] * 6]))
    return before + word + after


def _marked(rng: np.random.Generator) -> Drawn:
    """Whole words with a mark inside, their parts, and every kind of space between."""
    pairs = [_MARKED[at] for at in rng.permutation(len(_MARKED))[:4]]
    known = [word for pair in pairs for word in pair]
    vocabulary = [known[at] for at in rng.permutation(len(known))]
    captions = []
    for _ in range(6):
        words = [_written(rng, str(each)) for each in rng.choice(known, int(rng.integers(2, 5)))]
        spaces = [str(each) for each in rng.choice([" ", "  ", "\n", "\t", " - "], len(words))]
        captions.append("".join(space + word for space, word in zip(spaces, words, strict=True)))
    return captions, vocabulary


def _bagged_wrongly(captions: Sequence[str], vocabulary: Sequence[str]) -> list[Mistake]:
    right, counts = _bag(captions, vocabulary), _counts(captions, vocabulary, _right_words)
    sizes = np.array([[max(1, len(_right_words(caption)))] for caption in captions])
    ordered = [vocabulary.index(word) for word in sorted(vocabulary)]

    def cleaned(clean: Callable[[str], str], lower: bool = True) -> Array:
        return _bag(captions, vocabulary, lambda caption: [
            clean(word) for word in (caption.lower() if lower else caption).split()
        ])

    def found(match: Callable[[str, str], bool]) -> Array:
        return np.array([
            [float(any(match(known, word) for word in _right_words(caption)))
             for known in vocabulary] for caption in captions
        ])

    return [
        Mistake('You looked for a word anywhere in the text, so that "caterpillar" has a cat. '
                "Split the caption into words, and compare whole ones.",
                found(lambda known, word: known in word)),
        Mistake("You looked for a caption's words inside the vocabulary's words; compare whole "
                "words.", found(lambda known, word: word != "" and word in known)),
        Mistake('You compared the beginnings of words, so that "caterpillar" begins with a cat; '
                "compare whole words.", found(lambda known, word: word.startswith(known))),
        Mistake("Those are counts: a word that stands twice counts once. The question is whether "
                "it is there.", counts),
        Mistake("Those are shares of the caption's words; a target is 1 where a word is there, and "
                "0 where it is not.", counts / sizes),
        Mistake('Marks are still on your words: "cow," is not "cow". '
                "word.strip(string.punctuation) takes them off.", cleaned(lambda word: word)),
        Mistake("You took marks off the end of words only; they stand before words, too: "
                "word.strip(...).", cleaned(lambda word: word.rstrip(punctuation))),
        Mistake("You took marks off the beginning of words only; most stand behind words: "
                "word.strip(...).", cleaned(lambda word: word.lstrip(punctuation))),
        Mistake("You took off full stops and commas only; string.punctuation holds all marks.",
                cleaned(lambda word: word.strip(".,"))),
        Mistake('Capitals count in your comparison: "Cow" is the word cow. caption.lower() comes '
                "first.", cleaned(lambda word: word.strip(punctuation), lower=False)),
        Mistake("Your columns are sorted by the alphabet; they follow the order of the vocabulary.",
                right[:, ordered]),
        Mistake("Your columns are one too far to the right: the first word has column 0.",
                np.roll(right, 1, axis=1)),
        Mistake("You marked what is not there: 1 is for words of the caption, 0 for the others.",
                1 - right),
        _last_column(captions, vocabulary),
    ]


def _last_column(captions: Sequence[str], vocabulary: Sequence[str]) -> Mistake:
    value = _bag(captions, vocabulary)
    unknown = [bool({*_right_words(caption)} - {*vocabulary}) for caption in captions]
    value[unknown, -1] = 1
    return Mistake("Unknown words went to the last column: index -1 is the last one. Leave out "
                   "words that the vocabulary lacks.", value)


def _split_wrongly(captions: Sequence[str], vocabulary: Sequence[str]) -> list[Mistake]:
    def parts(text: str) -> list[str]:
        return re.findall(r"[a-z]+", text.lower())

    def without(text: str) -> list[str]:
        return text.lower().translate(str.maketrans("", "", punctuation)).split()

    def at_blanks(text: str) -> list[str]:
        return [word.strip(punctuation) for word in text.lower().split(" ")]

    return [
        Mistake('You split words at marks inside them: "t-shirt" is one word here. Words stand '
                "between spaces; marks are taken off their ends only.",
                _bag(captions, vocabulary, parts)),
        Mistake('You removed marks inside words, too: "t-shirt" became "tshirt". Take them off the '
                "ends only: word.strip(string.punctuation).", _bag(captions, vocabulary, without)),
        Mistake('You split at single blanks: lines and tabs separate words, too. caption.split() '
                "without an argument splits at all of them.",
                _bag(captions, vocabulary, at_blanks)),
    ]
