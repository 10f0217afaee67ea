"""The table of paired differences: by how much a critic certifies more of the laws than the exact potential does."""

import pandas as pd

from otbench.results.store import SEEDS
from otbench.results.tables.cells import cell_columns
from otbench.results.tables.intervals import medians_over_seeds

#: The critic that others are compared with, on the same points: the one that is best on the points themselves.
REFERENCE = "potential"

#: What is compared, in shares of W1 of the laws.
COMPARED = "held_out_over_population_w1"


def paired(frame: pd.DataFrame) -> pd.DataFrame | None:
    """One line per law, sampling and method: held_out / W1 of the laws, less that of the sample's exact potential.

    Both critics are fitted to the same points and read on the same fresh ones, so that a difference is of the critics
    alone; ``difference_median`` is over seeds, with its interval, and ``better`` the share of seeds in which it is
    above 0. Lines of problem "all" are macro-averages: the mean over problems with a value at that dimension and size,
    per seed. Independent samples only; None where the exact potential was not read on fresh points.

    Source: Agarwal et al. 2021 (paired comparisons; averages over tasks rather than over runs).
    """
    rows = frame[(frame["sampling.mode"] == "independent") & frame[COMPARED].notna()]
    points = [*cell_columns(rows, "problem.", "sampling."), "seed"]
    exact = rows[rows["critic"] == REFERENCE].set_index(points)[COMPARED]
    others = rows[rows["critic"] != REFERENCE]
    if exact.empty or others.empty:
        return None
    places = pd.MultiIndex.from_frame(others[points])
    others = others.assign(difference=others[COMPARED].to_numpy() - exact.reindex(places).to_numpy())
    method = [name for name in cell_columns(others, "method.") if others[name].notna().any()]
    method = ["critic", *(name for name in method if name != "method.version")]
    laws = [name for name in points if name not in SEEDS and others[name].notna().any() and "version" not in name]
    where = ["problem.dim", "sampling.n"]
    average = _averaged(others, [*where, *method])
    keys = list(dict.fromkeys(["problem.name", *where, *laws, *method]))
    parts = [_summary(others, keys)]
    if average is not None:
        parts.append(_summary(average, ["problem.name", *where, *method]))
    return pd.concat(parts, ignore_index=True)


def _averaged(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame | None:
    """The mean difference over problems per seed; None where there is one problem."""
    if rows["problem.name"].nunique() < 2:
        return None
    by_problem = rows.groupby([*keys, "problem.name", "seed"], dropna=False, sort=False)["difference"].mean()
    found = by_problem.groupby([*keys, "seed"], dropna=False, sort=False).mean().reset_index()
    return found.assign(**{"problem.name": "all"})


def _summary(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    grouped = rows.groupby(keys, dropna=False, sort=False)
    better = (rows["difference"] > 0).groupby([rows[name] for name in keys], dropna=False, sort=False).mean()
    table = grouped["seed"].nunique().to_frame("seeds").join(medians_over_seeds(rows, keys, ["difference"]))
    return table.assign(better=better).reset_index()
