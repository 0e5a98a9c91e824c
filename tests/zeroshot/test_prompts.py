"""Labels into sentences, and what cannot work is refused with its name."""

from __future__ import annotations

import pytest

from hybridlab.data.world import LABEL_NAMES, with_article
from hybridlab.zeroshot.prompts import build_prompts, in_sentence, normal_form


def test_labels_stand_in_sentences_with_their_article():
    prompts = build_prompts(["owl", "Cow", "headphones", "the sky"], ["a photo of {}", "{name}!"])
    assert prompts.texts == (
        ("a photo of an owl", "owl!"),
        ("a photo of a Cow", "Cow!"),
        ("a photo of headphones", "headphones!"),
        ("a photo of the sky", "the sky!"),
    )
    assert prompts.flat[2] == "a photo of a Cow" and prompts.owner == (0, 0, 1, 1, 2, 2, 3, 3)
    bare = build_prompts(["owl"], ["a photo of {}"], articles=False)
    assert bare.flat == ("a photo of owl",)


def test_the_article_is_the_worlds_and_is_given_once():
    for name in LABEL_NAMES:
        assert in_sentence(name) == with_article(name)
        assert in_sentence(with_article(name)) == with_article(name)
    assert in_sentence("a") == "an a"  # a label, not an article


def test_descriptions_follow_the_templates_and_may_replace_them():
    about = {"owl": ["a bird that hunts at night", "two big round eyes"]}
    prompts = build_prompts(["cow", "owl"], ["{}"], about)
    assert prompts.texts == (("a cow",), ("an owl", *about["owl"]))
    assert prompts.owner == (0, 1, 1, 1)
    assert build_prompts(["owl"], [], about).texts == (tuple(about["owl"]),)
    with pytest.raises(ValueError, match="'cow' has no sentence"):
        build_prompts(["cow", "owl"], [], about)


@pytest.mark.parametrize(
    ("labels", "templates", "about", "words"),
    [
        ([], ["{}"], None, "labels is empty"),
        (["cow", " _ "], ["{}"], None, "label 1 is ' _ '"),
        (["cow", "owl", "cow"], ["{}"], None, "'cow' stands at 0 and at 2"),
        (["fire_engine", "Fire  Engine"], ["{}"], None, "read alike.*'a fire engine'"),
        (["owl", "an owl"], ["{}"], None, "'owl' and 'an owl' read alike"),
        (["ﬁsh", "fish"], ["{}"], None, "read alike"),
        ([" owl", "owl"], ["{}"], None, "' owl' and 'owl' read alike"),
        (["_owl", "owl"], ["{}"], None, "read alike"),
        (["ｏｗｌ", "owl"], ["{}"], None, "read alike"),
        (["owl", "owl\u200b"], ["{}"], None, "read alike"),
        (["\u200b", "owl"], ["{}"], None, "label 0 is .* no words"),
        (["...", "owl"], ["{}"], None, "label 0 is '...', which has no words"),
        (["owl", "cow"], [], {"owl": ["a bird"], "cow": ["A  bird"]}, "have the same sentences"),
        (["owl"], ["a photo of a {}."], None, r"puts 'a' before \{\}, which brings the article"),
        (["owl"], ["The {} here"], None, "puts 'The' before"),
        (["cow"], ["a photo"], None, "'a photo' has no place"),
        (["cow"], [""], None, "no place"),
        (["cow"], ["a {{}}"], None, "no place"),
        (["cow"], ["a {label}"], None, r"the place \{label\}"),
        (["cow"], ["a {0}"], None, r"the place \{0\}"),
        (["cow"], ["a {!r}"], None, "which nothing fills"),
        (["cow"], ["a {:>9}"], None, "which nothing fills"),
        (["cow"], ["a {"], None, "cannot be read"),
        (["cow"], ["{}", "{}"], None, r"template '\{\}' stands at 0 and at 1"),
        (["cow"], [], None, "'cow' has no sentence"),
        (["cow"], ["{}"], {"cwo": ["moo"]}, "'cwo'.*did you mean 'cow'"),
        (["cow"], ["{}"], {"cow": [" "]}, "description of 'cow' is ' '"),
    ],
)
def test_what_cannot_work_is_named(labels, templates, about, words):
    with pytest.raises(ValueError, match=words):
        build_prompts(labels, templates, about)


def test_one_string_is_not_read_letter_by_letter():
    for labels, templates, about in (
        ("cow", ["{}"], None),
        (["cow"], "{}", None),
        (["cow"], ["{}"], {"cow": "moo"}),
        (["cow", 3], ["{}"], None),
    ):
        with pytest.raises(TypeError, match="give"):
            build_prompts(labels, templates, about)


def test_a_label_with_braces_is_only_text():
    assert build_prompts(["{x}"], ["see {}"]).flat == ("see a {x}",)
    twice = build_prompts(["owl"], ["{}, {{really}} {}: {name}."])
    assert twice.flat == ("an owl, {really} an owl: owl.",)
    assert normal_form("  A\tB_c ") == "a b c"


def test_words_up_to_the_label_are_counted():
    prompts = build_prompts(["fire engine"], ["a photo of {}, in rain", "{name}: {}", "so {{}} {}"])
    assert [prompts.words_to_label(0, k) for k in range(3)] == [6, 2, 5]


def test_generators_are_gone_through_once():
    made = build_prompts((each for each in ("owl", "cow")), (each for each in ("see {}",)))
    assert made.texts == (("see an owl",), ("see a cow",))


def test_templates_of_clip_bring_their_article():
    (bare,) = build_prompts(["owl"], ["a photo of a {}."], articles=False).flat
    assert bare == "a photo of a owl." == build_prompts(["owl"], ["a photo of a {name}."]).flat[0]


def test_labels_are_spoken_without_the_space_around_them():
    assert build_prompts([" owl ", "_crab"], ["see {}!"]).flat == ("see an owl!", "see a _crab!")
