"""Run an experiment: which cells are missing, do them, append their rows; resume is the same call again."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from otbench.cells import Cell
from otbench.columns import SCHEMA
from otbench.experiment import Experiment
from otbench.machine import machine_facts, machine_id
from otbench.rows import Results, Row, append_lines, dump, keys_digest, write_atomically

#: Where in meta.json stand the planned records that any machine may have made.
EVERYWHERE = "everywhere"


@dataclass(frozen=True)
class Summary:
    """What a run did: cells done before and now, their bad ends, whether a torn line was dropped, and how many
    rows of cells no longer declared were set aside."""

    before: int
    now: int
    diverged: int
    refused: int
    torn: bool
    stale: int


def default_workers() -> int:
    """As many as there are cores to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing_cells(experiment: Experiment, results: Results) -> list[Cell]:
    """The cells without a row, in the declared order."""
    done = results.known_keys()
    return [cell for cell in experiment.cells if cell.key not in done]


def preflight(cells: list[Cell], workers: int) -> None:
    """InputError, before anything is drawn, for sizes a problem cannot give or memory cannot hold."""
    from otbench.exact import check_memory

    for cell in {cell.sample_key: cell for cell in cells}.values():
        check_memory(*cell.sizes(), workers)


def run_experiment(
    experiment: Experiment,
    folder: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    on_progress: Callable[[int, int, int], None] = lambda before, now, total: None,
) -> Summary:
    """Do every cell of the experiment that has no row in ``folder`` yet.

    ``on_progress(before, now, total)`` is called as rows are safe on disk. Interrupted at any moment, what
    was appended stays; the next call does the rest.

    Raises:
        ResultsInUseError: another run holds the folder.
        InputError: cells that cannot be drawn, a device that is not there.
    """
    results = Results(folder)
    with results.locked():
        cells = missing_cells(experiment, results)
        if cells:  # before anything is changed
            from otbench.critics.training import check_device

            check_device(device)
            preflight(cells, workers)
        torn = results.mend()
        stale = results.sort_out({cell.key for cell in experiment.cells})
        before, now = len(experiment.cells) - len(cells), 0
        on_progress(before, now, len(experiment.cells))
        statuses: list[object] = []
        if cells:
            # torch and POT load here: a run with nothing left to do needs neither
            from otbench.tasks import make_tasks, run_task
            from otbench.workers import run_everywhere

            facts = machine_facts(device)
            machine = machine_id(facts)
            _write_meta(experiment, results, {machine: facts})
            work = partial(run_task, solutions=folder.parent / ".exact", device=device)
            for done in run_everywhere(work, make_tasks(cells, device), workers):
                extra: Row = {"machine": machine, "device": device, "workers": workers}
                results.append([row for row, _ in done], [timing | extra for _, timing in done])
                statuses += [row["status"] for row, _ in done]
                now += len(done)
                on_progress(before, now, len(experiment.cells))
        else:
            _write_meta(experiment, results, {})
        results.settle([cell.key for cell in experiment.cells])
    return Summary(before, now, statuses.count("diverged"), statuses.count("refused"), torn, stale)


def run_plan(
    experiment: Experiment,
    folder: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    on_progress: Callable[[int, int, int], None] = lambda before, now, total: None,
) -> int:
    """Do every job of an experiment's plan that has not all its records in ``folder`` yet; how many.

    A timed plan's jobs are done one at a time, in this process: two at once would time each other; each machine
    does them all. A job that was interrupted is done again from its beginning.
    """
    from otbench.critics.training import check_device
    from otbench.workers import run_everywhere

    plan = experiment.plan
    assert plan is not None
    check_device(device)
    results, facts = Results(folder), machine_facts(device)
    machine, jobs = machine_id(facts), plan.records(device)
    scope = machine if plan.timed else EVERYWHERE
    keys = [key for records in jobs.values() for key in records]
    with results.locked():
        results.mend()
        done = [row for row in results.measurements() if row["machine"] == scope or not plan.timed]
        there = {str(row["key"]) for row in done}
        todo = [job for job, records in jobs.items() if not there.issuperset(records)]
        if not plan.timed:
            whole = {key for job, records in jobs.items() if job not in todo for key in records}
            results.keep_measurements([key for key in keys if key in whole])
        _write_meta(experiment, results, {machine: facts}, {scope: keys_digest(keys)})
        work, count = partial(plan.measure, device=device), 1 if plan.timed else workers
        for now, records in enumerate(run_everywhere(work, todo, count)):
            append_lines(results.measurements_file, [{**record, "machine": machine} for record in records])
            on_progress(0, now + 1, len(todo))
        if not plan.timed:
            results.keep_measurements(keys)
    return len(todo)


def _write_meta(
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
        "keys": keys_digest(cell.key for cell in experiment.cells),
        "planned": old.get("planned", {}) | (planned or {}),  # records of a plan, by machine where they are timed
        "agree": [promise.model_dump() for promise in experiment.agree],
        "machines": old.get("machines", {}) | machine,
    }
    if meta != old:
        write_atomically(results.meta_file, dump(meta) + b"\n")
