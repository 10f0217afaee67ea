"""Rank correlations and intervals over seeds, held to scipy, to residuals, and to what they promise of nulls."""

import numpy as np
import pytest
from scipy import stats

from otbench.results.tables.intervals import BOOTSTRAP_LEVEL, RESAMPLES, median_interval
from otbench.results.tables.rank_correlation import kendall, partial, spearman
from otbench.types import Array


def with_ties(rng: np.random.Generator) -> tuple[Array, Array]:
    first, second = rng.integers(0, 6, (2, 14)).astype(float)
    return first, second + first


@pytest.mark.parametrize("seed", range(8))
def test_correlations_are_scipy_s_also_with_ties_and_gaps(seed: int) -> None:
    first, second = with_ties(np.random.default_rng(seed))
    gap = np.append(first, np.nan), np.append(second, 3.0)
    for pair in ((first, second), gap):
        assert spearman(*pair) == pytest.approx(stats.spearmanr(first, second).statistic)
        assert kendall(*pair) == pytest.approx(stats.kendalltau(first, second).statistic)


@pytest.mark.parametrize("seed", range(8))
def test_the_partial_correlation_is_that_of_residuals(seed: int) -> None:
    first, second = with_ties(np.random.default_rng(seed))
    given = np.arange(len(first)) // 2
    design = np.stack([np.ones(len(given)), stats.rankdata(given)], axis=1)
    residuals = [r - design @ np.linalg.lstsq(design, r)[0] for r in map(stats.rankdata, (first, second))]
    assert partial(first, second, given) == pytest.approx(np.corrcoef(*residuals)[0, 1])


def test_a_growing_function_changes_nothing_and_a_minus_sign_turns_all_round() -> None:
    rng = np.random.default_rng(0)
    x, y, t = rng.normal(size=(3, 15))
    given = (lambda a, b: partial(a, b, t)), spearman, kendall
    for rule in given:
        assert rule(np.exp(x), y) == rule(x, y) == rule(x, np.cbrt(y)) == -rule(-x, y)
        assert rule(y, y) == pytest.approx(1, abs=1e-15)


def test_a_number_that_tells_nothing_has_0_and_a_truth_that_tells_nothing_has_none() -> None:
    t = np.arange(9.0)
    truth, flat = np.sin(t), np.ones(9)
    assert spearman(flat, truth) == kendall(flat, truth) == partial(flat, truth, t) == partial(-t, truth, t) == 0
    for nothing in (spearman(truth, flat), kendall(truth, flat), partial(truth, -t, t), spearman(t[:2], t[:2]),
                    partial(truth[:3], -truth[:3], t[:3])):  # fmt: skip
        assert np.isnan(nothing)


def test_a_trend_alone_correlates_but_not_given_the_clock_nor_in_its_changes() -> None:
    """Two numbers that fall together for reasons of their own: what a rank correlation over training cannot tell."""
    rng, t = np.random.default_rng(0), np.arange(20.0)
    noise = 3 * rng.normal(size=(400, 2, 20))
    pairs = [(a - t, b - t) for a, b in noise]
    assert np.mean([spearman(a, b) for a, b in pairs]) > 0.6
    # 400 replicates of standard deviation 1/sqrt(17) have a mean within 0.05 of theirs in 4 standard errors
    assert abs(np.mean([partial(a, b, t) for a, b in pairs])) < 0.05
    assert abs(np.mean([spearman(np.diff(a), np.diff(b)) for a, b in pairs])) < 0.05
    assert np.mean([partial(a - t, a - t + b / 3, t) for a, b in noise]) > 0.8  # one that does follow


@pytest.mark.parametrize("seeds", [3, 5, 7, 9])
def test_of_an_odd_number_of_seeds_the_interval_is_scipy_s(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(size=(6, seeds))
    ends = stats.bootstrap(
        (values,), np.median, axis=1, confidence_level=BOOTSTRAP_LEVEL, n_resamples=RESAMPLES, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    expected = np.stack([np.median(values, axis=1), ends.low, ends.high], axis=1)
    assert median_interval(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seeds", [1, 2, 4, 5, 8])
def test_a_row_s_interval_is_its_own_and_holds_its_median(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(size=(5, seeds))
    found = median_interval(values)
    mixed = np.insert(np.append(values[2], np.nan)[::-1], 0, np.nan)  # gaps and order do not matter
    assert median_interval(mixed[None])[0] == pytest.approx(found[2], nan_ok=True, abs=0)
    assert np.isnan(found[:, 1:]).all() == (seeds == 1)
    if seeds > 1:
        assert (found[:, 1] <= found[:, 0]).all()
        assert (found[:, 0] <= found[:, 2]).all()
        assert (values.min(axis=1) <= found[:, 1]).all()
    assert np.isnan(median_interval(np.full((2, seeds), np.nan))).all()


def test_the_interval_of_five_seeds_covers_the_median_as_often_as_said() -> None:
    values = np.random.default_rng(0).exponential(size=(4000, 5))
    _, low, high = median_interval(values).T
    covered = np.mean((low <= np.log(2)) & (np.log(2) <= high))
    assert covered == pytest.approx(15 / 16, abs=4 * np.sqrt(15 / 16**2 / 4000))
    assert (low == values.min(axis=1)).all()
    assert (high == values.max(axis=1)).all()
