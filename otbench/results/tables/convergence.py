"""The tables of samples that converge: mean errors by size, and the exponents with which they fall beside theory's.

Theory, of the mean of |W1(P_n, Q_n) - W1(P, Q)| for laws on supports of dimension s:

Equal laws: the error is W1(P_n, Q_n) itself, of order n^(-1/2) for s = 1, n^(-1/2) log n at most for s = 2 and n^(-1/s)
from s = 3 on. These are also bounds for any laws, by the triangle inequality.

Laws that are apart: where all mass moves a distance that is bounded from below, along the gradient of a potential, the
cost |x - y| is smooth along the moves. An image that is wrong by t across its ray then costs t^2 more and no longer t,
which is n^(-2/s) in the mean, and what is wrong along rays is the mean of the potential over the samples, n^(-1/2),
which is more for s < 4. Spheres and segments lie across the rays: their potential is constant on either support, and
only the first part is left, of order 1/n for s = 1, with a logarithm for s = 2. All this is seen once points lie closer
than the distance they move, and thus late where s is high.

Source: Fournier, Guillin 2015, Thm 1; Weed, Bach 2019 (supports of a lower dimension); Manole, Niles-Weed
2024 (smooth costs).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from otbench.results.store import SEEDS, Row
from otbench.results.tables.cells import cell_columns, typed_frame
from otbench.results.tables.growth import power
from otbench.results.tables.intervals import BOOTSTRAP_LEVEL, RESAMPLES
from otbench.types import Array

#: The smallest samples that an exponent is fitted to.
FALLS_FROM = 2**8

#: Problems whose laws lie on supports of one dimension less than the space, across the rays.
THIN = frozenset({"spheres", "segments"})


def convergence_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The samples in order of problem, dimension, size and seed, with ``signed_error`` = W1(P_n, Q_n) - W1(P, Q)."""
    frame = typed_frame(rows, list(dict.fromkeys(name for row in rows for name in row)))
    order = [*_problem(frame), "sampling.n", "seed"]
    frame = frame.sort_values(order, ignore_index=True)
    return frame.assign(signed_error=frame["primal"] - frame["population_w1"])


def errors(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per problem, dimension and size: the mean over seeds of the error's size and of the error with its sign.

    ``refused`` counts samples without a proved value.
    """
    keys = [*_problem(frame), "sampling.n"]
    grouped = frame.assign(refused=frame["status"] != "ok").groupby(keys, dropna=False, sort=False)
    columns: dict[str, Any] = {
        "seeds": ("seed", "size"), "refused": ("refused", "sum"), "population_w1": ("population_w1", "first"),
        "primal_mean": ("primal", "mean"), "error_mean": ("error", "mean"),
        "signed_error_mean": ("signed_error", "mean"), "seconds_exact_median": ("seconds_exact", "median"),
    }  # fmt: skip
    found: pd.DataFrame = grouped.agg(**columns).reset_index()
    return found


def convergence(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per problem and dimension: the exponent with which the mean error falls with n, beside theory's.

    ``exponent`` is the slope of least squares of the logarithm of the mean error on that of n, from n = 256 on.
    ``_low`` and ``_high`` are its percentile-bootstrap interval: the seeds of every size are drawn again. ``support``
    is the dimension s of the supports. ``rate_equal`` is theory's exponent for equal laws and ``rate_apart`` for laws
    whose mass all moves, empty where the laws are equal.
    """
    lines = []
    for _, part in frame.groupby(_problem(frame), dropna=False, sort=False):
        first = part.iloc[0]
        support = int(first["problem.dim"]) - (first["problem.name"] in THIN)
        rows = part[(part["sampling.n"] >= FALLS_FROM) & part["error"].notna()]
        sizes = [(int(str(n)), each["error"].to_numpy(np.float64)) for n, each in rows.groupby("sampling.n")]
        lines.append({
            **{name: first[name] for name in _problem(frame)},
            "population_w1": first["population_w1"],
            "support": support,
            "n_least": rows["sampling.n"].min(), "n_most": rows["sampling.n"].max(), "samples": len(rows),
            **dict(zip(("exponent", "exponent_low", "exponent_high"), _exponent(sizes), strict=True)),
            "rate_equal": rate_equal(support),
            "rate_apart": rate_apart(support, first["problem.name"] in THIN) if first["population_w1"] > 0 else np.nan,
        })  # fmt: skip
    return pd.DataFrame(lines)


def rate_equal(support: int) -> float:
    """The exponent of n in W1(P_n, Q_n) of equal laws on supports of that dimension, without logarithms."""
    return -1.0 / max(support, 2)


def rate_apart(support: int, across: bool) -> float:
    """The exponent of n in the error of laws whose mass all moves, without logarithms; ``across`` says that the
    supports lie across the rays."""
    return -2.0 / max(support, 2 if across else 4)


def _exponent(sizes: list[tuple[int, Array]]) -> tuple[float, float, float]:
    """The exponent of the mean errors, of samples as (n, errors), and the ends of its interval over seeds."""
    n = np.array([n for n, _ in sizes], np.float64)
    means = np.array([values.mean() for _, values in sizes])
    if len(n) < 2 or not (means > 0).all():
        return np.nan, np.nan, np.nan
    slope, _, _ = power(n, means)
    if min(len(values) for _, values in sizes) < 2:
        return slope, np.nan, np.nan
    from scipy.stats import bootstrap  # loads here, not with every reading of results

    weights = np.log(n) - np.log(n).mean()
    weights = weights / (weights @ weights)

    def slopes(*drawn: Array, axis: int = -1) -> Any:
        return sum(w * np.log(values.mean(axis=axis)) for w, values in zip(weights, drawn, strict=True))

    ends = bootstrap(
        [values for _, values in sizes], slopes, n_resamples=RESAMPLES, confidence_level=BOOTSTRAP_LEVEL,
        method="percentile", vectorized=True, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return slope, float(ends.low), float(ends.high)


def _problem(frame: pd.DataFrame) -> list[str]:
    """The columns that say which problem it is, but for its version; its name first."""
    return sorted((n for n in cell_columns(frame, "problem.") if n not in SEEDS and not n.endswith(".version")),
                  key=lambda name: (name != "problem.name", name == "problem.dim", name))  # fmt: skip


#: The tables of a folder of samples that converge, by file name.
CONVERGENCE_TABLES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"convergence": convergence, "errors": errors}
