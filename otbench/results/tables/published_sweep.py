"""The sweep of the clip value at the published budget: what each is worth on each pair, and whether its box binds."""

import numpy as np
import pandas as pd

from otbench.results.tables.published_methods import PUBLISHED_CLIP

#: What names a pair.
PAIR = ["dim", "funnels"]

#: Readings of a critic that no two different critics have in common.
READINGS = ["cosine", "raw", "spectral_constant"]


def sweep(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per pair and clip value: medians over the seeds on which all clip values of the pair were tried.

    Critics are those that were trained longest, as the published ones; a pair of which one clip value was tried has no
    line. ``saturation`` is the share of the weights that lie at the clip value after training. ``never_binds`` is 1
    where no weight was ever clipped: clip values share first weights and points, so that a box that never binds leaves
    the very critic that any larger one does, and the row reads to the last bit as that of the largest value tried. Of
    the largest value alone it is 1 where another one reads the same, and 0 where that is not known.
    """
    rows = trained_longest(frame)
    tried = rows.groupby([*PAIR, "seed"])["clip"].transform("nunique")
    rows = rows[(tried > 1) & (tried == tried.groupby([rows[name] for name in PAIR]).transform("max"))]
    rows = rows.assign(never_binds=_never_binds(rows).astype("float64"))
    grouped = rows.groupby([*PAIR, "clip"])
    names = {"cosine": "cos", "gradient_l2_repaired": "l2_repaired", "saturation": "saturation"}
    table = grouped[list(names)].median().rename(columns=names)
    table.insert(0, "seeds", grouped["seed"].nunique())
    table["never_binds"] = grouped["never_binds"].min()
    return table.reset_index()


def best(table: pd.DataFrame) -> pd.DataFrame:
    """The line of the largest cosine for each pair, with columns ``sweep_``; of equal ones that of the smallest clip.

    ``sweep_at_edge`` is 1 where that is the least or the largest clip value tried on the pair, and ``sweep_gain`` its
    cosine less that of the published clip value, on the same seeds, ``sweep_over_unclipped`` less that of a box which
    never binds. The best is chosen by the reading that is told.
    """
    ordered = table.sort_values(["cos", "clip"], ascending=[True, False]).groupby(PAIR)
    found = ordered.tail(1).set_index(PAIR)
    tried = table.groupby(PAIR)["clip"].agg(["min", "max", "size"]).reindex(found.index)
    found["tried"] = tried["size"]
    at_edge = (found["clip"] == tried["min"]) | (found["clip"] == tried["max"])
    found["at_edge"] = at_edge.astype("float64")
    as_published = table[np.isclose(table["clip"], PUBLISHED_CLIP)].set_index(PAIR)["cos"]
    found["gain"] = found["cos"] - as_published
    found["over_unclipped"] = found["cos"] - table[table["never_binds"] == 1].groupby(PAIR)["cos"].first()
    return found.drop(columns="l2_repaired").add_prefix("sweep_")


def trained_longest(frame: pd.DataFrame) -> pd.DataFrame:
    """The clipped critics that were trained longest, whose pair is ``dim`` and ``funnels`` and clip value ``clip``."""
    rows = frame[(frame["critic"] == "weight_clip") & (frame["status"] == "ok")]
    rows = rows[rows["method.steps"] == rows["method.steps"].max()]
    names = {"problem.dim": "dim", "problem.funnels": "funnels", "method.clip": "clip"}
    named: pd.DataFrame = rows.rename(columns=names)
    return named if "clip" in named else named.assign(clip=np.nan)


def _never_binds(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a row reads as that of the largest clip value of its pair and seed, and is not the only one to do so."""
    alone = [*PAIR, "seed"]
    largest = rows[rows["clip"] == rows.groupby(alone)["clip"].transform("max")].set_index(alone)[READINGS]
    there = largest.reindex(pd.MultiIndex.from_frame(rows[alone])).to_numpy()
    same = pd.Series((rows[READINGS].to_numpy() == there).all(axis=1), rows.index)
    return same & (same.groupby([rows[name] for name in alone]).transform("sum") > 1)
