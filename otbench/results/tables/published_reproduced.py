"""On how many pairs of the W1 benchmark each method, trained again as published, comes to the published cosine."""

import pandas as pd

from otbench.results.tables.published_methods import PUBLISHED_METHODS

#: A cosine is reproduced where our median is this near to the published one,
NEAR_COSINE = 0.05

#: or, with as many seeds, where the published one lies no farther than this outside their range.
ENOUGH_SEEDS, BESIDE_RANGE = 5, 0.03


def reproduced(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """One line per method, in the order of publication, of the lines of ``published`` that were trained for as many
    steps as published and have scores beside them; None where there are none.

    Of its ``pairs`` the cosine is ``near`` the published one on some, |ours - theirs| <= 0.05, and ``reproduced`` where
    it is near or the published one, which is of one training, is within 0.03 of the range of five seeds or more.
    """
    if table is None:
        return None
    lines = table[table["published_cos"].notna() & (table["steps"] == table["published_steps"])]
    if lines.empty:
        return None
    apart = lines["cos_difference"].abs()
    beside = lines["published_cos"].between(lines["cos_min"] - BESIDE_RANGE, lines["cos_max"] + BESIDE_RANGE)
    near, enough = apart <= NEAR_COSINE, lines["seeds"] >= ENOUGH_SEEDS
    judged = lines.assign(apart=apart, near=near, reproduced=near | (enough & beside))
    found = judged.groupby(["method", "critic", "setting"], sort=False).agg(
        steps=("steps", "first"), dims=("dim", lambda dims: " ".join(map(str, sorted(set(dims))))),
        least_seeds=("seeds", "min"), most_seeds=("seeds", "max"), pairs=("near", "size"), near=("near", "sum"),
        reproduced=("reproduced", "sum"), median_difference=("apart", "median"), largest_difference=("apart", "max"),
    )  # fmt: skip
    order = [known.name for known in PUBLISHED_METHODS]
    return found.reset_index().sort_values("method", key=lambda k: k.map(order.index), ignore_index=True)
