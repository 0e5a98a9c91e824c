"""The stages: what is frozen stays, what trains moves, and no true label reaches the fusion."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import torch

from hybridlab.configs import DemoConfig
from hybridlab.data.scenes import SceneDataset
from hybridlab.data.world import WORLD, with_article
from hybridlab.decoder.decoded import Decoded
from hybridlab.encoders.clip import build_tiny_clip
from hybridlab.encoders.cnn import build_cnn
from hybridlab.fusion import ATTENTIVE, FUSIONS
from hybridlab.fusion.view import View
from hybridlab.fusion.views import evidence
from hybridlab.model import HybridClassifier
from hybridlab.total_loss import HybridLoss
from hybridlab.training import features, stages
from hybridlab.training.decoding import chosen_labels, decode_all, decode_steps
from hybridlab.training.features import clip_features, cnn_features, scene_images
from hybridlab.training.held import Held, seeded
from hybridlab.training.stages import fused_logits, train_decoder, train_fusion, tune_vision
from hybridlab.zeroshot.text_bank import label_embeddings

CONFIG = replace(DemoConfig.quick(), batch_size=8, decoder_epochs=1, fusion_epochs=2, dim=32)


@pytest.fixture(scope="module")
def world():
    torch.manual_seed(0)
    images, targets = scene_images(SceneDataset(16))
    cnn, clip = build_cnn("efficientnet_lite0").eval(), build_tiny_clip(pretrained=False).eval()
    tokens = cnn_features(cnn, images)["tokens"]
    decoder = train_decoder(tokens, targets, Held((tokens,), targets), CONFIG)
    text_emb = label_embeddings(clip, [with_article(name) for name in WORLD])
    h_clip = View(clip_features(clip, images)["image_emb"])
    return images, targets, cnn, clip, tokens, decoder, text_emb, h_clip


def new_model(world) -> HybridClassifier:
    _, _, cnn, clip, _, decoder, text_emb, _ = world
    return seeded(0, lambda: HybridClassifier(cnn, decoder, clip, text_emb, dim=32))


def snapshot(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(before, module) -> set[str]:
    return {n for n, value in module.state_dict().items() if not torch.equal(value, before[n])}


def test_cross_fitting_never_shows_a_decoder_what_it_decodes(world, monkeypatch):
    _, targets, _, _, tokens, _, _, _ = world
    fits = []

    def fake_train(tokens, targets, held, config, report, name):
        fits.append(tokens)
        return tokens

    def fake_decode(seen, unseen):
        assert not any((row == other).all() for row in unseen for other in seen)
        mean = unseen.float().mean((1, 2))[:, None]
        steps = 2 + len(fits)  # folds whose longest sequences differ
        each = mean[:, None].repeat(1, steps, 81)
        return Decoded(each[..., 0].long(), each, each, torch.ones(len(unseen), steps).bool(),
                       mean, each, mean.repeat(1, 80))

    monkeypatch.setattr(stages, "train_decoder", fake_train)
    monkeypatch.setattr(stages, "decode_steps", fake_decode)
    found = stages.cross_fitted(tokens, targets, replace(CONFIG, folds=3))
    assert len(fits) == 3 and sum(len(fit) for fit in fits) == 2 * len(tokens)
    mean = tokens.float().mean((1, 2))
    assert torch.allclose(found["probs"][:, 0], mean)  # each row in its place
    assert torch.allclose(found["step_logits"][:, 0, 0], mean)
    assert found["step_logits"].shape == (16, 5, 81) and found["mask"].shape == (16, 5)
    assert not found["step_logits"][~found["mask"]].any()


@pytest.mark.parametrize("folds", [1, 17])
def test_cross_fitting_needs_two_folds_or_more_and_no_empty_one(world, folds):
    _, targets, _, _, tokens, _, _, _ = world
    with pytest.raises(ValueError, match=f"folds is {folds} for 16 scenes"):
        stages.cross_fitted(tokens, targets, replace(CONFIG, folds=folds))


def test_no_true_label_reaches_the_views(world):
    """Decoding takes tokens and nothing else; other targets leave every view as it was."""
    _, targets, _, _, tokens, decoder, _, h_clip = world
    assert list(inspect.signature(decode_all).parameters) == ["decoder", "tokens"]
    state, probs, _ = decode_all(decoder, tokens)
    h_rnn = View(evidence(probs))
    model = new_model(world)
    shuffled = targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))]
    train_fusion(model, h_rnn, h_clip, shuffled, Held((h_rnn, h_clip), shuffled), CONFIG)
    again, probs_again, _ = decode_all(model.decoder, tokens)
    assert torch.equal(again, state) and torch.equal(probs_again, probs)


def test_phase_1_moves_fusion_and_heads_only(world):
    _, targets, _, _, tokens, decoder, _, h_clip = world
    model = new_model(world)
    before = snapshot(model)
    h_rnn = View(evidence(decode_all(decoder, tokens).probs))
    train_fusion(model, h_rnn, h_clip, targets, Held((h_rnn, h_clip), targets), CONFIG)
    changed = {name.split(".")[0] for name in moved(before, model)}
    assert changed == {"view_rnn", "view_clip", "fusion", "label_head", "contrastive_head"}
    model.train()  # a parent's call does not thaw what is frozen
    assert not model.cnn.training and not model.clip.training and not model.decoder.training


def test_the_weights_of_the_loss_are_learnt_along_where_asked(world, monkeypatch):
    _, targets, _, _, tokens, decoder, _, h_clip = world
    h_rnn = View(evidence(decode_all(decoder, tokens).probs))
    made = []

    class Seen(HybridLoss):
        def __init__(self, *given, **more):
            super().__init__(*given, **more)
            made.append(self)

    monkeypatch.setattr(stages, "HybridLoss", Seen)
    for weights in ("fixed", "learnt"):
        train_fusion(new_model(world), h_rnn, h_clip, targets, Held((h_rnn, h_clip), targets),
                     replace(CONFIG, weights=weights))
    assert made[0].learnt is None
    assert all(value != 1 for value in made[1].learnt.weights().values())


def test_the_size_of_the_chunks_in_which_phase_2_encodes_changes_nothing(world, monkeypatch):
    images, targets, _, clip, tokens, decoder, _, _ = world
    h_rnn = View(evidence(decode_all(decoder, tokens).probs))
    kept = snapshot(clip)
    tuned = []
    for size in (3, 1000):
        monkeypatch.setattr(features, "CHUNK", size)
        model = new_model(world)
        try:
            tune_vision(model, h_rnn, images, targets, Held((h_rnn, images), targets), CONFIG)
            tuned.append(clip.encode_image(clip.preprocessing(images)).image_emb.detach())
        finally:
            clip.load_state_dict(kept)
    assert torch.allclose(*tuned, atol=1e-4)


def test_phase_2_moves_the_vision_tower_too_but_no_batch_statistics(world):
    images, targets, _, clip, tokens, decoder, _, _ = world
    model = new_model(world)
    h_rnn = View(evidence(decode_all(decoder, tokens).probs))
    before = snapshot(model)
    kept = snapshot(clip)
    try:
        held = Held((h_rnn, images), targets)
        tune_vision(model, h_rnn, images, targets, held, replace(CONFIG, tune_epochs=0))
        assert not moved(before, model)
        tune_vision(model, h_rnn, images, targets, held, CONFIG)
        changed = moved(before, model)
        assert any(name.startswith("clip.model.visual.trunk") for name in changed)
        assert not any("running_" in name or "num_batches" in name for name in changed)
        assert not any(name.startswith(("cnn.", "decoder.", "text_emb")) for name in changed)
        text_tower = [n for n in changed if n.startswith("clip.model.") and ".visual." not in n]
        assert not text_tower
        assert not any(p.requires_grad for p in model.clip.parameters())
    finally:
        clip.load_state_dict(kept)


def test_the_same_seed_gives_the_same_hybrid(world):
    _, targets, _, _, tokens, decoder, _, h_clip = world
    h_rnn, made = View(evidence(decode_all(decoder, tokens).probs)), []
    for _ in range(2):
        model = new_model(world)
        train_fusion(model, h_rnn, h_clip, targets, Held((h_rnn, h_clip), targets), CONFIG)
        made.append(snapshot(model.joint_modules()))
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


def test_one_forward_equals_the_cached_views(world):
    images, _, cnn, clip, _tokens, decoder, _, h_clip = world
    model = new_model(world).eval()
    with torch.no_grad():
        out = model(cnn.preprocessing(images), clip.preprocessing(images))
        h_rnn = View(evidence(decoder.decode(cnn(cnn.preprocessing(images)).tokens).probs))
        from_views = model.fuse(h_rnn, h_clip)
    assert torch.allclose(out.logits, from_views.logits, atol=1e-4)
    assert torch.allclose(out.contrastive_logits, from_views.contrastive_logits, atol=1e-3)
    assert out.decoded is not None and from_views.decoded is None
    assert out.logits.shape == (16, 80) and torch.equal(out.h_rnn, h_rnn.pooled)


def test_a_split_decoded_in_chunks_is_the_split_decoded_at_once(world, monkeypatch):
    _, _, _, _, tokens, decoder, _, _ = world
    whole = decode_steps(decoder, tokens)
    monkeypatch.setattr("hybridlab.training.decoding.CHUNK", 3)
    for name, each in vars(decode_steps(decoder, tokens)).items():
        assert torch.allclose(each.float(), getattr(whole, name).float(), atol=1e-5), name
    assert torch.allclose(whole.probs, decode_all(decoder, tokens).probs, atol=1e-5)


def test_chosen_labels_leave_stop_and_padding_out(world):
    _, _, _, _, tokens, decoder, _, _ = world
    decoded = decoder.decode(tokens[:6].float())
    decisions = chosen_labels(decoded, 80)
    for seq, row in zip(decoded.label_seq.tolist(), decisions, strict=True):
        assert set(row.nonzero().flatten().tolist()) == {label for label in seq if 0 <= label < 80}


def test_texts_and_decoder_must_agree(world):
    _, _, cnn, clip, _, decoder, text_emb, _ = world
    with pytest.raises(ValueError, match=r"79 rows .* 80 labels"):
        HybridClassifier(cnn, decoder, clip, text_emb[:79])


@pytest.mark.parametrize("view", ["evidence", "state", "none"])
def test_every_view_of_the_decoder_fuses(world, view):
    images, _, cnn, clip, tokens, decoder, text_emb, h_clip = world
    model = HybridClassifier(cnn, decoder, clip, text_emb, dim=32, view=view).eval()
    with torch.no_grad():
        out = model(cnn.preprocessing(images[:2]), clip.preprocessing(images[:2]))
        few = tokens[:2].float()
        again = model.fuse(model.decoder_view(decoder.decode(few), few), h_clip.rows(slice(0, 2)))
    assert torch.allclose(out.logits, again.logits, atol=1e-2)
    with pytest.raises(ValueError, match="unknown view 'feeling'"):
        HybridClassifier(cnn, decoder, clip, text_emb, view="feeling")


@pytest.mark.parametrize(
    ("fusion", "tokens"), [*((name, "steps") for name in FUSIONS), *((n, "map") for n in ATTENTIVE)]
)
def test_every_fusion_trains_on_both_views_and_is_the_same_without_the_cache(world, fusion, tokens):
    images, targets, cnn, clip, cnn_tokens, decoder, text_emb, _ = world
    model = seeded(0, lambda: HybridClassifier(
        cnn, decoder, clip, text_emb, dim=32, fusion=fusion, tokens=tokens))
    with torch.no_grad():
        seen = clip.encode_image(clip.preprocessing(images))
        decoded = decoder.decode(cnn_tokens.float())
    views = model.decoder_view(decoded, cnn_tokens.float()), model.clip_view(seen)
    train_fusion(model, *views, targets, Held(views, targets), CONFIG)
    with torch.no_grad():
        out = model(cnn.preprocessing(images), clip.preprocessing(images))
    assert torch.allclose(out.logits, fused_logits(model, *views), atol=1e-2)
    assert out.logits.shape == out.contrastive_logits.shape == (16, 80)
    assert bool(out.attention) == (fusion in (*ATTENTIVE, "gate"))


@pytest.mark.parametrize("fusion", ["concat", "cross_attention", "class_attention", "label_query"])
def test_a_view_is_left_out_and_the_weights_load_across(world, fusion):
    images, _, cnn, clip, _, decoder, text_emb, _ = world

    def built(**changes):
        return seeded(0, lambda: HybridClassifier(
            cnn, decoder, clip, text_emb, dim=32, fusion=fusion, **changes)).eval()

    whole, other = built(), images.flip(0)
    with torch.no_grad():
        for without, seen_by in (("cnn_rnn", 1), ("clip", 0)):
            model = built(without=without)
            model.load_state_dict(whole.state_dict())
            pixels = [cnn.preprocessing(images), clip.preprocessing(images)]
            alone = model(*pixels).logits
            assert not torch.allclose(alone, whole(*pixels).logits)
            swapped = [cnn.preprocessing(other), clip.preprocessing(other)]
            swapped[seen_by] = pixels[seen_by]  # only the view that was left out is another
            assert torch.equal(model(*swapped).logits, alone)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_view_may_be_missing_in_some_images(world, fusion):
    """Image by image it is as if the model had been built without that view."""
    _, _, cnn, clip, cnn_tokens, decoder, text_emb, _ = world

    def built(**changes):
        model = seeded(0, lambda: HybridClassifier(
            cnn, decoder, clip, text_emb, dim=32, fusion=fusion, tokens="map", **changes))
        model.load_state_dict(state) if changes else model.fit_views(rnn, seen)
        return model.eval()

    plain = HybridClassifier(cnn, decoder, clip, text_emb, dim=32, fusion=fusion, tokens="map")
    with torch.no_grad():
        rnn = plain.decoder_view(decoder.decode(cnn_tokens.float()), cnn_tokens.float())
        draw = torch.Generator().manual_seed(0)
        size = len(rnn)
        tokens = 3 + torch.randn(size, 4, clip.dim, generator=draw) if plain.attends else None
        seen = View(2 + torch.randn(size, clip.dim, generator=draw), tokens)
        whole = built()
        state = whole.state_dict()
        expected = torch.stack([
            whole.fuse(rnn, seen).logits, built(without="cnn_rnn").fuse(rnn, seen).logits,
            built(without="clip").fuse(rnn, seen).logits,
        ])
        case = torch.arange(size) % 3  # both, no CNN-RNN, no CLIP, both, ...

        def without(view: View, missing: torch.Tensor) -> View:
            there = view.parts()[1] & ~missing[:, None]
            return View(view.pooled, view.tokens, there)

        found = whole.fuse(without(rnn, case == 1), without(seen, case == 2)).logits
        assert torch.allclose(found, expected[case, torch.arange(size)], atol=1e-5)
        gone = whole.fuse(rnn.absent(), seen).logits
        assert torch.allclose(gone, expected[1], atol=1e-5)


def test_own_opinions_go_past_the_fusion_where_the_view_is_there(world):
    _, _, cnn, clip, cnn_tokens, decoder, text_emb, _ = world

    def built(**changes):
        return seeded(0, lambda: HybridClassifier(
            cnn, decoder, clip, text_emb, dim=32, **changes)).eval()

    plain, own = built(), built(own_opinion=True)
    with torch.no_grad():
        decoded = decoder.decode(cnn_tokens.float())
        rnn = plain.decoder_view(decoded, cnn_tokens.float())
        views = rnn, View(torch.randn(len(rnn), clip.dim))
        own.own.scale.uniform_(0.5, 2)
        more = own.fuse(*views).logits - plain.fuse(*views).logits
        assert torch.allclose(more, own.own.scale * rnn.pooled + own.own.bias, atol=1e-4)
        gone = own.fuse(rnn.absent(), views[1]).logits
        assert torch.equal(gone, plain.fuse(rnn.absent(), views[1]).logits)
        without = built(own_opinion=True, without="cnn_rnn")
        without.load_state_dict(own.state_dict())
        assert torch.allclose(without.fuse(*views).logits, gone, atol=1e-5)
        # as it starts, and with a head that says nothing yet, the opinion is the decoder's
        start = built(own_opinion=True)
        start.label_head.linear.weight.zero_()
        assert torch.allclose(start.fuse(*views).logits, rnn.pooled, atol=1e-5)
    assert "own" in own.joint_modules() and "own" not in plain.joint_modules()
    for view in ("state", "none", "map"):
        with pytest.raises(ValueError, match="give view='evidence'"):
            built(own_opinion=True, view=view)
        with pytest.raises(ValueError, match="give view='evidence'"):
            DemoConfig(own_opinion=True, view=view)


def test_unknown_choices_of_the_hybrid_are_named(world):
    _, _, cnn, clip, _, decoder, text_emb, _ = world
    for wrong in ({"tokens": "words"}, {"without": "cnn"}):
        with pytest.raises(ValueError, match="choose one of"):
            HybridClassifier(cnn, decoder, clip, text_emb, **wrong)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_encoder_of_a_view_that_is_left_out_does_not_run(world, fusion, monkeypatch):
    images, _, cnn, clip, _, decoder, text_emb, _ = world
    pixels = {"cnn_rnn": cnn.preprocessing(images), "clip": clip.preprocessing(images)}
    for without in ("cnn_rnn", "clip"):
        torch.manual_seed(0)
        model = HybridClassifier(
            cnn, decoder, clip, text_emb, dim=32, fusion=fusion, tokens="map", without=without
        ).eval()
        given = [None if name == without else each for name, each in pixels.items()]
        with torch.no_grad():
            assert torch.equal(model(*given).logits, model(*pixels.values()).logits)
            with pytest.raises(ValueError, match="are None; give them, or build the model with"):
                model(*given[::-1])
        for part, name in ((model.cnn, "cnn_rnn"), (model.decoder, "cnn_rnn"),
                           (model.clip, "clip")):
            if name == without:
                monkeypatch.setattr(part, "forward", None)
        monkeypatch.setattr(model.clip, "encode_image", None) if without == "clip" else None
        with torch.no_grad():
            assert model(*given).logits.shape == (len(images), 80)
        monkeypatch.undo()


def test_images_can_be_compared_with_any_texts(world):
    _, _, cnn, clip, cnn_tokens, decoder, text_emb, _ = world
    draw = torch.Generator().manual_seed(0)
    other = torch.nn.functional.normalize(torch.randn(3, 256, generator=draw), dim=-1)
    for fusion, options in (("concat", {}), ("label_query", {"queries": "texts"})):
        torch.manual_seed(0)
        model = HybridClassifier(
            cnn, decoder, clip, text_emb, dim=32, fusion=fusion, tokens="map", options=options
        ).eval()
        with torch.no_grad():
            rnn = model.decoder_view(decoder.decode(cnn_tokens.float()), cnn_tokens.float())
            views = rnn, View(torch.randn(len(rnn), clip.dim),
                              torch.randn(len(rnn), 4, clip.dim) if model.attends else None)
            out = model.fuse(*views)
            assert torch.allclose(model.text_logits(*views, text_emb), out.contrastive_logits,
                                  atol=1e-4)
            both = model.text_logits(*views, torch.cat([text_emb[:2], other]))
            assert both.shape == (len(rnn), 5)
            assert torch.allclose(both[:, :2], out.contrastive_logits[:, :2], atol=1e-4)
    learnt = HybridClassifier(cnn, decoder, clip, text_emb, dim=32, fusion="label_query",
                              tokens="map").eval()
    with pytest.raises(ValueError, match="queries are learnt label by label"):
        learnt.text_logits(*views, other)
    with pytest.raises(ValueError, match=r"text_emb is \(3, 7\), expected \(L, 256\)"):
        HybridClassifier(cnn, decoder, clip, text_emb, dim=32).eval().text_logits(
            View(torch.zeros(1, 80)), View(torch.zeros(1, 256)), torch.zeros(3, 7))


def test_a_label_with_a_vector_of_its_own_is_compared_by_it(world):
    _, _, cnn, clip, cnn_tokens, decoder, text_emb, _ = world
    model = seeded(0, lambda: HybridClassifier(
        cnn, decoder, clip, text_emb, dim=32, fusion="label_query", tokens="map")).eval()
    with torch.no_grad():
        rnn = model.decoder_view(decoder.decode(cnn_tokens.float()), cnn_tokens.float())
        seen = View(torch.randn(len(rnn), 256), torch.randn(len(rnn), 4, 256))
        out = model.fuse(rnn, seen)
        expected = model.contrastive_head(out.per_label, text_emb)
        assert torch.equal(out.contrastive_logits, expected)
        assert not torch.allclose(expected, model.contrastive_head(out.fused, text_emb), atol=1e-2)
        assert torch.equal(out.h_clip, seen.pooled) and torch.equal(out.h_rnn, rnn.pooled)


def test_tokens_come_in_units_of_those_that_count(world):
    _, _, cnn, clip, _, decoder, text_emb, _ = world
    model = HybridClassifier(cnn, decoder, clip, text_emb, dim=32, fusion="class_attention",
                             tokens="map").eval()
    draw = torch.Generator().manual_seed(0)
    rnn = View(torch.randn(6, 80, generator=draw),
               5 + 2 * torch.randn(6, 9, decoder.channels, generator=draw))
    mask = torch.rand(6, 4, generator=draw) < 0.7
    tokens = 3 + 4 * torch.randn(6, 4, 256, generator=draw)
    seen = View(torch.randn(6, 256, generator=draw), tokens, mask)
    model.fit_views(rnn, seen)
    a, b = model.scaled(rnn, seen)
    assert a.tokens.mean().abs() < 1e-3 and a.tokens.std() == pytest.approx(1.0, abs=0.05)
    counted = b.tokens[mask]
    assert counted.mean(dim=0).abs().max() < 1e-4
    assert torch.allclose(counted.std(dim=0, correction=0), torch.ones(256), atol=1e-3)


@pytest.mark.parametrize(("texts", "words"), [
    (None, "text_emb is None, expected"), (torch.zeros(256), r"text_emb is \(256,\), expected"),
    (torch.ones(80, 256), "rows of length 16 to 16, expected 1"),
    (torch.full((80, 256), float("nan")), "rows of length nan to nan, expected 1"),
])
def test_missing_texts_and_texts_of_no_unit_length_are_named(world, texts, words):
    _, _, cnn, clip, _, decoder, _, _ = world
    with pytest.raises(ValueError, match=words):
        HybridClassifier(cnn, decoder, clip, texts)


def test_views_of_another_width_are_named_by_the_model(world):
    model = new_model(world).eval()
    for rnn, seen in ((1, 256), (80, 1), (256, 80)):
        with pytest.raises(ValueError, match="are the two views swapped"):
            model.fuse(View(torch.zeros(3, rnn)), View(torch.zeros(3, seen)))
