"""How well the gradients of a critic point along the rays of optimal transport, and how long they are."""

import numpy as np

from otbench.types import Alignment, Array, Plan, SamplePair


def alignment(pair: SamplePair, plan: Plan | None, gx: Array, gy: Array) -> Alignment:
    """How a critic's gradients point along the transport rays of two samples, and how long they are.

    Both cosines are sum_k mass_k <grad f(x_i), r_k> / |grad f(x_i)| / sum_k mass_k over rays r_k: those of the plan are
    (x_i - y_j)/|x_i - y_j| for its entries k = (i, j) that move mass, those of the problem are the gradients of its
    optimal potential in ``pair.rays``, with mass a_i. The losses ``gradient_l2`` need the latter.

    Args:
        pair: the samples, of n and m points in R^d.
        plan: an optimal plan of them; None where only known rays are to be used.
        gx: the critic's gradients (n, d) at x.
        gy: its gradients (m, d) at y, of which only the lengths are used.

    Source: Arjovsky, Chintala, Bottou 2017, Thm 3 (the generator's gradient is grad f); Korotin, Kolesov, Burnaev 2022
    (scores against a known gradient).
    """
    norms = np.concatenate([np.linalg.norm(gx, axis=1)[pair.a > 0], np.linalg.norm(gy, axis=1)[pair.b > 0]])
    found: dict[str, float | None] = {}
    coincident = 0
    if plan is not None:
        rays = pair.x[plan.rows] - pair.y[plan.cols]
        found["plan_cosine"] = mean_cosine(gx[plan.rows], rays, plan.mass)
        coincident = int((~rays.any(axis=1)).sum())
    if pair.rays is not None:
        rows = np.flatnonzero(pair.a * pair.rays.any(axis=1))
        found["cosine"] = mean_cosine(gx[rows], pair.rays[rows], pair.a[rows])
        found |= _gradient_errors(gx[rows], pair.rays[rows], pair.a[rows]) if len(rows) else {}
    return Alignment(
        coincident_atoms=coincident,
        grad_norm_mean=float(norms.mean()),
        grad_norm_min=float(norms.min()),
        grad_norm_max=float(norms.max()),
        **found,
    )


def mean_cosine(gradients: Array, rays: Array, mass: Array) -> float | None:
    """The mean cosine of gradients and rays (k, d), weighted by mass (k,), over the rays that have a direction; None
    where none has."""
    distance = np.linalg.norm(rays, axis=1)
    moved = distance > 0
    if not moved.any():
        return None
    products = np.einsum("kd,kd->k", gradients[moved], rays[moved])
    scale = np.linalg.norm(gradients[moved], axis=1) * distance[moved]
    cosines = np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0)
    return float(np.average(cosines, weights=mass[moved]))


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
