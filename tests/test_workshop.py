"""Parts are made once, shared by what depends on the same things, and pure."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hybridlab import frozen, part_keys, part_store, workshop
from hybridlab.configs import DemoConfig
from hybridlab.part_keys import all_parts
from hybridlab.workshop import Workshop

CONFIG = replace(
    DemoConfig.quick(), train=24, val=12, test=12, batch_size=8, decoder_epochs=1,
    linear_epochs=1, fusion_epochs=1, cnn_size=64, dim=16,
)
PARTS = ("cnn train", "clip test", "linear cnn", "linear clip", "decoder", "decoded test",
         "cross-fit", "fusion", "tuned")


@pytest.fixture(scope="module")
def shop() -> Workshop:
    return Workshop(CONFIG)


def changed(shop: Workshop, **changes: object) -> set[str]:
    other = shop.variant(**changes)
    return {part for part in PARTS if other.key(part) != shop.key(part)}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"alpha": 2.0}, {"fusion", "tuned"}),
        ({"weights": "learnt"}, {"fusion", "tuned"}),
        ({"view": "state"}, {"fusion", "tuned"}),
        ({"without": "clip"}, {"fusion", "tuned"}),
        ({"fusion": "label_query", "tokens": "map"}, {"fusion", "tuned"}),
        ({"fusion_options": {"rank": 2}}, {"fusion", "tuned"}),
        ({"alignment": "supcon"}, {"fusion", "tuned"}),
        ({"order": "pla"}, {"decoder", "decoded test", "cross-fit", "fusion", "tuned"}),
        ({"tune_epochs": 3}, {"tuned"}),
        ({"vision_lr": 1e-5}, {"tuned"}),
        ({"folds": 3}, {"cross-fit", "fusion", "tuned"}),
        ({"linear_epochs": 2}, {"linear cnn", "linear clip"}),
        ({"resamples": 7}, set()),
        ({"decoder_epochs": 2}, {"decoder", "decoded test", "cross-fit", "fusion", "tuned"}),
        ({"cnn_stage": "stage4"}, set(PARTS) - {"clip test", "linear clip"}),
        ({"cnn_places": 1}, set(PARTS) - {"clip test", "linear clip"}),
        ({"seed": 5}, set(PARTS) - {"cnn train", "clip test"}),
    ],
)
def test_a_setting_touches_what_depends_on_it_and_nothing_else(shop, changes, parts):
    assert changed(shop, **changes) == parts


def test_every_setting_of_the_configuration_is_some_parts_business(shop):
    """A setting that no key reads would give one result for two configurations."""
    read = {name for reads in part_keys.READS.values() for name in reads.settings}
    # in the features' keys
    elsewhere = {"train", "val", "test", "cnn_size", "cnn_stage", "cnn_places"}
    assert read | elsewhere | {"resamples"} == set(CONFIG.to_dict())


def test_other_code_and_other_scenes_give_other_keys(shop, monkeypatch):
    from hybridlab.data.world import SceneConfig

    other = Workshop(CONFIG, SceneConfig(cooccurrence=0.1))
    assert all(other.key(part) != shop.key(part) for part in PARTS)
    monkeypatch.setattr(part_keys, "training_code", lambda: "edited")
    edited = Workshop(CONFIG)
    same = {part for part in PARTS if edited.key(part) == shop.key(part)}
    assert same == {"cnn train", "clip test"}


def test_changing_the_scenes_is_no_variant(shop):
    with pytest.raises(ValueError, match="make a new Workshop"):
        shop.variant(train=12)


def test_from_the_store_comes_what_was_made_and_nothing_is_made_again(tmp_path, monkeypatch):
    def build() -> Workshop:
        return Workshop(CONFIG, cache=tmp_path, store=tmp_path)

    first = build()
    made = (first.tuned, first.linear("cnn"), first.decoded("test"), first.fused)
    for name in ("train_fusion", "tune_vision", "train_decoder", "train_linear", "cross_fitted",
                 "cnn_features", "clip_features", "drawn"):
        monkeypatch.setattr(workshop, name, None)  # would fail if called
    second = build()
    read = (second.tuned, second.linear("cnn"), second.decoded("test"), second.fused)
    assert torch.equal(made[0].test, read[0].test) and torch.equal(made[0].val, read[0].val)
    assert torch.equal(made[1]["test"], read[1]["test"])
    assert torch.equal(made[2].chosen, read[2].chosen)
    state, again = made[0].model.state_dict(), read[0].model.state_dict()
    assert state.keys() == again.keys() and all(torch.equal(state[k], again[k]) for k in state)
    assert not torch.equal(made[0].test, made[3].test)  # phase 2 did something
    # what it took to make, not to read; and of every part on the way
    assert second.seconds("tuned") == first.seconds("tuned")
    assert set(first.seconds("tuned")) == all_parts("tuned", CONFIG)


def test_a_part_costs_its_own_time_without_the_parts_it_asked_for(monkeypatch):
    shop, clock = Workshop(CONFIG), [0.0]
    monkeypatch.setattr(part_store.time, "perf_counter", lambda: clock[0])

    def lasts(seconds: float, *asks: object) -> object:
        def compute() -> dict[str, torch.Tensor]:
            for ask in asks:
                ask()
            clock[0] += seconds
            return {}

        return compute

    def inner(name: str, seconds: float) -> object:
        return lambda: shop._made(None, name, lasts(seconds))

    asked = inner("clip train", 2.0), inner("clip val", 3.0), inner("clip train", 2.0)
    shop._made(None, "linear clip", lasts(5.0, *asked))
    assert shop.seconds("linear clip") == {"clip train": 2.0, "clip val": 3.0, "linear clip": 5.0}
    assert shop.variant(alpha=2.0).seconds("clip val") == {"clip val": 3.0}


def test_a_cost_counts_what_the_method_needs_and_nothing_else(shop):
    state = all_parts("fusion", shop.variant(view="state").config)
    evidence = all_parts("fusion", shop.config)
    alone = all_parts("fusion", shop.variant(view="none").config)
    unheard = all_parts("fusion", shop.variant(without="cnn_rnn").config)
    of_map = all_parts("fusion", shop.variant(view="map").config)
    assert evidence - state == {"cross-fit"} and "decoder" in state
    assert alone == unheard == {"fusion", "clip train", "clip val", "clip test"}
    assert of_map == alone | {"cnn train", "cnn val", "cnn test"}
    assert all_parts("linear clip", shop.variant(view="map").config) == {
        "linear clip", "clip train", "clip val", "clip test"
    }


def test_variants_share_and_the_order_of_asking_changes_nothing(shop):
    alone = Workshop(CONFIG).variant(view="state").fused.test
    shop.tuned  # noqa: B018 (tunes a CLIP of its own)
    shared = shop.variant(view="state")
    assert torch.equal(shared.fused.test, alone)
    assert shared.clip is shop.clip and shared._parts is shop._parts
    assert not any(p.requires_grad for p in shop.clip.parameters())


def test_no_decoder_is_a_fusion_of_zeros(shop):
    h_rnn, h_clip = shop.variant(view="none").views("train")
    assert torch.equal(h_rnn.pooled, torch.zeros(24, 80)) and not h_rnn.parts()[1].any()
    assert h_clip.pooled.shape == (24, 256) and h_clip.tokens is None


@pytest.mark.parametrize(("view", "width"), [("evidence", 80), ("state", 16)])
def test_where_the_cnn_rnn_is_left_out_no_decoder_is_trained_and_weights_still_load(
    shop, view, width, monkeypatch
):
    whole = shop.variant(view=view).fused.model
    monkeypatch.setattr(workshop, "train_decoder", None)  # would fail if called
    without = Workshop(CONFIG).variant(view=view, without="cnn_rnn")
    assert without.views("train")[0].widths == (width, width)
    assert without.fused.test.shape == (12, 80)
    without.fused.model.load_state_dict(whole.state_dict())


def test_the_map_alone_is_the_cnn_without_a_decoder(shop, monkeypatch):
    monkeypatch.setattr(workshop, "train_decoder", None)  # would fail if called
    alone = Workshop(CONFIG).variant(view="map")
    rnn, _ = alone.views("test")
    tokens = shop.cnn_features("test")["tokens"].float()
    assert torch.allclose(rnn.pooled, tokens.mean(dim=1)) and rnn.tokens is None
    assert alone.fused.test.shape == (12, 80)
    looking = alone.variant(fusion="label_query", tokens="map")
    rnn, _ = looking.views("test")
    assert torch.equal(rnn.tokens, tokens) and looking.fused.test.isfinite().all()


def test_the_decoder_is_the_same_whatever_view_of_it_is_fused(shop):
    """A store that several variants share must never hold an untrained decoder's labels."""
    alone = Workshop(CONFIG).variant(view="none")
    assert torch.equal(alone.decoded("test").probs, shop.decoded("test").probs)
    assert alone.fused.model.decoder.n_labels == 80


