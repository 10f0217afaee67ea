"""The tables of the W1 benchmark's pairs: its published scores, kept in the results folder, beside our own."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.files import write_atomically
from otbench.results.tables.intervals import median_intervals
from otbench.results.tables.published_sweep import PAIR, PUBLISHED_CLIP, best, sweep, trained_longest

#: The file of published scores in a results folder, with one line per pair and method.
SCORES_FILE = "published_scores.csv"

#: Its columns: the pair, the method, and the scores on 4096 points; the cost of the method "true" is E|T(Y) - Y|.
SCORE_COLUMNS = ["dim", "funnels", "method", "cos", "l2", "cost"]

#: The methods of that file that are no critics.
REFERENCES = ("true", "dot")


def keep_scores(folder: Path, pairs: Path, scores: Path | None) -> None:
    """Copy published scores into the results folder, so that its tables need no other file.

    Where ``scores`` is None, they are read from metrics.csv beside ``pairs``, if there is such a file.

    Raises:
        InputError: the file is no table of scores.
    """
    file = pairs.parent / "metrics.csv" if scores is None else scores
    if scores is not None or file.is_file():
        write_atomically(folder / SCORES_FILE, read_scores(file).to_csv(index=False).encode())


def read_scores(file: Path) -> pd.DataFrame:
    """The table of published scores in a file; InputError where it holds none."""
    try:
        table: pd.DataFrame = pd.read_csv(io.BytesIO(file.read_bytes()))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a table of scores: {str(error).splitlines()[0]}") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes cells beyond the header's for names of rows
        raise InputError(f"{file} has a row with more cells than its header names")
    if list(table.columns) != SCORE_COLUMNS:
        raise InputError(f"{file} must have the columns {', '.join(SCORE_COLUMNS)}; it has {', '.join(table.columns)}")
    numbers = table.drop(columns="method")
    numeric = all(pd.api.types.is_numeric_dtype(numbers[name]) for name in numbers)
    if not numeric or not np.isfinite(numbers.to_numpy()).all():
        raise InputError(f"{file} must hold finite numbers, the method apart")
    return table


def published(frame: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """One line per pair: our re-trained critic, the published one, their difference, and the best clip value.

    The critic re-trained as published is the one of the published clip value among those that were trained longest,
    with medians over seeds, their intervals (``_low``, ``_high``) and the range of the cosine; the other clip values
    are the sweep (``otbench.results.tables.published_sweep``), whose columns are empty where none was tried. ``l2`` is
    the mean of |grad f - r|^2 over points of P, with r the true gradient, and ``l2_repaired`` the least over multiples
    of f: l2 - l2_repaired is lost to scale, and l2_repaired to shape. ``difference_over_range`` is |our cosine - the
    published one| over the range of our seeds, and ``sweep_gain_over_range`` what the best clip value adds, over it.
    """
    rows = trained_longest(frame)
    names = {"cosine": "cos", "gradient_l2": "l2", "gradient_l2_repaired": "l2_repaired", "raw": "cost"}
    ours = rows[np.isclose(rows["clip"], PUBLISHED_CLIP)].rename(columns=names)
    grouped = ours.groupby(PAIR)
    measured = [*names.values(), "gradient_scale", "slope_over_w1"]
    table = grouped[[*measured, "population_w1", "population_stderr"]].median()
    table.insert(0, "seeds", grouped.size())
    table = table.join(median_intervals(ours, PAIR, measured))
    table["cos_min"], table["cos_max"] = grouped["cos"].min(), grouped["cos"].max()
    table = table.join(best(sweep(frame)))
    table["sweep_gain_over_range"] = table["sweep_gain"] / (table["cos_max"] - table["cos_min"])
    theirs = scores.set_index("method")
    for method, columns in (("wgan", ["cos", "l2", "cost"]), ("true", ["cost"])):
        there = theirs[theirs.index == method].set_index(PAIR)[columns]
        label = "true" if method == "true" else "published"
        table = table.join(there.rename(columns={"cost": label} if method == "true" else _prefixed(label, columns)))
    critics = theirs[~theirs.index.isin(REFERENCES)].reset_index().sort_values("cos")
    first = critics.groupby(PAIR).tail(1).set_index(PAIR)[["method", "cos"]]
    table = table.join(first.rename(columns={"method": "best_published", "cos": "best_published_cos"}))
    table["cos_difference"] = table["cos"] - table["published_cos"]
    table["difference_over_range"] = table["cos_difference"].abs() / (table["cos_max"] - table["cos_min"])
    table["true_ratio"] = table["population_w1"] / table["true"]
    whole: pd.DataFrame = table.reset_index()
    return whole


def methods(frame: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Our critic beside every published method, with cos, l2 and cost: one line per pair and method, the best first."""
    ours = published(frame, scores)[[*PAIR, "cos", "l2", "cost"]].assign(method="weight_clip (otbench)")
    both = pd.concat([ours, scores.merge(ours[PAIR])])[SCORE_COLUMNS]
    both["critic"] = ~both["method"].isin(REFERENCES)
    return both.sort_values([*PAIR, "critic", "cos"], ascending=[True, True, False, False], ignore_index=True)


def _prefixed(label: str, columns: list[str]) -> dict[str, str]:
    return {name: f"{label}_{name}" for name in columns}
