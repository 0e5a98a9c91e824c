"""SigLIP through open_clip's real tokenizer class and the zero-shot functions, as any CLIP.

The tokenizer's files are made here; they are in the format, and with the padding, of SigLIP's own.
"""

from __future__ import annotations

import shutil

import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.clip_hub import build_clip
from hybridlab.zeroshot.patches import max_pool, token_scores
from hybridlab.zeroshot.prompts import build_prompts
from hybridlab.zeroshot.scores import cosine_scores, sigmoid_scores
from hybridlab.zeroshot.text_bank import text_bank
from hybridlab.zeroshot.truncation import TruncatedPromptWarning

END = 1  # SigLIP's padding is its end-of-text token
WORDS = ["a", "an", "cow", "owl", "car", "photo", "of", "the", "snow", "in", "under", "tree"]
NUMBERS = {"<pad>": 0, "</s>": END, "<unk>": 2, **{w: n for n, w in enumerate(WORDS, start=3)}}


@pytest.fixture(scope="module")
def folder(siglip_folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("with_words") / "siglip"
    shutil.copytree(siglip_folder, place)
    words = Tokenizer(models.WordLevel(NUMBERS, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", END)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="</s>", pad_token="</s>", unk_token="<unk>",
        padding_side="right",
    ).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def clip(folder):
    return build_clip(f"local-dir:{folder}")


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def test_texts_are_padded_to_the_full_length(clip, siglip):
    text = "a cow in the snow"
    used = [NUMBERS[word] for word in text.split()]
    assert clip.tokenizer([text]).tolist() == [used + [END] * (12 - len(used))]
    assert clip.tokenizer(["A cow, in the snow!"]).tolist() == clip.tokenizer([text]).tolist()
    own = siglip.model.encode_text(torch.tensor([used + [END] * (12 - len(used))]), normalize=True)
    torch.testing.assert_close(clip.encode_text([text]), own, atol=1e-5, rtol=0)
    short = siglip.model.encode_text(torch.tensor([[*used, END]]), normalize=True)
    assert (short - own).abs().max() > 1e-3  # what a padding to the longest text would give
    with_others = clip.encode_text(["a cow in the snow under a tree", text])[1]
    torch.testing.assert_close(with_others, own[0], atol=1e-5, rtol=0)


def test_the_folders_own_preprocessing(clip):
    assert clip.preprocessing.mean == (0.4, 0.5, 0.6) and clip.preprocessing.image_size == 64


def test_zero_shot_is_the_same_as_for_any_clip(clip, tmp_path):
    prompts = build_prompts(["cow", "owl", "car"], ["a photo of {}", "{} in the snow"])
    bank = text_bank(clip, prompts, tmp_path)
    assert torch.equal(text_bank(clip, prompts, tmp_path).embeddings, bank.embeddings)
    assert bank.text_emb.shape == (3, clip.dim) and bank.cut == ()
    each = clip.encode_text(["a photo of an owl", "an owl in the snow"])
    expected = F.normalize(each.mean(dim=0), dim=-1)
    torch.testing.assert_close(bank.text_emb[1], expected, atol=1e-5, rtol=0)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    seen = clip.encode_image(pixels)
    cosines = cosine_scores(seen.image_emb, bank.text_emb)
    probs = sigmoid_scores(cosines, float(clip.logit_scale), float(clip.logit_bias))
    assert (probs < 0.5).all()  # pair-match probabilities are small (trap 10)
    logits = clip.logit_scale * seen.image_emb @ bank.text_emb.T + clip.logit_bias
    torch.testing.assert_close(probs, logits.sigmoid(), atol=1e-6, rtol=0)
    best = max_pool(token_scores(seen.tokens, bank.text_emb))
    assert best.shape == (2, 3) and (best.abs() <= 1 + 1e-6).all()


def test_a_cut_prompt_is_told(clip):
    long = "{} in the snow under a tree in the snow under a tree in the snow"
    with pytest.warns(TruncatedPromptWarning, match="12 tokens"):
        text_bank(clip, build_prompts(["cow"], [long]))


def test_a_folder_without_its_tokenizer(siglip_folder):
    with pytest.raises(MissingWeightsError, match=r"tokenizer\.json") as caught:
        build_clip(f"local-dir:{siglip_folder}")
    assert "timm/ViT-B-16-SigLIP" in str(caught.value)


def test_a_tokenizer_that_cannot_be_had(small_names, monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    clip = build_clip("small-SigLIP", pretrained=False)
    with pytest.raises(MissingWeightsError, match="tokenizer's files of small-SigLIP") as caught:
        clip.encode_text(["a cow"])
    assert "timm/ViT-B-16-SigLIP/tokenizer.json" in str(caught.value)
    assert "local-dir:FOLDER" in str(caught.value)
