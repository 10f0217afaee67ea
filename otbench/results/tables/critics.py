"""The table of a contest of critics: what each tells of samples, of laws and of the direction, at one budget."""

from typing import Any

import numpy as np
import pandas as pd

from otbench.results.tables.cells import cell_columns
from otbench.results.tables.intervals import BOOTSTRAP_LEVEL, RESAMPLES
from otbench.types import Array

#: Seeds from this one on choose a method's rate, and are read for nothing else.
TUNING_SEEDS_FROM = 100

#: What a rate is chosen by: the certified share of W1 of the samples.
TUNED_BY = "slope_over_w1"

#: What is told of a critic. Where it has diverged, or has no constant that holds everywhere, it tells nothing: 0.
COMPETED_IN = ("slope_over_w1", "held_out_over_population_w1", "fresh_cosine")

#: What else a critic's line is made of.
OF_A_CRITIC = ("problem.name", "problem.dim", "label", "seed", "steps", "status", "seconds_fit")

#: Seconds of training per critic for which the budget in steps that fits is looked up.
BUDGETS = (0.3, 1.0, 3.0)

#: Certified share of W1 of the samples whose seconds are told.
REACHED = 0.9


def critics(frame: pd.DataFrame, timings: pd.DataFrame) -> pd.DataFrame | None:
    """One line per critic, dimension and budget, of a problem or of "all" of them; None without a tuning seed.

    A critic is a method with all its fields but rate and steps; its ``rate`` is that with the largest mean certified
    share on the tuning seeds, per problem, dimension and number of steps. A ``budget`` is a number of steps, or of
    seconds: the most steps whose median time per critic, over problems, is within it on the machine that trained.
    What is told is a mean, over seeds and for "all" over problems, with its interval ``_low`` to ``_high``, and for
    "all" its ``_rank``, where the largest mean has rank 1, with ``_rank_low`` and ``_rank_high``. Intervals
    and ranks are percentiles of a bootstrap that draws problems, and in each of them seeds, with replacement: critics
    whose ranks overlap are not told apart. ``seconds`` is the median time per critic, ``seconds_to_90`` that of the
    fewest steps at which the mean certified share of the samples is at least nine tenths, empty where it never is, and
    ``diverged`` the share of critics that have no function.

    Source: Agarwal et al. 2021 (stratified bootstrap over tasks and runs; intervals of ranks).
    """
    tuning = frame["seed"] >= TUNING_SEEDS_FROM
    if frame["critic"].nunique() < 3 or not tuning.any() or tuning.all():
        return None
    rows = frame.assign(label=_labels(frame), rate=_column(frame, "lr"), steps=_column(frame, "steps"))
    rows = rows.assign(**{name: _told(rows, name) for name in COMPETED_IN})
    times = timings.reindex(columns=["key", "seconds_fit"]).drop_duplicates("key", keep="last")
    rows = rows.merge(times, on="key", how="left")
    read = _at_their_rates(rows, rows["seed"] >= TUNING_SEEDS_FROM)
    parts = []
    for budget, lines in _budgets(read).items():
        parts.append(_per_problem(lines).assign(budget=budget))
        parts.append(_overall(lines).assign(budget=budget))
    table = pd.concat(parts, ignore_index=True).merge(_reached(parts), how="left")
    first = ["problem.name", "problem.dim", "budget", "label", "rate", "steps", "seeds", "diverged", "seconds"]
    return table[[*first, *(name for name in table if name not in first)]]


def _told(rows: pd.DataFrame, name: str) -> "pd.Series[float]":
    """What is told of every critic, 0 where it tells nothing; empty for problems that do not know it of any critic, as
    a direction where no potential is known."""
    known = rows[name].notna().groupby([rows["problem.name"], rows["problem.dim"]]).transform("any")
    return rows[name].astype("float64").fillna(0.0).where(known)


def _column(frame: pd.DataFrame, field: str) -> "pd.Series[float]":
    """A numeric field of the method, 0 where a method has none."""
    values = frame.get(f"method.{field}", pd.Series(np.nan, frame.index))
    return pd.to_numeric(values, errors="coerce").astype("float64").fillna(0.0)


def _labels(frame: pd.DataFrame) -> "pd.Series[str]":
    """Every critic in words: its method, and those of its fields but rate and steps that vary within the method."""
    labels = frame["critic"].astype(str).copy()
    fields = [name for name in cell_columns(frame, "method.") if name not in ("method.lr", "method.steps")]
    for critic, rows in frame.groupby("critic"):
        varying = [name for name in fields if rows[name].nunique(dropna=False) > 1]
        told = [[f"{name.removeprefix('method.')}={value}" for value in rows[name]] for name in varying]
        if varying:
            named = [f"{critic}[{';'.join(each)}]" for each in zip(*told, strict=True)]
            labels.update(pd.Series(named, rows.index))
    return labels


