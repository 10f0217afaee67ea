"""Random calls of the public functions, each with what an accepted one must give."""

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from disguises import DISGUISES, Rng, differs, distances, fractions, least_cost, pick, points, true_w1, weights

import otbench
from otbench.problems import PROBLEMS

#: Called, it gives a value or is refused; the value is then looked at, and a complaint about it or "" comes back.
Case = tuple[Callable[[], Any], Callable[[Any], str]]


def samples(rng: Rng) -> tuple[Any, Any, Any, Any]:
    n, m, dim = (int(k) for k in rng.integers(1, 6, 3))
    m = n if rng.random() < 0.5 else m
    x, y = points(rng, n, dim), points(rng, m, dim)
    if rng.random() < 0.2:
        y = x
    return x, y, weights(rng, n), weights(rng, m)


def solve_exact(rng: Rng, folder: Path) -> Case:
    x, y, a, b = samples(rng)
    return lambda: otbench.solve_exact(x, y, a, b), lambda s: differs(s.w1, true_w1(x, y, a, b))


def verify_exact(rng: Rng, folder: Path) -> Case:
    n, dim = (int(k) for k in rng.integers(2, 6, 2))
    x, y = rng.standard_normal((n, dim)), rng.standard_normal((n, dim)) + 1
    solved = otbench.solve_exact(x, y)
    u = solved.u + pick(rng, [0.0, 1e-3, 1.0, np.nan]) * (rng.random() < 0.5)
    w1 = solved.w1 * pick(rng, [1.0, 1.01, np.nan, 0.0])
    told = dataclasses.replace(solved, w1=w1, u=u, plan=pick(rng, [None, solved.plan]))
    other = points(rng, n, dim) if rng.random() < 0.3 else x
    plan_there = told.plan is not None

    def look(s: Any) -> str:
        truth = true_w1(other, y, None, None)
        if plan_there or truth is None:
            return differs(s.w1, truth)
        return "" if s.w1 <= truth * (1 + 1e-6) else f"proved {s.w1!r} above {truth!r}"

    return lambda: otbench.verify_exact(told, other, y), look


def cost_matrix(rng: Rng, folder: Path) -> Case:
    x, y, _, _ = samples(rng)

    def look(cost: np.ndarray) -> str:
        p, q = fractions(x), fractions(y)
        if p is None or q is None:
            return "gave distances of what cannot be read"
        truth, scale = distances(p, q)
        near = np.allclose(cost / float(scale), truth, rtol=1e-6, atol=1e-9)
        return "" if near else f"gave {cost.ravel()[:3]}, truth {(truth * float(scale)).ravel()[:3]}"

    return lambda: otbench.cost_matrix(x, y), look


def lower_bounds(rng: Rng, folder: Path) -> Case:
    n, m = (int(k) for k in rng.integers(1, 6, 2))
    x, y = rng.standard_normal((n, 2)), rng.standard_normal((m, 2))
    fx, fy = (points(rng, k, 1) for k in (n, m))
    fx, fy = ((f[:, 0] if isinstance(f, np.ndarray) and f.ndim == 2 and f.shape[1] else f) for f in (fx, fy))
    a = weights(rng, n)
    cost = np.linalg.norm(x[:, None] - y, axis=2)
    cost = cost if rng.random() < 0.8 else pick(rng, DISGUISES)(cost, rng)

    def look(bounds: Any) -> str:
        table = fractions(cost)
        truth = None if table is None else least_cost(np.array(table, dtype=float), a, None)
        if truth is None:
            return "bounded what cannot be read"
        rungs = [bounds.nearest, bounds.slope, bounds.c_transform]
        return "" if all(0 <= r <= truth * (1 + 1e-7) + 1e-12 for r in rungs) else f"rungs {rungs} of W1 {truth}"

    return lambda: otbench.lower_bounds(fx, fy, cost, a), look


def monitor(rng: Rng, folder: Path) -> Case:
    x, y, _, _ = samples(rng)
    sizes = [max(1, len(z)) if hasattr(z, "__len__") else 3 for z in (x, y)]
    odd = rng.random() < 0.5
    fx, fy = (points(rng, size, 1) if odd else rng.standard_normal(size) for size in sizes)

    def look(found: Any) -> str:
        flat = [z.reshape(len(z), -1) if getattr(z, "ndim", 2) > 2 else z for z in (x, y)]
        truth = true_w1(*flat, None, None)
        if truth is None:
            return "bounded what cannot be read"
        return "" if 0 <= found.bound <= truth * (1 + 1e-9) else f"bound {found.bound!r} of W1 {truth!r}"

    return lambda: otbench.monitor(fx, fy, x, y), look


