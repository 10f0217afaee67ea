"""The small experiment that tests share, and ways to damage its results."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from otbench.experiment.declaration import Experiment, load_experiment
from otbench.experiment.run.runner import run_experiment
from otbench.files import dump
from otbench.report.markdown import write_tables
from otbench.results.folder import Stored
from otbench.results.store import Results

SMALL = """
question = "Do the parts fit together?"

[[agree]]
ratio = "slope_over_w1"
at_least = 0.999
where = { "method.name" = "potential" }

[[block]]
seeds = [0, 1]
problem = { name = "shared_mass", dim = [2, 3], overlap = [0.0, 0.5] }
sampling = { n = 48, mode = ["coupled", "independent"], fresh = 60 }
method = [
  { name = "zero" },
  { name = "linear" },
  { name = "potential" },
{ name = "weight_clip", clip = [0.01, 0.1], lr = 0.01, lr_unit = "clip", steps = [0, 40], widths = [8, 8], batch = 16 },
]

[[block]]
seeds = [0]
problem = { name = "digits" }
method = { name = "linear" }
"""

BLOCK = """
question = "?"
[[block]]
seeds = {seeds}
problem = {problem}
sampling = {sampling}
method = {method}
"""

Line = dict[str, Any]


def declare(folder: Path, *parts: str, **named: str) -> Experiment:
    """The experiment of one block, by way of a file; its parts as in ``write_block``."""
    return load_experiment(str(write_block(folder, *parts, **named)))


def write_block(
    folder: Path,
    problem: str = '{ name = "shared_mass", dim = 2 }',
    sampling: str = "{ n = 16 }",
    method: str = '{ name = "zero" }',
    seeds: str = "[0]",
    name: str = "tiny",
) -> Path:
    """The file of an experiment of one block."""
    file = folder / f"{name}.toml"
    file.write_text(BLOCK.format(seeds=seeds, problem=problem, sampling=sampling, method=method))
    return file


def run_small(folder: Path) -> Path:
    """Run the small experiment below ``folder`` and write its tables; its results folder."""
    return run_text(folder, "small", SMALL)


def run_text(folder: Path, name: str, text: str) -> Path:
    """Run an experiment, given as the text of its file, below ``folder`` and write its tables; its results folder."""
    (folder / f"{name}.toml").write_text(text)
    results = folder / "results" / name
    run_experiment(load_experiment(str(folder / f"{name}.toml")), results)
    write_tables(Results(results), "csv")
    return results


def lines(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def write_lines(file: Path, rows: list[Line]) -> None:
    file.write_bytes(b"".join(dump(row) + b"\n" for row in rows))


def change(results: Results, where: Callable[[Line], bool], **columns: Any) -> int:
    """Set columns (``__`` stands for a dot) in the first row that fits; its line."""
    rows = lines(results.rows_file)
    index = next(k for k, row in enumerate(rows) if where(row))
    rows[index] |= {name.replace("__", "."): value for name, value in columns.items()}
    write_lines(results.rows_file, rows)
    return index


def trained(row: Line) -> bool:
    """A trained critic with something to lose: raw > 0 on independent samples."""
    return row["method.name"] == "weight_clip" and row["method.steps"] == 40 and row["raw"] > 1e-4


def python(code: str, *arguments: str, cwd: Path | None = None, **set: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter running ``code``, with variables ``set`` in its environment."""
    environment = {**os.environ, **set}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


#: A timing line of no cell.
TIMING = {
    "schema": 3, "key": "k", "seconds_draw": 0.1, "seconds_exact": 0.1, "seconds_fit": 0.1, "seconds_evaluate": 0.1,
    "critics_in_batch": 2, "machine": "m", "device": "cpu", "workers": 1,
}  # fmt: skip


def derive(rows: list[Line], timings: list[Line]) -> dict[str, pd.DataFrame]:
    """Every table of rows and timings, by name."""
    stored = Stored(Results("a folder that is not there"))
    stored.__dict__ |= {"rows": rows, "clock": pd.DataFrame(timings)}
    return stored.tables
