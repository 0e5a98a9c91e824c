"""What a captioner says: greedy words against doing it by hand, ends, and bad input."""

import pytest
import torch

from hybridlab.data.captioned import CaptionedPictures
from hybridlab.pretraining.likelihood import token_log_probs
from hybridlab.pretraining.methods import build_method
from hybridlab.pretraining.pairs import draw_pairs
from hybridlab.pretraining.speaking import greedy_captions
from hybridlab.pretraining.trunk import to_pixels
from hybridlab.pretraining.words import END, SPECIALS, WordVocabulary

VOCABULARY = WordVocabulary(["a", "cow", "egg"], context=6)


class Told:
    """A decoder that says fixed words: row b of `script`, whatever the picture."""

    vocabulary = VOCABULARY

    def __init__(self, script: list[list[int]]):
        self.script = script

    def read(self, seen: object) -> torch.Tensor:
        return torch.zeros(len(self.script), 1, 2)

    def logits(self, memory: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(len(tokens), tokens.shape[1] - 1, VOCABULARY.tokens)
        for row, said in enumerate(self.script):
            for place in range(out.shape[1]):
                out[row, place, said[min(place, len(said) - 1)]] = 1.0
        return out


A, COW, EGG = (SPECIALS + at for at in range(3))


def test_it_says_what_is_most_likely_and_stops_at_the_end() -> None:
    told = Told([[A, COW, END], [EGG, END], [END]])
    # the last would end before its first word: of the words, all alike, it says the first
    assert greedy_captions(told, None) == ["a cow", "egg", "a"]


def test_a_caption_without_an_end_is_cut() -> None:
    assert greedy_captions(Told([[A]]), None) == ["a a a a"]
    assert greedy_captions(Told([[A]]), None, most=2) == ["a a"]


@pytest.mark.parametrize("most", [0, 5])
def test_a_number_of_words_that_has_no_room_is_refused(most: int) -> None:
    with pytest.raises(ValueError, match="give 1 to 4 words"):
        greedy_captions(Told([[A]]), None, most=most)


@pytest.mark.parametrize("name", ["prefix", "cross"])
def test_each_word_is_the_best_by_the_captioner_s_own_log_p(name: str) -> None:
    method = build_method(name, VOCABULARY, seed=0, pretrained=False).eval()
    pairs = draw_pairs(CaptionedPictures(64, seed=3), 0, 3)
    with torch.no_grad():
        seen = method(to_pixels(pairs.images))
        memory = method.head.read(seen)
    for row, caption in enumerate(greedy_captions(method.head, seen)):
        said: list[str] = []
        for word in [*caption.split(), None][: VOCABULARY.context - 2]:
            found = {each: log_p(method.head, memory[row : row + 1], said, each)
                     for each in (*VOCABULARY.words, *([None] if said else []))}
            assert max(found, key=lambda each: found[each]) == word, (row, caption)
            said.append(str(word))


def log_p(head: torch.nn.Module, memory: torch.Tensor, said: list[str], word: str | None) -> float:
    """log p of the next word, or of the end (None), after what was said."""
    tokens = VOCABULARY.encode([" ".join([*said, word] if word else said)])
    with torch.no_grad():
        each = token_log_probs(head.logits(memory, tokens), tokens)
    return float(each[0, len(said)])
