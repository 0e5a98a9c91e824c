"""A model card from a bundle and an evaluation: what is known, and "unknown" for what is not.

The headings are those of the field: Mitchell et al. 2019, *Model cards for model reporting* (arXiv
1810.03993). Nothing is written that neither the bundle nor the evaluation says; a bundle that comes
from a stranger may say what it likes, and is quoted as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from hybridlab import __version__
from hybridlab.bundle import SHIPPED_FOLDER, Bundle
from hybridlab.bundle_format import Manifest, read_manifest
from hybridlab.card_figures import (
    UNKNOWN,
    Measuring,
    calibration,
    evaluation_data,
    labels,
    limits,
    metrics,
    thresholds,
    train_positives,
)
from hybridlab.data.world import WORLD
from hybridlab.encoders.catalogue import licence_of
from hybridlab.evaluate import Evaluation
from hybridlab.markdown import fenced, json_lines, plain, short, table_lines

__all__ = ["Measuring", "model_card"]


def model_card(bundle: Bundle, found: Evaluation, how: Measuring) -> str:
    """The card as Markdown.

    Raises:
        BundleError: the bundle's folder is no longer there.
    """
    manifest = read_manifest(bundle.folder)
    sections = (
        _head(bundle, how), _details(bundle, manifest), _use(bundle), _training(bundle),
        evaluation_data(found, how), metrics(found), thresholds(found, how),
        calibration(found), labels(bundle, found), limits(bundle, found, how),
        _repeat(bundle, manifest, how), _licence(bundle, manifest),
    )
    text = "\n".join(line for section in sections for line in section) + "\n"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # odd file names in a command


def _head(bundle: Bundle, how: Measuring) -> Iterator[str]:
    shipped = bundle.folder.resolve() == SHIPPED_FOLDER.resolve()
    name = "the shipped hybrid" if shipped else bundle.folder.resolve().name
    yield f"# Model card: {plain(name)}"
    yield ""
    yield (
        f"*Written by hybridlab {__version__} on {date.today().isoformat()} from the bundle and "
        f"one evaluation ({plain(how.about)}). What neither of them says stands here as "
        f"\"{UNKNOWN}\": fill it in, or find it out, before you pass the model on.*"
    )
    yield ""


def _details(bundle: Bundle, manifest: Manifest) -> Iterator[str]:
    cnn, clip, decoder, fusion = manifest.cnn, manifest.clip, manifest.decoder, manifest.fusion
    model = bundle.model
    count = sum(each.numel() for each in model.parameters())
    weights = manifest.weights
    own = "weights in the bundle" if cnn.own_weights else "weights of its package, told by a hash"
    yield "## Model details"
    yield ""
    yield from table_lines(("", ""), [
        ("what it is", "a multi-label image classifier: a CNN-RNN label decoder and a CLIP, fused; "
                       "one sigmoid a label"),
        ("labels", str(len(bundle.vocabulary))),
        ("CNN", f"{cnn.name} up to {cnn.stage}, input "
                f"{cnn.preprocessing.get('image_size', UNKNOWN)} pixels, {own}"),
        ("CLIP", f"{clip.name}, input {clip.preprocessing.get('image_size', UNKNOWN)} pixels, "
                 f"{clip.dim} dimensions; its text tower is not in the bundle"),
        ("decoder", f"{decoder.cell.upper()}, {decoder.layers} layers of width {decoder.dim}, "
                    f"at most {decoder.max_steps} labels"
                    + (f"; left out: {fusion.without}" if fusion.without else "")),
        ("fusion", f"{fusion.name} of width {fusion.dim}, reading the decoder's {fusion.view}"),
        ("parameters", f"{count:,}"),
        ("weights", f"{weights.bytes / 1e6:.1f} MB, {weights.precision}, SHA-256 "
                    f"{weights.sha256[:16]}..."),
        ("made by", _known(bundle.info.get("made_by"))),
        ("made with", ", ".join(f"{name} {each}" for name, each in manifest.versions.items())
                      or UNKNOWN),
        ("author, date, contact", UNKNOWN),
    ])


def _use(bundle: Bundle) -> Iterator[str]:
    names = bundle.vocabulary.names
    yield "## Intended use"
    yield ""
    yield f"- What its makers meant it for: {UNKNOWN}; the bundle does not say."
    yield (
        f"- What it can do: say which of {len(names)} labels a picture has, each with a "
        "probability and a yes or no. What is not among them it never says, and it cannot say that "
        "a picture is of no kind that it knows."
    )
    yield (
        "- What it was measured on stands below; of other pictures nothing is known. Of its errors "
        f"for people, groups or places: {UNKNOWN}; nothing of that was measured."
    )
    yield ""


def _training(bundle: Bundle) -> Iterator[str]:
    data, config = bundle.info.get("data"), bundle.info.get("config")
    yield "## Training data"
    yield ""
    if isinstance(data, Mapping) and data:
        yield from table_lines(("split", "what the bundle says"), [
            (str(split), ", ".join(f"{key} {short(each)}" for key, each in told.items()
                                   if key != "positives")
             if isinstance(told, Mapping) else short(told))
            for split, told in data.items()
        ])
    else:
        sizes = {split: config[split] for split in ("train", "val", "test")
                 if isinstance(config, Mapping) and split in config}
        told = ", ".join(f"{split} {short(size)}" for split, size in sizes.items())
        yield (f"By its configuration: {told} pictures; which ones: {UNKNOWN}."
               if told else f"Which pictures: {UNKNOWN}; the bundle does not say.")
        yield ""
    if bundle.vocabulary == WORLD:
        yield "The labels are those of the course's small world."
        yield ""
    if (bundle.folder / "README.md").is_file():
        yield "Beside the bundle lies a README.md by its makers, which may say more."
        yield ""
    if not train_positives(bundle):
        yield f"Pictures with each label in training: {UNKNOWN}; the bundle does not say."
        yield ""


def _repeat(bundle: Bundle, manifest: Manifest, how: Measuring) -> Iterator[str]:
    yield "## How to repeat it"
    yield ""
    yield "The evaluation:"
    yield ""
    yield from fenced(how.command or f"made in Python; no command is known ({how.about})", "")
    yield (f"Bootstrap: {how.resamples:,} resamples, seed {how.seed}. The model draws nothing at "
           "random when it predicts.")
    yield ""
    yield f"The training: made by {_known(bundle.info.get('made_by'))}; seed {_seed(bundle.info)}."
    more = {key: each for key, each in bundle.info.items() if key not in ("made_by", "data")}
    yield ""
    if more:
        yield "What its maker wrote into the bundle:"
        yield ""
        yield from fenced(json_lines(more), "json")
    yield "What it is built of:"
    yield ""
    parts = {name: asdict(part) for name, part in (
        ("cnn", manifest.cnn), ("clip", manifest.clip), ("decoder", manifest.decoder),
        ("fusion", manifest.fusion))}
    yield from fenced(json_lines(parts), "json")


def _licence(bundle: Bundle, manifest: Manifest) -> Iterator[str]:
    yield "## Licence"
    yield ""
    for part, kind in ((manifest.cnn, "CNN"), (manifest.clip, "CLIP")):
        known = licence_of(part.name)
        where = "" if known is None else ", as docs/encoders.md has it"
        yield f"- The {kind}, {plain(part.name)}: {known or UNKNOWN}{where}."
    if bundle.folder.resolve() == SHIPPED_FOLDER.resolve():
        yield "- The shipped weights: see NOTICE; whoever passes them on keeps it."
    else:
        yield (f"- The bundle itself: {UNKNOWN}; it does not say. Weights that were trained on "
               "pictures may be bound by the terms of the pictures.")


# --- pieces ------------------------------------------------------------------------------------


def _seed(info: Mapping[str, Any]) -> str:
    config = info.get("config")
    seed = info.get("seed", config.get("seed") if isinstance(config, Mapping) else None)
    return _known(seed)


def _known(value: Any) -> str:
    return UNKNOWN if value is None or value == "" else plain(short(value))
