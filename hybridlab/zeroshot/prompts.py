"""From labels to sentences: templates, descriptions, and what cannot work said before it costs.

A text encoder takes anything: an empty label, a template that forgot its label, two labels that
read alike. None of these raises an error there; each gives scores that mean nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from string import Formatter

from hybridlab.data.world import with_article

DEFAULT_PROMPTS = ("a picture of {}", "a photo of {}", "{}", "there is {} in the scene")
# Places in a template: `{}` takes the label as it stands in a sentence ("an owl"), `{name}` the
# bare label ("owl").
_PLACES = ("", "name")
_DETERMINERS = frozenset(
    (
        "a", "an", "the", "some", "any", "this", "that", "these", "those", "my", "your", "his",
        "her", "its", "our", "their", "one", "two", "three",
    )
)

# What a patch shows where no object is. Given with their determiners: "a grass" is no sentence.
BACKGROUNDS: tuple[str, ...] = (
    "the sky", "the ground", "some grass", "some water", "some snow", "a wall", "a floor",
    "a plain background", "an empty scene",
)


@dataclass(frozen=True)
class Prompts:
    """The sentences of every label.

    Attributes:
        labels: L names, as given.
        spoken: the same, as `{}` takes them.
        templates: K templates; the first K sentences of every label are theirs, in this order.
        texts: for each label its sentences: one per template, then its descriptions.
    """

    labels: tuple[str, ...]
    spoken: tuple[str, ...]
    templates: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]

    @property
    def flat(self) -> tuple[str, ...]:
        """All M sentences, label by label."""
        return tuple(text for texts in self.texts for text in texts)

    @property
    def owner(self) -> tuple[int, ...]:
        """The column of the label of each of the M sentences."""
        return tuple(at for at, texts in enumerate(self.texts) for _ in texts)

    def words_to_label(self, label: int, template: int) -> int:
        """How many words of a template's sentence run up to the label's first mention, with it."""
        said = _fill(self.templates[template], self.spoken[label], self.labels[label])
        return len("".join(said[:2]).split())


def build_prompts(
    labels: Sequence[str],
    templates: Sequence[str] = DEFAULT_PROMPTS,
    descriptions: Mapping[str, Sequence[str]] | None = None,
    *,
    articles: bool = True,
) -> Prompts:
    """Put every label into every template, and add what describes it.

    Args:
        labels: L names, in the order of the columns of targets.
        templates: each with `{}` (the label with its article) or `{name}` (the bare label). May be
            empty where every label has descriptions.
        descriptions: label -> whole sentences about it, which join its templates' sentences.
        articles: put "a" or "an" before a label in `{}`, unless it brings its own determiner
            ("an owl", "the sky"). False puts it there as it is: for templates that bring the
            article, such as CLIP's "a photo of a {}." (or write {name} there).

    Raises:
        TypeError: one string in place of a list of them, or something that is no string.
        ValueError: no labels; a label without words; labels that are equal, read alike or have the
            same sentences; a template without a place for the label, with an unknown place, with
            an article before one that brings its own, or given twice; a description of an unknown
            label or an empty one; a label without any sentence.
    """
    names = _strings(labels, "labels")
    forms = _strings(templates, "templates")
    if not names:
        raise ValueError("labels is empty; give at least one label")
    _check_labels(names, articles)
    for template in forms:
        _check_template(template, articles)
    _refuse_repeats(forms, "template")
    about = _check_descriptions(descriptions or {}, names)
    spoken = tuple(in_sentence(name) if articles else name for name in names)
    texts = []
    for name, said in zip(names, spoken, strict=True):
        from_templates = ["".join(_fill(form, said, name)) for form in forms]
        sentences = (*from_templates, *about.get(name, ()))
        if not sentences:
            raise ValueError(
                f"label {name!r} has no sentence: give templates, or a description of it"
            )
        texts.append(sentences)
    _refuse_twins(names, texts)
    return Prompts(names, spoken, forms, tuple(texts))


def in_sentence(label: str) -> str:
    """A label as it stands in a sentence: "owl" -> "an owl"; "the sky" stays as it is.

    The rule goes by the first letter: "hour" and "unicorn" come out wrong. Give such labels with
    their article.
    """
    label, plain = label.strip(), normal_form(label)
    first, _, more = plain.partition(" ")
    if not plain or (first in _DETERMINERS and more):
        return label
    return with_article(plain).removesuffix(plain) + label


def misspelled(label: str) -> str:
    """A label with two neighbouring letters of its longest word swapped: "tractor" -> "trcator".

    A control: an encoder that reads words, not letters, should lose by it. The swap is the one
    nearest the word's middle that changes it, so a label is always misspelt alike.

    Raises:
        ValueError: no two neighbouring letters differ, as in "a" or "aa".
    """
    words = label.split(" ")
    at = max(range(len(words)), key=lambda place: len(words[place]))
    word = words[at]
    swaps = [left for left in range(len(word) - 1) if word[left] != word[left + 1]]
    if not swaps:
        raise ValueError(f"label {label!r} has no two neighbouring letters to swap; leave it out")
    left = min(swaps, key=lambda place: abs(place + 1 - len(word) / 2))
    words[at] = word[:left] + word[left + 1] + word[left] + word[left + 2 :]
    return " ".join(words)


def normal_form(text: str) -> str:
    """What a text has in common with all that read alike: case, spaces, underscores, unicode form,
    letters that are not drawn (such as a space of width 0).

    Text encoders of CLIP's kind see lower case and single spaces only.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    drawn = "".join(each for each in plain if unicodedata.category(each) != "Cf")
    return " ".join(drawn.split())


