"""Labels for pictures: a bundle and images in, one `Prediction` per image out.

Pictures may have any size: each is brought to the encoders' sizes as soon as it is read, so memory
holds one full picture at a time, whatever the size of a batch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hybridlab.bundle import Bundle, load_bundle
from hybridlab.data.image_modes import to_rgb
from hybridlab.data.images import ImageError, ImageProblem, iter_image_paths, load_image
from hybridlab.prediction import Prediction

Picture: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor
_Pixels: TypeAlias = tuple[Tensor, Tensor]


class Predictor:
    """Labels pictures with the hybrid of a bundle.

    Args:
        bundle: as `load_bundle` gives it, or its folder. Its model is put into eval.
        device: where to load a folder's model; a `Bundle` stays where it is.

    Raises:
        BundleError: the folder holds no usable bundle.
    """

    def __init__(self, bundle: Bundle | str | os.PathLike[str], device: str = "cpu"):
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, device)
        self.model = self.bundle.model.eval()
        self.device = self.model.text_emb.device

    def predict(
        self, images: Picture | Iterable[Picture], batch_size: int = 32
    ) -> list[Prediction]:
        """Label one picture or several, of any sizes.

        Args:
            images: paths, PIL images of any mode, uint8 arrays (H, W, 3), uint8 tensors
                (3, H, W); one of these or an iterable of them, mixed if need be. Also a uint8
                tensor (B, 3, H, W) or array (B, H, W, 3).
            batch_size: pictures in one pass through the model.

        Raises:
            ImageError: a path that gives no picture. To pass over bad files use `predict_paths`.
            TypeError, ValueError: not a picture; the message gives its type or shape.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        many = [images] if _is_one(images) else images
        found: list[Prediction] = []
        waiting: list[tuple[str, _Pixels]] = []
        for at, image in enumerate(many):  # type: ignore[arg-type]
            is_path = isinstance(image, str | os.PathLike)
            source = os.fspath(image) if is_path else f"image {at}"
            waiting.append((source, self.prepare(load_image(image) if is_path else image)))
            if len(waiting) == batch_size:
                found += self.run(waiting)
                waiting = []
        return found + self.run(waiting)

    def each(
        self, images: Iterable[Picture], batch_size: int = 32
    ) -> Iterator[Prediction | ImageProblem]:
        """One result for each picture, in order; what gives no picture yields its problem.

        Pictures are taken as they are needed: memory holds one full picture at a time.

        Args:
            images: as `predict` takes them, however many.
            batch_size: pictures in one pass through the model.

        Raises:
            TypeError, ValueError: something that is no picture and no path.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more")
        # problems wait among the pictures, so that the order stays
        waiting: list[tuple[str, _Pixels] | ImageProblem] = []
        for at, image in enumerate(images):
            waiting.append(self._ready(at, image))
            if len(waiting) >= batch_size:
                yield from self._flush(waiting)
                waiting = []
        yield from self._flush(waiting)

    def _ready(self, at: int, image: Picture) -> tuple[str, _Pixels] | ImageProblem:
        if not isinstance(image, str | os.PathLike):
            return f"image {at}", self.prepare(image)
        try:
            return os.fspath(image), self.prepare(load_image(image))
        except ImageError as error:
            return ImageProblem(error.path, error.message)
        except (MemoryError, RuntimeError, ValueError) as error:
            what = " ".join(str(error).split())
            return ImageProblem(Path(image), f"cannot be resized ({what})")

    def _flush(
        self, waiting: list[tuple[str, _Pixels] | ImageProblem]
    ) -> Iterator[Prediction | ImageProblem]:
        found = iter(self.run([item for item in waiting if not isinstance(item, ImageProblem)]))
        for item in waiting:
            yield item if isinstance(item, ImageProblem) else next(found)

    def prepare(self, image: Image.Image | np.ndarray | Tensor) -> _Pixels:
        """One picture as the two encoders want it: pixels (1, 3, S, S), each of its own size S."""
        if isinstance(image, Image.Image):
            image = to_rgb(image)
        elif not isinstance(image, np.ndarray | Tensor):
            raise TypeError(
                f"got a {type(image).__name__}, expected a path, a PIL image, a uint8 array "
                "(H, W, 3) or a uint8 tensor (3, H, W)"
            )
        cnn, clip = self.model.cnn.preprocessing, self.model.clip.preprocessing
        return cnn([image]), clip([image])

    @torch.inference_mode()
    def run(self, prepared: Sequence[tuple[str, _Pixels]]) -> list[Prediction]:
        """One pass through the model: (source, `prepare`d picture) pairs -> predictions.

        Raises:
            FloatingPointError: the model gave a value that is no number.
        """
        if not prepared:
            return []
        cnn, clip = (
            torch.cat([pixels[view] for _, pixels in prepared]).to(self.device) for view in (0, 1)
        )
        out = self.model(cnn, clip)
        probs = torch.sigmoid(out.logits.float()).cpu().numpy()
        if not np.isfinite(probs).all():
            raise FloatingPointError(f"the model gave NaN for {prepared[0][0]} or its batch")
        sources, decoded = [source for source, _ in prepared], out.decoded
        if decoded is None:  # the model does without its CNN-RNN
            return [self._prediction(*each) for each in zip(sources, probs, strict=True)]
        return [
            self._prediction(source, row, label_seq, weights[: int(steps)])
            for source, row, label_seq, weights, steps in zip(
                sources,
                probs,
                decoded.label_seq.cpu().numpy(),
                decoded.attention.float().cpu().numpy(),
                decoded.mask.sum(dim=1).tolist(),
                strict=True,
            )
        ]

    def _prediction(
        self,
        source: str,
        probs: np.ndarray,
        label_seq: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> Prediction:
        names = self.bundle.vocabulary.names
        steps = () if label_seq is None else label_seq.tolist()
        maps = None
        if weights is not None and (side := math.isqrt(weights.shape[1])) ** 2 == weights.shape[1]:
            maps = weights.reshape(-1, side, side).copy()
        return Prediction(
            source=source,
            names=names,
            labels=(),
            probs=probs.copy(),  # a view would keep the whole batch alive
            thresholds=self.bundle.thresholds,
            # no STOP, no padding
            decoder_order=tuple(names[at] for at in steps if 0 <= at < len(names)),
            attention=maps,
        ).decided()


def predict_paths(
    predictor: Predictor, inputs: Sequence[str | Path], batch_size: int = 32
) -> Iterator[Prediction | ImageProblem]:
    """Label files and folders in batches, in order; what gives no picture yields its problem.

    Inputs that do not exist, and folders without pictures, come first. Memory does not grow with
    the number of files but for their names.

    Raises:
        TypeError: `inputs` is a single path instead of a sequence of them.
        ValueError: `batch_size` is below 1.
    """
    paths, problems = iter_image_paths(inputs)
    yield from (ImageProblem(path, message) for path, message in problems)
    yield from predict_files(predictor, paths, batch_size)


def predict_files(
    predictor: Predictor, paths: Iterable[str | os.PathLike[str]], batch_size: int = 32
) -> Iterator[Prediction | ImageProblem]:
    """One result for each file, in order: its prediction, or why it gave no picture.

    Raises:
        ValueError: `batch_size` is below 1.
    """
    yield from predictor.each(paths, batch_size)


def _is_one(images: object) -> bool:
    if isinstance(images, np.ndarray | Tensor):
        return images.ndim != 4
    return isinstance(images, str | os.PathLike | Image.Image)
