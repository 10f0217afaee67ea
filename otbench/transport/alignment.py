"""How well the gradients of a critic point along the rays of optimal transport, and how long they are."""

import numpy as np
from numpy.typing import NDArray

from otbench.types import Alignment, Array, Plan, SamplePair


def alignment(pair: SamplePair, plan: Plan | None, gx: Array, gy: Array) -> Alignment:
    """How a critic's gradients point along the transport rays of two samples, and how long they are.

    cosine = sum_k mass_k <grad f(x_i), r_k> / |grad f(x_i)| / sum_k mass_k over the rays r_k. Where ``pair.rays`` knows
    the gradients of the problem's optimal potential, these are the rays, with mass a_i; else the rays are
    (x_i - y_j)/|x_i - y_j| for the entries k = (i, j) of the plan that move mass. The losses ``gradient_l2`` need the
    former.

    Args:
        pair: the samples, of n and m points in R^d.
        plan: an optimal plan of them; None where only known rays are to be used.
        gx: the critic's gradients (n, d) at x.
        gy: its gradients (m, d) at y, of which only the lengths are used.

    Source: Arjovsky, Chintala, Bottou 2017, Thm 3 (the generator's gradient is grad f); Korotin, Kolesov, Burnaev 2022
    (scores against a known gradient).
    """
    lengths_x, lengths_y = np.linalg.norm(gx, axis=1), np.linalg.norm(gy, axis=1)
    norms = np.concatenate([lengths_x[pair.a > 0], lengths_y[pair.b > 0]])
    rows, rays, mass = _transport_rays(pair, plan)
    distance = np.linalg.norm(rays, axis=1)
    moved = distance > 0
    rows, rays, mass = rows[moved], rays[moved], mass[moved]
    cosine: float | None = None
    errors: dict[str, float] = {}
    if len(rows):
        products = np.einsum("kd,kd->k", gx[rows], rays)
        scale = lengths_x[rows] * distance[moved]
        cosines = np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0)
        cosine = float(np.average(cosines, weights=mass))
        errors = _gradient_errors(gx[rows], rays, mass) if pair.rays is not None else errors
    return Alignment(
        cosine=cosine,
        coincident_atoms=int((~moved).sum()),
        grad_norm_mean=float(norms.mean()),
        grad_norm_min=float(norms.min()),
        grad_norm_max=float(norms.max()),
        **errors,
    )


def _transport_rays(pair: SamplePair, plan: Plan | None) -> tuple[NDArray[np.intp], Array, Array]:
    """Indices i (k,), rays (k, d) at x_i that point away from y, and their mass (k,); k is 0 where no ray is known."""
    if pair.rays is not None:
        rows = np.flatnonzero(pair.a)
        return rows, pair.rays[rows], pair.a[rows]
    if plan is not None:
        return plan.rows, pair.x[plan.rows] - pair.y[plan.cols], plan.mass
    return np.empty(0, np.intp), np.empty((0, pair.dim)), np.empty(0)


def _gradient_errors(gradients: Array, rays: Array, mass: Array) -> dict[str, float]:
    """The weighted mean of |g - r|^2, its minimum over s >= 0 with s g for g, and the minimising
    s = max(0, mean <g, r>) / mean |g|^2, which is 0 for a gradient that vanishes."""

    def mean(squares: Array) -> float:
        return float(np.average(squares.sum(axis=1), weights=mass))

    peak = float(np.abs(gradients).max())
    loss = mean((gradients - rays) ** 2)
    if peak < np.finfo(np.float64).tiny:
        return {"gradient_l2": loss, "gradient_l2_repaired": 1.0, "gradient_scale": 0.0}
    unit = gradients / peak  # the squares of a clipped critic's gradient may be too small for float64
    scale = max(0.0, mean(unit * rays)) / mean(unit**2)
    repaired = mean((scale * unit - rays) ** 2)
    return {"gradient_l2": loss, "gradient_l2_repaired": repaired, "gradient_scale": scale / peak}