def has_words(text: str) -> bool:
    """Whether anything in a text could be read: a letter, a digit, a sign; not commas alone."""
    return any(unicodedata.category(each)[0] in "LNS" for each in normal_form(text))


def _fill(template: str, spoken: str, name: str) -> list[str]:
    """The sentence in pieces: literal, label, literal, label, ...; `{}` may stand twice."""
    pieces = []
    open_piece = ""  # a written brace ends a literal where no place is
    for literal, place, _, _ in Formatter().parse(template):
        open_piece += literal
        if place is not None:
            pieces += [open_piece, name if place == "name" else spoken]
            open_piece = ""
    return [*pieces, open_piece]


def _strings(given: Sequence[str], what: str) -> tuple[str, ...]:
    if isinstance(given, str):
        raise TypeError(
            f"{what} is the one string {given!r}, which would be read letter by letter; give a "
            f"list: [{given!r}]"
        )
    texts = tuple(given)  # a generator can be gone through only once
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{what}[{at}] is {text!r}, a {type(text).__name__}; give strings")
    return texts


def _check_labels(names: tuple[str, ...], articles: bool) -> None:
    _refuse_repeats(names, "label")
    alike: dict[str, str] = {}
    for at, name in enumerate(names):
        if not has_words(name):
            raise ValueError(f"label {at} is {name!r}, which has no words; name it or leave it out")
        forms = {normal_form(name), normal_form(in_sentence(name) if articles else name)}
        for form in sorted(forms):
            other = alike.setdefault(form, name)
            if other != name:
                raise ValueError(
                    f"labels {other!r} and {name!r} read alike to a text encoder (both are "
                    f"{form!r}), so they would always score the same; rename one or leave it out"
                )


def _refuse_twins(names: tuple[str, ...], texts: Sequence[tuple[str, ...]]) -> None:
    first: dict[tuple[str, ...], str] = {}
    for name, sentences in zip(names, texts, strict=True):
        other = first.setdefault(tuple(sorted(map(normal_form, sentences))), name)
        if other != name:
            raise ValueError(
                f"labels {other!r} and {name!r} have the same sentences, so they would always "
                "score the same; describe them apart, or give templates"
            )


def _check_template(template: str, articles: bool) -> None:
    try:
        parsed = [part for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise ValueError(
            f"template {template!r} cannot be read ({error}); write {{}} for the label, and "
            "{{ or }} for a brace"
        ) from error
    if not parsed:
        raise ValueError(
            f"template {template!r} has no place for the label; write {{}} there, or {{name}} for "
            "the label without its article"
        )
    for before, place, form, conversion in parsed:
        if place not in _PLACES or form or conversion:
            raise ValueError(
                f"template {template!r} has the place {{{place}{conversion or form}}}, which "
                "nothing fills; the places are {} and {name}"
            )
        if articles and place == "" and before.casefold().split()[-1:] in (["a"], ["an"], ["the"]):
            raise ValueError(
                f"template {template!r} puts {before.split()[-1]!r} before {{}}, which brings the "
                "article itself (\"an owl\"); leave it out, write {name} there for the bare label, "
                "or give articles=False"
            )


def _refuse_repeats(texts: tuple[str, ...], what: str) -> None:
    first: dict[str, int] = {}
    for at, text in enumerate(texts):
        if text in first:
            raise ValueError(
                f"{what} {text!r} stands at {first[text]} and at {at}; give each {what} once"
            )
        first[text] = at


def _check_descriptions(
    descriptions: Mapping[str, Sequence[str]], names: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    known, checked = set(names), {}
    for name, sentences in descriptions.items():
        if name not in known:
            near = get_close_matches(str(name), names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"descriptions tell of {name!r}, which is no label{hint}")
        checked[name] = _strings(sentences, f"descriptions[{name!r}]")
        for sentence in checked[name]:
            if not normal_form(sentence):
                raise ValueError(f"a description of {name!r} is {sentence!r}; write a sentence")
        _refuse_repeats(checked[name], f"description of {name!r}:")
    return checked
