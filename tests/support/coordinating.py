"""What a coordinator costs, measured in a process of its own: this module, run as a program, prints one line of JSON.

python coordinating.py cells 200000 FOLDER      cells of a millisecond on two workers of this machine
python coordinating.py threads 64 SECONDS TASKS FOLDER  one worker process of 64 threads that answer as asked
python coordinating.py resume 1000000 FOLDER    the start of a run of which all but 1000 cells have rows
"""

import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import coordinating
import psutil

import otbench.experiment.run.attempt as attempting
from otbench.experiment.cell import Cell
from otbench.experiment.declaration import Experiment, load_experiment
from otbench.experiment.run.runner import Place, run_experiment
from otbench.results.schema import SCHEMA, RowColumns
from otbench.results.store import Results, Row

#: Critics of one sample, of as many clip values: a task of the size that a task has.
PER_SAMPLE = 32


class Ended(Exception):  # noqa: N818  it is no error
    """A run has begun, which is what was to be timed."""


def declared(folder: Path, cells: int, method: str, points: int = 4) -> Experiment:
    """An experiment of so many cells, in blocks of a thousand samples."""
    text, samples = 'question = "?"\n', cells // PER_SAMPLE
    for first in range(0, samples, 1000):
        seeds = list(range(first, min(first + 1000, samples)))
        text += f'[[block]]\nproblem = {{ name = "shared_mass", dim = 2 }}\nsampling = {{ n = {points} }}\n'
        text += f"seeds = {seeds}\nmethod = {method}\n"
    (folder / "many.toml").write_text(text)
    return load_experiment(str(folder / "many.toml"))


def critics() -> str:
    clips = [round(0.001 * (k + 1), 3) for k in range(PER_SAMPLE)]
    return f'{{ name = "weight_clip", widths = [8], batch = 8, steps = 30, clip = {clips} }}'


def _column(annotation: str) -> float | int | None:
    return 5 if "int" in annotation else None if "str" in annotation else 0.12345678901234567


#: Every measured column with a value of its kind.
NUMBERS: Row = {field.alias or name: _column(str(field.annotation)) for name, field in RowColumns.model_fields.items()}


def made_up(cell: Cell) -> Row:
    """A row of a cell as long as those of a trained critic are."""
    own: Row = {"schema": SCHEMA, "key": cell.key, "status": "ok", "reason": "", "n": 4, "m": 4}
    return {**NUMBERS, **cell.columns(), **own}


def made_up_timing(cell: Cell) -> Row:
    names = ("seconds_draw", "seconds_exact", "seconds_fit", "seconds_evaluate")
    timing: Row = {"schema": SCHEMA, "key": cell.key, "critics_in_batch": 32, "compiled": False}
    return timing | dict.fromkeys(names, 0.012345678901234567)


def answers(task: Any, *_: object, **__: object) -> Any:
    """What a simulated worker makes of a task: rows made up, within the time that the task takes."""
    begun = time.perf_counter()
    rows = [(made_up(cell), made_up_timing(cell)) for group in task for cell in group]
    per_task, per_cell = map(float, os.environ["ANSWER_SECONDS"].split())
    time.sleep(max(0.0, begun + per_task + per_cell * len(rows) - time.perf_counter()))
    return attempting.Done(rows, {"device": "simulated"})


