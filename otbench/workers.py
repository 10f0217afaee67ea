"""Where tasks run: in this process, or on workers of a dask cluster on this machine."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from otbench.errors import ResultsError

T = TypeVar("T")

#: Measured choices: a saturation above 1 blames an innocent queued task for a dead worker; nannies kill cells
#: with a large cost matrix; one failure may be bad luck, two are the task's.
DASK = {
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": 1,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}


def run_everywhere(work: Callable[..., T], tasks: Sequence[Any], workers: int) -> Iterator[T]:
    """``work(task)`` for every task, results as they finish.

    One worker means this process. Several are processes with one thread each: two threads on two shared cores
    were a hundred times slower than one.
    """
    if workers == 1 or len(tasks) <= 1:
        with _one_thread():
            for task in tasks:
                yield work(task)
        return
    import dask
    from distributed import Client, KilledWorker, LocalCluster, as_completed

    with (
        dask.config.set(DASK),
        LocalCluster(
            n_workers=min(workers, len(tasks)), threads_per_worker=1, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", memory_limit=0, silence_logs=40,
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        client.run(_limit_threads)
        futures = [client.submit(work, task, pure=False, retries=0) for task in tasks]
        for future in as_completed(futures):
            try:
                done = future.result()
            except KilledWorker:
                raise ResultsError(
                    "a worker died twice on one task, of memory most likely; what was done is kept: "
                    "run again with fewer workers or smaller samples"
                ) from None
            yield done
            future.release()


@contextmanager
def _one_thread() -> Iterator[None]:
    """One BLAS thread in this process while tasks run here."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def _limit_threads() -> None:
    """One thread in a worker for good, whatever its environment said when its libraries loaded."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
