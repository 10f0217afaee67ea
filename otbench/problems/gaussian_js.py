"""The Jensen-Shannon divergence of two Gaussians that are shifted or scaled, by quadrature to 1e-10."""

from collections.abc import Callable

import numpy as np

#: Deviations beyond which a Gaussian's mass, 1e-33, is left out of an integral.
TAIL = 12.0


def shifted_gaussians_js(shift: float) -> float:
    """JS of N(0, I) and N(m, I), |m| = |shift|, in nats: log 2 - E softplus(shift t - shift^2/2), t ~ N(0, 1).

    Both laws are products along m, and both terms of JS(P, Q) = (KL(P, M) + KL(Q, M))/2, M = (P + Q)/2, are equal by
    symmetry. There is no closed form.

    Source: Lin 1991, eq. 3.1, with the log-density ratio of the two laws.
    """

    def integrand(t: float) -> float:
        density = np.exp(-t * t / 2) / np.sqrt(2 * np.pi)
        return float(density * (np.log(2) - np.logaddexp(0, shift * t - shift**2 / 2)))

    if abs(shift) > 4 * TAIL:  # the two laws' bulks are apart, and squares of larger shifts leave the range of float64
        return float(np.log(2))
    kink = min(abs(shift) / 2, TAIL)  # where the densities are equal
    return _integral(integrand, -TAIL, TAIL, kink, -kink)


def scaled_gaussians_js(dim: int, factor: float) -> float:
    """JS of N(0, I) and N(0, factor^2 I) on R^dim, in nats, by quadrature over the logarithm of the radius.

    With l(r) = log q(r)/p(r) = -d ln(factor) + r^2 (1 - factor^-2)/2 and R the chi law of |X|,
    JS = log 2 - (E softplus(l(R)) + E softplus(-l(factor R)))/2.

    Source: Lin 1991, eq. 3.1.
    """
    from scipy.special import gammaln

    constant = (1 - dim / 2) * np.log(2) - gammaln(dim / 2)
    slope, offset = (1 - factor**-2) / 2, dim * np.log(factor)
    centre, width = np.log(dim) / 2, TAIL / np.sqrt(2 * dim)  # of ln R; below, its density falls like exp(dim t)

    def integrand(t: float) -> float:  # t = ln r, so the chi density gains a factor r
        square = np.exp(2 * t)
        density = np.exp(constant + dim * t - square / 2)
        here, there = slope * square - offset, slope * factor**2 * square - offset
        return float(density * (np.log(2) - (np.logaddexp(0, here) + np.logaddexp(0, -there)) / 2))

    return _integral(integrand, centre - max(width, 30 / dim), centre + width, centre)


def _integral(integrand: Callable[[float], float], low: float, high: float, *points: float) -> float:
    from scipy.integrate import quad  # slow to import, and whoever reads results needs no integrals

    value, _ = quad(integrand, low, high, points=points, epsabs=1e-12, epsrel=1e-12, limit=400)
    return float(value)
