"""A learner's process where processes cannot fork: a fresh Python, some seconds each.

    python -m hybridlab.grading.spawned PORT FOLDER CPU_SECONDS MEMORY < TOKEN
"""

from __future__ import annotations

import socket
import sys

from hybridlab.grading.child import serve


def main(port: int, folder: str, cpu_seconds: int, memory: int) -> None:
    """Connect to the grader on this machine, show the token, and serve."""
    import torch

    torch.set_num_threads(1)
    token = sys.stdin.readline().strip()
    with socket.create_connection(("127.0.0.1", port)) as channel:
        channel.sendall(token.encode())
        serve(channel, folder, cpu_seconds, memory)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
