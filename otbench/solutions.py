"""Exact solutions kept on disk: solved once a sample, shared by every critic and every run, re-proved when read."""

import io
import zipfile
from pathlib import Path

import numpy as np

from otbench.errors import UncertifiedError
from otbench.exact import cost_matrix, solve_cost, verify_cost
from otbench.rows import write_atomically
from otbench.types import ExactSolution, Plan, SamplePair


def exact_solution(pair: SamplePair, key: str, folder: Path) -> ExactSolution:
    """The certified solution of ``pair``, from ``folder``/key.npz where its potentials still prove it.

    A stored solution is believed only for its proof: a stale or damaged file is solved again and replaced.

    Raises:
        UncertifiedError: as ``solve_exact``.
    """
    cost = cost_matrix(pair.x, pair.y)
    file = folder / f"{key}.npz"
    stored = _load(file)
    if stored is not None and (len(stored.u), len(stored.v)) == cost.shape:
        try:
            return verify_cost(stored, cost, pair.a, pair.b)
        except (UncertifiedError, IndexError):
            pass  # it proves nothing about these points
    solution = solve_cost(cost, pair.a, pair.b)
    write_atomically(file, _dump(solution))
    return solution


def _load(file: Path) -> ExactSolution | None:
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as parts:
            plan = Plan(parts["rows"], parts["cols"], parts["mass"])
            return ExactSolution(float(parts["w1"]), parts["u"], parts["v"], 0.0, 0.0, 0.0, 0.0, plan)
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile):
        return None


def _dump(solution: ExactSolution) -> bytes:
    assert solution.plan is not None
    buffer = io.BytesIO()
    plan = solution.plan
    np.savez(buffer, w1=solution.w1, u=solution.u, v=solution.v, rows=plan.rows, cols=plan.cols, mass=plan.mass)
    return buffer.getvalue()
