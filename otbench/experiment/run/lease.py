"""A scheduler that reports the death of a worker at once, for as long as a run asks it to.

The setting is leased: the scheduler itself takes it back once nobody renewed it, so that it is as it was also after a
run that was killed. Several runs may hold it at a time; it goes back with the last of them.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from distributed import Client

#: Seconds for which the setting is leased, and how often it is renewed.
LEASE, RENEW = 60.0, 15.0


@contextmanager
def own_judgement(client: "Client") -> Iterator[None]:
    """In this context the scheduler reports the death of a worker at once, and the run judges whether to go on.

    Afterwards, and LEASE seconds after the end of a process that had no afterwards, it does as it did before.
    """
    name, over = uuid4().hex, threading.Event()
    client.run_on_scheduler(take_lease, name, LEASE)

    def renew() -> None:
        while not over.wait(RENEW):
            with suppress(OSError, ValueError, RuntimeError):  # a scheduler that left needs no lease
                client.run_on_scheduler(take_lease, name, LEASE)

    keeper = threading.Thread(target=renew, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        with suppress(OSError):
            client.run_on_scheduler(end_lease, name)


def take_lease(name: str, seconds: float, dask_scheduler: Any = None) -> None:
    """On the scheduler: tolerate no failure for ``seconds`` from now, in the name of one run."""
    leases = dask_scheduler.__dict__.setdefault("otbench_leases", {})
    if not leases:
        dask_scheduler.otbench_before = dask_scheduler.allowed_failures
    dask_scheduler.allowed_failures = 0
    leases[name] = monotonic() + seconds
    dask_scheduler.loop.call_later(seconds + 0.1, _end_of_those_that_are_over, dask_scheduler)


def end_lease(name: str, dask_scheduler: Any = None) -> None:
    """On the scheduler: a run is over."""
    dask_scheduler.otbench_leases.pop(name, None)
    _end_of_those_that_are_over(dask_scheduler)


def _end_of_those_that_are_over(scheduler: Any) -> None:
    leases = scheduler.otbench_leases
    for name in [name for name, until in leases.items() if until <= monotonic()]:
        del leases[name]
    if not leases and hasattr(scheduler, "otbench_before"):
        scheduler.allowed_failures = scheduler.otbench_before
        del scheduler.otbench_before