def test_other_label_texts_give_another_fusion(shop):
    other = shop.variant()
    other.text_emb = shop.text_emb.flip(0)
    changed = {part for part in PARTS if other.key(part) != shop.key(part)}
    assert changed == {"fusion", "tuned"}


def test_the_training_views_are_cross_fitted_and_the_others_are_not(shop):
    plain = shop.variant(folds=1)
    assert not torch.equal(shop.views("train")[0].pooled, plain.views("train")[0].pooled)
    assert torch.equal(shop.views("test")[0].pooled, plain.views("test")[0].pooled)


def test_no_true_label_reaches_the_views(shop, monkeypatch):
    """What enters the fusion is decoded free-running: with the decoders as they are, other targets
    leave it as it was (trap 6)."""
    from hybridlab.training import stages

    decoder = shop.decoder
    monkeypatch.setattr(workshop, "train_decoder", lambda *arguments: decoder)
    monkeypatch.setattr(stages, "train_decoder", lambda *arguments: decoder)
    views = []
    for turn in (False, True):
        one = Workshop(CONFIG)
        if turn:
            one.targets = {split: rows.flip(0) for split, rows in shop.targets.items()}
        views.append([one.views(split)[0].pooled for split in ("train", "val", "test")])
        assert torch.equal(one.targets["train"], shop.targets["train"]) != turn
    assert all(torch.equal(a, b) for a, b in zip(*views, strict=True))


