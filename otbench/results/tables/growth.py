"""The tables of solvers that grow: what each takes at every size, and the exponent with which that grows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from otbench.results.schema import GrowthColumns, names_of
from otbench.results.store import Row
from otbench.results.tables.cells import typed_frame

#: The smallest samples that an exponent is fitted to: below, what every call costs is a part that counts.
FIT_FROM = 2000

#: The level of an exponent's interval.
FIT_LEVEL = 0.95

#: An exponent, and the ends of its interval.
ENDS = ("", "_low", "_high")

#: What a line of either table is of, beside its size.
OF_A_RUN = ["machine", "device", "threads", "solver", "dim"]

#: The order in which solvers are listed: the exact ones first.
ORDER = ("dense", "sparse", "lazy", "assignment", "sinkhorn")


def growth_frame(rows: Sequence[Row], meta: dict[str, object]) -> pd.DataFrame:
    """The measurements in order, with what follows from them.

    ``gap`` is (upper - lower) / upper of a solver's interval. ``difference`` is |value / W1 - 1| with W1 the value of
    the sparse or else of the dense route on the same points, where one of them ran. ``timing_valid`` says that the load
    was no more than the machine's cores.
    """
    frame = typed_frame(rows, names_of(GrowthColumns))
    frame = frame.sort_values([*OF_A_RUN, "n", "seed"], key=_in_order, ignore_index=True)
    points = ["dim", "n", "seed"]
    exact = frame[frame["solver"].isin(ORDER[:2])].sort_values("solver", key=_in_order, kind="stable")
    certified = exact.drop_duplicates(points, keep="last").set_index(points)["primal"]
    w1 = certified.reindex(pd.MultiIndex.from_frame(frame[points])).to_numpy(np.float64)
    machines = meta.get("machines", {})
    assert isinstance(machines, dict)
    cores = frame["machine"].map(lambda name: machines.get(name, {}).get("cores", 0)).astype(float)
    return frame.assign(
        gap=(frame["primal_upper"] - frame["primal_lower"]) / frame["primal_upper"],
        difference=(frame["primal"] / w1 - 1).abs(),
        timing_valid=frame["load"].astype(float) <= cores,
    )


def _in_order(column: "pd.Series[Any]") -> "pd.Series[Any]":
    return column.map(ORDER.index) if column.name == "solver" else column


def solvers(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per solver, dimension and size: seconds and peak bytes, each as median and quartiles over the samples.

    ``gap`` and ``difference`` are the largest of all samples, ``rounds``, ``pairs``, ``iterations`` and ``reg`` their
    medians. Empty is what a solver does not tell.
    """
    grouped = frame.groupby([*OF_A_RUN, "n"], sort=False)
    line = pd.DataFrame({"samples": grouped.size()})
    for name in ("seconds", "peak_memory_bytes"):
        values = frame[name].astype("float64").groupby([frame[key] for key in [*OF_A_RUN, "n"]], sort=False)
        for part, q in (("median", 0.5), ("q1", 0.25), ("q3", 0.75)):
            line[f"{name}_{part}"] = values.quantile(q)
    line["primal_median"] = grouped["primal"].median()
    line[["gap", "difference"]] = grouped[["gap", "difference"]].max()
    told = ["rounds", "pairs", "iterations", "reg"]
    line[told] = frame.astype(dict.fromkeys(told, "float64")).groupby([*OF_A_RUN, "n"], sort=False)[told].median()
    line["timing_valid"] = grouped["timing_valid"].all()
    return line.reset_index()


def growth(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per solver and dimension: the exponents with which seconds and peak bytes grow with n, from 2000 on.

    Each is the slope of least squares of the logarithms, over all measurements, with its 95 % interval by Student's t
    of k - 2 degrees of freedom: ``_low`` and ``_high``. The interval is of the scatter about a straight line in the
    sizes that were measured, ``n_least`` to ``n_most``, and promises nothing beyond them. Empty where there are fewer
    than two sizes or three measurements.
    """
    lines = []
    rows = frame[frame["n"] >= FIT_FROM]
    for key, part in rows.groupby(OF_A_RUN, sort=False):
        line: dict[str, object] = dict(zip(OF_A_RUN, key, strict=True))
        line |= {"n_least": part["n"].min(), "n_most": part["n"].max(), "measurements": len(part)}
        for name in ("seconds", "peak_memory_bytes"):
            known = part[part[name].notna()]
            slope = power(known["n"].to_numpy(np.float64), known[name].to_numpy(np.float64))
            line |= dict(zip((f"{name}_exponent{end}" for end in ENDS), slope, strict=True))
        lines.append(line)
    ends = [f"{name}_exponent{end}" for name in ("seconds", "peak_memory_bytes") for end in ENDS]
    return pd.DataFrame(lines, columns=[*OF_A_RUN, "n_least", "n_most", "measurements", *ends])


def power(x: Any, y: Any) -> tuple[float, float, float]:
    """The slope of log y on log x by least squares, and the ends of its interval; NaN where they cannot be told."""
    if len(x) < 2 or len(np.unique(x)) < 2:
        return np.nan, np.nan, np.nan
    u, v = np.log(x) - np.log(x).mean(), np.log(y) - np.log(y).mean()
    slope = float(u @ v / (u @ u))
    if len(x) < 3:
        return slope, np.nan, np.nan
    rest = v - slope * u
    half = float(stdtrit(len(x) - 2, (1 + FIT_LEVEL) / 2) * np.sqrt(rest @ rest / (len(x) - 2) / (u @ u)))
    return slope, slope - half, slope + half


#: The tables of a folder of solvers that grow, by file name.
GROWTH_TABLES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"growth": growth, "solvers": solvers}
