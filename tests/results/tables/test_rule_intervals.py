"""Weighted quantiles, equal weights of problems, and intervals over seeds: closed forms and independent routes."""

import itertools

import numpy as np
import pandas as pd
import pytest

from otbench.results.tables.rule_intervals import (
    equal_parts,
    over_seeds,
    settings_in,
    weighted_quantile,
    weighted_quantiles,
    with_ends,
)

SHARES = (0.05, 0.25, 0.5, 0.6, 0.9, 0.975)


@pytest.mark.parametrize("count", [1, 2, 5, 8, 31])
def test_equal_weights_give_numpy_s_quantiles(count: int) -> None:
    values = np.random.default_rng(count).standard_normal(count)
    found = weighted_quantiles(values, np.full(count, 0.3), SHARES)
    np.testing.assert_allclose(found, np.quantile(values, SHARES, method="averaged_inverted_cdf"))
    assert weighted_quantile(values, np.ones(count), 0.5) == np.median(values)


def test_whole_weights_are_repetitions_and_columns_are_draws() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.standard_normal(9), rng.integers(0, 4, (9, 50))
    found = weighted_quantiles(values, weights.astype(float), SHARES)
    for times, column in zip(weights.T, found.T, strict=True):
        repeated = np.repeat(values, times)
        np.testing.assert_allclose(column, np.quantile(repeated, SHARES, method="averaged_inverted_cdf"))


def test_what_is_unknown_or_weighs_nothing_counts_for_nothing() -> None:
    values = np.array([np.nan, 3.0, 1.0, np.inf, 2.0])
    assert weighted_quantile(values, np.array([9.0, 1, 1, 0, 1]), 0.5) == 2
    assert np.isnan(weighted_quantile(values, np.array([9.0, 0, 0, 0, 0]), 0.5))
    assert np.isnan(weighted_quantile(np.full(2, np.nan), np.ones(2), 0.5))


def test_every_family_weighs_the_same_and_in_it_every_problem() -> None:
    family, problem = np.array(list("aaaaab"), object), np.array(list("xxxxyz"), object)
    weights = equal_parts(family, problem)
    assert weights.mean() == pytest.approx(1)
    assert weights[family == "a"].sum() == pytest.approx(weights[family == "b"].sum())
    assert weights[problem == "x"].sum() == pytest.approx(weights[problem == "y"].sum())
    assert np.ptp(weights[problem == "x"]) == 0


def mean(values: np.ndarray):
    return lambda times: (values @ times / times.sum(0))[None]


@pytest.mark.parametrize("count", [3, 5])
def test_of_few_seeds_the_interval_of_a_median_is_their_range(count: int) -> None:
    values = np.random.default_rng(count).standard_normal(count)
    low, high = over_seeds(np.zeros(count, int), np.arange(count), lambda w: weighted_quantile(values, w, 0.5)[None])
    assert (low, high) == (values.min(), values.max())


@pytest.mark.parametrize("count", [3, 5])
def test_that_range_holds_the_true_median_as_often_as_is_said(count: int) -> None:
    signs = np.array(list(itertools.product([-1, 1], repeat=count)))  # of seeds below and above the median, all alike
    assert ((signs.min(1) < 0) & (signs.max(1) > 0)).mean() == 1 - 2.0 ** (1 - count)


def test_rows_of_one_seed_move_together_and_settings_apart() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0])
    pairs = np.concatenate([values, values])
    difference = np.repeat([1.0, -1.0], 4)

    def paired(times: np.ndarray) -> np.ndarray:
        return (difference * pairs @ times / 4)[None]

    seeds = np.tile(np.arange(4), 2)
    same = over_seeds(np.zeros(8, int), seeds, paired)
    apart = over_seeds(np.repeat([0, 1], 4), seeds, paired)
    assert (same[0][0], same[1][0]) == (0, 0)
    assert apart[0][0] < -1 < 1 < apart[1][0]


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(3).standard_normal(400)
    low, high = over_seeds(np.zeros(400, int), np.arange(400), mean(values))
    off = 1.96 * values.std() / 20
    assert [low[0], high[0]] == pytest.approx([values.mean() - off, values.mean() + off], abs=0.2 * off)
    again = over_seeds(np.zeros(400, int), np.arange(400), mean(values))
    assert (again[0][0], again[1][0]) == (low[0], high[0])


def test_one_seed_a_setting_has_no_interval() -> None:
    low, high = over_seeds(np.arange(4), np.zeros(4, int), mean(np.arange(4.0)))
    assert np.isnan([low, high]).all()
    line = with_ends(["a"], np.array([1.0]), (low, high))
    assert list(line) == ["a", "a_low", "a_high"]


def test_a_setting_is_problem_and_sampling_and_no_more() -> None:
    rows = pd.DataFrame({"problem.dim": [2, 2, 8, 2], "sampling.n": [5, 5, 5, 6], "method.clip": [1, 2, 1, 1]})
    assert list(settings_in(rows)) == [0, 0, 1, 2]
