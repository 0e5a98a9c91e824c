"""The table of encoders: counted on architectures that take no memory, as published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hybridlab.encoders import catalogue
from hybridlab.encoders.backbones import BACKBONES
from hybridlab.encoders.catalogue import CATALOGUE, as_markdown, measure_cnn, measure_gemma
from hybridlab.encoders.cnn import build_cnn
from hybridlab.encoders.gemma import gemma_config

DOCS = Path(__file__).parents[2] / "docs" / "encoders.md"
# as torchvision, open_clip and the card of the tiny CLIP publish them
PUBLISHED = {
    "resnet50": 25_557_032, "resnet101": 44_549_160, "resnet152": 60_192_808,
    "efficientnet_lite0": 4_652_008, "tiny": 10_654_849,
    "ViT-B-32:openai": 151_277_313, "ViT-B-16-SigLIP:webli": 203_155_970,
    "ViT-SO400M-14-SigLIP-384:webli": 877_960_498,
}
MEASURED = {entry.name: entry.measure for entry in CATALOGUE}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_whole_model_has_as_many_parameters_as_is_published(name):
    assert MEASURED[name]().whole == PUBLISHED[name]


class Made(TorchDispatchMode):
    """Counts the elements of all tensors on the CPU that are made meanwhile."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device.type == "cpu":
            self.count += out.numel()
        return out


@pytest.mark.parametrize("measure", [
    catalogue.measure_cnn, catalogue.measure_clip, catalogue.measure_gemma])
def test_counting_takes_no_memory(measure):
    names = {"measure_cnn": ["resnet152"], "measure_clip": ["ViT-B-16-SigLIP:webli"]}
    with Made() as made:
        measure.__wrapped__(*names.get(measure.__name__, []))  # anew
    assert made.count < 100_000


def test_what_lesson_09_names_is_there():
    names = " ".join(MEASURED)
    for part in ("resnet50", "resnet101", "resnet152", "ViT-B-32", "SigLIP", "gemma-3"):
        assert part in names
    assert len(MEASURED) == len(CATALOGUE)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50"])
def test_a_row_is_what_the_builder_builds(name):
    found = measure_cnn(name)
    encoder = build_cnn(name, pretrained=False)
    assert sum(each.numel() for each in encoder.parameters()) == found.image
    assert encoder.preprocessing.image_size == found.image_size == BACKBONES[name].image_size
    with torch.no_grad():
        out = encoder(torch.zeros(1, 3, found.image_size, found.image_size))
    assert out.tokens.shape == (1, found.tokens, found.dim)


def test_clips_are_counted_as_they_are_built(tiny, vit):
    for encoder, name in ((tiny, "tiny"), (vit, "ViT-B-32:openai")):
        found = MEASURED[name]()
        assert sum(each.numel() for each in encoder.model.parameters()) == found.whole
        assert sum(each.numel() for each in encoder.vision.parameters()) == found.image
        side = encoder.preprocessing.image_size
        assert side == found.image_size
        with torch.no_grad():
            seen = encoder.encode_image(torch.zeros(1, 3, side, side))
        assert seen.tokens.shape == (1, found.tokens, found.dim)


def test_gemmas_tower():
    found = measure_gemma()
    vision = gemma_config().vision_config
    width, inner, layers = vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers
    attention = 4 * (width * width + width)
    block = attention + 2 * width * inner + inner + width + 4 * width  # two norms
    patches = 3 * 14 * 14 * width + width + 64 * 64 * width            # and their positions
    assert found.image == patches + layers * block + 2 * width + width * 2560 + width
    assert (found.image_size, found.tokens, found.dim) == (896, 256, 1152)


def test_the_table_of_the_docs_is_the_counted_one():
    text = DOCS.read_text(encoding="utf-8")
    shown = text.split("<!-- table -->\n")[1].split("\n<!-- end table -->")[0]
    assert shown == as_markdown()


def test_licences_go_by_the_exact_name():
    assert catalogue.licence_of("efficientnet_lite2") == "Apache-2.0"
    assert "BSD-3-Clause" in catalogue.licence_of("vgg16")
    assert catalogue.licence_of("ViT-B-32:openai") == "MIT"
    # other weights of the same architecture may have another licence
    assert catalogue.licence_of("ViT-B-32") is catalogue.licence_of("ViT-B-32:datacomp_xl") is None
    assert catalogue.licence_of("local-dir:x") is None


def test_an_unknown_tag_is_told():
    with pytest.raises(ValueError, match="tag of ViT-B-32"):
        catalogue.measure_clip("ViT-B-32:nowhere")
