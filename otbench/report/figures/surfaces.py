"""Pictures of critics themselves, which are trained again from their rows: the same bits on the same machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd

from otbench.methods import WeightClip
from otbench.methods.train import train
from otbench.problems.funnels import Funnels
from otbench.report.figures.captions import recipe
from otbench.report.figures.funnels import surfaces
from otbench.report.figures.style import STYLE, save
from otbench.results.folder import Stored
from otbench.results.tables.cells import proportional

#: The critics that are drawn: as many as fit a page beside the potential.
CRITICS_SHOWN = 4


def write_portraits(stored: Stored) -> list[Path]:
    """Draw the funnels' potential in the plane beside clipped critics, and return the files; [] without such rows."""
    if stored.is_study:
        return []
    rows = _of_one_pair(proportional(stored.frame))
    if rows.empty:
        return []
    law = Funnels(**_fields(rows.iloc[0], "problem."))
    places = [round(k * (len(rows) - 1) / (CRITICS_SHOWN - 1)) for k in range(CRITICS_SHOWN)]
    some = rows.iloc[places].drop_duplicates("key")
    critics = []
    for _, row in some.iterrows():
        method, seed = WeightClip(**_fields(row, "method.")), int(row["seed"])
        pair = law.sample(int(row["n"]), mode="population", seed=seed)
        critics.append((f"c = {method.clip:g}", train(pair, method, seed=seed, law=law)))
    with mpl.rc_context(STYLE):
        drawn = surfaces(law, critics, trained=f"{recipe(some)}, trained again from their rows.")
        return save(drawn, stored.results.folder / "figures" / "surfaces")


def _of_one_pair(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one seed on the first pair of our own in the plane, trained on fresh draws, one per clip value."""
    rows = rows[(rows["problem.name"] == "funnels") & (rows["sampling.mode"] == "population")]
    if rows.empty:
        return rows
    rows = rows[(rows["problem.dim"] == 2) & (rows["problem.origin"] == "own")]
    for name in ("problem.funnels", "seed"):
        rows = rows[rows[name] == rows[name].min()]
    return rows.drop_duplicates("method.clip").sort_values("method.clip")


def _fields(row: Mapping[str, Any] | Any, prefix: str) -> dict[str, Any]:
    """The fields of a description from its columns; those that are empty are left out."""
    fields = {}
    for name, value in row.items():
        field = str(name).removeprefix(prefix)
        if field == name or field == "version" or value is None or value != value or value is pd.NA:
            continue
        if field in ("widths", "betas"):
            value = [float(part) if field == "betas" else int(part) for part in str(value).split("x") if part != "none"]
        fields[field] = value.item() if hasattr(value, "item") else value
    if fields.get("clip_over_c_star") is not None:
        fields.pop("clip")
    return fields
