"""An experiment whose solver is stopped at once, beside itself with all the time it wants."""

from pathlib import Path

from small import Line, run_text

STOPPED = """
question = "What is left of W1 without time?"
[[block]]
seeds = [0, 1]
problem = [{ name = "shared_mass", dim = 3 }, { name = "translation", dim = 2 }]
sampling = { n = 48, mode = ["coupled", "independent"], fresh = 60, exact_seconds = [1e-9, 600] }
method = [
  { name = "zero" },
  { name = "potential" },
{ name = "weight_clip", clip_over_c_star = [0.1, 1.0, 10.0], lr = 0.01, lr_unit = "clip", steps = 40, widths = [8, 8] },
]
"""


def run_stopped(folder: Path) -> Path:
    """Run the experiment below ``folder`` and write its tables; its results folder."""
    return run_text(folder, "stopped", STOPPED)


def twins(rows: list[Line]) -> list[tuple[Line, Line]]:
    """Every row of a cell that was stopped with the row of the same cell that was not."""
    cells: dict[str, list[Line]] = {}
    for row in rows:
        cell = {name: row[name] for name in row if "." in name or "seed" in name}
        cells.setdefault(str({**cell, "sampling.exact_seconds": None}), []).append(row)
    return [(one, other) for one, other in cells.values()]
