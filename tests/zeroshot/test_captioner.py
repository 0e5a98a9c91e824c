"""Captions as labels: a hand-made captioner, and open_clip's CoCa at a tiny size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hybridlab.evaluation.metrics import average_precision_per_label
from hybridlab.zeroshot.captioner import caption_scores, label_scores
from hybridlab.zeroshot.coca import CocaCaptioner

CAPTIONS = ("an owl", "a glass of milk", "a cow")
WORDS = ("an", "owl", "a", "glass", "of", "milk", "cow", "<end>")


class ByHand:
    """Each word has a probability that the picture's first pixels set; words are independent."""

    def __init__(self):
        self.asked: list[int] = []

    def log_probs(self, pixels, captions):
        self.asked.append(len(pixels))
        logits = pixels.flatten(1)[:, : len(WORDS)]
        each = torch.log_softmax(logits, dim=1)  # (B, V)
        said = [[WORDS.index(word) for word in (*one.split(), "<end>")] for one in captions]
        sums = torch.stack([each[:, at].sum(dim=1) for at in said], dim=1)
        return sums, torch.tensor([len(at) for at in said])


def pictures(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, 2, 2, generator=torch.Generator().manual_seed(seed))


def test_sums_favour_short_names_and_means_do_not():
    """trap 6: where every word is as likely as the next, the picture says nothing at all."""
    blank = torch.zeros(1, 3, 2, 2)
    summed = label_scores(ByHand(), blank, CAPTIONS, "sum")[0]
    assert summed[0] == summed[2] > summed[1]
    assert float(summed[0] - summed[1]) == pytest.approx(2 * np.log(8), abs=1e-5)
    mean = label_scores(ByHand(), blank, CAPTIONS)[0]
    assert torch.allclose(mean, mean[:1].expand(3), atol=1e-6)
    # over many random pictures, the long name is hardly ever the best by its sum
    first = {how: float((label_scores(ByHand(), pictures(500), CAPTIONS, how).argmax(1) == 1)
                        .float().mean()) for how in ("sum", "mean")}
    assert first["sum"] < 0.05 and 0.2 < first["mean"] < 0.6


def test_normalising_moves_no_ap_but_moves_the_first_place():
    pixels = pictures(60)
    targets = (torch.rand(60, 3, generator=torch.Generator().manual_seed(1)) < 0.4).int()
    summed, mean = (label_scores(ByHand(), pixels, CAPTIONS, how) for how in ("sum", "mean"))
    assert np.allclose(average_precision_per_label(summed, targets),
                       average_precision_per_label(mean, targets))
    assert not torch.equal(summed.argmax(1), mean.argmax(1))


def test_scores_are_logs_of_products_and_of_geometric_means():
    sums, lengths = ByHand().log_probs(pictures(4), CAPTIONS)
    probs = torch.softmax(pictures(4).flatten(1)[:, :8], dim=1)
    product = probs[:, 0] * probs[:, 1] * probs[:, 7]
    assert torch.allclose(caption_scores(sums, lengths, "sum")[:, 0].exp(), product)
    assert torch.allclose(caption_scores(sums, lengths)[:, 0].exp(), product ** (1 / 3))
    by_image = lengths[None].expand(4, 3)
    assert torch.equal(caption_scores(sums, by_image), caption_scores(sums, lengths))


def test_images_go_in_chunks_that_change_nothing():
    whole, parts = ByHand(), ByHand()
    assert torch.equal(label_scores(whole, pictures(7), CAPTIONS),
                       label_scores(parts, pictures(7), CAPTIONS, chunk=3))
    assert whole.asked == [7] and parts.asked == [3, 3, 1]
    assert label_scores(whole, pictures(0), CAPTIONS).shape == (0, 3)


@pytest.mark.parametrize(
    ("sums", "lengths", "how", "words"),
    [
        ([[-1.0]], [1], "median", "normalise is 'median'"),
        ([[-1.0, -2.0]], [1], "mean", "a length for each caption"),
        ([-1.0], [1], "mean", r"expected \(B, L\)"),
        ([[-1.0]], [0], "mean", "at least 1"),
        ([[-1.0]], [1.5], "mean", "whole numbers"),
        ([[2.0]], [1], "mean", "0 at most"),
        ([[float("nan")]], [1], "mean", "log_probs is nan"),
        ([[float("-inf")]], [1], "sum", "log_probs is -inf"),
    ],
)
def test_what_is_no_log_probability_is_refused(sums, lengths, how, words):
    with pytest.raises(ValueError, match=words):
        caption_scores(torch.tensor(sums), torch.tensor(lengths), how)