def _at_their_rates(rows: pd.DataFrame, tuning: "pd.Series[bool]") -> pd.DataFrame:
    """The rows of the other seeds at the rate that is best on the tuning seeds, the smallest of several."""
    place = ["label", "problem.name", "problem.dim", "steps"]
    scores = rows[tuning].groupby([*place, "rate"])[TUNED_BY].mean().reset_index()
    best = scores.sort_values([TUNED_BY, "rate"], ascending=[False, True]).drop_duplicates(place)
    return rows[~tuning].merge(best[[*place, "rate"]], on=[*place, "rate"])


def _budgets(read: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of every budget by its name: critics whose steps do not vary are in all of them."""
    varies = read.groupby("label")["steps"].transform("nunique") > 1
    free, trained = read[~varies], read[varies]
    found = {f"{int(steps)}_steps": trained[trained["steps"] == steps] for steps in sorted(trained["steps"].unique())}
    time = trained.groupby(["label", "problem.dim", "steps"])["seconds_fit"].median().reset_index()
    for seconds in BUDGETS:
        within = time[time["seconds_fit"] <= seconds].groupby(["label", "problem.dim"])["steps"].max().reset_index()
        found[f"{seconds:g}_s"] = trained.merge(within, on=["label", "problem.dim", "steps"])
    return {name: pd.concat([rows, free], ignore_index=True) for name, rows in found.items()}


def _per_problem(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for (problem, dim, label), group in rows.groupby(["problem.name", "problem.dim", "label"], sort=True):
        line = {"problem.name": problem, "problem.dim": dim, "label": label, "rate": group["rate"].iloc[0]}
        line |= _facts(group)
        for name in COMPETED_IN:
            line |= _interval(name, _resampled(group[name].to_numpy(np.float64)[None]))
            line[name] = group[name].mean()
        lines.append(line)
    return pd.DataFrame(lines)


def _overall(rows: pd.DataFrame) -> pd.DataFrame:
    """The macro-averages over problems, of the critics that every problem has at that dimension."""
    lines = []
    for dim, group in rows[[*OF_A_CRITIC, *COMPETED_IN]].groupby("problem.dim"):
        problems = group["problem.name"].nunique()
        of = {label: own for label, own in group.groupby("label") if own["problem.name"].nunique() == problems}
        line = {"problem.name": "all", "problem.dim": dim}
        places = [line | {"label": label} | _facts(own) for label, own in of.items()]
        told = [_stacked(own) for own in of.values()]
        for name in COMPETED_IN:
            drawn = np.stack([_resampled(values[name]) for values in told])
            ranks = 1 + (drawn[:, None] < drawn[None]).sum(axis=1)
            means = np.array([values[name].mean() for values in told])
            for k, place in enumerate(places):
                place.update(_interval(name, drawn[k]) | _interval(f"{name}_rank", ranks[k]))
                place |= {name: means[k], f"{name}_rank": 1 + int((means[k] < means).sum())}
        lines += places
    return pd.DataFrame(lines)


def _reached(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The seconds of the fewest steps that reach nine tenths, per problem, dimension and critic."""
    lines = pd.concat(parts)
    lines = lines[(lines[TUNED_BY] >= REACHED) & lines["budget"].str.endswith("_steps")]
    place = ["problem.name", "problem.dim", "label"]
    fewest = lines.sort_values("steps", kind="stable").drop_duplicates(place)
    return fewest[[*place, "seconds"]].rename(columns={"seconds": "seconds_to_90"})


def _facts(group: pd.DataFrame) -> dict[str, Any]:
    return {
        "seeds": group["seed"].nunique(),
        "steps": group["steps"].iloc[0],
        "diverged": (group["status"] != "ok").mean(),
        "seconds": group["seconds_fit"].median(),
    }


def _stacked(group: pd.DataFrame) -> dict[str, Array]:
    """All that is told of one critic at one dimension: values (problems, seeds), of the problems that know them."""
    means = group.groupby(["problem.name", "seed"])[list(COMPETED_IN)].mean()
    known = {name: means[name].dropna().unstack() for name in COMPETED_IN}
    return {name: values.to_numpy(np.float64) for name, values in known.items()}


def _resampled(values: Array) -> Array:
    """Means (RESAMPLES,) of values (problems, seeds), problems and in each of them seeds drawn with replacement.

    The draws depend on the shape alone, so that critics on equal points are compared on equal draws.
    """
    problems, seeds = values.shape
    rng = np.random.default_rng(0)
    which = rng.integers(problems, size=(RESAMPLES, problems, 1))
    means: Array = values[which, rng.integers(seeds, size=(RESAMPLES, problems, seeds))].mean(axis=(1, 2))
    return means


def _interval(name: str, drawn: Array) -> dict[str, float]:
    low, high = np.quantile(drawn, [(1 - BOOTSTRAP_LEVEL) / 2, (1 + BOOTSTRAP_LEVEL) / 2])
    return {f"{name}_low": float(low), f"{name}_high": float(high)}
