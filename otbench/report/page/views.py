"""Views: the pictures that the page offers of an experiment, each a choice of a table, axes, colour and rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from otbench.results.store import SEEDS

#: How a filter's text asks for a value exactly; alone it asks for an empty cell.
EXACTLY = "="

#: Columns that say what a line is of and have no prefix ``problem.``, ``sampling.`` or ``method.``.
NAMES = frozenset({
    "critic", "label", "budget", "dim", "n", "funnels", "problem", "method", "by", "setting", "solver", "dataset", "lr",
    "clip", "n_critic", "number", "among", "machine", "device", "threads", "target", "given", "left_out", "value",
    "theta", "start", "depth", "steps", "width", "batch", "engine", "critics", "kind", "iteration", "clip_over_c_star",
    "accuracy", "optimiser", *SEEDS,
})  # fmt: skip


@dataclass(frozen=True)
class View:
    """A picture: ``y`` against ``x``, a colour per value of ``colour``, of the rows of ``table`` that fit ``where``.

    Of what varies besides, the rows with the most frequent value are taken. ``log`` has the letters of the axes that are
    logarithmic. A view is offered where its table has its columns and rows that fit.
    """

    title: str
    caption: str
    table: str
    x: str
    y: str
    colour: str
    where: Mapping[str, object] = field(default_factory=dict)
    log: str = ""


ROWS = "rows"

VIEWS = (
    View("What critics tell of the laws", "Share of the distance of the laws that each critic certifies on fresh points, "
         "mean over problems; bars are 95 % intervals over problems and seeds.", "critics", "problem.dim",
         "held_out_over_population_w1", "label", {"problem.name": "all", "budget": "1500_steps"}, "x"),
    View("What critics prove of the samples", "Share of the samples' exact W1 that each critic proves, mean over "
         "problems; bars are 95 % intervals over problems and seeds.", "critics", "problem.dim", "slope_over_w1", "label",
         {"problem.name": "all", "budget": "1500_steps"}, "x"),
    View("Printed value against clip value", "The printed value over the exact W1: it is right only where it crosses 1, "
         "and steeper for deeper critics. Bars are 95 % intervals over seeds.", "worth", "clip_over_c_star",
         "raw_over_w1", "method.depth", {"method.lr_unit": "clip", "method.biases": "True"}, "xy"),
    View("What is proved against clip value", "Printed value over the critic's largest slope, as a share of the exact W1: "
         "a bound whatever the clip value is.", "worth", "clip_over_c_star", "slope_over_w1", "problem.name",
         {"method.lr_unit": "clip", "method.depth": 2}, "x"),
    View("What is proved against clip value", "Printed value over the critic's largest slope, as a share of the exact W1. "
         "A point is the median of its seeds, a bar their range.", ROWS, "method.clip", "slope_over_w1", "problem.dim",
         {"critic": "weight_clip", "method.lr_unit": "clip"}, "x"),
    View("Printed value against clip value", "The printed value over the exact W1, both axes logarithmic: it is right "
         "only where it crosses 1. A point is the median of its seeds, a bar their range.", ROWS, "method.clip",
         "raw_over_w1", "problem.dim", {"critic": "weight_clip", "method.lr_unit": "clip"}, "xy"),
    View("Critics compared", "What each critic proves, as a share of the exact W1 of the samples. A point is the median "
         "of its seeds, a bar their range.", ROWS, "problem.dim", "slope_over_w1", "critic", {}, "x"),
    View("Fresh points: what critics tell of the laws", "Value on points held out over a constant that holds everywhere, "
         "as a share of W1 of the laws, against the points trained on.", ROWS, "sampling.n",
         "held_out_over_population_w1", "critic", {"sampling.mode": "independent"}, "x"),
    View("The discriminator's number", "Estimate of the Jensen-Shannon divergence against how far the laws are apart, by "
         "steps of training: between laws that do not touch it is flat.", "saturation", "theta", "js_median",
         "method.steps", {"critic": "discriminator", "problem.name": "segments"}),
    View("What a generator hears of it", "Derivative of the discriminator's number as the laws move apart, by steps of "
         "training: it fades as the discriminator learns.", "saturation", "theta", "js_gradient_median", "method.steps",
         {"critic": "discriminator", "problem.name": "segments"}),
    View("The clipped critic's bound", "What the clipped critic proves against how far the laws are apart, by steps of "
         "training; the exact distance is |theta|.", "saturation", "theta", "slope_median", "method.steps",
         {"critic": "weight_clip", "problem.name": "segments"}),
    View("Published methods beside ours", "Mean cosine with the true gradient on the benchmark's pairs; bars, where there "
         "are any, are over our seeds.", "methods", "dim", "cos", "method", {"funnels": 4}, "x"),
    View("Clip values at the published budget", "Cosine with the true gradient, one seed, on the pairs of 4 funnels, by "
         "dimension.", "sweep", "clip", "cos", "dim", {"funnels": 4}, "x"),
    View("Scale", "Mean squared difference from the true gradient against the clip value, by dimension; no critic at all "
         "has 1.", "gradients", "method.clip", "gradient_l2", "problem.dim",
         {"critic": "weight_clip", "method.lr_unit": "clip"}, "xy"),
    View("Shape", "What the best multiple of the critic leaves of that difference, by dimension.", "gradients",
         "method.clip", "gradient_l2_repaired", "problem.dim", {"critic": "weight_clip", "method.lr_unit": "clip"}, "x"),
    View("Which number follows the distance", "Rank correlation with the exact W1 given the iteration, by steps of the "
         "critic per iteration; bars are 95 % intervals over seeds.", "verdict", "number", "partial_median", "n_critic",
         {"dataset": "all"}),
    View("How far generators come", "Exact W1 to held-out data along the training, by clip value. A point is the median "
         "of its seeds, a bar their range.", ROWS, "iteration", "primal", "clip", {"n_critic": "5"}),
    View("What is printed meanwhile", "The printed loss along the same training runs.", ROWS, "iteration", "printed_w1",
         "clip", {"n_critic": "5"}),
    View("How the error falls", "Mean error of the samples' W1 against the points of each sample, by dimension, between "
         "balls of two sizes.", "errors", "sampling.n", "error_mean", "problem.dim", {"problem.name": "balls"}, "xy"),
    View("Equal laws", "The same between two samples of one law.", "errors", "sampling.n", "error_mean", "problem.dim",
         {"problem.name": "translation", "problem.shift": 0}, "xy"),
    View("Seconds", "Median seconds of a solve against points, by solver; bars are quartiles.", "solvers", "n",
         "seconds_median", "solver", {"dim": 16}, "xy"),
    View("Memory", "Median peak memory of a solve against points, by solver; bars are quartiles.", "solvers", "n",
         "peak_memory_bytes_median", "solver", {"dim": 16}, "xy"),
    View("Nearness and seconds", "What each start lacks of the exact value before any round, against the seconds of its "
         "solve over those of the start from a coarser problem; bars are the range of seeds.", "pricing",
         "over_subsample_median", "start_gap_median", "start", {}, "xy"),
    View("Speed of a batch", "How many times fewer seconds per critic-step than the plain loop, against critics in the "
         "batch; bars are quartiles.", "scaling", "critics", "times_plain", "engine", {"width": 64, "batch": 64}, "xy"),
)  # fmt: skip


def identity_columns(table: pd.DataFrame) -> list[str]:
    """The columns that say what a line is of."""
    return [str(c) for c in table if str(c).startswith(("problem.", "sampling.", "method.")) or c in NAMES]


def offered(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The views of tables that have what they show, as the page takes them: with the text of every filter."""
    return [told for view in VIEWS if view.table in tables and (told := _told(view, tables[view.table]))]


