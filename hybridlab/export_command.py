"""`hybridlab export`: its options. Nothing heavy is imported up here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Export:
    """Write a bundle for other runtimes (ONNX, torch.export), and check that it gives the same."""

    bundle: Annotated[Positional[str], arg(metavar="BUNDLE")]
    """A bundle's folder, such as runs/TIME/bundle, or the word "shipped"."""
    out: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """The folder to make; it must be new."""
    format: Literal["onnx", "torch", "both"] = "both"
    """model.onnx, model.pt2, or both of them."""

    def run(self) -> int:
        from hybridlab.bundle import bundle_named
        from hybridlab.export import FILES, main_export

        formats = tuple(FILES) if self.format == "both" else (self.format,)
        return main_export(bundle_named(self.bundle), self.out, formats)
