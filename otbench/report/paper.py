"""The tables that show can be asked for by name: every table of a folder, and those that the README has."""

from collections.abc import Sequence

import pandas as pd

from otbench.errors import InputError, UnknownNameError
from otbench.report.markdown import by_clip, gap
from otbench.results.folder import Stored

#: Tables of the README, by the name that show knows them by.
README_TABLES = ("clip_values", "scale_and_shape", "shares")

#: What the README's table of critics shows, of the largest budget of steps and all problems together.
SHARES = {"slope_over_w1": "samples", "held_out_over_population_w1": "laws"}


def named_table(stored: Stored, name: str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table of a folder with its intervals as columns ``NAME_low`` and ``NAME_high``.

    Args:
        stored: the folder.
        name: one of its tables, or of ``README_TABLES``: ``clip_values`` of a sweep, ``scale_and_shape`` of the
            published comparison, ``shares`` of a comparison of critics.
        columns: the measured columns to keep, and with them whatever is no number; all when left out.

    Raises:
        InputError: no such table, or none in this folder; a column that it does not have.
    """
    table = _made(stored, name)
    if not columns:
        return table
    known = [str(c) for c in table]
    chosen = [c if c in known else f"{c}_median" for c in columns]
    for asked, column in zip(columns, chosen, strict=True):
        if column not in known:
            raise UnknownNameError(f"column of table {name}", asked, known)
    ends = {f"{c.removesuffix('_median')}{end}" for c in chosen for end in ("_low", "_high")}
    telling = [c for c in known if c == "d" or "." in c or not pd.api.types.is_numeric_dtype(table[c])]
    return table[[c for c in known if c in {*chosen, *ends, *telling}]]


def _made(stored: Stored, name: str) -> pd.DataFrame:
    if name in stored.tables:
        return stored.tables[name]
    if name == "clip_values" and stored.kind == "matrix":
        return by_clip(stored.frame, intervals=True)
    if name == "scale_and_shape" and stored.kind == "published":
        return gap(stored.tables["gradients"], stored.tables["published"], intervals=True)
    if name == "shares" and "critics" in stored.tables:
        return _shares(stored.tables["critics"])
    if name in README_TABLES:
        raise InputError(f"{stored.results.folder.name} has no table {name}; its own: {', '.join(stored.tables)}")
    raise UnknownNameError("table", name, [*stored.tables, *README_TABLES])


def _shares(critics: pd.DataFrame) -> pd.DataFrame:
    """How much of W1 every critic tells, of samples and of laws, a column per dimension."""
    rows = critics[(critics["problem.name"] == "all") & critics["budget"].str.endswith("_steps")]
    budget = max(rows["budget"].unique(), key=lambda text: int(text.partition("_")[0]), default="")
    rows = rows[rows["budget"] == budget].set_index("label")
    parts = {}
    for column, what in SHARES.items():
        for dim, of_dim in rows.groupby("problem.dim", sort=True):
            for end in ("", "_low", "_high"):
                parts[f"{what}, d={dim}{end}"] = of_dim[f"{column}{end}"]
    return pd.DataFrame(parts).rename_axis("critic").reset_index()
