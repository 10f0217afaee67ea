"""Points and weights as people have them, and what they are by exact arithmetic, assignment and linear programming."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment, linprog

Rng = np.random.Generator


def pick(rng: Rng, values: list[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


DISGUISES: list[Callable[[np.ndarray, Rng], Any]] = [
    lambda z, rng: z, lambda z, rng: z.tolist(), lambda z, rng: z.astype(np.float32),
    lambda z, rng: torch.from_numpy(z), lambda z, rng: torch.from_numpy(z).requires_grad_(),
    lambda z, rng: torch.from_numpy(z).clamp(-6e4, 6e4).half(), lambda z, rng: torch.from_numpy(z).bfloat16(),
    lambda z, rng: np.clip(z, -6e4, 6e4).astype(np.float16), lambda z, rng: pd.DataFrame(z),
    lambda z, rng: np.asfortranarray(z), lambda z, rng: np.repeat(z, 2, axis=0)[::2], lambda z, rng: read_only(z),
    lambda z, rng: z.astype(object), lambda z, rng: np.ma.masked_greater(z, 0.5), lambda z, rng: z + 1j,
    lambda z, rng: z[:, :1].ravel(), lambda z, rng: z[:, :, None], lambda z, rng: z[:0], lambda z, rng: z[:, :0],
    lambda z, rng: z.astype(str), lambda z, rng: [*z.tolist(), [1.0]], lambda z, rng: None, lambda z, rng: 3.0,
    lambda z, rng: "points", lambda z, rng: spoilt(z, rng, np.nan), lambda z, rng: spoilt(z, rng, np.inf),
    lambda z, rng: rng.integers(-9, 9, z.shape), lambda z, rng: rng.integers(2**53, 2**62, z.shape),
    lambda z, rng: rng.integers(2**53, 2**64 - 1, z.shape, dtype=np.uint64), lambda z, rng: z > 0,
    lambda z, rng: z.astype("M8[s]") if np.abs(z).max() < 1e9 else z, lambda z, rng: z.astype(np.longdouble),
    lambda z, rng: z.astype(">f8"), lambda z, rng: [[Fraction(v) for v in row] for row in z.tolist()],
    lambda z, rng: torch.from_numpy(z).to_sparse(), lambda z, rng: np.array([[10**30, 1], [2, 3]], dtype=object),
    lambda z, rng: z + 1e8, lambda z, rng: np.round(z), lambda z, rng: -0.0 * z, lambda z, rng: dict(enumerate(z)),
]  # fmt: skip


def read_only(z: np.ndarray) -> np.ndarray:
    z = z.copy()
    z.flags.writeable = False
    return z


def spoilt(z: np.ndarray, rng: Rng, value: float) -> np.ndarray:
    z = z.copy()
    z.flat[rng.integers(z.size)] = value
    return z


def points(rng: Rng, n: int, dim: int) -> Any:
    """n points in R^dim as somebody has them; plain arrays half of the time."""
    scale = 10.0 ** pick(rng, [0, 0, 0, 0, -1, 3, -12, 12, -150, 150, -300, 300])
    z = scale * rng.standard_normal((n, dim))
    return z if rng.random() < 0.4 else pick(rng, DISGUISES)(z, rng)


def weights(rng: Rng, n: int) -> Any:
    w = rng.dirichlet(np.ones(n))
    kinds = [
        lambda: w, lambda: w.tolist(), lambda: w.astype(np.float32), lambda: torch.from_numpy(w).float(),
        lambda: w * 1.01, lambda: w * -1, lambda: spoilt(w, rng, np.nan), lambda: np.eye(1, n)[0], lambda: w[:-1],
        lambda: np.ones(n, dtype=int), lambda: w[:, None], lambda: "w", lambda: np.full(n, np.float32(1 / n)),
        lambda: pd.Series(w), lambda: np.where(np.arange(n) == 0, 1.0, 1e-300),
    ]  # fmt: skip
    return None if rng.random() < 0.6 else pick(rng, kinds)()


def fractions(value: Any) -> list[list[Fraction]] | None:
    """Points as exact numbers, or None for what is no finite real (n, d) table."""
    if isinstance(value, torch.Tensor):
        value = (value.to_dense() if value.is_sparse else value).detach().double().numpy()
    if value is None or isinstance(value, np.ma.MaskedArray | str | dict):
        return None
    value = value.to_numpy() if isinstance(value, pd.DataFrame | pd.Series) else value
    rows = value.tolist() if isinstance(value, np.ndarray) and value.dtype != np.longdouble else value
    try:
        table = [[_exact(v) for v in row] for row in rows]
    except (TypeError, ValueError, OverflowError):
        return None
    return table if table and table[0] and len({len(row) for row in table}) == 1 else None


def _exact(value: Any) -> Fraction:
    if isinstance(value, str | complex | list | tuple | np.ndarray):
        raise TypeError
    if isinstance(value, np.longdouble):
        return Fraction(*value.as_integer_ratio())
    return Fraction(value)


def distances(x: list[list[Fraction]], y: list[list[Fraction]]) -> tuple[np.ndarray, Fraction]:
    """|x_i - y_j| over a scale, and that scale, from exact differences."""
    moves = [[[p - q for p, q in zip(u, v, strict=True)] for v in y] for u in x]
    scale = max((abs(c) for row in moves for move in row for c in move), default=Fraction(0)) or Fraction(1)
    cost = [[math.sqrt(float(sum((c / scale) ** 2 for c in move))) for move in row] for row in moves]
    return np.array(cost), scale


def masses(value: Any, n: int) -> np.ndarray | None:
    """Weights as a reader takes them: finite, none negative, with sum one within float32."""
    if value is None:
        return np.full(n, 1 / n)
    value = value.double().numpy() if isinstance(value, torch.Tensor) else value
    try:
        w = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    sound = w.shape == (n,) and np.isfinite(w).all() and (w >= 0).all() and abs(w.sum() - 1) <= 1e-6
    return w / w.sum() if sound else None


def true_w1(x: Any, y: Any, a: Any, b: Any) -> float | None:
    """W1 by assignment or linear programming on exact distances; None where there is nothing to read."""
    p, q = fractions(x), fractions(y)
    if p is None or q is None or len(p[0]) != len(q[0]):
        return None
    cost, scale = distances(p, q)
    value = least_cost(cost, a, b)
    return None if value is None else value * float(scale)


def least_cost(cost: np.ndarray, a: Any, b: Any) -> float | None:
    """The cheapest plan's cost by assignment or linear programming; None where there are no weights to read."""
    n, m = cost.shape
    wa, wb = masses(a, n), masses(b, m)
    if wa is None or wb is None:
        return None
    if a is None and b is None and n == m:
        rows, cols = linear_sum_assignment(cost)
        return float(cost[rows, cols].mean())
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    return float(linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([wa, wb / wb.sum() * wa.sum()])).fun or 0.0)


def differs(seen: float, truth: float | None, allowed: float = 1e-6) -> str:
    if truth is None:
        return f"gave {seen!r} for what cannot be read"
    near = abs(seen - truth) <= allowed * max(abs(truth), 1e-305)
    return "" if near else f"gave {seen!r}, truth {truth!r}"
