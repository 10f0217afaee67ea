"""Whether a number follows W1 while a GAN trains: rank correlations of every number with the exact W1."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from otbench.results.schema import CONVERGED
from otbench.results.tables.gan import GAN, NUMBERS, ends, generator, last_readings, summary
from otbench.results.tables.rank_correlation import kendall, partial, spearman

#: What is said of a number along one run.
STATISTICS = ["rank", "partial", "differences"]

#: How many values of W1 make an order that can be followed.
DISTINCT = 4

#: What it is held against: the nulls, and what dividing and transforming raw has added.
OTHERS = (("rank", "clock"), ("partial", "nearest"), ("partial", "raw"))


def runs(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per run and number: how the number goes along with the exact W1 over the readings after iteration 0.

    ``rank`` is Spearman's correlation. As W1 falls in training anything that falls has a high one: ``partial`` is
    the partial rank correlation given the iteration, and ``differences`` Spearman's of the changes from one reading to
    the next. A number that does not vary has correlation 0 (``rank_correlation``), so that the clock has 0 in both.
    All are NaN where W1 has fewer than ``DISTINCT`` values, as where a critic died and its generator stands still.
    """
    lines = []
    for arm, part in frame[frame["iteration"] > 0].groupby([*GAN, "seed"], sort=False):
        truth = part["primal"].to_numpy() if part["primal"].nunique() >= DISTINCT else np.full(len(part), np.nan)
        for number, column in NUMBERS.items():
            values = part[column].to_numpy()
            lines.append({
                **dict(zip([*GAN, "seed"], arm, strict=True)),
                "number": number,
                "status": part["status"].iloc[-1],
                "rank": spearman(values, truth),
                "partial": partial(values, truth, part["iteration"]),
                "differences": spearman(np.diff(values), np.diff(truth)),
            })  # fmt: skip
    return pd.DataFrame(lines, columns=[*GAN, "seed", "number", "status", *STATISTICS])


def tracking(frame: pd.DataFrame) -> pd.DataFrame:
    """How every number follows the exact W1 in every arm: medians over seeds of ``runs``, with their intervals."""
    return summary(runs(frame), [*GAN, "number"], STATISTICS)


def verdict(frame: pd.DataFrame) -> pd.DataFrame:
    """How every number follows the exact W1 over all arms of a data set, and of all data sets, by n_critic.

    Of each seed the mean over the arms is taken, so that all arms weigh the same; the table holds the medians of these
    means over seeds, with their intervals. ``rank_over_clock``, ``partial_over_nearest`` and ``partial_over_raw`` are
    of the differences from another number of the same run. ``arms`` is the number of arms in which ``partial`` is
    known in every seed, and ``above`` and ``below`` of how many of them its whole interval is above 0 or below. Of
    five seeds that is all five, which chance alone brings about once in 32 arms for either.
    """
    each, keys = runs(frame), [*GAN, "seed"]
    by_arm = summary(each, [*GAN, "number"], ["partial"])
    in_all_seeds = each["partial"].notna().groupby([each[name] for name in [*GAN, "number"]], sort=False).all()
    by_arm = by_arm[in_all_seeds.to_numpy()]
    others = each.pivot(index=keys, columns="number", values=["rank", "partial"])
    rows = each.set_index(keys)
    for statistic, other in OTHERS:
        rows[f"{statistic}_over_{other}"] = rows[statistic] - others[statistic][other].reindex(rows.index)
    rows, shown = rows.reset_index(), [*STATISTICS, *(f"{statistic}_over_{other}" for statistic, other in OTHERS)]
    tables = []
    for dataset in [*rows["dataset"].drop_duplicates(), "all"]:
        part, arms = (t if dataset == "all" else t[t["dataset"] == dataset] for t in (rows, by_arm))
        wide = summary(_means(part, ["n_critic", "number"], shown), ["n_critic", "number"], shown)
        counts = arms.groupby(["n_critic", "number"], sort=False).agg(
            arms=("partial_median", "size"),
            above=("partial_low", lambda low: int((low > 0).sum())),
            below=("partial_high", lambda high: int((high < 0).sum())),
        )
        wide = wide.drop(columns="diverged").merge(counts.reset_index(), on=["n_critic", "number"], how="left")
        wide = wide.fillna({"arms": 0, "above": 0, "below": 0}).astype({"arms": int, "above": int, "below": int})
        tables.append(wide.assign(dataset=dataset))
    table = pd.concat(tables, ignore_index=True)
    return table[["dataset", *table.columns.drop("dataset")]]


def _means(rows: pd.DataFrame, keys: list[str], columns: list[str]) -> pd.DataFrame:
    """Of every group and seed the mean over the arms in which a column is known."""
    means = rows.groupby([*keys, "seed"], sort=False)[columns].mean().reset_index()
    return means.assign(status="ok")


def ranking(frame: pd.DataFrame) -> pd.DataFrame:
    """Whether the last value of every number puts runs into the order of their last W1.

    Runs of one data set and seed are compared with one another. ``among`` tells which: "loops" are all rates, clip
    values and numbers of critic steps, "converged" all rates and clip values as critics read them that are trained
    afresh, and "one_clip" rates and numbers of steps, in the mean over clip values. Critics of one clip
    value have one box, so that what they print has one scale. ``kendall`` and ``spearman`` are medians over seeds,
    with their intervals, ``runs`` is how many are compared at once. A run that diverged is not compared; NaN where
    fewer than three are.
    """
    table = summary(_orders(last_readings(frame)), ["dataset", "among", "number", "runs"], ["kendall", "spearman"])
    return table.drop(columns="diverged")


def _orders(last: pd.DataFrame) -> pd.DataFrame:
    """One line per data set, seed, choice of runs and number: the rank correlations of last values."""
    lines = []
    for (dataset, seed), part in last.groupby(["dataset", "seed"], sort=False):
        afresh = part["n_critic"] == CONVERGED
        by_clip = [runs_of for _, runs_of in part[~afresh].groupby("clip", sort=False)]
        sets = {"loops": [part[~afresh]], "one_clip": by_clip, "converged": [part[afresh]]}
        for among, groups in sets.items():
            for number, column in NUMBERS.items():
                lines.append({
                    "dataset": dataset, "seed": seed, "among": among, "number": number, "status": "ok",
                    "runs": max(map(len, groups), default=0),
                    "kendall": _mean(kendall(group[column], group["primal"]) for group in groups),
                    "spearman": _mean(spearman(group[column], group["primal"]) for group in groups),
                })  # fmt: skip
    return pd.DataFrame(lines)


def _mean(values: Iterator[float]) -> float:
    """The mean of those that are known."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


#: The tables of a generator folder by file name.
CURVE_TABLES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "generator": generator, "tracking": tracking, "verdict": verdict, "ranking": ranking, "ends": ends,
}  # fmt: skip
