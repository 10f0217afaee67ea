"""The table of laws: what every critic certifies of two samples, what of the two laws, and the bracket of their W1."""

import numpy as np
import pandas as pd

from otbench.confidence import upper_confidence
from otbench.results.store import SEEDS
from otbench.results.tables.bracketed import in_exact_lines, roof
from otbench.results.tables.cells import cell_columns, of_laws
from otbench.results.tables.intervals import medians_over_seeds

#: What is summarised over seeds: bounds of the samples' W1, then those of the laws'.
BOUNDS = ("primal", "slope", "c_transform", "held_out", "held_out_lower", "fresh_cosine")


def laws(frame: pd.DataFrame) -> pd.DataFrame | None:
    """One line per cell but for its seeds, of independent samples with points held out; None where there are none.

    Columns: what the cell is; ``population_w1`` where it is known; ``seeds``, the independent samples there are;
    medians with intervals (``otbench.results.tables.intervals``) of the exact W1 of the samples, ``primal``, of what a
    critic certifies of *them*, ``slope`` and ``c_transform``, and of what it certifies of the *laws*, ``held_out`` with
    its one-sided 95 % confidence bound ``held_out_lower``; and from the other side ``upper``, the mean of ``primal``
    over seeds, or where W1 is an interval of its upper end, with its one-sided 95 % bound ``upper_bound``. ``covered``
    and ``upper_covered`` say in which share of seeds the lower bound is at most the known W1, and whether the upper one
    is at least that. Data have no ``upper``: samples drawn from the same rows are not independent.
    """
    rows = frame[(frame["sampling.mode"] == "independent") & frame["fresh_raw"].notna()]
    if rows.empty:
        return None
    cell = [name for name in cell_columns(rows) if name not in SEEDS and rows[name].notna().any()]
    keys = [name for name in dict.fromkeys([*cell, "critic"]) if not name.endswith(".version")]
    grouped = rows.groupby(keys, dropna=False, sort=False)
    parts = pd.DataFrame({"population_w1": grouped["population_w1"].first(), "seeds": grouped["seed"].nunique()})
    parts = parts.join(medians_over_seeds(in_exact_lines(rows, keys), keys, BOUNDS))
    below = (rows["held_out_lower"] <= rows["population_w1"]).astype("float64")
    known = rows["population_w1"].notna() & rows["held_out_lower"].notna()
    parts["covered"] = below.where(known).groupby([rows[name] for name in keys], dropna=False, sort=False).mean()
    of_law = rows[of_laws(rows)].drop_duplicates([*keys, "seed"])
    w1 = of_law.assign(w1=roof(of_law)).groupby(keys, dropna=False, sort=False)["w1"]
    parts["upper"] = w1.mean()
    parts["upper_bound"] = w1.agg(lambda values: upper_confidence(values.to_numpy()) if len(values) > 1 else np.nan)
    parts["upper_covered"] = (parts["upper_bound"] >= parts["population_w1"]).astype("float64").where(
        parts["upper_bound"].notna() & parts["population_w1"].notna()
    )
    return parts.reset_index()
