"""Tasks done one after the other in this process, or spread over the workers of a dask client.

A task may be anything that a worker can be sent. One that fails is split into parts where it has any, so that a failure
is that of the smallest part.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from otbench.errors import ResultsError

if TYPE_CHECKING:
    from distributed import Client, Future

AnyTask = TypeVar("AnyTask")
Result = TypeVar("Result")

#: A dead worker may be bad luck: its machine was short of memory, or somebody ended it. Two are the task's own doing.
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
class Waiting(Generic[AnyTask]):
    """A task that waits for a worker, and how many workers have died of it."""

    task: AnyTask
    deaths: int = 0


def run_here(
    attempt: Callable[[AnyTask], Result | Failure],
    tasks: Sequence[AnyTask],
    split: Callable[[AnyTask], Sequence[AnyTask]],
) -> Iterator[tuple[AnyTask, Result | Failure]]:
    """Every task with what ``attempt`` makes of it, in this process; the parts of one that fails take its place."""
    waiting = deque(tasks)
    while waiting:
        task = waiting.popleft()
        outcome = attempt(task)
        parts = split(task) if isinstance(outcome, Failure) else []
        waiting.extendleft(reversed(parts))
        if not parts:
            yield task, outcome


def run_on(
    client: "Client",
    attempt: Callable[[AnyTask], Result | Failure],
    tasks: Sequence[AnyTask],
    split: Callable[[AnyTask], Sequence[AnyTask]],
    *,
    limit: float | None = None,
    resources: dict[str, float] | None = None,
) -> Iterator[tuple[AnyTask, Result | Failure]]:
    """``run_here`` on a client's workers, in the order in which tasks end: one task per worker thread at a time.

    No task waits on a worker, so that only the task that ran is blamed for the worker's death, and what is pending does
    not grow with the number of tasks.

    Args:
        client: the client whose workers attempt the tasks.
        attempt: what a worker does with a task.
        tasks: what there is to do, in the order in which it is sent out.
        split: the parts of a task that failed, none where it is one piece.
        limit: seconds after which a worker that dies has died of its task's time limit.
        resources: what a worker must offer to be given a task, by name.

    Raises:
        ResultsError: the scheduler is gone, or no worker was there for PATIENCE seconds.
    """
    waiting = deque(Waiting(task) for task in tasks)
    running: dict[Future, tuple[Waiting[AnyTask], float]] = {}
    last_seen = monotonic()
    while waiting or running:
        free = slots(client, resources)
        last_seen = monotonic() if free else last_seen
        if monotonic() - last_seen > PATIENCE:
            raise ResultsError(f"no worker was there for {PATIENCE:.0f} s; what was done is kept: run again")
        while waiting and len(running) < free:
            going = waiting.popleft()
            future = client.submit(attempt, going.task, pure=False, retries=0, resources=resources or None)
            running[future] = going, monotonic()
        for future in _finished(running):
            going, since = running.pop(future)
            outcome: Result | Failure | None = _outcome(future, going.deaths, since, limit)
            future.release()
            parts = split(going.task) if isinstance(outcome, Failure) else []
            waiting.extendleft(Waiting(part) for part in reversed(parts))
            if outcome is None:
                waiting.appendleft(Waiting(going.task, going.deaths + 1))
            elif not parts:
                yield going.task, outcome


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


def _finished(running: Collection["Future"]) -> list["Future"]:
    """The futures that ended, after at most LOOK seconds."""
    from distributed import wait
    from distributed.client import FuturesCancelledError

    if not running:
        sleep(LOOK)
        return []
    try:
        return list(wait(list(running), timeout=LOOK, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        return []
    except FuturesCancelledError:
        raise _lost() from None


def _outcome(future: "Future", deaths: int, since: float, limit: float | None) -> Any:
    """What a future came to: a result or a Failure; None where its worker died, and it should be tried once more.

    Args:
        future: the future, which has ended.
        deaths: how many workers died of this task before.
        since: when it was sent out, on the monotonic clock.
        limit: seconds the task may take; a worker that dies after them was ended for that.
    """
    from distributed import KilledWorker

    if future.status in {"cancelled", "lost"}:
        raise _lost()
    error = future.exception() if future.status == "error" else None
    if error is None:
        return future.result()
    if not isinstance(error, KilledWorker):
        return Failure(first_line(error))
    if limit is not None and monotonic() - since >= limit:
        return Failure(too_long(limit))
    if deaths + 1 < DEATHS:
        return None
    return Failure(f"its worker died {DEATHS} times out of {DEATHS}, of memory most likely")


def first_line(error: BaseException) -> str:
    """An exception in one line: its type, and the first line of what it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def too_long(limit: float) -> str:
    """Why a task has no result that was stopped at its time limit of so many seconds."""
    return f"not done after {limit:g} s"


def _lost() -> ResultsError:
    return ResultsError("the dask scheduler is gone; what was done is kept, the same command goes on from there")
