"""The small world: pure, disjoint, and its dials do what they say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridlab.data import scenes
from hybridlab.data.sample import Vocabulary, collate
from hybridlab.data.scenes import SceneDataset, label_matrix, stream
from hybridlab.data.sprites import art_path
from hybridlab.data.world import (
    CONTEXT_NAMES,
    CONTEXTS,
    HELD_OUT,
    LABEL_EMOJI,
    LABEL_NAMES,
    STYLES,
    WORLD,
    SceneConfig,
    context_of,
    partner_of,
    with_article,
)


def same(a, b) -> bool:
    return (
        np.array_equal(a.image, b.image)
        and np.array_equal(a.targets, b.targets)
        and a.objects == b.objects
        and a.facts == b.facts
        and a.context == b.context
    )


def test_the_world_has_ten_contexts_of_eight_labels_with_art():
    assert len(CONTEXT_NAMES) == 10
    assert len(LABEL_NAMES) == len(set(LABEL_NAMES)) == len(set(LABEL_EMOJI)) == 80
    assert all(len(pairs) == 4 for pairs in CONTEXTS.values())
    assert all(art_path(symbol).exists() for symbol in LABEL_EMOJI)
    assert len(HELD_OUT) == 16 and set(HELD_OUT) <= set(LABEL_NAMES)


def test_partners_are_mutual_and_of_one_context():
    for label in range(80):
        assert partner_of(partner_of(label)) == label != partner_of(label)
        assert context_of(partner_of(label)) == context_of(label)


@pytest.mark.parametrize(
    ("name", "said"),
    [("owl", "an owl"), ("cow", "a cow"), ("headphones", "headphones"), ("egg", "an egg")],
)
def test_names_fit_into_a_prompt(name, said):
    assert with_article(name) == said


def test_a_scene_depends_on_its_index_alone():
    forwards = [SceneDataset(6)[i] for i in range(6)]
    backwards = [SceneDataset(600)[i] for i in reversed(range(6))][::-1]
    assert all(same(a, b) for a, b in zip(forwards, backwards, strict=True))


def test_a_scene_is_the_same_in_another_process():
    code = (
        "import hashlib; from hybridlab.data.scenes import SceneDataset as D;"
        "s = D(9, 'val')[7]; print(hashlib.sha256(s.image.tobytes() + s.targets.tobytes())"
        ".hexdigest())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    import hashlib

    here = SceneDataset(9, "val")[7]
    assert elsewhere == hashlib.sha256(here.image.tobytes() + here.targets.tobytes()).hexdigest()


def test_workers_of_a_loader_see_the_same_scenes():
    from torch.utils.data import DataLoader

    data = SceneDataset(8)
    alone = next(iter(DataLoader(data, batch_size=8, collate_fn=collate)))
    workers = DataLoader(data, batch_size=4, collate_fn=collate, num_workers=2)
    assert np.array_equal(alone.images[4:], list(workers)[1].images)


def test_splits_and_seeds_share_no_scene():
    seen = set()
    for seed in (0, 1):
        for split in scenes.SPLITS:
            data = SceneDataset(40, split, SceneConfig(seed=seed))
            seen |= {sample.image.tobytes() for sample in data}
    assert len(seen) == 6 * 40


@settings(max_examples=25, deadline=None)
@given(
    index=st.integers(0, 10**6),
    size=st.integers(64, 224),
    clutter=st.floats(0, 1),
    cooccurrence=st.floats(0, 1),
    style=st.sampled_from(STYLES),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_scene_is_sound(index, size, clutter, cooccurrence, style, seed):
    config = SceneConfig(
        image_size=size, clutter=clutter, cooccurrence=cooccurrence, style=style, seed=seed
    )
    sample = SceneDataset(10**6 + 1, "train", config)[index]
    assert sample.image.shape == (size, size, 3) and sample.image.dtype == np.uint8
    assert set(np.unique(sample.targets)) <= {0.0, 1.0} and sample.targets.sum() >= 1
    assert 1 <= len(sample.objects) <= 8
    # the labels are those of the objects, no more and no fewer
    assert {o.label for o in sample.objects} == set(np.flatnonzero(sample.targets))
    assert [o.depth for o in sample.objects] == list(range(len(sample.objects)))
    for o in sample.objects:
        left, top, right, bottom = o.box
        assert 0 <= left < right <= size and 0 <= top < bottom <= size
        assert 0 <= o.visible <= 1
    for fact in sample.facts:
        a, b = sample.objects[fact.subject], sample.objects[fact.other]
        if fact.relation == "left of":
            assert a.centre[0] < b.centre[0]
        elif fact.relation in ("above", "on top of"):
            assert a.centre[1] < b.centre[1]
        else:
            assert fact.relation == "in front of" and a.depth > b.depth


def test_a_box_holds_its_object():
    """Pixels that change when an object is drawn lie in its box (a pixel of slack for blur)."""
    from hybridlab.data.drawing import draw_objects
    from hybridlab.data.layout import Placement
    from hybridlab.data.sprites import sprite_bank

    bank = sprite_bank(LABEL_EMOJI)
    for label in range(0, 80, 7):
        canvas = np.full((96, 96, 3), 127.0, np.float32)
        place = Placement(48, 44, 40, 0.4, False, 1.0, 1.0, 1.0)
        (drawn,) = draw_objects(canvas, bank, [label], [place])
        rows, columns = np.nonzero(np.abs(canvas - 127).max(axis=2) > 40)
        left, top, right, bottom = drawn.box
        inside = (columns >= left - 3) & (columns <= right + 3)
        inside &= (rows >= top - 3) & (rows <= bottom + 3)
        assert inside.mean() > 0.97, LABEL_NAMES[label]
        assert drawn.visible == 1.0


def test_an_object_behind_another_loses_visibility():
    from hybridlab.data.drawing import draw_objects
    from hybridlab.data.layout import Placement
    from hybridlab.data.sprites import sprite_bank

    bank = sprite_bank(LABEL_EMOJI)
    canvas = np.zeros((96, 96, 3), np.float32)
    behind = Placement(48, 48, 30, 0, False, 1, 1, 1)
    front = Placement(48, 48, 60, 0, False, 1, 1, 1)
    football = LABEL_NAMES.index("soccer ball")
    hidden, shown = draw_objects(canvas, bank, [0, football], [behind, front])
    assert hidden.visible < 0.05 and shown.visible == 1.0


def test_cooccurrence_binds_labels_and_leaves_their_frequencies():
    def together(c: float) -> tuple[float, np.ndarray]:
        data = SceneDataset(1500, "train", SceneConfig(cooccurrence=c, imbalance=0))
        targets = label_matrix(data)
        own = [
            len({context_of(label) for label in np.flatnonzero(row)}) == 1
            for row in targets
            if row.sum() >= 3
        ]
        return float(np.mean(own)), targets.mean(axis=0)

    (free, rate_free), (bound, rate_bound) = together(0.0), together(1.0)
    assert free < 0.05 and bound == 1.0
    # the same mean, and no label strays further than sampling noise (5 deviations) allows
    assert abs(rate_free.mean() - rate_bound.mean()) < 0.002
    noise = np.sqrt(0.04 * 0.96 / 1500)
    assert np.abs(rate_free - 0.04).max() < 5 * noise
    assert np.abs(rate_bound - 0.04).max() < 5 * noise * 2  # scenes of one context are clustered


def test_clutter_adds_objects_and_imbalance_a_tail():
    def mean_objects(clutter: float) -> float:
        data = SceneDataset(150, "train", SceneConfig(clutter=clutter))
        return float(np.mean([len(sample.objects) for sample in data]))

    assert mean_objects(0.0) < 2.5 < 4.5 < mean_objects(1.0)

    def spread(imbalance: float) -> float:
        count = label_matrix(SceneDataset(2000, "train", SceneConfig(imbalance=imbalance))).sum(0)
        return float(count.max() / count.min())

    assert spread(1.0) > 2 * spread(0.0)


def test_a_hinted_background_tells_the_context():
    def separation(hint: float) -> float:
        """Mean corner colour per context: how far apart are the contexts?"""
        data = SceneDataset(400, "train", SceneConfig(background_hint=hint, clutter=0))
        corners: dict[str, list] = {}
        for sample in data:
            corners.setdefault(sample.context, []).append(sample.image[:6, :6].mean((0, 1)))
        return float(np.std([np.mean(c, axis=0) for c in corners.values()], axis=0).mean())

    assert separation(1.0) > 2 * separation(0.0)


def test_missing_hides_labels_and_leaves_pixels():
    full = SceneDataset(60, "train", SceneConfig())
    holes = SceneDataset(60, "train", SceneConfig(missing=0.3))
    hidden = 0.0
    for a, b in zip(full, holes, strict=True):
        assert np.array_equal(a.image, b.image)
        known = b.targets >= 0
        assert np.array_equal(a.targets[known], b.targets[known])
        hidden += (~known).mean() / 60
    assert abs(hidden - 0.3) < 0.03


def test_styles_change_the_look_and_not_the_truth():
    looks = [SceneDataset(3, "train", SceneConfig(style=style))[2] for style in STYLES]
    assert all(np.array_equal(looks[0].targets, look.targets) for look in looks)
    assert len({look.image.tobytes() for look in looks}) == len(STYLES)
    grey = looks[STYLES.index("grey")].image.astype(int)
    assert np.abs(grey[..., 0] - grey[..., 2]).mean() < 15  # noise is coloured, the art is not


def test_label_matrix_equals_the_drawn_targets():
    data = SceneDataset(30, "test", SceneConfig(clutter=0.9, missing=0.2))
    assert np.array_equal(label_matrix(data), np.stack([s.targets for s in data]))


def test_fingerprint_names_what_changes_the_data():
    base = SceneDataset(5).fingerprint()
    assert base == SceneDataset(5).fingerprint()
    others = [SceneDataset(6), SceneDataset(5, "val"), SceneDataset(5, config=SceneConfig(seed=1))]
    assert len({base, *(data.fingerprint() for data in others)}) == 4


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cooccurrence", 1.2, "0 to 1"),
        ("clutter", -0.1, "0 to 1"),
        ("missing", float("nan"), "0 to 1"),
        ("style", "oil", "colour"),
        ("image_size", 32, "64 to 224"),
        ("image_size", 96.0, "64 to 224"),
        ("seed", -1, "seed"),
    ],
)
def test_a_dial_out_of_range_is_named(field, value, words):
    with pytest.raises(ValueError, match=words) as caught:
        SceneConfig(**{field: value})
    assert field in str(caught.value)


def test_bad_splits_sizes_and_indices():
    with pytest.raises(ValueError, match="train, val, test"):
        SceneDataset(3, "dev")
    with pytest.raises(ValueError, match="-1"):
        SceneDataset(-1)
    with pytest.raises(IndexError, match=r"scene 3 .* has 3"):
        SceneDataset(3)[3]
    assert same(SceneDataset(3)[-1], SceneDataset(3)[2])
    assert list(SceneDataset(0)) == []


def test_no_stream_runs_into_another():
    """Not even by a shift: no five numbers of one stream stand anywhere in a neighbour's."""

    def numbers(*key: int) -> list[float]:
        draw = stream(0, *key)
        return [draw() for _ in range(1500)]

    keys = [(s, i) for s in (1, 2, 3) for i in (0, 1, 5)] + [(77, 5), (78, 5), (1, 5, 1)]
    seen: dict[tuple, tuple] = {}
    for key in keys:
        values = numbers(*key)
        for window in zip(*(values[k:] for k in range(5)), strict=False):
            assert seen.setdefault(window, key) == key, (seen[window], key)
    with pytest.raises(ValueError, match="three key numbers"):
        stream(0, 1, 2, 3, 4)