def test_encoders_are_built_once_in_a_process_and_nobody_meets_anothers_changes(monkeypatch):
    """Else a student who tunes the tower of one hybrid would spoil the features of the next."""
    frozen.forget()
    first = Workshop(CONFIG)
    before = first.clip_features("test")["image_emb"], first.key("clip test")
    first.key("cnn test")
    with torch.no_grad():
        for weight in (*first.clip.parameters(), *first.cnn.parameters()):
            weight.zero_()
    monkeypatch.setattr(frozen, "build_tiny_clip", None)  # would fail if called
    monkeypatch.setattr(frozen, "build_cnn", None)
    second = Workshop(CONFIG)
    assert torch.equal(second.clip_features("test")["image_emb"], before[0])
    assert second.key("clip test") == before[1]
    assert second.cnn_features("test")["tokens"].abs().sum() > 0


@pytest.mark.parametrize("tokens", ["steps", "map"])
@pytest.mark.parametrize("view", ["evidence", "state", "none"])
def test_a_fusion_that_attends_gets_tokens_and_the_whole_is_as_without(shop, tokens, view):
    one = shop.variant(fusion="label_query", tokens=tokens, view=view)
    for split in ("train", "test"):
        rnn, clip = one.views(split)
        plain = shop.variant(view=view).views(split)[0]
        assert torch.allclose(rnn.pooled, plain.pooled, atol=1e-5)
        width = 80 if view != "state" else 16
        assert rnn.widths == (width, shop.cnn.channels if tokens == "map" else width)
        assert clip.tokens is not None and len(clip.tokens) == len(rnn) == len(rnn.tokens)
        if tokens == "steps" and view != "none":
            assert rnn.mask[:, 0].all() and not rnn.tokens[~rnn.mask].isnan().any()
    assert one.fused.test.shape == (12, 80) and one.tuned.test.isfinite().all()
    needs = all_parts("fusion", one.config)
    assert ("steps test" in needs) == (tokens == "steps" and view != "none")
    assert ("cnn test" in needs) == (tokens == "map" or view != "none")
