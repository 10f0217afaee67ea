"""W1 in exact arithmetic: distances to a hundred bits, every assignment of a few points in fractions."""

import itertools
import math
from fractions import Fraction

import numpy as np


def distance(p, q) -> Fraction:
    """|p - q| of float64 points, relative error below 2^-100."""
    square = sum((Fraction(float(s)) - Fraction(float(t))) ** 2 for s, t in zip(p, q, strict=True))
    if square == 0:
        return Fraction(0)
    shift = 2 * (110 + (square.denominator.bit_length() - square.numerator.bit_length()) // 2)
    shift += square.denominator.bit_length() % 2
    scaled = square * Fraction(4) ** max(0, shift)
    return Fraction(math.isqrt(math.floor(scaled)), 2 ** max(0, shift))


def assignment_w1(x, y) -> Fraction:
    """The least mean distance over all permutations of y (n, d): W1 of two uniform samples of one size."""
    cost = [[distance(p, q) for q in y] for p in x]
    n = len(x)
    return min(sum(cost[i][j] for i, j in enumerate(order)) for order in itertools.permutations(range(n))) / n


def weighted_w1(x, y, counts_x, counts_y) -> Fraction:
    """W1 of samples whose atoms carry whole numbers of equal parts."""
    return assignment_w1(np.repeat(x, counts_x, axis=0), np.repeat(y, counts_y, axis=0))


def encloses(solution, truth: Fraction) -> bool:
    """Whether the interval holds the truth, up to the rounding of the distances themselves, and the value is it."""
    lower, upper, w1 = (Fraction(part) for part in (solution.lower, solution.upper, solution.w1))
    rounding = Fraction(8, 2**52)
    inside = lower * (1 - rounding) <= truth <= upper * (1 + rounding)
    return inside and lower <= w1 <= upper and abs(w1 - truth) <= Fraction(1, 10**9) * truth
