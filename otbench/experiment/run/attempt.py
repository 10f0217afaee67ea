"""Attempt a task: its rows, or why there are none; the row of a cell that failed says how to run it alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from threadpoolctl import threadpool_limits

from otbench.deadline import TimeLimitError, limited
from otbench.experiment.cell import Cell
from otbench.experiment.run.machine import machine_facts
from otbench.experiment.run.tasks import Group, run_task, work_of
from otbench.experiment.run.workers import Failure, first_line, too_long
from otbench.methods.training.clipped import check_device
from otbench.results.schema import SCHEMA, RowColumns, names_of
from otbench.results.store import Row

#: Samples with their cells.
Task = Sequence[Group]

#: Tasks a worker should get at least, so that none is idle while another has many cells left.
TASKS_A_WORKER = 4


@dataclass(frozen=True)
class Done:
    """The rows of a task with their timings, and the facts of the machine they were computed on."""

    rows: list[tuple[Row, Row]]
    facts: dict[str, str | int | None]


@dataclass(frozen=True)
class Attempt:
    """What a worker is sent: how to turn a task into rows.

    ``limit`` seconds for a cell, whose task it must be alone. ``stacks``: where a process that is ended leaves
    what it was doing; None where ending it would end the run.
    """

    solutions: Path
    device: str
    limit: float | None = None
    stacks: Path | None = None

    def __call__(self, task: Task) -> Done | Failure:
        """The boundary between cells and the run: an exception in a cell is that cell's outcome.

        One BLAS thread: two on two shared cores were a hundred times slower.
        """
        key, facts = task[0][0].key[:12], _facts(self.device)
        try:
            with limited(self.limit, self.stacks / f"{key}.txt" if self.stacks else None), threadpool_limits(1):
                return Done(run_task(task, self.solutions, self.device), facts)
        except TimeLimitError:
            assert self.limit is not None
            return Failure(too_long(self.limit))
        except MemoryError as error:
            return Failure(f"out of memory: {error}" if str(error) else "out of memory")
        except Exception as error:  # noqa: BLE001  whatever a problem or method raises, the other cells go on
            return Failure(f"{first_line(error)} ({_where(error)})")


def split(task: Task) -> list[Task]:
    """The cells of a task, each a task of its own; none where it is one cell."""
    cells = [cell for group in task for cell in group]
    return [[[cell]] for cell in cells] if len(cells) > 1 else []


def spread(tasks: Sequence[Task], workers: int) -> list[Task]:
    """The tasks, halved between samples until there are TASKS_A_WORKER a worker, or one sample each; those with the
    most work first, so that the last to end are short (Graham 1969)."""
    found = list(tasks)
    while len(found) < TASKS_A_WORKER * workers and any(len(task) > 1 for task in found):
        found = [part for task in found for part in (_halves(task) if len(task) > 1 else [task])]
    return sorted(found, key=lambda task: -work_of(task))


def failed_row(cell: Cell, reason: str) -> Row:
    """The row of a cell that has no numbers, for want of an end: what it is, and why."""
    n, m = cell.sizes()
    blank: Row = dict.fromkeys(names_of(RowColumns))
    own: Row = {"schema": SCHEMA, "key": cell.key, "status": "failed", "reason": reason, "n": n, "m": m}
    return {**blank, **cell.columns(), **own}


def _halves(task: Task) -> list[Task]:
    middle = len(task) // 2
    return [task[:middle], task[middle:]]


@cache
def _facts(device: str) -> dict[str, str | int | None]:
    """What this process computes on, which is woken up by it: no cell's clock is running yet."""
    check_device(device)
    return machine_facts(device)


def _where(error: BaseException) -> str:
    """File and line an exception came from."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return f"{Path(last.tb_frame.f_code.co_filename).name}, line {last.tb_lineno}" if last else "nowhere"
