"""The tables of the W1 benchmark's pairs: its published scores beside those of our critics, method by method."""

import pandas as pd

from otbench.results.store import SEEDS
from otbench.results.tables.cells import cell_columns
from otbench.results.tables.intervals import median_intervals
from otbench.results.tables.published_methods import CLIPPED, PUBLISHED_METHODS, published_names
from otbench.results.tables.published_pairs import is_published
from otbench.results.tables.published_scores import REFERENCES
from otbench.results.tables.published_sweep import PAIR, best, sweep

#: What is told of our critics: the columns of rows and their names here.
OUR_NUMBERS = {
    "cosine": "cos", "gradient_l2": "l2", "gradient_l2_repaired": "l2_repaired", "raw": "cost",
    "gradient_scale": "gradient_scale", "slope_over_w1": "slope_over_w1",
}  # fmt: skip

#: What is told of them on points that were held out, where the rows have such.
OUR_HELD_OUT = ("fresh_cosine", "fresh_raw", "held_out", "held_out_lower")

#: The numbers that were published.
PUBLISHED_NUMBERS = ["cos", "l2", "cost"]

#: What names a line of our own.
LINE = [*PAIR, "method", "setting"]


def published(frame: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame | None:
    """One line per pair and published method that there are rows of: our critic, theirs, and how far apart they are.

    ``method`` is the published name, ``critic`` ours (``otbench.results.tables.published_methods``). Our critics are
    those of a pair and method that were trained longest, for ``steps``, and theirs for ``published_steps``. What varies
    between ours but their seeds is told in ``setting`` and has a line each. Numbers are medians over seeds, with their
    intervals (``_low``, ``_high``) and the range of the cosine. ``l2`` is the mean of |grad f - r|^2 over points of P,
    with r the true gradient, and ``l2_repaired`` the least over multiples of f: l2 - l2_repaired is lost to scale, and
    l2_repaired to shape. Held-out numbers are there where the rows have them.

    Scores stand only beside a pair that is the published one to the last bit, ``is_published``
    (``otbench.results.tables.published_pairs``). ``difference_over_range`` is |our cosine - the published one| over the
    range of our seeds. ``true`` and ``dot_`` are references: E|T(Y) - Y|, and exact transport of 4096 points. The
    columns ``sweep_`` are of weight clipping alone (``otbench.results.tables.published_sweep``), and
    ``sweep_gain_over_range`` is what the best clip value adds over that range. None where no row is of such a method.
    """
    rows = as_published(frame)
    if rows.empty:
        return None
    grouped = rows.groupby(LINE)
    held_out = [name for name in OUR_HELD_OUT if name in rows and rows[name].notna().any()]
    measured = [*OUR_NUMBERS.values(), *held_out]
    table = grouped[["critic", "is_published"]].first()
    table["seeds"], table["steps"] = grouped["seed"].nunique(), grouped["method.steps"].first()
    table = table.join(grouped[[*measured, "population_w1", "population_stderr"]].median())
    table = table.join(median_intervals(rows, LINE, measured))
    table["cos_min"], table["cos_max"] = grouped["cos"].min(), grouped["cos"].max()
    table = table.reset_index().merge(_clip_sweep(frame), "left", [*PAIR, "method"])
    table["sweep_gain_over_range"] = table["sweep_gain"] / (table["cos_max"] - table["cos_min"])
    table = pd.concat([table, _beside(table, scores)], axis=1)
    table["cos_difference"] = table["cos"] - table["published_cos"]
    table["difference_over_range"] = table["cos_difference"].abs() / (table["cos_max"] - table["cos_min"])
    table["true_ratio"] = table["population_w1"] / table["true"]
    order = [known.name for known in PUBLISHED_METHODS]
    return table.sort_values(LINE, key=lambda k: k.map(order.index) if k.name == "method" else k, ignore_index=True)


def methods(frame: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame | None:
    """All methods of a pair in one column, ours and the published ones, with cos, l2 and cost: the best first.

    ``by`` says whose a line is. Ours are medians with their intervals over seeds, of any pair; the published ones are
    of one training, have none, and are there for the pairs that are the published ones. None where there are no ours.
    """
    ours = published(frame, scores)
    if ours is None:
        return None
    numbers = [f"{name}{end}" for name in PUBLISHED_NUMBERS for end in ("", "_low", "_high")]
    pairs = ours.loc[ours["is_published"], PAIR].drop_duplicates()
    theirs = scores.merge(pairs).assign(by="published", setting="")
    both = pd.concat([ours.assign(by="otbench"), theirs])[[*PAIR, "method", "by", "setting", *numbers]]
    both["critic"] = ~both["method"].isin(REFERENCES)
    return both.sort_values([*PAIR, "critic", "cos"], ascending=[True, True, False, False], ignore_index=True)


def as_published(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of critics that have a published name, as ``method``, with columns named as here.

    They are those of a pair and method that were trained longest; ``setting`` says what else varies between these.
    """
    names = {"problem.dim": "dim", "problem.funnels": "funnels", **OUR_NUMBERS}
    rows = frame.assign(method=published_names(frame), is_published=is_published(frame))
    rows = rows[(rows["status"] == "ok") & (rows["method"] != "")].rename(columns=names)
    if rows.empty:
        return rows
    longest = rows.groupby([*PAIR, "method"])["method.steps"].transform("max")
    rows = rows[rows["method.steps"] == longest]
    cell = [name for name in cell_columns(rows) if name not in SEEDS]
    setting = pd.Series("", rows.index, dtype=object)
    for _, part in rows.groupby([*PAIR, "method"]):
        varied = [name for name in cell if part[name].nunique(dropna=False) > 1]
        told = [part[name].map(lambda value, name=name: f"{name.split('.')[-1]} = {value}") for name in varied]
        if told:
            setting[part.index] = pd.concat(told, axis=1).agg(", ".join, axis=1)
    return rows.assign(setting=setting)


def _clip_sweep(frame: pd.DataFrame) -> pd.DataFrame:
    """What the sweep of the clip value adds to the line of weight clipping, pair by pair."""
    return best(sweep(frame)).reset_index().assign(method=CLIPPED)


def _beside(table: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """What was published of each line's method and pair; empty where the line's pair is another one."""
    lines = table[[*PAIR, "method"]]
    own = lines.merge(scores, "left", [*PAIR, "method"])[PUBLISHED_NUMBERS].add_prefix("published_")
    steps = {known.name: known.steps for known in PUBLISHED_METHODS}
    own.insert(0, "published_steps", lines["method"].map(steps))
    of_pair = {name: scores[scores["method"] == name].set_index(PAIR)[PUBLISHED_NUMBERS] for name in REFERENCES}
    critics = scores[~scores["method"].isin(REFERENCES)].sort_values("cos").groupby(PAIR).tail(1).set_index(PAIR)
    first = critics[["method", "cos"]].rename(columns={"method": "best_published", "cos": "best_published_cos"})
    references = of_pair["true"][["cost"]].rename(columns={"cost": "true"})
    references = references.join([of_pair["dot"].add_prefix("dot_"), first], how="outer")
    beside = pd.concat([own, lines.join(references, on=PAIR)[list(references)]], axis=1)
    return beside.where(table["is_published"])
