"""Attempt a task on a worker: its rows, or why there are none; a cell that failed has a row that says so."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from threadpoolctl import threadpool_limits

from otbench.deadline import TimeLimitError, limited
from otbench.experiment.cell import Cell
from otbench.experiment.run.answer import Failure
from otbench.experiment.run.filling import Task
from otbench.experiment.run.machine import machine_facts
from otbench.experiment.run.tasks import run_task
from otbench.experiment.run.workers import first_line, too_long
from otbench.methods.training.device import check_device
from otbench.results.schema import SCHEMA, RowColumns, names_of
from otbench.results.store import Row
from otbench.transport.exact_cache import own_folder

#: What CUDA errors say that leave the context as it was.
PASSING_FAULTS = ("out of memory", "ALLOC_FAILED", "invalid argument", "INVALID_VALUE", "invalid configuration",
           "no kernel image", "not supported", "NOT_SUPPORTED", "invalid device ordinal")  # fmt: skip


@dataclass(frozen=True)
class Done:
    """The rows of a task with their timings, and the facts of the machine they were computed on."""

    rows: list[tuple[Row, Row]]
    facts: dict[str, str | int | None]


def attempt(
    task: Task, solutions: Path | None, device: str, limit: float | None = None, stacks: Path | bool | None = None
) -> Done | Failure:
    """The rows of a task, or why it has none: an exception in a cell is that cell's outcome, and the run goes on.

    Args:
        task: samples with their cells.
        solutions: the folder in which exact solutions are kept; None for one of this machine's own.
        device: where critics are trained.
        limit: seconds a cell may take; its task then holds no other cell.
        stacks: the folder in which a process that is ended leaves what it was doing; True for one of this machine's
            own, None where ending it would end the run.
    """
    key, facts = task[0][0].key[:12], _facts(device)
    own, kept = solutions or own_folder() / "exact", own_folder() / "stacks" if stacks is True else stacks
    try:
        # one BLAS thread: two on two shared cores were a hundred times slower
        with limited(limit, kept / f"{key}.txt" if kept else None), threadpool_limits(1):
            return Done(run_task(task, own, device), facts)
    except TimeLimitError:
        assert limit is not None
        return Failure(too_long(limit))
    except MemoryError as error:
        return Failure(f"out of memory: {error}" if str(error) else "out of memory")
    except Exception as error:  # noqa: BLE001  whatever a problem or method raises, the other cells go on
        return Failure(f"{first_line(error)} ({_where(error)})", ends_worker=device_is_lost(error))


def device_is_lost(error: BaseException) -> bool:
    """Whether an error leaves a CUDA context on which every later call fails, as an access to memory that is not there
    does; a new process has a new one. A wrong argument, or too little memory, is the call's alone."""
    said = str(error)
    return "CUDA error" in said and not any(passing in said for passing in PASSING_FAULTS)


def failed_row(cell: Cell, reason: str) -> Row:
    """The row of a cell that failed: what it is, and why it has no numbers."""
    n, m = cell.sizes()
    blank: Row = dict.fromkeys(names_of(RowColumns))
    own: Row = {"schema": SCHEMA, "key": cell.key, "status": "failed", "reason": reason, "n": n, "m": m}
    return {**blank, **cell.columns(), **own}


@cache
def _facts(device: str) -> dict[str, str | int | None]:
    """The facts of the machine this process runs on. The first call also wakes the device, before any cell's clock."""
    check_device(device)
    return machine_facts(device)


def _where(error: BaseException) -> str:
    """File and line an exception came from."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return f"{Path(last.tb_frame.f_code.co_filename).name}, line {last.tb_lineno}" if last else "nowhere"
