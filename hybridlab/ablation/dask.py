"""The workers of a Dask cluster: many machines behind one scheduler (extra "cluster")."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from hybridlab.ablation.errors import MissingExtraError


class DaskPool(Executor):
    """Dask's workers as an executor; Dask itself does again what a lost worker held.

    Every worker must see the study's folder at the same path and have the same code. A process
    does one run at a time, whatever threads Dask gave it, since two would draw from one generator;
    the run has those threads for its arithmetic (`dask worker ADDRESS --nworkers 4 --nthreads 1`
    makes four runs at a time).
    """

    kind = "dask"
    capacity = None  # all runs at once: the scheduler hands them out

    def __init__(self, client: Any, close: bool = False):
        self.client = client
        self._close = close
        # Not pure: the same call in a later study is a new question to the disk. Retries are for
        # what breaks around a run; `execute` itself never raises.
        self._pool = client.get_executor(pure=False, retries=1)

    @property
    def threads(self) -> int:
        """For arithmetic: Dask's threads of the worker that has fewest, or 1 before any is there.

        The same for all workers, as sums in another order are other sums.
        """
        return max(1, min(self.client.nthreads().values(), default=1))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `concurrent.futures.Executor.submit`."""
        return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; its workers go on living."""
        self._pool.shutdown(wait=wait and not cancel_futures)
        if self._close:
            self.client.close()


def dask_executor(address: str, timeout: float = 30.0) -> DaskPool:
    """The cluster whose scheduler is at `address`, such as "tcp://10.0.0.5:8786".

    Raises:
        MissingExtraError: the extra "cluster" is not installed.
        ConnectionError: no scheduler answers there within `timeout` seconds.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Dask is not installed; install the extra: pip install 'hybridlab[cluster]'"
        ) from error
    try:
        client = Client(address, timeout=timeout)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {address} ({error}); start one with `dask scheduler`, "
            "workers with `dask worker ADDRESS`, and give the address that the scheduler prints"
        ) from error
    return DaskPool(client, close=True)
