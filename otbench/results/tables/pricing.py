"""The tables of starts of exact solves: what each saves, and whether a critic's skill or cosine tells it."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from otbench.results.schema import COLD, SUBSAMPLE, PricingColumns, names_of
from otbench.results.store import Row
from otbench.results.tables.cells import typed_frame
from otbench.results.tables.intervals import medians_over_seeds
from otbench.results.tables.rank_correlation import spearman
from otbench.types import skill

#: The points on which starts are timed, but for the seed; the columns that tell what is pooled over seeds.
SETTING = ["machine", "problem", "dim", "n"]

#: What the table tells of a start.
TOLD = ["start_gap", "rounds", "pairs", "pairs_in_all", "seconds", "over_subsample", "seconds_fit", "scale", "skill",
        "plan_cosine"]  # fmt: skip

#: The numbers of a critic that may tell what it saves; the last one is known only where the solve is done.
PREDICTORS = ("skill", "plan_cosine", "start_gap")


def pricing_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The records in order, with derived columns.

    ``w1`` is the exact value that the start from a coarser problem proves on the same points. ``start_gap`` is
    (w1 - start_lower) / w1, what is missing before any round. ``seconds`` are those of the start and of the solve,
    without training, ``over_subsample`` their ratio to those of the start from a coarser problem, and ``saved`` is 1
    less that. Of a start that was given up the seconds are those until then: the ratio is at least that large.
    ``skill`` is of all points, or where they are many on a part of them: there even that of the exact potential, which
    was fitted to all points, is below 1.
    """
    frame = typed_frame(rows, names_of(PricingColumns))
    frame = frame.sort_values([*SETTING, "seed"], kind="stable", ignore_index=True)
    frame["seconds"] = (frame["seconds_start"] + frame["seconds_solve"]).astype("float64")
    reference = frame[frame["start"] == SUBSAMPLE].drop_duplicates([*SETTING, "seed"]).set_index([*SETTING, "seed"])
    places = pd.MultiIndex.from_frame(frame[[*SETTING, "seed"]])
    of_reference = reference.reindex(places)
    frame["w1"] = of_reference["primal"].to_numpy(np.float64, na_value=np.nan)
    frame["start_gap"] = ((frame["w1"] - frame["start_lower"]) / frame["w1"]).where(frame["w1"] > 0)
    frame["over_subsample"] = frame["seconds"] / of_reference["seconds"].to_numpy(np.float64, na_value=np.nan)
    frame["saved"] = 1 - frame["over_subsample"]
    frame["skill"] = skill(frame["c_transform"], frame["nearest"], frame["part_primal"])
    return frame


def pricing(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per problem, dimension, size and start: medians over seeds with their intervals.

    ``stopped`` is how many of the ``seeds`` were given up, ``diverged`` how many critics were none. Ratios are paired:
    of the seconds of two starts on the same points.
    """
    keys = [*SETTING, "start", "method", "clip", "depth", "steps"]
    grouped = frame.groupby(keys, dropna=False, sort=False)
    counts = grouped["status"].agg(
        seeds="size", stopped=lambda s: int((s == "stopped").sum()), diverged=lambda s: int((s == "diverged").sum())
    )
    joined: pd.DataFrame = counts.join(medians_over_seeds(frame.astype(dict.fromkeys(TOLD, "float64")), keys, TOLD))
    return joined.reset_index()


def savings(frame: pd.DataFrame) -> pd.DataFrame:
    """How well a number of a critic tells the seconds that it saves: rank correlations over the critics of one sample.

    One line per setting and number: the median over seeds of Spearman's correlation with ``saved``, with its interval;
    of ``start_gap`` it is that of its negative. Lines of problem "all" pool the settings of a machine, each seed with
    all its settings.
    """
    critics = frame[~frame["start"].isin([SUBSAMPLE, COLD]) & frame["saved"].notna()]
    lines = [
        dict(zip([*SETTING, "seed"], sample, strict=True))
        | {"number": number, "critics": float(part[number].notna().sum()), "rank": _tells(part, number)}
        for sample, part in critics.groupby([*SETTING, "seed"], sort=False)
        for number in PREDICTORS
    ]  # fmt: skip
    found = pd.DataFrame(lines, columns=[*SETTING, "seed", "number", "critics", "rank"])
    found = found.astype({"dim": "Int64", "n": "Int64"})
    everywhere = _over_seeds(found.assign(problem="all"), ["machine", "problem", "number"])
    return pd.concat([_over_seeds(found, [*SETTING, "number"]), everywhere], ignore_index=True)


def _tells(critics: pd.DataFrame, number: str) -> float:
    """The rank correlation of a number with what critics save; of a gap, of what is there instead of it."""
    values = critics[number].to_numpy(np.float64, na_value=np.nan)
    return spearman(-values if number == "start_gap" else values, critics["saved"])


def _over_seeds(found: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    grouped = found.groupby(keys, dropna=False, sort=False)
    counts = grouped["seed"].nunique().to_frame("seeds").join(grouped["critics"].median())
    joined: pd.DataFrame = counts.join(medians_over_seeds(found, keys, ["rank"])).reset_index()
    return joined


#: The tables of a folder of starts by file name.
PRICING_TABLES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"pricing": pricing, "savings": savings}
