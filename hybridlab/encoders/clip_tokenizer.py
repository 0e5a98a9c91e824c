"""Tokenizers of open_clip models, with clear words where one cannot be had.

CLIP's own tokenizer comes with open_clip. SigLIP's is read by the package transformers (the extra
`gemma`) from files of the hub; open_clip has it pad every text to the full length, as SigLIP was
trained (trap 10).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from hybridlab.encoders.base import MissingWeightsError
from hybridlab.encoders.hub import missing, reachable

Tokenizer = Callable[[list[str]], Tensor]
EXTRA = "pip install 'hybridlab[gemma]'"


def build_tokenizer(source: str, *, later: bool = False) -> Tokenizer:
    """The tokenizer of a model: texts -> (L, T) token numbers.

    Args:
        source: a model's name in open_clip, or "local-dir:FOLDER".
        later: build one of transformers when texts come. For random weights: images need none.

    Raises:
        ImportError: it needs transformers, which is not installed; the message names the extra.
        MissingWeightsError: its files are neither on this machine nor to be fetched.
    """
    import open_clip

    config = open_clip.get_model_config(source) or {}
    repository = config.get("text_cfg", {}).get("hf_tokenizer_name")
    if not repository:
        return open_clip.get_tokenizer(source)
    return _Later(source, repository) if later else _of_transformers(source, repository)


class _Later:
    """A class, because a closure cannot be pickled."""

    def __init__(self, source: str, repository: str):
        self.source, self.repository = source, repository
        self._built: Tokenizer | None = None

    def __call__(self, texts: list[str]) -> Tensor:
        if self._built is None:
            self._built = _of_transformers(self.source, self.repository)
        return self._built(texts)


def _of_transformers(source: str, repository: str) -> Tokenizer:
    import open_clip

    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"the tokenizer of {source} needs the package transformers; install the extra: {EXTRA}"
        ) from error
    try:
        return open_clip.get_tokenizer(source, local_files_only=True)
    except (OSError, ValueError) as error:  # transformers raises either for files that are not here
        problem = _problem(source, repository)
        if source.startswith("local-dir:") or not reachable():
            raise MissingWeightsError(problem) from error
    try:
        return open_clip.get_tokenizer(source)
    except (OSError, ValueError) as error:
        raise MissingWeightsError(f"{problem} ({error})") from error


def _problem(source: str, repository: str) -> str:
    from huggingface_hub import constants

    folder = source.removeprefix("local-dir:")
    if folder != source:
        return (
            f"{folder} does not hold the tokenizer that its configuration names; put the "
            f"tokenizer's files of {repository} there (tokenizer.json, tokenizer_config.json)"
        )
    return missing(
        f"the tokenizer's files of {source}",
        f"{repository}/tokenizer.json",
        Path(constants.HF_HUB_CACHE),
        ", or copy the whole folder of the model and build 'local-dir:FOLDER'",
    )
