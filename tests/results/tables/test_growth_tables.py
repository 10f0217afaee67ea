"""Tables of solvers that grow and of samples that converge: exponents, intervals, medians and errors, by hand."""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress, t

from otbench.results.tables.convergence import convergence, convergence_frame, errors, rate_apart, rate_equal
from otbench.results.tables.growth import growth, growth_frame, power, solvers

Row = dict[str, Any]

META: dict[str, object] = {"machines": {"m": {"cores": 2}}}


def run(solver: str, dim: int, n: int, seed: int, **told: Any) -> Row:
    names = ("accuracy", "primal_lower", "primal_upper", "longest_move", "rounds", "pairs", "iterations", "reg")
    row: Row = {"schema": 1, "kind": "growth", "machine": "m", "device": "cpu", "threads": 2, "load": 1.0,
                "solver": solver, "dim": dim, "n": n, "seed": seed, "seconds": 1.0, "peak_memory_bytes": 100,
                "primal": 2.0, "key": f"{solver} {dim} {n} {seed}"}  # fmt: skip
    return dict.fromkeys(names) | row | told


SIZES = (1000, 2000, 4000, 8000)


def test_the_exponents_of_a_power_law_are_found_from_2000_points_on() -> None:
    laws = {("dense", 2): (2.0, 2.0), ("sparse", 16): (1.25, 1.0), ("lazy", 2): (3.0, 0.5)}
    rows = [
        run(name, dim, n, seed, seconds=1e-6 * n**p if n >= 2000 else 77.0, peak_memory_bytes=round(1e6 * n**q))
        for ((name, dim), (p, q)), n, seed in itertools.product(laws.items(), SIZES, range(3))
    ]
    table = growth(growth_frame(rows[::-1], META))
    assert [(line.solver, line.dim) for line in table.itertuples()] == [("dense", 2), ("sparse", 16), ("lazy", 2)]
    for (name, dim), (p, q) in laws.items():
        (line,) = table[(table["solver"] == name) & (table["dim"] == dim)].to_dict("records")
        assert (line["n_least"], line["n_most"], line["measurements"]) == (2000, 8000, 9)
        for column, exponent in (("seconds", p), ("peak_memory_bytes", q)):
            ends = [line[f"{column}_exponent{end}"] for end in ("", "_low", "_high")]
            assert ends == pytest.approx([exponent] * 3, abs=1e-6)


@pytest.mark.parametrize("count", [3, 4, 9, 30])
def test_a_slope_and_its_interval_are_those_of_linear_regression(count: int) -> None:
    rng = np.random.default_rng(count)
    x, y = rng.uniform(1, 100, count), rng.uniform(1, 100, count)
    fit = linregress(np.log(x), np.log(y))
    half = float(t.ppf(0.975, count - 2)) * fit.stderr
    assert power(x, y) == pytest.approx((fit.slope, fit.slope - half, fit.slope + half))


def test_what_cannot_be_told_is_empty() -> None:
    assert all(map(math.isnan, power(np.ones(4), np.arange(1.0, 5.0))))
    slope, *ends = power(np.array([1.0, 2.0]), np.array([1.0, 8.0]))
    assert slope == pytest.approx(3.0)
    assert all(map(math.isnan, ends))
    untold = [run("dense", 2, n, 0, peak_memory_bytes=None) for n in SIZES]
    (line,) = growth(growth_frame(untold, META)).to_dict("records")
    assert math.isnan(line["peak_memory_bytes_exponent"])
    assert line["seconds_exponent"] == pytest.approx(0.0)
    assert growth(growth_frame([run("dense", 2, 1000, 0)], META)).empty


def test_a_line_of_solvers_is_quartiles_and_the_largest_difference_from_the_certified_value() -> None:
    rows = [run("sparse", 2, 1000, seed, primal=w1, primal_lower=w1, primal_upper=w1, rounds=seed, pairs=10 * seed + 1,
                seconds=float(seed + 1), peak_memory_bytes=2**seed)
            for seed, w1 in enumerate((1.0, 2.0, 4.0))]  # fmt: skip
    rows += [run("lazy", 2, 1000, seed, primal=w1, load=load)
             for seed, (w1, load) in enumerate(((1.5, 1.0), (2.0, 2.01), (4.0, 1.0)))]  # fmt: skip
    rows += [run("sinkhorn", 2, 1000, 1, primal=2.2, primal_lower=1.65, primal_upper=2.2, reg=0.1, iterations=7)]
    rows += [run("lazy", 2, 1000, 9), run("dense", 2, 1000, 0, primal=1.0)]  # the dense route stands behind the sparse
    frame = growth_frame(rows, META)
    assert frame["solver"].drop_duplicates().tolist() == ["dense", "sparse", "lazy", "sinkhorn"]
    table = solvers(frame).set_index("solver")
    sparse, lazy, entropic = table.loc["sparse"], table.loc["lazy"], table.loc["sinkhorn"]
    assert (sparse["samples"], lazy["samples"], entropic["samples"]) == (3, 4, 1)
    assert [sparse[f"seconds_{part}"] for part in ("q1", "median", "q3")] == [1.5, 2.0, 2.5]
    assert [sparse[f"peak_memory_bytes_{part}"] for part in ("q1", "median", "q3")] == [1.5, 2.0, 3.0]
    assert (sparse["rounds"], sparse["pairs"], sparse["primal_median"]) == (1.0, 11.0, 2.0)
    assert (sparse["gap"], sparse["difference"]) == (0.0, 0.0)
    assert lazy["difference"] == pytest.approx(0.5)
    assert math.isnan(lazy["gap"])
    assert (entropic["gap"], entropic["difference"]) == pytest.approx((0.25, 0.1))
    assert (entropic["reg"], entropic["iterations"]) == (0.1, 7.0)
    assert table["timing_valid"].to_dict() == {"dense": True, "sparse": True, "lazy": False, "sinkhorn": True}


