"""The tables of a matrix of cells: pure functions of its rows, so that the same rows give the same bytes."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from otbench.confidence import lower_confidence
from otbench.results.schema import RowColumns, names_of
from otbench.results.store import SEEDS, Row, is_cell_column
from otbench.results.tables.bracketed import counted, in_exact_lines, ratio_ends, with_ends
from otbench.results.tables.intervals import median_intervals
from otbench.types import skill

#: The rungs that tables show as shares of the exact W1, in the ladder's order.
RUNGS = ("raw", "clip_bound", "spectral", "slope", "c_transform", "nearest")

#: How gradients point: along the rays of the samples' plan, along those of the known potential, and along the latter
#: on points held out.
COSINES = ("plan_cosine", "cosine", "fresh_cosine")

#: What is said of the laws: bounds over their W1, of which the first two hold for samples alone.
OF_LAWS = (
    "slope_over_population_w1", "c_transform_over_population_w1", "held_out_over_population_w1",
    "held_out_lower_over_population_w1",
)  # fmt: skip

#: What the agreement table summarises: the rungs over primal, and what tells whether the critic did the work.
SUMMARISED = (*(f"{rung}_over_w1" for rung in RUNGS), "skill", *COSINES, *OF_LAWS)

#: Columns that the agreement table shows whether the experiment varies them or not.
KEYS_ALWAYS = ("problem.name", "problem.dim", "population_overlap", "sampling.mode", "critic", "method.clip")

#: Problems that are data without a law: samples of several seeds are drawn from the same rows.
WITHOUT_LAW = frozenset({"arrays", "digits", "mnist"})


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as a frame with cell columns, measured columns and derived columns, sorted by the cells."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cell = sorted(name for name in names if is_cell_column(name) and name not in SEEDS)
    cell = sorted(cell, key=lambda name: ("problem", "sampling", "method").index(name.split(".")[0]))
    frame = typed_frame(rows, [*cell, *names_of(RowColumns)])
    order = [name for name in [*cell, *SEEDS] if frame[name].nunique(dropna=False) > 1]
    if order:
        frame = frame.sort_values(order, key=_sortable, kind="stable", ignore_index=True)
    return pd.concat([frame, _derived(frame)], axis=1)


def of_laws(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether each row's sample was drawn from laws, so that samples of several seeds are independent of each other."""
    told = rows.get("problem.has_law", pd.Series(None, rows.index, dtype=object))  # of plugins
    return ~rows["problem.name"].isin(WITHOUT_LAW) & told.ne(False)


