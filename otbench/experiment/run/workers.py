"""Tasks done one after the other in this process, or spread over the workers of a dask client.

A task may be anything that a worker can be sent. One that fails is split into parts where it has any, so that a failure
is that of the smallest part.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Generic

from otbench.errors import ResultsError
from otbench.experiment.run.answer import AnyTask, Result, answer, own_version
from otbench.experiment.run.answer import Failure as Failure
from otbench.experiment.run.answer import Reply as Reply
from otbench.experiment.run.trust import IN_A_ROW, Trust
from otbench.memory import processes_ended_for_memory

if TYPE_CHECKING:
    from distributed import Client, Future

#: A dead worker may be bad luck: its machine was short of memory, or somebody ended it. Two are the task's own doing.
DEATHS = 2

#: Seconds without any worker after which a run gives up.
PATIENCE = 120.0

#: Seconds between looks at who joined or left, and the most between two calls of what is done meanwhile.
LOOK = 0.5


@dataclass(frozen=True)
class Waiting(Generic[AnyTask]):
    """A task that waits for a worker, how many workers have died of it, and the one it failed on where another is to
    tell whose fault that is."""

    task: AnyTask
    deaths: int = 0
    avoid: str = ""


def run_here(
    attempt: Callable[[AnyTask], Result | Failure],
    tasks: Sequence[AnyTask],
    split: Callable[[AnyTask], Sequence[AnyTask]],
) -> Iterator[tuple[AnyTask, Result | Failure]]:
    """Every task with what ``attempt`` makes of it, in this process; the parts of one that fails take its place.

    Raises:
        ResultsError: a failure left this process unable to do more.
    """
    waiting = deque(tasks)
    while waiting:
        task = waiting.popleft()
        outcome = attempt(task)
        parts = split(task) if isinstance(outcome, Failure) else []
        waiting.extendleft(reversed(parts))
        if not parts:
            yield task, outcome
        if isinstance(outcome, Failure) and outcome.ends_worker:
            raise ResultsError(
                f"{outcome.reason}, after which this process can compute no more; what was done is kept: with "
                "--engine local such a failure costs its cell alone"
            )


class Dispatch(Generic[AnyTask, Result]):
    """Tasks on a client's workers: one per worker thread at a time, whose ``outcomes`` come in the order they end in.

    No task waits on a worker, so that only the task that ran is blamed for the worker's death, and what is pending does
    not grow with the number of tasks. A worker that is free is given its next task before the outcome of the last one
    is handed on.

    Args:
        client: the client whose workers attempt the tasks.
        attempt: what a worker does with a task.
        tasks: what there is to do, in the order in which it is sent out.
        split: the parts of a task that failed, none where it is one piece.
        limit: seconds after which a worker that dies has died of its task's time limit.
        resources: what a worker must offer to be given a task, by name.

    ``slots`` is how many tasks can run at once.
    """

    def __init__(
        self,
        client: "Client",
        attempt: Callable[[AnyTask], Result | Failure],
        tasks: Sequence[AnyTask],
        split: Callable[[AnyTask], Sequence[AnyTask]],
        limit: float | None = None,
        resources: dict[str, float] | None = None,
    ) -> None:
        self.client, self.attempt, self.split, self.limit, self.resources = client, attempt, split, limit, resources
        self.version = own_version()
        self.waiting = deque(Waiting(task) for task in tasks)
        self.running: dict[Future, tuple[Waiting[AnyTask], float]] = {}
        self.ended: SimpleQueue[Future] = SimpleQueue()
        self.settled: deque[tuple[AnyTask, Result | Failure]] = deque()
        self.trust: Trust[tuple[AnyTask, Failure]] = Trust(lambda said: print(f"otbench: {said}", file=sys.stderr))
        self.threads: dict[str, int] = {}
        self.slots = 0
        self.looked = float("-inf")
        self.seen = monotonic()

    def outcomes(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[tuple[AnyTask, Result | Failure]]:
        """Every task with its outcome, as they end; ``meanwhile`` is called at least every LOOK seconds while there is
        none to hand on.

        Raises:
            ResultsError: the scheduler is gone, or no worker was there for PATIENCE seconds.
        """
        while self.waiting or self.running or self.settled:
            self._send()
            self._collect()
            self._send()
            if not self.waiting and not self.running:
                self.settled.extend(self.trust.all_held())
            if self.settled:
                yield self.settled.popleft()
            else:
                meanwhile()

    def _send(self) -> None:
        """Give every free worker a task."""
        if monotonic() - self.looked >= LOOK:
            self._look()
        while self.waiting and len(self.running) < self.slots:
            going = self.waiting.popleft()
            allowed = self._allowed(going.avoid)
            if not allowed and going.avoid:  # nobody else is there to tell
                self.settled.extend(self.trust.acquit(going.avoid))
                self.waiting.appendleft(replace(going, avoid=""))
                self._look()
                continue
            among = {"workers": allowed} if self.trust.excluded() or going.avoid else {}
            future = self.client.submit(answer, self.attempt, self.version, going.task, pure=False, retries=0,
                                        resources=self.resources or None, **among)  # fmt: skip
            self.running[future] = going, monotonic()
            future.add_done_callback(self.ended.put)

    def _allowed(self, avoid: str) -> list[str]:
        return [worker for worker in self.threads if worker not in self.trust.excluded() and worker != avoid]

    def _look(self) -> None:
        """Look at who is there."""
        self.looked = monotonic()
        self.threads = threads(self.client, self.resources)
        self.slots = sum(self.threads[worker] for worker in self._allowed(""))
        if self.slots:
            self.seen = monotonic()
        elif monotonic() - self.seen > PATIENCE:
            of_use = "of use " if self.threads else ""
            raise ResultsError(f"no worker {of_use}was there for {PATIENCE:.0f} s; what was done is kept: run again")

    def _collect(self) -> None:
        """Settle what has ended; where nothing has, and there is nothing to hand on, after at most LOOK seconds."""
        if not self.running:
            if not self.settled:
                sleep(LOOK)
            return
        try:
            ended = [self.ended.get(block=not self.settled, timeout=LOOK)]
            while not self.ended.empty():
                ended.append(self.ended.get_nowait())
        except Empty:
            if any(future.status in {"cancelled", "lost"} for future in self.running):
                raise _lost() from None
            return
        results = self._results([future for future in ended if future.status == "finished"])
        for future in ended:
            self._settle(future, results.get(future))

    def _results(self, ended: "list[Future]") -> "dict[Future, Any]":
        """What tasks came to, asked for at once: one by one, those that end together would wait for each other.

        {} where that fails, as where a worker died after its task was done.
        """
        try:
            return dict(zip(ended, self.client.gather(ended), strict=True))
        except Exception:  # noqa: BLE001  each is asked for its own then, and its error judged
            return {}

    def _settle(self, future: "Future", reply: Reply[Result] | None) -> None:
        going, since = self.running.pop(future)
        said: Reply[Result] | Failure | None = reply or _outcome(future, going.deaths, since, self.limit)
        worker = said.worker if isinstance(said, Reply) else self._erred_on(future)
        if not isinstance(said, Reply):
            self.looked = float("-inf")  # a worker may have died
        outcome = said.outcome if isinstance(said, Reply) else said
        future.release()
        if isinstance(said, Reply) and outcome is None:
            self._exclude(worker, said.why)
            self.waiting.appendleft(going)
        elif outcome is None:
            self.waiting.appendleft(replace(going, deaths=going.deaths + 1))
        elif isinstance(outcome, Failure):
            self._failed(going, worker, outcome)
        else:
            if going.avoid:
                self.waiting.extendleft(Waiting(task) for task, _ in self.trust.convict(going.avoid))
                self._exclude(going.avoid, "")
            self.settled.extend(self.trust.did(worker))
            self.settled.append((going.task, outcome))

    def _failed(self, going: Waiting[AnyTask], worker: str, failure: Failure) -> None:
        """A task failed: it is split, or tried elsewhere where the worker is in doubt, or that is its outcome."""
        if failure.ends_worker:
            self._exclude(worker, "")
        if going.avoid:  # it fails elsewhere too
            self.settled.extend(self.trust.acquit(going.avoid))
            self.looked = float("-inf")
        elif worker and not failure.ends_worker:
            if self.trust.failed(worker, self._allowed("")):
                self.waiting.appendleft(replace(going, avoid=worker))
                self.looked = float("-inf")
                return
            if self.trust.in_a_row[worker] >= IN_A_ROW:  # nobody else is there to tell
                self.settled.extend(self.trust.acquit(worker))
        if parts := self.split(going.task):
            self.waiting.extendleft(Waiting(part) for part in reversed(parts))
        elif worker and worker in self.trust.in_a_row:
            self.trust.held[worker].append((going.task, failure))
        else:
            self.settled.append((going.task, failure))

    def _exclude(self, worker: str, why: str) -> None:
        self.trust.set_aside(worker, why)
        self.looked = float("-inf")

    def _erred_on(self, future: "Future") -> str:
        """The worker on which a task failed before or after it was attempted; empty where it died or nothing tells."""
        from distributed import KilledWorker

        if future.status != "error" or isinstance(future.exception(), KilledWorker):
            return ""
        return str(self.client.run_on_scheduler(_erring_worker, future.key))


def _erring_worker(key: Any, dask_scheduler: Any = None) -> str:
    task = dask_scheduler.tasks.get(key)
    return next(iter(task.erred_on), "") if task is not None else ""


def slots(client: "Client", resources: dict[str, float] | None = None) -> int:
    """How many tasks can run at once: the worker threads there are, or the workers that offer the resources.

    Raises:
        ResultsError: the scheduler is gone.
    """
    return sum(threads(client, resources).values())


def threads(client: "Client", resources: dict[str, float] | None = None) -> dict[str, int]:
    """How many tasks each worker can be given, by its address; ResultsError where the scheduler is gone."""
    try:
        if not resources:
            return {str(worker): int(count) for worker, count in client.nthreads().items()}
        known = client.scheduler_info(n_workers=-1)["workers"]
    except (OSError, ValueError):  # what a client says whose scheduler left
        raise _lost() from None
    able = {w: facts["resources"] for w, facts in known.items()}
    return {str(w): 1 for w, has in able.items() if all(has.get(name, 0) >= r for name, r in resources.items())}


def _outcome(future: "Future", deaths: int, since: float, limit: float | None) -> Any:
    """What a future came to: its result or a Failure; None where its worker died, and it should be tried once more.

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
    return Failure(f"its worker died {DEATHS} times out of {DEATHS}{_of_what(error.last_worker)}")


#: Processes that this machine had ended for want of memory when the run began.
ENDED_BEFORE = processes_ended_for_memory()


def _of_what(worker: Any) -> str:
    """What a worker died of, as far as that is known: of this machine's own the system counts those it ends for want of
    memory."""
    if worker is not None and str(getattr(worker, "host", "")).startswith("127."):
        now = processes_ended_for_memory()
        if now is not None and ENDED_BEFORE is not None:
            return ", of memory most likely" if now > ENDED_BEFORE else ", and not of memory: it was ended or crashed"
    return ": it was ended from outside, crashed, or was short of memory"


def first_line(error: BaseException) -> str:
    """An exception in one line: its type, and the first line of what it says."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def too_long(limit: float) -> str:
    """Why a task has no result that was stopped at its time limit of so many seconds."""
    return f"not done after {limit:g} s"


def _lost() -> ResultsError:
    return ResultsError("the dask scheduler is gone; what was done is kept, the same command goes on from there")