def sample(name: str, dim: int, n: int, seed: int, error: float, known: float = 1.0) -> Row:
    return {"schema": 1, "kind": "convergence", "machine": "m", "device": "cpu", "key": f"{name} {dim} {n} {seed}",
            "problem.version": 1, "problem.name": name, "problem.dim": dim, "sampling.n": n, "seed": seed,
            "status": "ok", "population_w1": known, "primal": known + error, "error": abs(error),
            "seconds_exact": float(seed)}  # fmt: skip


def test_mean_errors_by_size_are_told_with_and_without_their_sign() -> None:
    rows = [sample("balls", 3, 64, seed, error) for seed, error in enumerate((0.5, -0.25, 0.125))]
    rows += [sample("balls", 3, 32, 0, 0.5), sample("balls", 3, 64, 3, 0.0)]
    rows[-1] |= {"status": "refused", "primal": None, "error": None}
    small, large = errors(convergence_frame(rows)).to_dict("records")
    assert (small["sampling.n"], small["seeds"], small["refused"], small["error_mean"]) == (32, 1, 0, 0.5)
    assert (large["sampling.n"], large["seeds"], large["refused"]) == (64, 4, 1)
    assert (large["error_mean"], large["signed_error_mean"]) == pytest.approx((0.875 / 3, 0.375 / 3))
    assert large["primal_mean"] == pytest.approx(1.125)
    assert large["seconds_exact_median"] == 1.5


@pytest.mark.parametrize("exponent", [-0.5, -0.125, -1.0])
def test_errors_that_fall_by_a_power_have_that_exponent_from_256_points_on(exponent: float) -> None:
    rows = [sample("balls", 3, n, seed, (n**exponent if n >= 256 else 9.0) * (1 if seed % 2 else -1))
            for n in (64, 256, 512, 4096) for seed in range(3)]  # fmt: skip
    (line,) = convergence(convergence_frame(rows)).to_dict("records")
    assert [line[f"exponent{end}"] for end in ("", "_low", "_high")] == pytest.approx([exponent] * 3)
    assert (line["n_least"], line["n_most"], line["samples"]) == (256, 4096, 9)


def test_the_interval_is_over_seeds_of_every_size() -> None:
    """With two seeds a size, each resampled mean is one of three values: the ends are those of extreme resamples."""
    sizes = {256: (1.0, 3.0), 1024: (0.5, 1.5)}
    rows = [sample("balls", 3, n, seed, error) for n, both in sizes.items() for seed, error in enumerate(both)]
    (line,) = convergence(convergence_frame(rows)).to_dict("records")
    log4 = math.log(4)
    assert line["exponent"] == pytest.approx(math.log(1.0 / 2.0) / log4)
    assert line["exponent_low"] == pytest.approx(math.log(0.5 / 3.0) / log4)
    assert line["exponent_high"] == pytest.approx(math.log(1.5 / 1.0) / log4)
    one = [row for row in rows if (row["sampling.n"], row["seed"]) != (1024, 1)]
    (line,) = convergence(convergence_frame(one)).to_dict("records")
    assert line["exponent"] == pytest.approx(math.log(0.5 / 2.0) / log4)
    assert math.isnan(line["exponent_low"])
    none = [row | {"error": 0.0} for row in rows]
    (line,) = convergence(convergence_frame(none)).to_dict("records")
    assert math.isnan(line["exponent"]), "an error of 0 falls by no power"


@pytest.mark.parametrize(("name", "dim", "known", "support", "equal", "apart"), [
    ("translation", 1, 1.0, 1, -1 / 2, -1 / 2), ("translation", 2, 1.0, 2, -1 / 2, -1 / 2),
    ("translation", 4, 1.0, 4, -1 / 4, -1 / 2), ("balls", 8, 1.0, 8, -1 / 8, -1 / 4),
    ("translation", 8, 0.0, 8, -1 / 8, None), ("segments", 2, 1.0, 1, -1 / 2, -1.0),
    ("spheres", 3, 1.0, 2, -1 / 2, -1.0), ("spheres", 4, 1.0, 3, -1 / 3, -2 / 3),
    ("segments", 9, 1.0, 8, -1 / 8, -1 / 4),
])  # fmt: skip
def test_theory_s_exponents_are_of_the_supports_dimension(
    name: str, dim: int, known: float, support: int, equal: float, apart: float | None
) -> None:
    rows = [sample(name, dim, n, 0, 1.0, known) for n in (256, 512)]
    (line,) = convergence(convergence_frame(rows)).to_dict("records")
    assert (line["support"], line["rate_equal"]) == (support, equal)
    assert math.isnan(line["rate_apart"]) if apart is None else line["rate_apart"] == apart
    assert rate_equal(support) >= rate_apart(support, False) >= rate_apart(support, True)


def test_lines_are_of_one_problem_each() -> None:
    lines = itertools.product(("spheres", "balls"), (8, 2), (256, 512))
    rows = [sample(name, dim, n, 0, 1.0) for name, dim, n in lines]
    rows += [row | {"problem.outer": 3.0, "key": row["key"] + " outer"} for row in rows]
    table = convergence(convergence_frame(rows))
    assert len(table) == 8
    assert (table["samples"] == 2).all()
    assert table["problem.dim"].tolist() == [2, 8] * 4
    assert isinstance(table, pd.DataFrame)
