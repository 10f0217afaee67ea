"""Run an experiment: which cells are missing, do them, append their rows; resume is the same call again."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from otbench.errors import InputError
from otbench.experiment.cell import Cell
from otbench.experiment.declaration import Experiment
from otbench.experiment.plugin import plugins_of
from otbench.experiment.run.machine import machine_id
from otbench.files import dump, write_atomically
from otbench.results.schema import SCHEMA
from otbench.results.seal import seal, unseal
from otbench.results.store import Results, Row

if TYPE_CHECKING:
    from otbench.experiment.run.answer import Failure
    from otbench.experiment.run.attempt import Done
    from otbench.experiment.run.filling import Task


#: Seconds between two times that rows are forced to the disk; with the longest wait for an outcome, a second at most.
FORCED_EVERY = 0.5

#: Bytes that a cell takes on the disk while a run goes on: its row and its timing, and its place in the rows in order.
BYTES_PER_CELL = 5_000


@dataclass(frozen=True)
class Summary:
    """What a run did.

    ``before`` and ``now`` count the cells that had rows and those that were done. ``diverged`` and ``refused`` count
    those of the latter that have no numbers. ``torn`` says whether half a line was dropped, ``stale`` how many rows of
    cells that are no longer declared were set aside. ``failed`` has the reason of every failed cell in the folder.
    """

    before: int
    now: int
    diverged: int
    refused: int
    torn: bool
    stale: int
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where and how cells run: the engine (``clusters.open_client``, or inline: this process), how many processes or
    GPUs of a local one, the device critics train on, and the seconds one cell may take."""

    engine: str = "inline"
    workers: int = 1
    gpus: int = 0
    device: str = "cpu"
    limit: float | None = None

    @property
    def here(self) -> bool:
        """Whether cells run on this machine."""
        return self.engine in {"inline", "local"}


class Keeper:
    """Rows on their way to the disk: written as they come, forced to it and told of about twice a second.

    A process that is killed loses none that were written. A power cut loses what was written in its last second, which
    nobody was told of, and the next run does it again.

    Args:
        results: the folder they are kept in.
        every: seconds between two times that they are forced to the disk; 0 does so each time.
    """

    def __init__(self, results: Results, every: float) -> None:
        self.results, self.every = results, every
        self.tell: Callable[[int], None] = lambda now: None
        self.now = self.told = 0
        self.forced = monotonic()

    def keep(self, rows: list[Row], timings: list[Row], again: Collection[str]) -> None:
        """Write rows, in place of old ones where their keys are among ``again``."""
        self.results.put(rows, timings, again, forced=False)
        self.now += len(rows)
        self.idle()

    def idle(self) -> None:
        """Force rows to the disk if it is time to."""
        if self.now > self.told and monotonic() - self.forced >= self.every:
            self.force()

    def force(self) -> None:
        """Force rows to the disk, and tell how many there are."""
        self.results.force()
        self.forced = monotonic()
        if self.now > self.told:
            self.told = self.now
            self.tell(self.now)


