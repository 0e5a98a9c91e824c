"""Writing safetensors with errors that say what they are.

The library raises an error of its own, which is no `OSError`, whatever the disk said: who waits for
a full disk, or writes on without a cache, would not see it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_NUMBER = re.compile(r"\(os error (\d+)\)")


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors, each made contiguous on the CPU, to a path that is not yet anybody's: the
    temporary one of `files.atomic_path`, or one in a folder that nobody reads yet.

    Raises:
        OSError: what the disk said, with its `errno`: ENOSPC where it is full.
        SafetensorError: anything else, such as tensors that share memory.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()},
                  path, None if metadata is None else dict(metadata))
    except SafetensorError as error:
        if (told := _NUMBER.search(str(error))) is not None:
            number = int(told[1])
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
