"""Tasks one after the other in this process, or spread over the workers of a dask client; what fails is split."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from otbench.errors import ResultsError

if TYPE_CHECKING:
    from distributed import Client, Future

Task = TypeVar("Task")
Result = TypeVar("Result")

#: A dead worker may be bad luck (its machine was short of memory, somebody ended it); two are the task's.
DEATHS = 2

#: Seconds without any worker after which a run gives up.
PATIENCE = 120.0

#: Seconds between looks at who joined or left.
LOOK = 0.5


@dataclass(frozen=True)
class Failure:
    """Why a task has no result."""

    reason: str


@dataclass(frozen=True)
class Work(Generic[Task, Result]):
    """What is to be done with a task, the parts it can be split into when it fails (none: it is one cell), and the
    seconds one cell may take."""

    attempt: Callable[[Task], Result | Failure]
    split: Callable[[Task], list[Task]]
    limit: float | None = None


@dataclass(frozen=True)
class Try(Generic[Task]):
    """A task on its way: how many workers died of it, and since when it has been running."""

    task: Task
    deaths: int = 0
    since: float = 0.0


def run_here(work: Work[Task, Result], tasks: Sequence[Task]) -> Iterator[tuple[Task, Result | Failure]]:
    """Every task with its result, in this process. A task that fails is split; the last part that fails alone is
    the one with a Failure."""
    waiting = deque(Try(task) for task in tasks)
    while waiting:
        going = waiting.popleft()
        yield from _settled(work, going, work.attempt(going.task), waiting)


def run_on(
    client: "Client", work: Work[Task, Result], tasks: Sequence[Task], resources: dict[str, float] | None = None
) -> Iterator[tuple[Task, Result | Failure]]:
    """The same on a client's workers, in the order they finish: one task a worker thread at a time.

    No task waits on a worker, so that only the task that ran is blamed for its death, and what is pending does
    not grow with the number of tasks.

    Raises:
        ResultsError: the scheduler is gone, or no worker was there for PATIENCE seconds.
    """
    waiting = deque(Try(task) for task in tasks)
    running: dict[Future, Try[Task]] = {}
    last_seen = monotonic()
    while waiting or running:
        free = slots(client, resources)
        last_seen = monotonic() if free else last_seen
        if monotonic() - last_seen > PATIENCE:
            raise ResultsError(f"no worker was there for {PATIENCE:.0f} s; what was done is kept: run again")
        while waiting and len(running) < free:
            going = waiting.popleft()
            future = client.submit(work.attempt, going.task, pure=False, retries=0, resources=resources or None)
            running[future] = Try(going.task, going.deaths, monotonic())
        for future in _finished(running):
            going = running.pop(future)
            yield from _outcome(work, going, future, waiting)
            future.release()


def slots(client: "Client", resources: dict[str, float] | None = None) -> int:
    """How many tasks can run at once: the worker threads there are, or the workers that offer the resources.

    Raises:
        ResultsError: the scheduler is gone.
    """
    try:
        if not resources:
            return int(sum(client.nthreads().values()))
        known = client.scheduler_info()["workers"].values()
    except (OSError, ValueError):  # what a client says whose scheduler left
        raise _lost() from None
    return sum(all(w["resources"].get(name, 0) >= r for name, r in resources.items()) for w in known)


def _finished(running: dict["Future", Try[Task]]) -> list["Future"]:
    """The futures that ended, after at most LOOK seconds."""
    from distributed import wait
    from distributed.client import FuturesCancelledError

    if not running:
        from time import sleep

        sleep(LOOK)
        return []
    try:
        return list(wait(list(running), timeout=LOOK, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []
    except FuturesCancelledError:
        raise _lost() from None


def _outcome(
    work: Work[Task, Result], going: Try[Task], future: "Future", waiting: deque[Try[Task]]
) -> Iterator[tuple[Task, Result | Failure]]:
    """What one future came to: a result, or a death, which is tried once more unless the time was up."""
    from distributed import KilledWorker

    if future.status in {"cancelled", "lost"}:
        raise _lost()
    error = future.exception() if future.status == "error" else None
    if error is None:
        yield from _settled(work, going, future.result(), waiting)
        return
    if not isinstance(error, KilledWorker):
        yield from _settled(work, going, Failure(first_line(error)), waiting)
        return
    if work.limit is not None and monotonic() - going.since >= work.limit:
        yield from _settled(work, going, Failure(too_long(work.limit)), waiting)
    elif going.deaths + 1 < DEATHS:
        waiting.appendleft(Try(going.task, going.deaths + 1))
    else:
        reason = f"its worker died {DEATHS} times out of {DEATHS}, of memory most likely"
        yield from _settled(work, going, Failure(reason), waiting)


def _settled(
    work: Work[Task, Result], going: Try[Task], outcome: Result | Failure, waiting: deque[Try[Task]]
) -> Iterator[tuple[Task, Result | Failure]]:
    """A result or a final failure; a failed task that can be split is split instead, its parts next in turn."""
    parts = work.split(going.task) if isinstance(outcome, Failure) else []
    if parts:
        waiting.extendleft(Try(part) for part in reversed(parts))
    else:
        yield going.task, outcome


def first_line(error: BaseException) -> str:
    """An exception in one line: its type, and the first line of what it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def too_long(limit: float) -> str:
    return f"not done after {limit:g} s"


def _lost() -> ResultsError:
    return ResultsError("the dask scheduler is gone; what was done is kept, the same command goes on from there")
