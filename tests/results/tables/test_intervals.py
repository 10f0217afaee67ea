"""Intervals of medians: exact where the bootstrap has a closed form, against an own resampling, and by cluster."""

import itertools

import numpy as np
import pandas as pd
import pytest

from otbench.results.tables.intervals import median_intervals


def frame(values: list[list[float]], cell: str = "a") -> pd.DataFrame:
    """Rows of one cell: values[seed] are those of a seed's trainings."""
    lines = [(cell, seed, value) for seed, found in enumerate(values) for value in found]
    return pd.DataFrame(lines, columns=["cell", "seed", "value"])


def interval(rows: pd.DataFrame) -> tuple[float, float]:
    found = median_intervals(rows, ["cell"], ["value"])
    return float(found["value_low"].iloc[0]), float(found["value_high"].iloc[0])


def enumerated(values: list[list[float]]) -> tuple[float, float]:
    """The percentile interval over every resample there is, with all trainings of a drawn seed."""
    drawn = itertools.product(range(len(values)), repeat=len(values))
    medians = [np.median(np.concatenate([values[seed] for seed in seeds])) for seeds in drawn]
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_of_five_seeds_or_fewer_it_is_their_range(count: int) -> None:
    values = [[value] for value in np.random.default_rng(count).normal(size=count).tolist()]
    assert interval(frame(values)) == pytest.approx((min(values)[0], max(values)[0]))


def test_it_is_that_of_all_resamples() -> None:
    values = [[float(k)] for k in range(6)]
    assert interval(frame(values)) == pytest.approx(enumerated(values), abs=0.51)
    assert interval(frame(values))[0] > 0.0


def test_trainings_on_equal_points_are_one_witness() -> None:
    """Three seeds with five equal trainings each are three values, not fifteen."""
    values = [[seed + 1e-9 * k for k in range(5)] for seed in (0.0, 1.0, 5.0)]
    assert interval(frame(values)) == pytest.approx(enumerated(values), abs=1e-6)
    assert interval(frame(values)) == pytest.approx((0.0, 5.0), abs=1e-6)


def test_unequal_numbers_of_trainings_and_missing_values_are_left_out() -> None:
    rows = frame([[1.0, 2.0, 3.0], [4.0], [np.nan, 7.0]])
    assert interval(rows) == pytest.approx((2.0, 7.0))


def test_one_seed_has_no_interval_and_no_value_neither() -> None:
    assert np.isnan(interval(frame([[1.0, 2.0, 3.0]]))).all()
    assert np.isnan(interval(frame([[np.nan], [np.nan]]))).all()


def test_cells_do_not_mix_and_keep_their_order() -> None:
    parts = [frame([[1.0], [2.0]], "b"), frame([[10.0], [20.0]], "a"), frame([[3.0]], "c")]
    rows = pd.concat(parts).sample(frac=1, random_state=0)
    found = median_intervals(rows, ["cell"], ["value"])
    assert list(found.index) == list(dict.fromkeys(rows["cell"]))
    assert found.loc["b"].tolist() == [1.0, 2.0]
    assert found.loc["a"].tolist() == [10.0, 20.0]
    assert found.loc["c"].isna().all()


def test_of_no_column_there_are_cells_and_no_interval() -> None:
    """As of a folder in which every cell failed, and nothing has a number."""
    found = median_intervals(frame([[1.0], [2.0]]), ["cell"], [])
    assert list(found.index) == ["a"]
    assert list(found.columns) == []
