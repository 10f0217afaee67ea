"""The exact side far from a spread of 1: large data are solved, or refused; never answered wrongly."""

import contextlib

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from otbench.errors import UncertifiedError
from otbench.exact import cost_matrix, solve_exact


@pytest.mark.parametrize("scale", [1e5, 1e9, 1e15])
def test_data_of_a_large_spread_is_solved_where_w1_is_of_its_size(scale):
    rng = np.random.default_rng(5)
    x, y = scale * rng.standard_normal((40, 3)), scale * (rng.standard_normal((40, 3)) + 1)
    cost = cost_matrix(x, y)
    assert solve_exact(x, y).w1 == pytest.approx(cost[linear_sum_assignment(cost)].mean(), rel=1e-12)


def test_a_w1_below_the_rounding_of_its_data_is_refused_or_right():
    x = 1e8 * np.random.default_rng(6).standard_normal((30, 2))
    with contextlib.suppress(UncertifiedError):
        assert solve_exact(x, x[::-1]).w1 <= 1e-9
