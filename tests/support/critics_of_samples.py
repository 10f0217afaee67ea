"""Critics that methods fit to samples, what they say of these, and samples of every awkward kind."""

from typing import Any

import numpy as np

from otbench.methods import Fitted, Job, method
from otbench.methods.functions import Critic, on_union
from otbench.transport.exact import solve_pair
from otbench.transport.point_ladder import ladder_of
from otbench.types import Array, Bounds, SamplePair


def fitted(name: str, pair: SamplePair, seed: int = 0, **fields: Any) -> Fitted:
    """What the method makes of the samples."""
    recipe = method(name, **fields).at(pair.dim)
    (found,) = type(recipe).fit([recipe], [Job(pair, seed, solve_pair(pair))], "cpu")
    return found


def critic_of(name: str, pair: SamplePair, seed: int = 0, **fields: Any) -> Critic:
    """The critic that the method fits to the samples."""
    found = fitted(name, pair, seed, **fields)
    assert (found.status, found.reason) == ("ok", "")
    assert found.critic is not None
    return found.critic


def raw_of(critic: Critic, pair: SamplePair) -> float:
    """sum a_i f(x_i) - sum b_j f(y_j)."""
    return float(pair.a @ critic.values(pair.x) - pair.b @ critic.values(pair.y))


def ladder_of_critic(critic: Critic, pair: SamplePair) -> Bounds:
    """Every rung of the critic on the samples."""
    fx, fy, *_ = on_union(critic, pair.x, pair.y)
    clip, spectral = critic.constants()
    primal = solve_pair(pair).w1
    ladder = ladder_of(pair.x, pair.y, pair.a, pair.b)
    return ladder.bounds(fx, fy, clip_constant=clip, spectral_constant=spectral, primal=primal)


def steepest(critic: Critic, z: Array) -> float:
    """The largest slope between two of the points z, and of the gradients at them."""
    rises = np.abs(critic.values(z)[:, None] - critic.values(z))
    lengths = np.linalg.norm(z[:, None] - z, axis=2)
    gradients = critic.gradients(z)
    assert gradients is not None
    slopes = np.divide(rises, lengths, out=np.zeros_like(rises), where=lengths > 0)
    return float(max(slopes.max(), np.linalg.norm(gradients, axis=1).max()))


def differences(critic: Critic, z: Array, step: float) -> Array:
    """The gradients at the points z by central differences."""
    rises = [critic.values(z + step * e) - critic.values(z - step * e) for e in np.eye(z.shape[1])]
    return np.stack(rises, axis=1) / (2 * step)


def turned(pair: SamplePair) -> SamplePair:
    """The same samples with the laws exchanged."""
    return SamplePair(pair.y, pair.x, pair.b, pair.a)


def awkward() -> dict[str, SamplePair]:
    """Samples by what is awkward of them."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 3)), rng.standard_normal((12, 3)) + 0.5
    a, b = np.arange(9) / 36, np.arange(12)[::-1] / 66
    far = x.copy()
    far[0] = 1e6
    return {
        "plain": SamplePair(x, y),
        "weighted, one of no weight": SamplePair(x, y, a, b),
        "of weights 1e-200": SamplePair(x, y, np.array([1 - 8e-200, *[1e-200] * 8]), b),
        "equal": SamplePair(x, x),
        "equal in another order": SamplePair(x, x[::-1]),
        "ties": SamplePair(np.repeat(x[:4], 3, axis=0), np.concatenate([x[:4], x[:2], y[:2]])),
        "on a grid": SamplePair(rng.integers(0, 3, (8, 2)), rng.integers(0, 3, (10, 2))),
        "one point a side": SamplePair(x[:1], y[:1]),
        "one point of x": SamplePair(x[:1], y),
        "one point twice": SamplePair(x[:1], x[:1]),
        "equal means": SamplePair(np.concatenate([x, -x]), 2 * np.concatenate([x, -x])),
        "on the line": SamplePair(x[:, :1], y[:, :1]),
        "on the line, weighted": SamplePair(x[:, :1], y[:, :1], a, b),
        "on the line, ties": SamplePair([[0.0], [0.0], [1.0], [3.0]], [[0.0], [1.0], [1.0]]),
        "one far point": SamplePair(far, y),
        "far from the origin": SamplePair(x + 1e9, y + 1e9),
        "of size 1e100": SamplePair(1e100 * x, 1e100 * y),
        "of size 1e-100": SamplePair(1e-100 * x, 1e-100 * y),
    }
