"""Where a text's embedding is taken from: CLIP at the end-of-text token, SigLIP at the last place.

Taken from another place, or with another padding, it raises no error and is worth nothing.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

TEXTS = ["a cow", "an owl in the snow under a tree"]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(params=["tiny", "vit"])
def clip(request):
    return request.getfixturevalue(request.param)


def states(model, words: torch.Tensor) -> torch.Tensor:
    """The text tower's states at all places, projected: (L, T, D)."""
    embedded = model.token_embedding(words) + model.positional_embedding
    return model.ln_final(model.transformer(embedded, attn_mask=model.attn_mask)) @ (
        model.text_projection
    )


def encoded(clip, words: torch.Tensor) -> torch.Tensor:
    return clip.model.encode_text(words, normalize=True)


def test_clips_text_is_its_state_at_the_end_of_text_token(clip):
    words = clip.tokenizer(TEXTS)
    everywhere = F.normalize(states(clip.model, words), dim=-1)
    got = clip.encode_text(TEXTS)
    end = clip.tokenizer.eot_token_id
    for row, (text, tokens) in enumerate(zip(TEXTS, words.tolist(), strict=True)):
        at = tokens.index(end)
        assert at == len(clip.tokenizer.encode(text)) + 1  # after the start and the words
        assert at == max(range(len(tokens)), key=tokens.__getitem__)  # its number is the highest
        torch.testing.assert_close(got[row], everywhere[row, at], atol=1e-5, rtol=0)
        assert (got[row] - everywhere[row, -1]).abs().max() > 1e-2
        assert (got[row] - everywhere[row, at - 1]).abs().max() > 1e-2
        assert (got[row] - everywhere[row].mean(dim=0)).abs().max() > 1e-2


def test_nothing_after_the_end_of_text_moves_it(clip):
    words = clip.tokenizer(TEXTS)
    before = encoded(clip, words)
    ends = words.argmax(dim=1)
    after = torch.arange(words.shape[1])[None] > ends[:, None]
    cow = clip.tokenizer(["cow"])[0, 1]
    for filling in (cow, clip.tokenizer.eot_token_id, 5):
        changed = torch.where(after, filling, words)
        assert not torch.equal(changed, words)
        torch.testing.assert_close(encoded(clip, changed), before, atol=1e-5, rtol=0)
    earlier = words.clone()
    earlier[:, 1] = cow
    earlier[:, 2] = cow  # a word before it does
    assert (encoded(clip, earlier) - before).abs().max() > 1e-3


def test_a_text_is_the_same_alone_and_in_company(clip):
    together = clip.encode_text(TEXTS)
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(clip.encode_text([text])[0], together[row], atol=1e-5, rtol=0)


def numbers(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows)


def test_siglips_text_is_its_state_at_the_last_place_and_feels_its_padding(siglip):
    text = siglip.model.text
    assert text.pool_type == "last" and text.attn_mask is None
    words = numbers([5, 6, 7, 1, 1, 1, 1, 1, 1, 1, 1, 1], [9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    embedded = text.token_embedding(words) + text.positional_embedding
    last = text.ln_final(text.transformer(embedded))[:, -1]
    expected = F.normalize(text.text_projection(last), dim=-1)
    got = encoded(siglip, words)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    other_filling = torch.where(words == 1, 0, words)
    assert (encoded(siglip, other_filling) - got).abs().max() > 1e-3
    unpadded = numbers([5, 6, 7, 1])
    assert (encoded(siglip, unpadded)[0] - got[0]).abs().max() > 1e-3