def cells(count: int, folder: Path) -> dict[str, Any]:
    """The run of ``count`` cells of a millisecond each on two worker processes of this machine."""
    os.environ["ANSWER_SECONDS"] = "0 0.001"
    attempting.attempt = coordinating.answers
    begun = time.perf_counter(), time.process_time()
    experiment = declared(folder, count, critics())
    loaded = time.perf_counter() - begun[0], time.process_time() - begun[1]
    process, seen = psutil.Process(), []

    def on_progress(before: int, now: int, total: int) -> None:
        seen.append((now, time.perf_counter(), time.process_time(), process.memory_info().rss))

    run_experiment(experiment, folder / "results" / "many", Place("local", 2), on_progress=on_progress)
    ended = time.perf_counter(), time.process_time(), process.memory_info().rss

    def milliseconds(first: int, last: int, clock: int) -> float:
        inside = [line for line in seen if first <= line[0] <= last]
        a, b = inside[0], inside[-1]
        return 1e3 * (b[clock] - a[clock]) / max(1, b[0] - a[0])

    width = max(1000, count // 50)
    middle = count // 2
    parts = {"first": (0, width), "middle": (middle, middle + width), "last": (count - width, count)}
    return {
        "cells": count,
        "load_seconds": loaded,
        "wall_ms": {name: milliseconds(*part, 1) for name, part in parts.items()},
        "coordinator_cpu_ms": {name: milliseconds(*part, 2) for name, part in parts.items()},
        "start_seconds": seen[0][1] - begun[0] - loaded[0],
        "settle_seconds": ended[0] - seen[-1][1],
        "wall_seconds": ended[0] - begun[0],
        "rss_mib": {"first": seen[0][3] >> 20, "running": max(s[3] for s in seen) >> 20, "last": ended[2] >> 20},
        "peak_mib": peak_mib(),
    }


def peak_mib() -> int:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def resume(count: int, folder: Path) -> dict[str, Any]:
    """How long it takes from nothing to the first task sent, where all but 1000 cells have rows."""
    experiment = declared(folder, count, critics())
    results = Results(folder / "results" / "many")
    if not results.folder.is_dir():
        results.folder.mkdir(parents=True)
        write(results, experiment.cells[:-1000])
    del experiment
    began, cpu = time.perf_counter(), time.process_time()
    again = load_experiment(str(folder / "many.toml"))
    loaded = time.perf_counter() - began

    def on_progress(before: int, now: int, total: int) -> None:
        assert (before, now, total) == (count - 1000, 0, count)
        raise Ended

    with suppress(Ended):
        run_experiment(again, results.folder, on_progress=on_progress)
    now = time.perf_counter()
    return {
        "cells": count, "load_seconds": loaded, "start_seconds": now - began, "cpu_seconds": time.process_time() - cpu,
        "peak_mib": peak_mib(),
    }  # fmt: skip


def write(results: Results, some: tuple[Cell, ...]) -> None:
    """Rows made up for some cells, as a run appends them."""
    for first in range(0, len(some), 10_000):
        results.put([made_up(cell) for cell in some[first : first + 10_000]], [])


@contextmanager
def scheduler(threads: int, folder: Path, seconds: float) -> Iterator[str]:
    """A scheduler somebody runs, and one worker process of so many threads."""
    environment = {**os.environ, "ANSWER_SECONDS": f"{seconds} 0"}
    started = []

    def start(*arguments: object) -> None:
        with (folder / "dask.log").open("a") as log:
            command = [sys.executable, "-m", "dask", *map(str, arguments)]
            started.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))

    try:
        start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", "here.json", "--no-dashboard")
        while not (folder / "here.json").is_file():
            time.sleep(0.1)
        address = str(json.loads((folder / "here.json").read_text())["address"])
        start("worker", address, "--nthreads", threads, "--no-nanny", "--no-dashboard")
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()


def threads(count: int, seconds: float, tasks: int, folder: Path) -> dict[str, Any]:
    """How busy threads are that take ``seconds`` for a task of 32 critics and answer at once."""
    attempting.attempt = coordinating.answers
    experiment = declared(folder, PER_SAMPLE * tasks * count, critics())
    seen = []
    with scheduler(count, folder, seconds) as address:
        def on_progress(before: int, now: int, total: int) -> None:
            seen.append((now, time.perf_counter(), time.process_time()))

        run_experiment(experiment, folder / "results" / "many", Place(address), on_progress=on_progress)
    # from before the first task is sent to the last that is told of: a stretch between two bursts of answers would
    # count a burst too few or too many
    (before, first, cpu), (done, last, later) = seen[0], seen[-1]
    sizes = [y[0] - x[0] for x, y in itertools.pairwise(seen)]
    return {
        "threads": count, "task_seconds": seconds, "cells": done, "cells_per_task": PER_SAMPLE,
        "cells_per_second": (done - before) / (last - first),
        "cells_per_answer": sum(sizes) / len(sizes),
        "coordinator_cpu_ms_per_cell": 1e3 * (later - cpu) / (done - before),
    }  # fmt: skip


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    what, *numbers, where = sys.argv[1:]
    place = Path(where)
    place.mkdir(parents=True, exist_ok=True)
    if what == "cells":
        print(json.dumps(cells(int(numbers[0]), place)))
    elif what == "resume":
        print(json.dumps(resume(int(numbers[0]), place)))
    else:
        print(json.dumps(threads(int(numbers[0]), float(numbers[1]), int(numbers[2]), place)))