def default_workers() -> int:
    """As many as there are cores to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_room(cells: int, folder: Path) -> None:
    """InputError where the disk has no room for the rows of so many cells."""
    needed, free = cells * BYTES_PER_CELL, shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"the rows of {cells} cells need about {needed / 2**30:.1f} GiB, {folder} has {free / 2**30:.1f} GiB free; "
            "name another with --results"
        )


def missing_cells(experiment: Experiment, results: Results) -> list[Cell]:
    """The cells without a row, in the declared order."""
    done = results.known_keys()
    return [cell for cell in experiment.cells if cell.key not in done]


def preflight(cells: Sequence[Cell], place: Place) -> None:
    """InputError, before anything is drawn, for sizes a problem cannot give, memory this machine does not have, or a
    device that is not there. Only a run in this process computes on it: workers have it for themselves."""
    from otbench.experiment.run.machine import check_device_is_shown
    from otbench.methods.training.device import check_device
    from otbench.transport.exact import check_memory

    if place.engine == "inline":
        check_device(place.device)
    elif place.here:
        check_device_is_shown(place.device)
    for cell in {cell.sample_key: cell for cell in cells}.values():
        sizes = cell.sizes()
        if place.here:
            check_memory(*sizes, cell.problem.dim, place.workers)


def run_experiment(
    experiment: Experiment,
    folder: Path,
    place: Place = Place(),
    *,
    cells: Sequence[Cell] | None = None,
    command: str = "",
    on_progress: Callable[[int, int, int], None] = lambda before, now, total: None,
) -> Summary:
    """Do every cell of the experiment that has no row in ``folder`` yet; or ``cells``, whose rows are then replaced.

    A cell that fails is a row with the reason, after which ``command`` (``otbench run NAME`` where it is empty) and the
    option that re-runs it alone; the others go on. ``on_progress(before, now, total)`` is called as rows are safe
    on disk. Interrupted at any moment, what was appended stays; the next call does the rest.

    Raises:
        ResultsInUseError: another run holds the folder.
        InputError: cells that cannot be drawn, a device or an engine that is not there.
    """
    results, command = Results(folder), command or f"otbench run {experiment.name}"
    keeper = Keeper(results, 0.0 if place.engine == "inline" else FORCED_EVERY)
    with results.locked(), ExitStack() as stack:
        todo = missing_cells(experiment, results) if cells is None else list(cells)
        check_room(len(todo), folder)
        outcomes = stack.enter_context(_outcomes(todo, folder, place, keeper.idle)) if todo else iter(())
        unseal(results)
        torn = results.mend()
        stale = results.sort_out({cell.key for cell in experiment.cells})
        done, asked = results.known_keys(), {cell.key for cell in todo}
        again, kept = done & asked, done - asked
        before = sum(cell.key in kept for cell in experiment.cells)
        write_meta(experiment, results, {})
        on_progress(before, 0, len(experiment.cells))
        keeper.tell = lambda now: on_progress(before, now, len(experiment.cells))
        machines, statuses = set[str](), Counter[object]()
        for task, outcome, workers in outcomes:
            rows, timings, machine = _lines(task, outcome, command, place.device, workers)
            if not machines.issuperset(machine):
                write_meta(experiment, results, machine)
                machines.update(machine)
            keeper.keep(rows, timings, again)
            statuses.update(row["status"] for row in rows)
        keeper.force()
        failed = results.settle([cell.key for cell in experiment.cells])
        seal(results)
    return Summary(before, keeper.now, statuses["diverged"], statuses["refused"], torn, stale, failed)


@contextmanager
def _outcomes(
    cells: list[Cell], folder: Path, place: Place, meanwhile: Callable[[], None]
) -> Iterator[Iterator[tuple["Task", "Done | Failure", int]]]:
    """Every task of ``cells`` with its outcome and the number of workers there were, once the place is open;
    ``meanwhile`` is called now and then while there is none."""
    preflight(cells, place)
    # torch and POT load here: a run with nothing left to do needs neither
    from otbench.experiment.run.attempt import attempt
    from otbench.experiment.run.clusters import check_workers, open_client
    from otbench.experiment.run.filling import halved, make_tasks, share_out
    from otbench.experiment.run.workers import Dispatch, run_here, slots

    # paths are this machine's; a worker elsewhere has its own
    solutions = folder.absolute().parent / ".exact" if place.here else None
    stacks = None if place.engine == "inline" else folder.absolute() / "stacks" if place.here else True
    work = partial(attempt, solutions=solutions, device=place.device, limit=place.limit, stacks=stacks)
    tasks = make_tasks(cells, place.device)
    if place.limit is not None:  # a cell's clock is its own
        tasks = [[[cell]] for cell in cells]
    if place.engine == "inline":
        yield ((task, outcome, 1) for task, outcome in run_here(work, tasks, halved))
        return
    resources = {"GPU": 1.0} if place.device != "cpu" and (place.gpus or not place.here) else {}
    with open_client(place.engine, min(place.workers, len(cells)), place.gpus) as client:
        check_workers(client, place.device, resources, plugins_of(cells))
        if place.device == "cpu":
            tasks = share_out(tasks, slots(client))
        dispatch = Dispatch(client, work, tasks, halved, place.limit, resources)
        yield ((task, outcome, dispatch.slots) for task, outcome in dispatch.outcomes(meanwhile))


def _lines(
    task: "Task", outcome: "Done | Failure", command: str, device: str, workers: int
) -> tuple[list[Row], list[Row], dict[str, object]]:
    """The rows and timing lines of a task, and the machine they are from; a failed cell has a row only."""
    from otbench.experiment.run.attempt import Done, failed_row

    if isinstance(outcome, Done):
        machine = machine_id(outcome.facts)
        extra: Row = {"machine": machine, "device": device, "workers": workers}
        timings = [timing | extra for _, timing in outcome.rows]
        return [row for row, _ in outcome.rows], timings, {machine: outcome.facts}
    cells = [cell for group in task for cell in group]
    return [failed_row(c, f"{outcome.reason}; alone: {command} --only {c.key[:12]}") for c in cells], [], {}


def write_meta(
    experiment: Experiment, results: Results, machine: dict[str, object], planned: dict[str, str] | None = None
) -> None:
    """The declaration the rows answer to, and every machine that made some; rewritten only when it changes."""
    old = results.meta()
    meta = {
        "schema": SCHEMA,
        "experiment": experiment.name,
        "question": experiment.question,
        "declaration": experiment.digest,
        "cells": len(experiment.cells),
        "keys": experiment.keys,
        "planned": old.get("planned", {}) | (planned or {}),  # records of a plan, by machine where they are timed
        "agree": [promise.model_dump() for promise in experiment.agree],
        "machines": old.get("machines", {}) | machine,
    }
    if meta != old:
        write_atomically(results.meta_file, dump(meta) + b"\n")
