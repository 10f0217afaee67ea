"""What `make gpu` says of a device and of its rows; run by the Python whose torch sees it.

``facts DEVICE``: the device, its driver, torch, and how long a process takes to reach it.
``agree FOLDER FOLDER``: two runs of one experiment, held against each other by the stated rounding.
``profile DEVICE``: what 16 steps of training spend their time on.
``summary FOLDER QUICK``: critic-steps a second, and what fitting and reading cost.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from otbench.results.folder import Stored
from otbench.results.rounding import TRAINED, differences, round_alike
from otbench.results.store import Results
from otbench.results.tables.roofline import roofline

#: Kernels that a profile lists.
LISTED_KERNELS = 8

#: What is profiled: the engine, hidden width, critics, dimension and batch.
PROFILED = {"width": 64, "critics": 1024, "dim": 16, "batch": 64, "repeats": 3}


def facts(device: str) -> Iterator[str]:
    """What is there, and the first use of it by a process."""
    import torch

    from otbench.studies.device_state import DeviceState
    from otbench.studies.timed_training import context_seconds

    yield f"Python {sys.version.split()[0]}, torch {torch.__version__}, CUDA {torch.version.cuda}"
    state = DeviceState(device)
    state.look()
    for name, value in state.columns().items():
        yield f"{name}: {'not readable' if value is None else value}"
    if device == "cpu":
        return
    found = torch.cuda.get_device_properties(device)
    yield f"{found.multi_processor_count} multiprocessors, {found.total_memory / 2**30:.0f} GiB"
    yield f"compute capability {found.major}.{found.minor}"
    seconds = context_seconds(device)
    yield "first use by a new process: " + ("not measured" if seconds is None else f"{seconds:.2f} s")


def agree(one: str, other: str) -> Iterator[str]:
    """The rows of two folders beside each other: ValueError where any differs by more than rounding explains."""
    a, b = (Stored(Results(Path(folder))) for folder in (one, other))
    rows = {row["key"]: row for row in b.rows}
    alike = round_alike(a.meta, b.meta)
    missing = {row["key"] for row in a.rows} ^ set(rows)
    found = [f"{row['key']}: {line}" for row in a.rows if row["key"] in rows
             for line in differences(row, rows[row["key"]], alike=alike)]  # fmt: skip
    both = a.frame.merge(b.frame, on="key", suffixes=("", " B"))
    apart = (both["slope_over_w1"] - both["slope_over_w1 B"]).abs()
    trained = both["method.steps"].fillna(0) > 0
    yield f"{len(both)} rows in both, {int(trained.sum())} of trained critics; machines round alike: {alike}"
    yield f"largest difference of slope over W1: {_largest(apart[trained])} trained, {_largest(apart[~trained])} others"
    yield f"stated rounding: {'the same bits of samples' if alike else f'{TRAINED} of W1 where critics are trained'}"
    yield from found[:20]
    if found or missing:
        raise ValueError(f"{len(found)} numbers differ by more than rounding, {len(missing)} rows are in one alone")
    yield "no number differs by more than rounding explains"


def _largest(values: "pd.Series[float]") -> str:
    return f"{values.max():.2g}" if values.notna().any() else "none"


def profile(device: str) -> Iterator[str]:
    """The calls or kernels of 16 steps of many small critics, and the largest of them."""
    import torch.profiler as torchs

    from otbench.methods.training.engine import STEPS_PER_GRAPH
    from otbench.methods.training.stopwatch import wait
    from otbench.studies.timed_training import Training

    activities = {torchs.ProfilerActivity.CPU}
    engines, unit = ["batched"], "cpu"
    if device != "cpu":
        activities, engines, unit = {*activities, torchs.ProfilerActivity.CUDA}, ["batched", "graph"], "device"
    for engine in engines:
        subject = Training(engine, **PROFILED).first_steps(device)
        wait(device)
        with torchs.profile(activities=activities) as profiler:
            subject.run(0, STEPS_PER_GRAPH)
            wait(device)
        spent = [(float(getattr(e, f"self_{unit}_time_total")), e.count, e.key) for e in profiler.key_averages()]
        spent = sorted((line for line in spent if line[0] > 0), reverse=True)
        total = sum(time for time, _, _ in spent)
        what = "calls" if device == "cpu" else "kernels and copies"
        count = sum(calls for _, calls, _ in spent) / STEPS_PER_GRAPH
        yield f"{engine}: {count:.1f} {what} and {total / STEPS_PER_GRAPH:.1f} us a step, of {PROFILED}"
        if not spent:
            yield "  the profiler saw none: CUPTI may not be allowed to this user"
        for time, calls, name in spent[:LISTED_KERNELS]:
            yield f"  {time / total:5.1%} {time / STEPS_PER_GRAPH:8.1f} us {calls / STEPS_PER_GRAPH:5.1f} x {name[:90]}"


def summary(folder: str, quick: str) -> Iterator[str]:
    """The speeds that were measured, and what a run of cells spends."""
    stored = Stored(Results(Path(folder)))
    table = roofline(stored.frame)
    if table is None:
        raise ValueError(f"{folder} has no row that tells what memory moves: it was not measured by this otbench")
    shown = table[table["width"] == table["width"].min()]
    columns = ["device", "engine", "dtype", "critics", "critic_steps_per_second", "times_plain", "times_core",
               "share_of_bandwidth", "share_of_product_rate", "seconds_prepare", "timing_valid"]  # fmt: skip
    for each in shown["critics"].drop_duplicates().sort_values():
        part = shown.loc[shown["critics"] == each].reindex(columns=columns).dropna(axis=1, how="all")
        yield f"\n{each} critics of width {shown['width'].min()} at once:"
        yield part.drop(columns="critics").to_string(index=False, float_format=lambda value: f"{value:.3g}")
    if "reason" in table:
        yield from (f"not compiled: {reason}" for reason in table["reason"].dropna().unique())
    arrivals = stored.frame[stored.frame["kind"] == "arrival"]
    for row in arrivals.itertuples():
        yield (f"d = {row.dim}: 90 % of the final slope after {row.arrival_steps_median:.0f} steps, "
               f"{row.arrival_seconds_median:.3g} s")  # fmt: skip
    yield from _cells(Results(Path(quick)))


def _cells(results: Results) -> Iterator[str]:
    """What the trained critics of a run of cells took, each, by phase."""
    clock = pd.DataFrame.from_records(results.timings())
    clock = clock[clock["seconds_fit"] > 0]
    yield f"\n{len(clock)} critics of {results.folder.name}, ms each:"
    for name in ("seconds_prepare", "seconds_fit", "seconds_evaluate", "seconds_draw", "seconds_exact"):
        yield f"  {name.removeprefix('seconds_'):9} {1000 * clock[name].mean():8.1f}"


WAYS: dict[str, Callable[..., Iterator[str]]] = {
    "facts": facts, "agree": agree, "profile": profile, "summary": summary
}  # fmt: skip


def main(arguments: list[str]) -> Any:
    """Print what was asked; 1 where it does not hold."""
    try:
        for line in WAYS[arguments[0]](*arguments[1:]):
            print(line, flush=True)
    except ValueError as error:
        return str(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
