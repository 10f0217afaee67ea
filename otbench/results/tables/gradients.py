"""The table of gradients on funnels: what critics lose to scale and to shape, in the middle over pairs of laws."""

import numpy as np
import pandas as pd

from otbench.results.store import SEEDS
from otbench.results.tables.cells import cell_columns
from otbench.results.tables.rule_intervals import Weights, over_seeds, settings_in, weighted_quantile, with_ends

#: What is told of a line, and the columns that tell pairs of one dimension apart.
GRADIENT_NUMBERS = ["cosine", "gradient_l2", "gradient_l2_repaired", "gradient_l2_of_scale"]
PAIRS = ["problem.funnels", "problem.sha256"]


def gradients(frame: pd.DataFrame) -> pd.DataFrame | None:
    """One line per dimension, sampling and method: medians over the pairs of funnels of their medians over seeds.

    Every pair weighs the same. Intervals are over seeds, drawn again within every pair (``rule_intervals``); the spread
    over pairs is no part of them. ``gradient_l2`` = E|grad f - r|^2 with r the true gradient of length 1 is the sum of
    ``gradient_l2_repaired``, the least over multiples of f, and ``gradient_l2_of_scale``. None where there are not two
    numbers of funnels.
    """
    rows = frame[(frame["problem.name"] == "funnels") & frame["gradient_l2"].notna()]
    if rows.empty or rows["problem.funnels"].nunique() < 2:
        return None
    rows = rows.assign(gradient_l2_of_scale=rows["gradient_l2"] - rows["gradient_l2_repaired"])
    cell = [name for name in cell_columns(rows, "problem.", "sampling.", "method.") if name not in {*PAIRS, *SEEDS}]
    told = [name for name in cell if rows[name].notna().any() and "version" not in name]
    keys = ["critic", *told]
    lines = []
    for values, part in rows.groupby(keys, dropna=False, sort=False):
        assert isinstance(values, tuple)
        lines.append(dict(zip(keys, values, strict=True)) | _line(part))
    return pd.DataFrame(lines)


def _line(rows: pd.DataFrame) -> dict[str, float]:
    """How many pairs and seeds a line has, and its numbers with the ends of their intervals."""
    setting, seed = settings_in(rows), rows["seed"].to_numpy(np.int64)
    numbers = rows[GRADIENT_NUMBERS].to_numpy(np.float64, na_value=np.nan)

    def middle(weights: Weights) -> Weights:
        def of_pair(values: Weights, pair: int) -> Weights:
            return weighted_quantile(values[setting == pair], weights[setting == pair], 0.5)

        pairs = range(setting.max() + 1)
        return np.stack([np.median([of_pair(values, pair) for pair in pairs], axis=0) for values in numbers.T])

    counts = {"pairs": float(setting.max() + 1), "seeds": float(rows["seed"].nunique())}
    return counts | with_ends(GRADIENT_NUMBERS, middle(np.ones(len(rows))), over_seeds(setting, seed, middle))