def most_frequent(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the problem and of the sampling mode that have the most rows."""
    for name in ("problem.name", "sampling.mode"):
        rows = rows[rows[name] == rows[name].mode().iloc[0]] if len(rows) else rows
    return rows


def one_of_each(rows: pd.DataFrame, across: Collection[str], *prefixes: str) -> tuple[pd.DataFrame, str]:
    """The rows with one value of every cell column that varies but those ``across`` and the seeds, so that nothing else
    is pooled, and these values in words.

    Args:
        rows: rows with their cell columns.
        across: columns that may vary.
        prefixes: which cell columns are looked at, as "problem."; all where they are left out.

    Returns:
        The rows with the value that most rows have, the middle one where several have, and what was chosen.
    """
    told = []
    for name in cell_columns(rows, *prefixes):
        if name not in across and name not in SEEDS and rows[name].nunique(dropna=False) > 1:
            most = rows[name].mode(dropna=False)
            value = most.iloc[len(most) // 2]
            rows = rows[rows[name].isna() if pd.isna(value) else rows[name] == value]
            told.append(f"{name.split('.')[1]} = {value}")
    return rows, ", ".join(told)


def proportional(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of trained clipped critics whose learning rate is proportional to c, so that all reach their box."""
    rows = frame[(frame["critic"] == "weight_clip") & (frame["status"] == "ok")]
    rows = rows[rows["method.lr_unit"] == "clip"] if len(rows) else rows.assign(**{"method.clip": np.nan})
    return rows


def cell_columns(frame: pd.DataFrame, *prefixes: str) -> list[str]:
    """The frame's columns that say what a cell is, all or those that start with one of ``prefixes``."""
    names = [str(name) for name in frame.columns]
    return [name for name in names if (name.startswith(prefixes) if prefixes else is_cell_column(name))]


def typed_frame(rows: Sequence[Row], names: Sequence[str]) -> pd.DataFrame:
    """The columns ``names`` of rows as a frame, each with the type of its values."""
    return pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> Any:
    """A column's values with one type: whole numbers also where some are missing, else floats; text and flags stay."""
    types = set(map(type, values)) - {type(None)}
    if types == {int} and all(value is None or abs(int(value)) < 2**63 for value in values):
        return pd.array(values, dtype="Int64")
    if types <= {int, float}:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return pd.Series(values, dtype=object)


def _sortable(column: "pd.Series[Any]") -> "pd.Series[Any]":
    return column if column.dtype != object else column.astype(str)


def _derived(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that follow from others; a bound is 0 where raw <= 0 or its constant is infinite. Where W1 is an
    interval alone, what takes its value is empty, and a rung over W1 has two ends (``ratio_ends``)."""
    ok, raw, primal = frame["status"] == "ok", frame["raw"], frame["primal"]
    rows = pd.DataFrame(index=frame.index)
    steps = frame.get("method.steps", pd.Series(np.nan, frame.index))
    untrained = (frame["method.name"] == "weight_clip") & (steps == 0).fillna(False)
    rows["critic"] = frame["method.name"].where(~untrained, "untrained")
    sure = raw - frame["raw_error"]
    rows["clip_bound"] = _bound(sure, frame["clip_constant"])
    rows["spectral"] = _bound(sure, frame["spectral_constant"])
    rows["slope"] = _bound(raw, frame["slope_constant"].fillna(np.inf)).where(ok)
    rungs = pd.DataFrame({rung: rows[rung] if rung in rows else frame[rung] for rung in RUNGS})
    for rung, value in rungs.items():
        rows[f"{rung}_over_w1"] = (value / primal).where(primal > 0)
    rows["k_eff"] = (1 / frame["scale"]).where(frame["scale"] > 0)
    rows["skill"] = skill(frame["c_transform"], frame["nearest"], primal)
    depth = pd.to_numeric(frame.get("method.depth", pd.Series(np.nan, frame.index)), errors="coerce").astype("float64")
    known = (frame["clip_constant"] > 0) & depth.notna()
    roots = [_root(k, n + 1) for k, n in zip(frame["clip_constant"][known], depth[known], strict=True)]
    rows["c_over_c_star"] = pd.Series(roots, frame.index[known], dtype=np.float64)
    rows["slope_half_ratio"] = (frame["slope_half"] / rows["slope"]).where(rows["slope"] > 0)
    rows["sampling_error"] = primal - frame["population_w1"]
    constant = constant_everywhere(frame)
    sure = np.sign(frame["fresh_raw"]) * (frame["fresh_raw"].abs() - frame["fresh_raw_error"]).clip(lower=0)
    rows["held_out"] = lower_confidence(sure, 0.0, frame["fresh_dof"], constant)
    least = frame["fresh_raw"] - frame["fresh_raw_error"]
    rows["held_out_lower"] = lower_confidence(least, frame["fresh_stderr"], frame["fresh_dof"], constant)
    for name in ("slope", "c_transform", "held_out", "held_out_lower"):
        value, true = rows[name] if name in rows else frame[name], frame["population_w1"]
        rows[f"{name}_over_population_w1"] = (value / true).where(true > 0)
    alive = (frame["grad_norm_max"] > 0) & (raw > 0)  # without a gradient, or upside down, it drives no generator
    rows["dead"] = (~alive).astype("float64").where(frame["method.name"] == "weight_clip")
    return pd.concat([rows, ratio_ends(frame, rungs)], axis=1)


def constant_everywhere(frame: pd.DataFrame) -> "pd.Series[Any]":
    """The smallest Lipschitz constant of a row's critic that is known on all of R^d, empty where none is."""
    constants: pd.Series[Any] = frame[["clip_constant", "spectral_constant"]].min(axis=1)
    return constants


@cache
def _root(constant: float, layers: float) -> float:
    """constant ** (1 / layers), rounded correctly: the powers of processors differ in the last bit, and with them the
    bytes of a table would."""
    return float(Decimal(constant) ** (1 / Decimal(layers)))


def _bound(raw: "pd.Series[Any]", constant: "pd.Series[Any]") -> "pd.Series[Any]":
    """raw / constant as a lower bound of W1; 0 where raw <= 0, and empty where either is unknown."""
    bound = (raw / constant.where(constant > 0)).where(raw > 0, 0.0).fillna(0.0)
    return bound.where(raw.notna() & constant.notna())


def agreement(frame: pd.DataFrame) -> pd.DataFrame:
    """Medians, quartiles and intervals over seeds of each rung over the exact W1 of the samples, of skill, of cosines
    and of what is said of the laws, one line per cell otherwise."""
    varying = [name for name in cell_columns(frame) if frame[name].nunique() > 1]
    names = dict.fromkeys([*KEYS_ALWAYS, *(name for name in varying if name not in SEEDS)])
    keys = [name for name in names if name in frame]
    return _summary(frame, [*keys, *_also_apart(frame, keys, SEEDS)], SUMMARISED)


def clip(frame: pd.DataFrame) -> pd.DataFrame:
    """What clipped critics print and what it is worth, by problem, dimension and clip value; medians, quartiles and
    intervals over seeds, which alone are pooled."""
    trained = frame[frame["critic"] == "weight_clip"]
    varying = [name for name in cell_columns(trained, "problem.", "method.") if trained[name].nunique() > 1]
    keys = ["problem.name", "problem.dim", "sampling.mode", "method.clip", *varying]
    columns = (
        "raw_over_w1", "slope_over_w1", "clip_constant", "c_over_c_star", "saturation_start", "saturation",
        "grad_norm_mean", *COSINES, *OF_LAWS, "dead", "slope_half_ratio",
    )  # fmt: skip
    keys = [name for name in dict.fromkeys(keys) if name in trained]
    return _summary(trained, [*keys, *_also_apart(trained, keys, SEEDS)], columns)


def _also_apart(frame: pd.DataFrame, keys: list[str], pooled: Sequence[str]) -> list[str]:
    """The cell columns but those ``pooled`` in which cells of equal ``keys`` differ still, as where a size is given for
    some and left out for others."""
    found: list[str] = []
    if frame.empty:
        return found
    cells = frame.groupby(keys, dropna=False, sort=False).ngroup()
    for name in cell_columns(frame):
        if name not in keys and name not in pooled:
            apart = frame[name].groupby([cells, frame[name]], dropna=False, sort=False).ngroup()
            if apart.nunique() > cells.nunique():
                found.append(name)
                cells = apart
    return found


def exact(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per sample: the exact value, its certificate, the closed forms and the sampling error."""
    points = [name for name in cell_columns(frame, "problem.", "sampling.") if frame[name].notna().any()]
    points = [name for name in points if not name.endswith(".version")]
    columns = [
        "seed", "n", "m", "primal", "primal_lower", "primal_upper", "longest_move", "gap", "violation",
        "marginal_error", "coupled_w1", "coupled_stderr", "sampling_floor", "population_w1", "sampling_error",
        "population_overlap", "coincident", "nearest",
    ]  # fmt: skip
    drawn = frame[frame["status"] != "failed"]
    return drawn[[*points, *columns]].drop_duplicates([*points, "seed"], ignore_index=True)


def losses(frame: pd.DataFrame) -> pd.DataFrame:
    """The loss of classical GANs, which saturates, beside that of WGANs; one line per law and critic.

    It has the closed forms, a discriminator's estimate, a critic's ladder, and what a generator with the parameter
    theta receives from each; medians and quartiles over seeds. ``theta`` is the parameter of the segments and of the
    translation. ``population_kl`` is infinite for laws whose supports differ. ``raw_gradient_over_slope`` is
    raw_gradient / slope_constant, which is left of the gradient once the critic is divided by its largest slope: at
    most 1 in size where every point moves at unit speed.
    """
    rows = frame[frame["problem.name"].isin(frame[frame["js"].notna()]["problem.name"])].copy()
    none = pd.Series(np.nan, rows.index)
    rows["theta"] = rows.get("problem.theta", none).fillna(rows.get("problem.shift", none))
    finite = rows["population_kl"].notna() | rows["population_js"].isna()
    rows["population_kl"] = rows["population_kl"].where(finite, np.inf)
    rows["population_tv"] = 1 - rows["population_overlap"]
    rows["raw_gradient_over_slope"] = rows["raw_gradient"] / rows["slope_constant"].where(rows["slope_constant"] > 0)
    rows = rows.sort_values(["problem.name", "theta", "method.name"], kind="stable")
    varying = [c for c in cell_columns(rows, "problem.", "sampling.") if rows[c].nunique() > 1]
    varying += [c for c in cell_columns(rows, "method.") if rows.groupby("critic")[c].nunique().max() > 1]
    own = [c for c in varying if c not in {"problem.name", "problem.theta", "problem.shift"}]
    closed = ["population_kl", "population_js", "population_tv", "population_w1"]
    measured = (
        "js", "js_gradient", "raw", "raw_gradient", "raw_gradient_over_slope", "slope", "c_transform", "primal",
    )  # fmt: skip
    return _summary(rows, ["problem.name", *own, "theta", "critic", *closed], measured)


def timing(frame: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame:
    """Wall seconds per critic by phase, and microseconds per training step; medians and quartiles over cells."""
    if timings.empty:
        return pd.DataFrame()
    rows = frame.merge(timings.drop(columns="schema").drop_duplicates("key", keep="last"), on="key")
    steps = pd.to_numeric(rows.get("method.steps", pd.Series(np.nan, rows.index)), errors="coerce").astype("float64")
    rows["microseconds_a_step"] = (1e6 * rows["seconds_fit"] / steps).where(steps > 0)
    keys = ["critic", "problem.dim", "n", "m", "method.widths", "method.batch", "method.steps"]
    keys += ["critics_in_batch", "device", "workers", "machine"]
    columns = ("seconds_fit", "microseconds_a_step", "seconds_evaluate", "seconds_draw", "seconds_exact")
    return _summary(rows, [name for name in keys if name in rows], columns)


def _summary(frame: pd.DataFrame, keys: list[str], columns: Sequence[str]) -> pd.DataFrame:
    """Median, quartiles and the median's interval over seeds of each column for every combination of ``keys``, after
    the number of cells, how many of them diverged or were refused, and, if any did, how many failed or have an interval
    of W1: those have no number that could enter a median. Where any in a line has an interval, ratios to W1 have the
    medians of their two ends alone. Columns without any number are left out."""
    if frame.empty:
        return pd.DataFrame(columns=[*keys, "cells", "diverged"])
    frame = in_exact_lines(frame, keys)
    columns = [name for name in with_ends(frame, columns) if frame[name].notna().any()]
    grouped = frame.groupby(keys, dropna=False, sort=False)
    counts, line = grouped.size().to_frame("cells"), grouped.ngroup()
    ended = {"diverged": ["diverged", "refused"], "failed": ["failed"]}
    for name, statuses in ended.items():
        is_so = frame["status"].isin(statuses)
        if name == "diverged" or is_so.any():
            counts[name] = is_so.groupby(line).sum().to_numpy()
    counts = counts.assign(**counted(grouped))
    parts = {"median": 0.5, "q1": 0.25, "q3": 0.75}
    quantiles = [grouped[list(columns)].quantile(q).add_suffix(f"_{name}") for name, q in parts.items()]
    found = pd.concat([*quantiles, median_intervals(frame, keys, columns)], axis=1)
    wide = found[[f"{c}_{name}" for c in columns for name in (*parts, "low", "high")]]
    joined: pd.DataFrame = counts.join(wide).reset_index()
    return joined


def to_csv(name: str, table: pd.DataFrame) -> bytes:
    """The bytes of a table's file: with full precision for rows and samples, with six digits for summaries."""
    digits = None if name in {"matrix", "exact"} else "%.6g"
    return table.to_csv(index=False, float_format=digits, lineterminator="\n").encode()
