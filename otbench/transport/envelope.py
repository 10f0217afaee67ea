"""The maximum of a concave, piecewise linear function of one scale, by cutting planes."""

from collections.abc import Callable

Evaluation = tuple[float, float, float]  # value, left and right derivative


def maximise_concave(evaluate: Callable[[float], Evaluation], guess: float) -> tuple[float, float]:
    """(s*, value) of the maximum over s >= 0 of a concave, piecewise linear function.

    Cutting planes: the tangents at the two ends of a bracket meet at the next s; where a kink is the maximum
    its left derivative is >= 0 and its right one <= 0, and the search stops exactly there.

    Source: Kelley 1960.
    """
    value, _, right = evaluate(0.0)
    best = (0.0, value)
    if right <= 0:
        return best
    low, high = (0.0, value, right), None
    s = guess
    for _ in range(200):
        value, left, right = evaluate(s)
        best = max(best, (s, value), key=lambda found: found[1])
        if left >= 0 >= right:
            break
        if right > 0:
            low = (s, value, right)
        else:
            high = (s, value, left)
        if high is None:
            s *= 8
            continue
        # tangents v_l + g_l (s - l) and v_h + g_h (s - h) meet between l and h, as g_l > 0 > g_h
        s = (high[1] - low[1] + low[2] * low[0] - high[2] * high[0]) / (low[2] - high[2])
        roof = low[1] + low[2] * (s - low[0])
        if not low[0] < s < high[0] or roof - best[1] <= 1e-13 * abs(best[1]):
            break
    return best