class Wrong(ByHand):
    """A captioner with one fault."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def log_probs(self, pixels, captions):
        sums, lengths = super().log_probs(pixels, captions)
        if self.fault == "shape":
            return sums.T, lengths
        return sums, lengths + len(self.asked)


def test_bad_captions_and_bad_captioners_are_named():
    for captions, words in (
        ((), "has 0 sentences"), (("a", "a"), "1 of them different"),
        (("a cow", "A  Cow"), "1 of them different"), (("a cow", ""), "caption 1 is ''"),
    ):
        with pytest.raises(ValueError, match=words):
            label_scores(ByHand(), pictures(2), captions)
    with pytest.raises(TypeError, match="one string 'a cow'"):
        label_scores(ByHand(), pictures(2), "a cow")
    with pytest.raises(ValueError, match="chunk is 0"):
        label_scores(ByHand(), pictures(2), CAPTIONS, chunk=0)
    with pytest.raises(ValueError, match=r"gave shapes \(3, 2\)"):
        label_scores(Wrong("shape"), pictures(2), CAPTIONS)
    with pytest.raises(ValueError, match="counts other words"):
        label_scores(Wrong("count"), pictures(4), CAPTIONS, chunk=2)


@pytest.fixture(scope="module")
def coca():
    from open_clip.coca_model import CoCa

    torch.manual_seed(0)
    text = {"context_length": 12, "vocab_size": 40, "width": 16, "heads": 2, "layers": 1,
            "embed_cls": True, "output_tokens": True}
    model = CoCa(
        16, {**text, "attn_pooler_heads": 2}, text,
        {"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 8,
         "attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 4,
         "output_tokens": True},
    ).eval()
    # open_clip 3.3 leaves the decoder's last matrix as it found the memory
    torch.nn.init.normal_(model.text_decoder.text_projection, std=0.5)
    return model


def numbered(texts):
    """Start 38, end 39, filling 0; words are single letters, and "!" is 0 as in CLIP."""
    rows = torch.zeros(len(texts), 12, dtype=torch.long)
    for row, text in enumerate(texts):
        ids = [38, *(0 if word == "!" else 1 + ord(word) - ord("a") for word in text.split()), 39]
        rows[row, : len(ids)] = torch.tensor(ids)
    return rows


@torch.no_grad()
def test_coca_scores_each_pair_as_its_own_forward_does(coca):
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    texts = ["a b c", "d", "a ! e f g"]
    sums, lengths = CocaCaptioner(coca, numbered, pairs=4).log_probs(pixels, texts)
    assert sums.shape == (3, 3) and lengths.tolist() == [4, 2, 6]
    for b in range(3):
        for at, text in enumerate(texts):
            ids = numbered([text])
            logits = coca(pixels[b : b + 1], ids)["logits"][0]  # (T - 1, V)
            count = int(lengths[at])
            expected = -F.cross_entropy(logits[:count], ids[0, 1 : count + 1], reduction="sum")
            assert float(sums[b, at]) == pytest.approx(float(expected), abs=1e-4)
    again, _ = CocaCaptioner(coca, numbered, pairs=100).log_probs(pixels, texts)
    assert torch.allclose(sums, again, atol=1e-5)
    assert not torch.allclose(sums[0], sums[1])  # the picture matters
    scores = label_scores(CocaCaptioner(coca, numbered), pixels, texts)
    assert torch.allclose(scores, sums / lengths, atol=1e-5)
    assert label_scores(CocaCaptioner(coca, numbered), pixels[:0], texts).shape == (0, 3)


@torch.no_grad()
def test_cocas_probabilities_of_all_words_sum_to_one(coca):
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    # captions that share their first word: p(second token | first) over all 40 tokens is 1
    rows = torch.zeros(40, 12, dtype=torch.long)
    rows[:, 0], rows[:, 1], rows[:, 2] = 38, 5, torch.arange(40)
    rows[:, 3] = 39  # an end, so that the filling's own number is no filling there
    sums, _ = CocaCaptioner(coca, lambda texts: rows).log_probs(pixels, ["x"] * 40)
    logits = coca(pixels.expand(40, -1, -1, -1), rows)["logits"]
    ends = torch.log_softmax(logits[:, 2], dim=1)[:, 39]
    first = torch.log_softmax(logits[0, 0], dim=0)[5]
    assert float((sums[0] - ends - first).exp().sum()) == pytest.approx(1, abs=1e-4)


def test_coca_says_what_it_wants(coca):
    with pytest.raises(TypeError, match="a Linear, which has no text decoder"):
        CocaCaptioner(torch.nn.Linear(1, 1), numbered)
    with pytest.raises(ValueError, match="pairs is 0"):
        CocaCaptioner(coca, numbered, pairs=0)
    coca.train()
    with pytest.raises(ValueError, match="training mode"):
        CocaCaptioner(coca, numbered)
    coca.eval()


def cutting(texts):
    """`numbered`, but long texts lose what does not fit, as open_clip's tokenizers do."""
    short = [" ".join(text.split()[:10]) for text in texts]
    return numbered(short)


def test_coca_refuses_what_it_would_cut_and_pictures_that_do_not_fit(coca):
    captioner = CocaCaptioner(coca, cutting)
    with pytest.raises(ValueError, match="of caption 1 it would lose 'k l'"):
        captioner.log_probs(torch.zeros(1, 3, 32, 32), ["a b", "a b c d e f g h i j k l"])
    with pytest.raises(ValueError, match=r"expected \(B, 3, 32, 32\)"):
        captioner.log_probs(torch.zeros(1, 3, 48, 48), ["a b"])
    with pytest.raises(TypeError, match=r"torch\.uint8; expected floating point"):
        captioner.log_probs(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), ["a b"])


def test_lengths_must_be_a_tensor():
    with pytest.raises(TypeError, match="lengths is a list"):
        caption_scores(torch.zeros(1, 2), [1, 1])
