"""The hub of models: whether it answers, and words for what cannot be had from it."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

CONNECT_TIMEOUT = 3.0  # seconds; the hub's own client retries for more than a minute


def reachable() -> bool:
    """Whether the hub answers at all; a proxy, where one is set, is left to the hub's client."""
    from urllib.request import getproxies

    from huggingface_hub import constants

    if getproxies().get("https"):
        return True
    parts = urlsplit(constants.ENDPOINT)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), CONNECT_TIMEOUT).close()
    except OSError:
        return False
    return True


def missing(what: str, file: str, place: Path, instead: str) -> str:
    """The message for a file that is neither here nor to be fetched.

    Args:
        what: what it is of, such as "the weights of ViT-B-32".
        file: its name on the hub or on the disk.
        place: where it was looked for.
        instead: what else the reader can do.
    """
    return (
        f"{what} are not on this machine and cannot be fetched: {file} is not in {place}. Fetch it "
        f"where there is a network and put it there{instead}"
    )
