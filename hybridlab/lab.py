"""`hybridlab lab`: JupyterLab on this machine only, with a token, open at the first notebook."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from urllib.parse import quote

FIRST = "notebooks/00_start_here.ipynb"
# Loopback, whatever the user's own Jupyter configuration says: who reaches a notebook server can
# run any code as the user.
HOST = "127.0.0.1"
TRIES = 50


def course_folder() -> Path:
    """The repository: the folder with `notebooks/`, beside the package or the current one.

    Raises:
        FileNotFoundError: the package is installed without the notebooks.
    """
    beside = Path(__file__).resolve().parents[1]
    for folder in (beside, Path.cwd()):
        if (folder / FIRST).is_file():
            return folder
    raise FileNotFoundError(
        f"there is no {FIRST} in {beside} or in the current folder; clone the course's repository "
        "and run `make lab` there"
    )


def free_port(first: int = 8888, tries: int = TRIES) -> int:
    """The first free port of `first`, `first` + 1, ...; any free one when `tries` are taken.

    Raises:
        ValueError: not a port number.
    """
    if not 1 <= first <= 65535:
        raise ValueError(f"port is {first}; give a number from 1 to 65535 (8888 is usual)")
    for port in (*range(first, min(first + tries, 65536)), 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:  # taken, or not ours to take
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {HOST}; close other servers and try again")


def server_arguments(folder: Path, port: int, token: str, browser: bool) -> list[str]:
    """Arguments of JupyterLab; given so, they win over every configuration file."""
    arguments = [
        f"--ServerApp.ip={HOST}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",  # the address printed must be the one served
        "--ServerApp.allow_remote_access=False",
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.open_browser={browser}",
        f"--IdentityProvider.token={token}",
        f"--LabApp.default_url=/lab/tree/{quote(FIRST)}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Containers run as root; Jupyter refuses that for fear of the network, which is shut out.
        arguments.append("--ServerApp.allow_root=True")
    return arguments


def run_lab(*, browser: bool = True, port: int = 8888) -> int:
    """Serve the course until it is stopped; prints the address, token included.

    Args:
        browser: open the first notebook in a browser.
        port: the port to try first.

    Returns:
        the exit status.

    Raises:
        FileNotFoundError: no notebooks; see `course_folder`.
        ValueError: not a port number.
    """
    folder = course_folder()
    port = free_port(port)
    token = secrets.token_hex(24)
    # In this process: a child's arguments, and with them the token, could be read by other users.
    from jupyterlab.labapp import LabApp

    print(
        f"The course is at http://{HOST}:{port}/lab/tree/{quote(FIRST)}?token={token}\n"
        "Only this machine can reach it. Stop it with Ctrl-C.",
        flush=True,
    )
    LabApp.launch_instance(argv=server_arguments(folder, port, token, browser))
    return 0
