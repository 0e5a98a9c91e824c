"""The bank against encoding by hand; the cache bit for bit; what a tokenizer cuts is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hybridlab.data.world import LABEL_NAMES, with_article
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.zeroshot.prompts import build_prompts
from hybridlab.zeroshot.text_bank import CHUNK, ensemble, label_embeddings, text_bank
from hybridlab.zeroshot.truncation import TruncatedPromptWarning

TEMPLATES = ("a photo of {}", "{}", "a {name} in the snow")
LABELS = ("cow", "owl", "fire engine")


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return build_tiny_clip(pretrained=False).eval()


class Counted:
    """A text encoder that counts the texts it is asked for; its tokenizer is SigLIP's kind: cut
    from the right, padded with its end mark, and that mark kept."""

    name = "counted"
    length = 8

    def __init__(self, scale: float = 1.0, weights: str = "w1"):
        self.asked: list[str] = []
        self.scale, self.weights = scale, weights

    def tokenizer(self, texts):
        rows = []
        for text in texts:
            ids = [2 + sum(map(ord, word.lower())) for word in text.split()][: self.length - 1]
            rows.append(ids + [1] * (self.length - len(ids)))
        return torch.tensor(rows)

    def encode_text(self, texts):
        self.asked += texts
        return self.scale * F.normalize(self.tokenizer(texts).double().sin().float(), dim=1)

    def weights_hash(self):
        return self.weights


def test_the_ensemble_is_the_normalised_mean_of_unit_vectors(tiny):
    about = {"owl": ["a bird of the night"]}
    bank = text_bank(tiny, build_prompts(LABELS, TEMPLATES, about))
    assert bank.embeddings.shape == (10, tiny.dim) and not bank.embeddings.requires_grad
    for at, texts in enumerate(bank.prompts.texts):
        mean = np.mean([tiny.encode_text([t])[0].detach().numpy() for t in texts], axis=0)
        assert np.allclose(bank.text_emb[at], mean / np.linalg.norm(mean), atol=1e-5)
    assert torch.allclose(bank.text_emb.norm(dim=1), torch.ones(3), atol=1e-6)


def test_per_prompt_keeps_templates_apart_and_leaves_descriptions_out(tiny):
    about = {"cow": ["it gives milk", "it has horns"], "owl": ["a bird of the night"]}
    bank = text_bank(tiny, build_prompts(LABELS, TEMPLATES, about))
    assert bank.per_prompt.shape == (3, 3, tiny.dim)
    for k in range(3):
        by_hand = tiny.encode_text([texts[k] for texts in bank.prompts.texts])
        assert torch.allclose(bank.per_prompt[k], by_hand, atol=1e-5)
    only = text_bank(tiny, build_prompts(["cow"], [], {"cow": ["moo"]}))
    with pytest.raises(ValueError, match="no templates"):
        _ = only.per_prompt


@torch.no_grad()
def test_label_embeddings_average_unit_vectors(tiny):
    labels, prompts = ["a cow", "an owl", "a car"], ["a photo of {}", "{}"]
    each = [tiny.encode_text([p.format(label) for label in labels]) for p in prompts]
    expected = F.normalize(sum(each) / 2, dim=-1)
    assert torch.allclose(label_embeddings(tiny, labels, prompts), expected, atol=1e-5)


def test_label_embeddings_are_a_bank_of_labels_with_their_articles(tiny):
    ours = text_bank(tiny, build_prompts(LABEL_NAMES[:20])).text_emb
    theirs = label_embeddings(tiny, [with_article(name) for name in LABEL_NAMES[:20]])
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("labels", "prompts", "words"), [
    ([], ["{}"], "labels is empty"), (["a cow"], [], "has no sentence"),
    (["a cow"], ["a photo"], "no place"), (["a cow"], ["a {!r}"], "!r"), (["a cow"], ["{"], "{"),
    (["hot_dog", "hot dog"], ["{}"], "read alike"),
    (["a cow"], ["very " * 100 + "{}"], "cut off"),
])
def test_label_embeddings_refuse_what_a_bank_refuses(tiny, labels, prompts, words):
    with pytest.raises(ValueError, match=words):
        label_embeddings(tiny, labels, prompts)


def test_label_embeddings_tell_what_was_cut(tiny):
    with pytest.warns(TruncatedPromptWarning):
        label_embeddings(tiny, ["a cow", "an owl"], ["{} " + "very " * 100])


def test_what_is_read_is_bit_for_bit_what_is_computed(tiny, tmp_path):
    prompts = build_prompts(LABEL_NAMES[: CHUNK // 2 + 3], TEMPLATES)  # more than one chunk
    fresh = text_bank(tiny, prompts).embeddings
    for _ in range(2):
        assert torch.equal(text_bank(tiny, prompts, tmp_path).embeddings, fresh)
    assert len(list(tmp_path.glob("texts-*.safetensors"))) == 1


def test_the_cache_spares_the_encoder_and_knows_what_it_depends_on(tmp_path):
    def asked(weights="w1", labels=LABELS, templates=TEMPLATES, **changes):
        encoder = Counted(weights=weights)
        for name, value in changes.items():
            setattr(encoder, name, value)
        text_bank(encoder, build_prompts(labels, templates), tmp_path)
        return len(encoder.asked)

    assert asked() == 9 and asked() == 0
    assert asked(weights="w2") == 9 and asked(templates=TEMPLATES[::-1]) == 9
    assert asked(labels=("cow", "owl", "car")) == 9 and asked(labels=LABELS[::-1]) == 9
    assert asked(length=9) == 9 and asked(name="another") == 9  # the tokenizer; the model
    assert asked() == 0


def test_a_changed_weight_of_a_real_model_is_another_file(tiny, tmp_path):
    prompts = build_prompts(LABELS, TEMPLATES)
    before = text_bank(tiny, prompts, tmp_path).embeddings
    table = tiny.model.token_embedding.weight
    old = table.detach().clone()
    with torch.no_grad():
        table += 0.1 * torch.randn(table.shape, generator=torch.Generator().manual_seed(1))
        after = text_bank(tiny, prompts, tmp_path).embeddings
        table.copy_(old)
    assert not torch.allclose(before, after)
    assert torch.equal(text_bank(tiny, prompts, tmp_path).embeddings, before)


@pytest.mark.parametrize("damage", ["cut", "flipped", "another", "empty"])
def test_a_damaged_file_is_computed_anew_and_replaced(tmp_path, damage):
    from safetensors.torch import save_file

    prompts = build_prompts(LABELS, TEMPLATES)
    first = text_bank(Counted(), prompts, tmp_path).embeddings
    (file,) = tmp_path.glob("texts-*.safetensors")
    raw = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(raw[: len(raw) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "flipped":
        raw[-40] ^= 1  # a bit of the embeddings or of their checksum
        file.write_bytes(raw)
    else:
        save_file({"embeddings": torch.ones(2, 2)}, file)
    encoder = Counted()
    assert torch.equal(text_bank(encoder, prompts, tmp_path).embeddings, first)
    assert len(encoder.asked) == 9
    assert torch.equal(text_bank(encoder, prompts, tmp_path).embeddings, first)
    assert len(encoder.asked) == 9  # the good file is back


def test_the_same_sentence_is_encoded_once():
    encoder = Counted()
    both = {"crow": ["a black bird"], "raven": ["a black bird"]}
    bank = text_bank(encoder, build_prompts(list(both), ["{}"], both))
    assert encoder.asked == ["a crow", "a black bird", "a raven"]
    assert torch.equal(bank.embeddings[1], bank.embeddings[3])


def test_lost_words_are_told(tiny):
    long = "{} " + " ".join(f"w{at}" for at in range(40))
    prompts = build_prompts(LABELS, ["a photo of {}", long])
    with pytest.warns(TruncatedPromptWarning, match="reads 32 tokens, and 3 prompts are longer"):
        bank = text_bank(tiny, prompts)
    # "a cow" is 2 of 30 tokens, each "w7" is 2 or 3 ("w", "7"; "w", "1", "2")
    ids = tiny.tokenizer
    for cut in bank.cut:
        words = cut.text.split()
        assert cut.lost == tuple(words[cut.kept :]) and cut.lost
        whole, more = " ".join(words[: cut.kept]), " ".join(words[: cut.kept + 1])
        # by definition: what is kept leaves no room for the whole next word
        assert int((ids([whole]) != 0).sum()) <= 32
        assert len(ids.encode(whole)) <= 30 < len(ids.encode(more))


def test_a_prompt_that_just_fits_is_not_called_cut(tiny):
    fits = "{} " + "x " * 28  # a cow + 28 words: 30 tokens, the whole room
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not text_bank(tiny, build_prompts(["cow"], [fits])).cut
    with pytest.warns(TruncatedPromptWarning, match="loses 'y'"):
        text_bank(tiny, build_prompts(["cow"], [fits + "y"]))


def test_tokenizers_that_fill_with_their_end_mark_are_understood():
    encoder = Counted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text_bank(encoder, build_prompts(["cow"], ["{} one two three four five"]))  # 7 words
    with pytest.warns(TruncatedPromptWarning, match="loses 'six seven'"):
        bank = text_bank(encoder, build_prompts(["cow"], ["{} one two three four five six seven"]))
    assert bank.cut[0].kept == 7


def test_a_label_that_is_cut_off_is_an_error_not_a_warning(tiny):
    late = "word " * 30 + "{}"
    with pytest.raises(ValueError, match=r"'owl' is cut off.*loses 'an owl'"):
        text_bank(tiny, build_prompts(["owl"], [late]))
    with pytest.raises(ValueError, match=r"'owl' is cut off.*loses 'owl'"):  # "an" just fits
        text_bank(tiny, build_prompts(["owl"], ["word " * 29 + "{}"]))
    with pytest.raises(ValueError, match="is cut off"):  # in part
        text_bank(tiny, build_prompts(["word " * 40], ["{}"]))
    with pytest.warns(TruncatedPromptWarning):  # its first mention is there
        text_bank(tiny, build_prompts(["owl"], ["{} " + late]))


def test_labels_with_the_same_tokens_are_refused():
    class Deaf(Counted):  # knows no digits
        def tokenizer(self, texts):
            return super().tokenizer(["".join(c for c in t if not c.isdigit()) for t in texts])

    with pytest.raises(ValueError, match="'car 1' and 'car 2' have the same tokens"):
        text_bank(Deaf(), build_prompts(["car 1", "car 2"]))


def test_vectors_of_another_length_or_nan_are_refused_and_not_kept(tmp_path):
    for scale, words in ((3.0, "length 3"), (float("nan"), "nan")):
        with pytest.raises(ValueError, match=f"embeddings of counted.*{words}"):
            text_bank(Counted(scale=scale), build_prompts(LABELS, TEMPLATES), tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_an_ensemble_without_direction_is_refused():
    one = torch.tensor([[1.0, 0], [-1, 0], [0, 1]])
    with pytest.raises(ValueError, match=r"'a' has no direction: .*cancel"):
        ensemble(one, [0, 0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="'b' has no direction: it has no sentence"):
        ensemble(one[2:], [0], ["a", "b"])
    with pytest.raises(ValueError, match="names 2 rows"):
        ensemble(one, [0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="from 0 to 2"):
        ensemble(one, [0, 1, 2], ["a", "b"])
    with pytest.raises(ValueError, match="length 2"):
        ensemble(2 * one, [0, 0, 1], ["a", "b"])


def test_a_file_is_no_cache(tmp_path, tiny):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="which is a file; give a folder"):
        text_bank(tiny, build_prompts(["owl"]), tmp_path / "file")