class Scaled(torch.nn.Module):
    """A module whose values depend on the other points of the batch."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return (z - z.mean(0)).sum(1)


def critics(rng: Rng, dim: int) -> Any:
    torch.manual_seed(int(rng.integers(2**31)))
    w = rng.standard_normal(dim)
    linear = torch.nn.Linear(dim, 1).double()
    return pick(rng, [
        lambda z: z @ w, lambda z: (z @ w)[:, None], lambda z: z, lambda z: np.full(len(z), np.nan), lambda z: None,
        lambda z: (z @ w).astype(np.float32), lambda z: float(z.sum()), lambda z: [str(v) for v in z @ w],
        lambda z: z @ w - (z @ w).mean(), linear, torch.nn.Linear(dim, 1), torch.nn.Linear(dim, 2),
        torch.nn.Sequential(torch.nn.Linear(dim, 4), torch.nn.ReLU(inplace=True), torch.nn.Linear(4, 1)),
        torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Linear(dim, 1)),
        torch.nn.Sequential(torch.nn.Linear(dim, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)),
        torch.nn.Sequential(torch.nn.Linear(dim, 4), torch.nn.Dropout(), torch.nn.Linear(4, 1)),
        torch.nn.LazyLinear(1), torch.nn.Linear(dim + 1, 1), 3,
        torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(dim, 1)), Scaled(), torch.nn.LSTM(dim, 1),
        torch.nn.Sequential(torch.nn.Linear(dim, 1), torch.nn.Flatten(0)), None, "critic", torch.nn.Linear,
    ])  # fmt: skip


CLIPS = [None, None, None, 1.0, 1e-3, 0.0, np.nan, "1", 10]


def alone(critic: Any, z: np.ndarray) -> np.ndarray:
    """A critic's values point by point, so that no company counts."""
    if isinstance(critic, torch.nn.Module):
        module = critic.double().eval()
        return np.array([float(module(torch.tensor(p[None])).reshape(-1)[0]) for p in z])
    return np.array([float(np.asarray(critic(p[None].copy())).ravel()[0]) for p in z])


def certify(rng: Rng, folder: Path) -> Case:
    n, dim = (int(k) for k in rng.integers(1, 6, 2))
    x, y = rng.standard_normal((n, dim)), rng.standard_normal((n, dim)) + 1
    critic, clip, level = critics(rng, dim), pick(rng, CLIPS), pick(rng, [0.95] * 4 + [0.5, 0.0, 1.0, "0.9", np.nan, 1])

    def look(found: Any) -> str:
        fx, fy = alone(critic, x), alone(critic, y)
        raw = float(fx.mean() - fy.mean())
        if abs(raw - found.held_out.raw) > 1e-5 * (1 + abs(raw)):
            return f"raw {found.held_out.raw!r}, point by point {raw!r}"
        if found.constant is None:
            return "" if (found.estimate, found.lower) == (None, None) else "a bound without a constant"
        steepest = max(abs(p - q) / d for p, z in zip(fx, x, strict=True) for q, w in zip(fy, y, strict=True)
                       if (d := float(np.linalg.norm(z - w))) > 0)  # fmt: skip
        if steepest > found.constant * (1 + 1e-5) + 1e-6:
            return f"constant {found.constant!r} of a critic with slope {steepest!r}"
        above = level >= 0.5 and not found.lower <= found.estimate + 1e-12 + abs(found.estimate) * 1e-9
        return f"lower {found.lower!r} above {found.estimate!r}" if above else ""

    return lambda: otbench.certify(critic, x, y, clip=clip, level=level), look


