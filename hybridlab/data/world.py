"""The small world: ten contexts of eight labels, and the dials of its scenes.

Every label is a real emoji (Twemoji art) with a name that fits into a prompt. Labels of one
context like to appear together, and each has one *partner* it likes best (sailboat and anchor),
so that "do labels help to predict labels?" has a true answer that a dial sets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from hybridlab.data.sample import Vocabulary

# context -> four pairs of partners; each label is (name, emoji).
CONTEXTS: dict[str, tuple[tuple[tuple[str, str], tuple[str, str]], ...]] = {
    "farm": (
        (("cow", "🐄"), ("glass of milk", "🥛")),
        (("tractor", "🚜"), ("sheaf of wheat", "🌾")),
        (("pig", "🐖"), ("ear of corn", "🌽")),
        (("rooster", "🐓"), ("sunflower", "🌻")),
    ),
    "kitchen": (
        (("salt shaker", "🧂"), ("egg", "🥚")),
        (("loaf of bread", "🍞"), ("stick of butter", "🧈")),
        (("kitchen knife", "🔪"), ("cheese wedge", "🧀")),
        (("teapot", "🫖"), ("spoon", "🥄")),
    ),
    "street": (
        (("car", "🚗"), ("traffic light", "🚦")),
        (("bus", "🚌"), ("bus stop sign", "🚏")),
        (("fire engine", "🚒"), ("police car", "🚓")),
        (("bicycle", "🚲"), ("motor scooter", "🛵")),
    ),
    "ocean": (
        (("sailboat", "⛵"), ("anchor", "⚓")),
        (("whale", "🐋"), ("dolphin", "🐬")),
        (("crab", "🦀"), ("seashell", "🐚")),
        (("octopus", "🐙"), ("tropical fish", "🐠")),
    ),
    "space": (
        (("rocket", "🚀"), ("astronaut", "🧑‍🚀")),
        (("flying saucer", "🛸"), ("alien", "👽")),
        (("ringed planet", "🪐"), ("telescope", "🔭")),
        (("satellite", "🛰️"), ("comet", "☄️")),
    ),
    "forest": (
        (("chipmunk", "🐿️"), ("chestnut", "🌰")),
        (("deciduous tree", "🌳"), ("owl", "🦉")),
        (("red mushroom", "🍄"), ("hedgehog", "🦔")),
        (("deer", "🦌"), ("maple leaf", "🍁")),
    ),
    "stage": (
        (("guitar", "🎸"), ("drum", "🥁")),
        (("microphone", "🎤"), ("headphones", "🎧")),
        (("violin", "🎻"), ("piano keyboard", "🎹")),
        (("saxophone", "🎷"), ("trumpet", "🎺")),
    ),
    "office": (
        (("laptop", "💻"), ("computer mouse", "🖱️")),
        (("pencil", "✏️"), ("ruler", "📏")),
        (("telephone", "☎️"), ("briefcase", "💼")),
        (("paperclip", "📎"), ("pair of scissors", "✂️")),
    ),
    "sports field": (
        (("soccer ball", "⚽"), ("goal net", "🥅")),
        (("trophy", "🏆"), ("medal", "🏅")),
        (("basketball", "🏀"), ("running shoe", "👟")),
        (("table tennis paddle", "🏓"), ("tennis ball", "🎾")),
    ),
    "winter": (
        (("snowman", "⛄"), ("scarf", "🧣")),
        (("pair of skis", "🎿"), ("pair of gloves", "🧤")),
        (("penguin", "🐧"), ("ice skate", "⛸️")),
        (("sled", "🛷"), ("evergreen tree", "🌲")),
    ),
}

CONTEXT_NAMES: tuple[str, ...] = tuple(CONTEXTS)
LABELS_PER_CONTEXT = 8

_ALL = [label for pairs in CONTEXTS.values() for pair in pairs for label in pair]
LABEL_NAMES: tuple[str, ...] = tuple(name for name, _ in _ALL)
LABEL_EMOJI: tuple[str, ...] = tuple(symbol for _, symbol in _ALL)
WORLD = Vocabulary(LABEL_NAMES)

# These never appear in the scenes that the tiny CLIP is pretrained on (it has seen them only as
# single emoji), so that "labels never trained" can be tested. The card of the weights says so.
HELD_OUT: tuple[str, ...] = (
    "glass of milk",
    "rooster",
    "stick of butter",
    "teapot",
    "bicycle",
    "crab",
    "dolphin",
    "satellite",
    "telescope",
    "hedgehog",
    "trumpet",
    "violin",
    "pair of scissors",
    "tennis ball",
    "sled",
    "pair of gloves",
)

STYLES = ("colour", "grey", "sketch", "openmoji")
COLOURLESS = ("grey", "sketch")  # styles that take the colours of the background too


def context_of(label: int) -> int:
    """Column of a label -> index of its context."""
    return label // LABELS_PER_CONTEXT


def partner_of(label: int) -> int:
    """Column of a label -> column of the label it likes best to appear with."""
    return label ^ 1


def with_article(name: str) -> str:
    """A label name with its indefinite article: "an owl", "a cow", "headphones"."""
    if name in ("headphones",):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


@dataclass(frozen=True)
class SceneConfig:
    """The dials of the world. Every one has a default that runs.

    Attributes:
        cooccurrence: 0 draws labels independently, 1 only from one context per scene. How often
            each label appears does not depend on it (exactly so at `imbalance` 0).
        clutter: 0 few objects and no overlap, 1 many objects that overlap.
        background_hint: probability that the background is that of the scene's context;
            otherwise it is that of a context drawn at random.
        imbalance: within a context the label of rank r is drawn in proportion to
            (r + 1) ** -imbalance; 0 is balanced, 1 a long tail.
        missing: share of entries of `targets` that are not annotated (-1).
        style: "colour" (the art as it is), "grey", "sketch" (outlines), or "openmoji" (another
            artist's emoji; needs the extra "styles"). Labels, and where each object stands and how
            large, are the same in all. Boxes fit the art: an artist who draws a whale longer gives
            it another box, and so other shares of `visible` and, now and then, other facts.
        image_size: side of the square image in pixels, 64 to 224.
        seed: another seed is another world of scenes.
    """

    cooccurrence: float = 0.75
    clutter: float = 0.5
    background_hint: float = 0.0
    imbalance: float = 0.5
    missing: float = 0.0
    style: str = "colour"
    image_size: int = 96
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("cooccurrence", "clutter", "background_hint", "imbalance", "missing"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:  # also refuses NaN
                raise ValueError(f"{name} is {value}, but it is a dial from 0 to 1")
        if self.style not in STYLES:
            raise ValueError(f"style is {self.style!r}; known styles: {', '.join(STYLES)}")
        if not (isinstance(self.image_size, int) and 64 <= self.image_size <= 224):
            raise ValueError(f"image_size is {self.image_size!r}; give a whole number, 64 to 224")
        if not (isinstance(self.seed, int) and 0 <= self.seed < 2**32):
            raise ValueError(f"seed is {self.seed!r}; give a whole number from 0 to 2**32 - 1")

    def to_dict(self) -> dict[str, object]:
        """The dials as a dictionary that `SceneConfig(**d)` reads back."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