def test_splits_share_labels_no_more_than_chance():
    parts = [label_matrix(SceneDataset(1500, split)) for split in scenes.SPLITS]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        same = (parts[a] * parts[b]).sum() / parts[a].sum()
        shifted = (parts[a] * np.roll(parts[b], 7, axis=0)).sum() / parts[a].sum()
        assert abs(same - shifted) < 0.015


def test_streams_are_uniform_and_apart():
    draw, other = stream(0, 1, 2), stream(0, 2, 1)
    a, b = ([d() for _ in range(2000)] for d in (draw, other))
    assert min(a) >= 0 and max(a) < 1 and abs(np.mean(a) - 0.5) < 0.03
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.1


def test_vocabulary_round_trip_and_errors():
    assert WORLD.decode(WORLD.encode(["owl", "cow"])) == ["cow", "owl"]
    assert "owl" in WORLD and "dragon" not in WORLD
    with pytest.raises(KeyError, match="anchor"):
        WORLD.column("ancor")
    for names, words in (([], "at least one"), (["a", "a"], "twice"), (["a", " "], "empty")):
        with pytest.raises(ValueError, match=words):
            Vocabulary(names)
    with pytest.raises(ValueError, match=r"\(3,\).*80"):
        WORLD.decode([0, 1, 1])


def test_collate_refuses_mixed_sizes_and_nothing():
    a, b = SceneDataset(1)[0], SceneDataset(1, config=SceneConfig(image_size=64))[0]
    with pytest.raises(ValueError, match="one size"):
        collate([a, b])
    with pytest.raises(ValueError, match="no samples"):
        collate([])