def estimate(rng: Rng, folder: Path) -> Case:
    n, m, dim = int(rng.integers(15, 30)), int(rng.integers(20, 30)), int(rng.integers(1, 4))
    x, y = rng.standard_normal((n, dim)), rng.standard_normal((m, dim)) + 1
    a = weights(rng, n) if rng.random() < 0.3 else None
    y = np.vstack([y, x[:1]]) if rng.random() < 0.2 else y
    x = pick(rng, DISGUISES)(x, rng) if rng.random() < 0.3 else x
    discrete, level = rng.random() < 0.2, pick(rng, [0.95] * 4 + [0.5, 0, 2.0, "0.9"])
    methods = pick(rng, [["linear"], ["potential", "linear"], ["zero"], [], ["none"], [otbench.method("linear")], [3]])

    def look(found: Any) -> str:
        truth = true_w1(x, y, a, None)
        if truth is None:
            return "bracketed what cannot be read"
        whole = found.sizes == found.sample_sizes  # points without mass are left out
        wrong = differs(found.sample_w1, truth) if whole else ""
        return wrong or ("" if found.lower >= 0 and found.upper_mean <= found.upper else f"bracket {found!r:.80}")

    return lambda: otbench.estimate(x, y, a, methods=methods, level=level, discrete=discrete), look


def audit(rng: Rng, folder: Path) -> Case:
    n, dim = (int(k) for k in rng.integers(2, 6, 2))
    x, y = rng.standard_normal((n, dim)), rng.standard_normal((n, dim)) + 1
    critic = critics(rng, dim)
    clip = pick(rng, CLIPS)

    def look(bounds: Any) -> str:
        truth = true_w1(x, y, None, None)
        assert truth is not None
        raw = float(alone(critic, x).mean() - alone(critic, y).mean())
        rungs = [r for r in (bounds.clip_bound, bounds.spectral, bounds.slope, bounds.c_transform) if r is not None]
        if not all(0 <= r <= truth * (1 + 1e-7) for r in rungs):
            return f"rungs {rungs} of W1 {truth}"
        return "" if abs(raw - bounds.raw) <= 1e-5 * (1 + abs(raw)) else f"raw {bounds.raw!r}, point by point {raw!r}"

    return lambda: otbench.audit(critic, x, y, clip=clip), look


VALUES = [None, True, False, 0, 1, -1, 3, 2**31, 2**63, 1.5, 0.0, -0.5, 1e-300, 1e300, math.nan, math.inf, "", "x",
          "full", "relu", "adam", [], [4], [4, 4], (3,), [0], [-1], ["4"], [4.0], {}, np.int64(3), np.float32(0.5),
          np.bool_(True), np.array([4, 4]), np.array(2.0), Fraction(1, 2), b"x", torch.tensor(3), [True]]  # fmt: skip


#: Values that a field may well have.
LIKELY: dict[str, list[Any]] = {
    "clip": [0.01, 1, 1e-3], "clip_over_c_star": [1.0, 0.5], "widths": [[4], (4, 4), 8, [np.int64(4)]], "depth": [1, 2],
    "width_per_dim": [0, 2], "activation": ["relu", "tanh"], "biases": [True, False], "clip_parameters": ["weights"],
    "clip_when": ["before"], "optimiser": ["adam", "sgd"], "lr": [1e-3, 1, np.float64(0.1)], "smoothing": [0.9, 0],
    "lr_unit": ["clip"], "betas": [[0.0, 0.9], (0.5, 0.9)], "eps": [1e-8], "init": ["box"], "batch": [16, "full"],
    "steps": [0, 10, np.int64(3)], "dtype": ["float64"],
    "law": ["cube", "ball"], "direction": ["diagonal"], "shift": [-1.0, 0.0, 2, 1e-9], "scale": [0.1, 10.0, 1e6],
    "sigma": [0.1, 1e6], "factor": [0.5, 1.0, 3.0], "inner": [0.1], "outer": [3.0], "theta": [-1.0, 0.0, 0.5],
    "overlap": [0.0, 0.5, 1.0], "w1": [1e-3, 7.0], "weights": ["mixture"], "left": ["uniform", "laplace"],
    "right": ["normal", "logistic"], "location": [-2.0, 0.0], "funnels": [1, 9], "pair_seed": [0, 5],
    "half_width": [0.5], "power": [1.0, 3.0], "bias_scale": [0.0, 0.5],
}  # fmt: skip


def some_fields(names: list[str], rng: Rng) -> dict[str, Any]:
    """Up to two fields with values, likely ones more often than not."""
    chosen = [pick(rng, names) for _ in range(int(rng.integers(1, 3)))]
    return {name: pick(rng, LIKELY.get(name, VALUES) if rng.random() < 0.7 else VALUES) for name in chosen}


