"""Random inputs for every public function, each with an independent reading of what an accepted one must give.

    python tests/torture/public_inputs.py 500

prints, for each function, how many inputs were refused in one line and accepted, and every foreign exception, warning
and silent change with the seed that makes it again.
"""

import math
import shutil
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment, linprog

sys.path.insert(0, str(Path(__file__).parent.parent))

import rubbish
from small import run_small

import otbench
from otbench.errors import OtbenchError
from otbench.problems import PROBLEMS
from otbench.problems.pair_files import funnel_pairs
from otbench.published import SCORE_COLUMNS, read_scores
from otbench.rows import Results

Rng = np.random.Generator

#: Called, it gives a value or is refused; the value is then looked at, and a complaint about it or "" comes back.
Case = tuple[Callable[[], Any], Callable[[Any], str]]


def pick(rng: Rng, values: list[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


# --- what people have instead of float64 arrays ----------------------------------------------------------------------

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


# --- the independent reading -----------------------------------------------------------------------------------------


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
    wa, wb = masses(a, len(p)), masses(b, len(q))
    if wa is None or wb is None:
        return None
    cost, scale = distances(p, q)
    if a is None and b is None and len(p) == len(q):
        rows, cols = linear_sum_assignment(cost)
        value = float(cost[rows, cols].mean())
    else:
        sums = np.vstack([np.kron(np.eye(len(p)), np.ones(len(q))), np.kron(np.ones(len(p)), np.eye(len(q)))])
        value = float(linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([wa, wb / wb.sum() * wa.sum()])).fun or 0.0)
    return value * float(scale)


def differs(seen: float, truth: float | None, allowed: float = 1e-6) -> str:
    if truth is None:
        return f"gave {seen!r} for what cannot be read"
    near = abs(seen - truth) <= allowed * max(abs(truth), 1e-305)
    return "" if near else f"gave {seen!r}, truth {truth!r}"


# --- one case of each public function --------------------------------------------------------------------------------


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
    told = type(solved)(w1, u, solved.v, 0.0, 0.0, 0.0, 0.0, pick(rng, [None, solved.plan]))
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
        truth = true_w1(x, y, a, None)
        if truth is None:
            return "bounded what cannot be read"
        rungs = [bounds.nearest, bounds.slope, bounds.c_transform]
        return "" if all(0 <= r <= truth * (1 + 1e-7) + 1e-12 for r in rungs) else f"rungs {rungs} of W1 {truth}"

    return lambda: otbench.lower_bounds(fx, fy, cost, a), look


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


def audit(rng: Rng, folder: Path) -> Case:
    n, dim = (int(k) for k in rng.integers(2, 6, 2))
    x, y = rng.standard_normal((n, dim)), rng.standard_normal((n, dim)) + 1
    critic = critics(rng, dim)
    clip = pick(rng, [None, None, None, 1.0, 1e-3, 0.0, np.nan, "1", 10])

    def alone(z: np.ndarray) -> np.ndarray:
        """Values point by point, so that no company counts."""
        if isinstance(critic, torch.nn.Module):
            module = critic.double().eval()
            return np.array([float(module(torch.tensor(p[None])).reshape(-1)[0]) for p in z])
        return np.array([float(np.asarray(critic(p[None].copy())).ravel()[0]) for p in z])

    def look(bounds: Any) -> str:
        truth = true_w1(x, y, None, None)
        assert truth is not None
        raw = float(alone(x).mean() - alone(y).mean())
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
    if isinstance(given, list | tuple | np.ndarray):
        return np.ndim(given) == 1 and len(given) == len(kept) and all(map(same, given, kept))
    if isinstance(given, bool | np.bool_) != isinstance(kept, bool) or isinstance(given, str) != isinstance(kept, str):
        return False
    return bool(given == kept)


def fields_kept(given: dict[str, Any], spec: Any) -> str:
    changed = {k: (v, getattr(spec, k)) for k, v in given.items() if not same(v, getattr(spec, k, "absent"))}
    changed = {k: v for k, v in changed.items() if not (k in {"widths", "depth"} and isinstance(v[0], int))}
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
    name = pick(rng, [k for k in PROBLEMS if k not in {"arrays", "digits"}])
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


# --- files -----------------------------------------------------------------------------------------------------------


def csv(rng: Rng, folder: Path) -> Case:
    read = rubbish.FORMATS["csv"](folder, rng)

    def look(pair: Any) -> str:
        text = (folder / "x.csv").read_bytes().decode("utf-8-sig")
        table = [line.split(",") for line in text.splitlines() if line.strip()]
        try:
            numbers = numbers_of(table)
        except ValueError:
            try:
                numbers = numbers_of(table[1:])  # the first is a header
            except ValueError:
                return f"read {pair.x.ravel()[:4]} of what is no table of numbers, {text[:60]!r}"
        return "" if np.array_equal(numbers, pair.x) else f"read {pair.x.ravel()[:4]} of {table[:2]}"

    return read, look


def numbers_of(table: list[list[str]]) -> np.ndarray:
    """Cells as numbers in Python's spelling without its underscores; ValueError where one is none."""
    if any("_" in cell for row in table for cell in row):
        raise ValueError
    return np.array([[float(cell) for cell in row] for row in table])


def npy(rng: Rng, folder: Path) -> Case:
    read = rubbish.FORMATS["npy"](folder, rng)

    def look(pair: Any) -> str:
        whole = np.load(folder / "x.npy", allow_pickle=False)
        return "" if np.array_equal(whole.astype(np.float64), pair.x) else f"read {pair.x.shape} of {whole.shape}"

    return read, look


def toml(rng: Rng, folder: Path) -> Case:
    """What an experiment file is read as has an own test; here it is read or refused."""
    return rubbish.FORMATS["toml"](folder, rng), lambda found: ""


def results(function: Callable[[Any], Any], kind: Callable[[Path], Any]) -> Callable[[Rng, Path], Case]:
    """A function of a results folder, damaged most of the time or not one at all; it finds something or refuses."""

    def case(rng: Rng, folder: Path) -> Case:
        where = folder / "results" / "small"
        rubbish.FORMATS["rows"](folder, rng)
        if rng.random() < 0.2:
            shutil.copytree(folder / "good", where, dirs_exist_ok=True)
        odd = [kind(folder / "nowhere"), kind(folder / "y.csv"), "small", None, 3]
        handed = kind(where) if rng.random() < 0.9 else pick(rng, odd)
        return lambda: function(handed), lambda found: "" if len(found) else "found nothing and did not say so"

    return case


def spoilt_file(data: bytes, rng: Rng) -> bytes:
    return rubbish.mutated(data, rng) if rng.random() < 0.8 else data


def archive(rng: Rng, folder: Path) -> Case:
    file = folder / "pairs.npz"
    np.savez(file, centers_2_3=rng.uniform(-2, 2, (3, 2)), bias_2_3=rng.standard_normal(3))
    file.write_bytes(spoilt_file(file.read_bytes(), rng))

    def look(found: Any) -> str:
        with np.load(file, allow_pickle=False) as whole:
            for (dim, funnels), parts in found.items():
                for name, part in zip(("centers", "bias"), parts, strict=True):
                    if not np.array_equal(whole[f"{name}_{dim}_{funnels}"], part):
                        return f"another {name}_{dim}_{funnels} than the file's"
        return ""

    return lambda: funnel_pairs(file), look


def scores(rng: Rng, folder: Path) -> Case:
    file = folder / "scores.csv"
    rows = [[2, 4, "QC", *rng.standard_normal(len(SCORE_COLUMNS) - 3).round(3)] for _ in range(2)]
    place = SCORE_COLUMNS.index("method")
    rows = [[*(v for v in row[:2]), *row[3:]] for row in rows]
    lines = [",".join(map(str, [*row[:place], "QC", *row[place:]])) for row in rows]
    file.write_bytes(spoilt_file("\n".join([",".join(SCORE_COLUMNS), *lines, ""]).encode(), rng))

    def look(found: pd.DataFrame) -> str:
        table = [line.split(",") for line in file.read_bytes().decode("utf-8-sig").splitlines() if line.strip()]
        numbers = numbers_of([[c for k, c in enumerate(row) if k != place] for row in table[1:]])
        return "" if np.array_equal(numbers, found.drop(columns="method").to_numpy()) else f"another table than {table}"

    return lambda: read_scores(file), look


CASES: dict[str, Callable[[Rng, Path], Case]] = {
    "solve_exact": solve_exact, "verify_exact": verify_exact, "cost_matrix": cost_matrix, "lower_bounds": lower_bounds,
    "audit": audit, "method": method, "train": train, "problem": problem,
    "load": results(lambda where: otbench.load(where), Path),
    "check_results": results(lambda where: otbench.check_results(where), Results),
    "csv": csv, "npy": npy, "toml": toml, "npz": archive, "scores": scores,
}  # fmt: skip


@dataclass
class Tally:
    """What came of the inputs of one function."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def examine(name: str, seed: int, folder: Path, tally: Tally) -> None:
    """One input: accepted or refused, with every warning, foreign exception and silent change noted."""
    call, look = CASES[name](np.random.default_rng([sorted(CASES).index(name), seed]), folder)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            value = call()
        except OtbenchError as error:
            tally.counts["refused"] += 1
            if "\n" in str(error):
                tally.faults["refusals of several lines"].append(f"{seed}: {error}")
            value = look = None
        except Exception as error:  # what escapes is what it looks for
            tally.faults["foreign exceptions"].append(f"{seed}: {type(error).__name__}: {str(error)[:90]!r}")
            value = look = None
    tally.faults["warnings"] += [f"{seed}: {w.category.__name__}: {str(w.message)[:90]!r}" for w in heard]
    if look is not None:
        tally.counts["accepted"] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                complaint = look(value)
            except Exception as error:  # the reading itself cannot make sense of an accepted input
                complaint = f"cannot be read independently: {type(error).__name__}: {str(error)[:80]!r}"
        if complaint:
            tally.faults["silent changes"].append(f"{seed}: {complaint[:160]}")


def prepare(folder: Path) -> None:
    """A good results folder and a second sample, which the files' cases damage copies of."""
    made = run_small(folder)
    shutil.copytree(made, folder / "good")
    (folder / "y.csv").write_text("1,2\n3,4\n")


def survey(count: int, folder: Path, names: list[str] | None = None) -> dict[str, Tally]:
    """About ``count`` inputs, shared equally by the functions."""
    prepare(folder)
    found = {name: Tally() for name in names or CASES}
    for name, tally in found.items():
        for seed in range(math.ceil(count / len(found))):
            examine(name, seed, folder, tally)
    return found


def report(found: dict[str, Tally], shown: int = 3) -> str:
    lines = []
    for name, tally in found.items():
        faults = ", ".join(f"{len(v)} {kind}" for kind, v in tally.faults.items() if v) or "no fault"
        lines.append(f"{name:14} {tally.counts['accepted']:5} accepted, {tally.counts['refused']:5} refused, {faults}")
        lines += [f"    {kind}: seed {text}" for kind, v in tally.faults.items() for text in v[:shown]]
    return "\n".join(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asked = sys.argv[1:] or ["500"]
        print(report(survey(int(asked[0]), Path(place), asked[1:] or None)))
