"""Samples and critics' values that are hard to look through in blocks: ties, clusters, far points, light points."""

import numpy as np

from otbench.transport.dense import cost_matrix
from otbench.types import Array

SHAPES = {
    "normal": lambda x, y: (x, y),
    "lattice": lambda x, y: (np.round(x), np.round(y)),
    "far": lambda x, y: (1e-7 * x, 5 + 1e-7 * y),
    "cluster and one far point": lambda x, y: (np.concatenate([x[:1] + 1, 1e-7 * x[1:]]), 1e-7 * y),
    "tiny beside large": lambda x, y: (np.concatenate([1e-200 * x[: len(x) // 2], x[len(x) // 2 :]]), 1e-200 * y),
    "neighbours": lambda x, y: (x, x[np.arange(len(y)) % len(x)] + 1e-12 * y),
    "line": lambda x, y: (x[:, :1] + 0 * x, y[:, :1] + 0 * y),
    "shared points": lambda x, y: (x, x[np.arange(len(y)) % len(x)]),
    "all equal": lambda x, y: (0 * x + 1, 0 * y + 1),
}

CRITICS = {
    "linear": lambda x, y, rng: (x.sum(axis=1), y.sum(axis=1)),
    "noise": lambda x, y, rng: (rng.standard_normal(len(x)), rng.standard_normal(len(y))),
    "noisy": lambda x, y, rng: (
        x[:, 0] + 0.1 * rng.standard_normal(len(x)), y[:, 0] + 0.1 * rng.standard_normal(len(y))
    ),
    "constant": lambda x, y, rng: (np.full(len(x), 0.3), np.full(len(y), 0.3)),
    "two values": lambda x, y, rng: (rng.integers(0, 2, len(x)) * 1.0, rng.integers(0, 2, len(y)) * 1.0),
    "distance": lambda x, y, rng: (cost_matrix(x, y[:3]).min(axis=1), cost_matrix(y, y[:3]).min(axis=1)),
    "always lower on x": lambda x, y, rng: (rng.random(len(x)) - 2, rng.random(len(y))),
}  # fmt: skip


def weights(rng: np.random.Generator, count: int) -> Array:
    """Weights that are no multiples of one another, about a quarter of them 0."""
    drawn = rng.exponential(size=count) * (rng.random(count) < 0.75)
    drawn[rng.integers(count)] += 1
    return np.asarray(drawn / drawn.sum())


def streamed_sample(
    shape: str, critic: str, n: int, m: int, seed: int, weighted: bool = True
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """x (n, d), y (m, d), a (n,), b (m,), and values fx (n,), fy (m,), where d is between 1 and 4."""
    rng = np.random.default_rng([seed, n, m])
    d = int(rng.integers(1, 5))
    x, y = SHAPES[shape](rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.5)
    a, b = (weights(rng, n), weights(rng, m)) if weighted else (np.full(n, 1 / n), np.full(m, 1 / m))
    return x, y, a, b, *CRITICS[critic](x, y, rng)