def _told(view: View, table: pd.DataFrame) -> dict[str, Any] | None:
    """A view with its filters, None where the table has not what it shows, or not two places along its axis."""
    if not {view.x, view.y, view.colour, *view.where} <= set(table):
        return None
    rows = table
    for name, value in view.where.items():
        rows = rows[(rows[name].astype(object) == value).fillna(False) | (rows[name].astype(str) == str(value))]
    rows = rows[rows[view.x].notna() & rows[view.y].notna()]
    filters = {name: filter_text(rows[name].iloc[0]) for name in view.where} if len(rows) else {}
    for name, value in _pinned(rows, {view.x, view.colour, *SEEDS}).items():
        filters[name] = filter_text(value)
        rows = rows[rows[name].isna() if pd.isna(value) else (rows[name] == value).fillna(False)]
    if rows[view.x].nunique() < 2:
        return None
    return {"title": view.title, "caption": view.caption, "table": view.table, "x": view.x, "y": view.y,
            "colour": view.colour, "log": view.log, "filters": filters}  # fmt: skip


def _pinned(rows: pd.DataFrame, across: Iterable[str]) -> dict[str, Any]:
    """The most frequent value of every identity column that still varies, one after another."""
    found: dict[str, Any] = {}
    for name in identity_columns(rows):
        if name not in across and rows[name].nunique(dropna=False) > 1 and not _follows(rows, name, across):
            most = rows[name].mode(dropna=False)
            found[name] = most.iloc[len(most) // 2]
            rows = rows[rows[name].isna() if pd.isna(found[name]) else (rows[name] == found[name]).fillna(False)]
    return found


def _follows(rows: pd.DataFrame, name: str, across: Iterable[str]) -> bool:
    """Whether a column says nothing beyond the axes: it has one value wherever they have theirs."""
    axes = [axis for axis in across if axis in rows and axis not in SEEDS]
    return int(rows.groupby(axes, dropna=False)[name].nunique(dropna=False).max()) == 1


def filter_text(value: Any) -> str:
    """The text of a filter for exactly this value."""
    if pd.isna(value):
        return EXACTLY
    return f"{EXACTLY}{float(value):.7g}" if isinstance(value, float) else f"{EXACTLY}{value}"
