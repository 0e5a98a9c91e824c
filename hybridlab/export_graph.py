"""A bundle's hybrid as one graph: two squares of a picture in, a decision for each label out.

What a bundle does around its model is inside: the encoders' mean and std (trap 12), and its
thresholds. Outside stays one thing, the resizing of pictures to the two squares, which
`Preprocessing.squares` does here and `export.json` describes for other programs.

Free-running decoding stops when all pictures of a batch have their STOP, which no graph can know in
advance. The graph takes every step that the decoder may take; what lies behind a picture's STOP is
masked, as it is in any batch with a longer row, so probabilities are the same.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hybridlab.bundle import Bundle

INPUTS = ("cnn_image", "clip_image")
OUTPUTS = ("probs", "decisions", "label_seq", "attention")
OPSET = 18  # what the exporter writes by itself
_SPLIT = 1_500_000_000  # bytes of weights: a file of protobuf ends at 2 GiB


class ExportedHybrid(nn.Module):
    """A bundle's model with all that a graph can hold of the bundle.

    Shape:
        cnn_image (B, 3, S, S), clip_image (B, 3, S', S'), float32 in 0..255
        -> probs (B, L), decisions (B, L) bool, label_seq (B, T), attention (B, T, P). T is always
        the decoder's `max_steps`; label_seq holds columns, then L for STOP, then -100. A model
        without a decoder's decoding has the first two alone.
    """

    thresholds: Tensor

    def __init__(self, bundle: Bundle):
        super().__init__()
        # a copy: the memory format that is fast here leaves odd weights in a file
        model = deepcopy(bundle.model).to("cpu").to(memory_format=torch.contiguous_format)
        self.model = model.eval().requires_grad_(False)
        self.register_buffer("thresholds", torch.from_numpy(exact_thresholds(bundle.thresholds)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `forward` gives."""
        return OUTPUTS if self.model.without != "cnn_rnn" else OUTPUTS[:2]

    def forward(self, cnn_image: Tensor, clip_image: Tensor) -> tuple[Tensor, ...]:
        cnn, clip = self.model.cnn.preprocessing, self.model.clip.preprocessing
        out = self.model(cnn.normalise(cnn_image), clip.normalise(clip_image))
        probs = torch.sigmoid(out.logits.float())
        decisions = probs >= self.thresholds
        if out.decoded is None:
            return probs, decisions
        return probs, decisions, out.decoded.label_seq, out.decoded.attention

    def examples(self, count: int = 2) -> tuple[Tensor, Tensor]:
        """Black pictures of the right shapes."""
        sizes = (part.preprocessing.image_size for part in (self.model.cnn, self.model.clip))
        cnn, clip = (torch.zeros(count, 3, size, size) for size in sizes)
        return cnn, clip


def exact_thresholds(thresholds: np.ndarray) -> np.ndarray:
    """(L,) float64 -> float32 such that `probs >= thresholds` is the same for any float32 probs.

    The nearest float32 may lie below a threshold, and a probability between the two would be
    decided for: the next one above is taken.
    """
    nearest = thresholds.astype(np.float32)
    below = nearest.astype(np.float64) < thresholds
    return np.where(below, np.nextafter(nearest, np.float32(np.inf)), nearest)


def torch_program(hybrid: ExportedHybrid) -> torch.export.ExportedProgram:
    """The graph by `torch.export`, for batches of any size from 1.

    Raises:
        RuntimeError: a part of the model cannot be exported.
    """
    batch = torch.export.Dim("batch", min=1)
    with _quiet():
        return torch.export.export(
            hybrid, hybrid.examples(), dynamic_shapes=({0: batch}, {0: batch})
        )


def save_torch(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write a graph as a .pt2 file, which `torch.export.load` reads."""
    with _quiet():
        torch.export.save(program, path)


def save_onnx(
    hybrid: ExportedHybrid, program: torch.export.ExportedProgram, path: Path,
    about: dict[str, str],
) -> None:
    """Write a graph as ONNX, opset 18.

    Args:
        program: of `torch_program`.
        path: the file; weights of more than 1.5 GB go into a second one beside it, PATH.data.
        about: texts that are kept in the file's metadata.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is not installed (the extra `export`).
    """
    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    with _quiet():
        made = torch.onnx.export(
            program, hybrid.examples(), dynamo=True, verbose=False, opset_version=OPSET,
            input_names=INPUTS, output_names=hybrid.outputs,
            dynamic_shapes=({0: "batch"}, {0: "batch"}),
        )
        assert made is not None  # only where a file's name was given
        made.model.metadata_props.update(about)
        made.save(path, external_data=size > _SPLIT)


def run_torch(path: Path, images: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """What a .pt2 file makes of cnn_image and clip_image, by name of the output."""
    with _quiet(), torch.inference_mode():
        found = torch.export.load(path).module()(*images)
    return {name: value.numpy() for name, value in zip(OUTPUTS, found, strict=False)}


def run_onnx(path: Path, images: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """What onnxruntime makes of the same, on the CPU.

    Raises:
        ModuleNotFoundError: onnxruntime is not installed (the extra `export`).
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {name: image.numpy() for name, image in zip(INPUTS, images, strict=True)}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks about themselves; what goes wrong raises."""
    root = logging.getLogger("torch.onnx")
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(before)