def same(given: Any, kept: Any) -> bool:
    """Whether a field says what was given: equal, and no flag for a number, no text for a value."""
    given = given.item() if isinstance(given, np.ndarray | torch.Tensor) and given.ndim == 0 else given
    if isinstance(given, list | tuple | np.ndarray):
        return np.ndim(given) == 1 and len(given) == len(kept) and all(map(same, given, kept))
    if isinstance(given, bool | np.bool_) != isinstance(kept, bool) or isinstance(given, str) != isinstance(kept, str):
        return False
    return bool(given == kept)


def fields_kept(given: dict[str, Any], spec: Any) -> str:
    changed = {k: (v, getattr(spec, k)) for k, v in given.items() if not same(v, getattr(spec, k, "absent"))}
    one_width = {"widths", "depth"} if np.size(given.get("widths", 1)) == 1 else set()  # which depth repeats
    changed = {name: both for name, both in changed.items() if name not in one_width}
    return f"given and kept: {changed}" if changed else ""


def method(rng: Rng, folder: Path) -> Case:
    names = list(otbench.WeightClip.model_fields)[1:]
    given = some_fields(names, rng)
    name = pick(rng, ["weight_clip"] * 8 + ["weigth_clip", None, 3])
    return lambda: otbench.method(name, **given), lambda spec: fields_kept(given, spec)


def train(rng: Rng, folder: Path) -> Case:
    pair = otbench.problem("translation", dim=2, shift=float(rng.normal())).sample(8, seed=1)
    given = {
        "widths": pick(rng, [(), (3,), (2, 2)]), "clip": pick(rng, [1e-30, 1e-3, 1.0, 1e6]),
        "lr": pick(rng, [1e-4, 1e3, 1e-30]), "steps": int(rng.integers(0, 6)), "batch": pick(rng, [1, 3, "full"]),
        "optimiser": pick(rng, ["rmsprop", "adam", "sgd"]), "dtype": pick(rng, ["float32", "float64"]),
    }  # fmt: skip
    recipe = otbench.method("weight_clip", **given)
    seed = pick(rng, [0, 1, 2**31, 2**63, -1, 1.0, "0", None, np.int64(3), True])
    device = pick(rng, ["cpu"] * 6 + ["gpu", "cuda:99", None, 0])

    def look(fitted: Any) -> str:
        if isinstance(seed, bool | float | str):
            return f"took seed {seed!r} for a whole number"
        if fitted.status != "ok":
            return "" if fitted.reason else "diverged without a reason"
        largest = max(float(np.abs(w).max()) for w in fitted.critic.weights)
        return "" if largest <= given["clip"] * (1 + 1e-6) else f"a weight {largest} in a box of {given['clip']}"

    return lambda: otbench.train(pair, recipe, seed=seed, device=device), look


def problem(rng: Rng, folder: Path) -> Case:
    name = pick(rng, [k for k in PROBLEMS if k not in {"arrays", "digits", "mnist", "patches"}])
    fields = [k for k in PROBLEMS[name].model_fields if k not in {"name", "dim", "sha256", "origin"}]
    given = some_fields(fields, rng)
    odd = [0, -1, 2.0, "3", True, np.int64(3), 2**40]
    n = pick(rng, odd if rng.random() < 0.2 else [1, 2, 7])
    m = pick(rng, odd if rng.random() < 0.1 else [None, n, 5])
    mode = pick(rng, ["coupled", "independent", "independent", "population", "paired", None])
    dim = pick(rng, [0, 2.0, "2", np.int64(2)] if rng.random() < 0.2 else [1, 2, 3])

    def look(made: Any) -> str:
        spec, pair = made
        sizes = [len(z) for z, k in ((pair.x, n), (pair.y, n if m is None else m)) if k is not None and len(z) != k]
        finite = all(np.isfinite(z).all() for z in (pair.x, pair.y))
        wrong = f"sizes {sizes}" if sizes else ""
        return fields_kept(given | {"dim": dim}, spec) or wrong or ("" if finite else "points that are not finite")

    def call() -> Any:
        spec = otbench.problem(name, dim=dim, **given)
        return spec, spec.sample(n, m, mode=mode, seed=int(rng.integers(9)))

    return call, look
