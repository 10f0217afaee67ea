"""Whether points of the plane lie along curves."""

import numpy as np
from scipy.spatial import cKDTree

from otbench.types import Array

#: Points that are looked at, and the numbers of the two neighbours of each whose distances are compared.
PROBES, EIGHTH, THIRTY_SECOND = 512, 8, 32

#: Dimension of a sample up to which it is taken to lie along curves.
BETWEEN_CURVE_AND_AREA = 1.5


def along_curves(z: Array) -> bool:
    """Whether points (n, 2) lie along curves and fill no area; False where most of them coincide with others.

    Of points that fill dimension k the neighbours within r grow as r^k, so that the distance to the 32nd one is
    (32 / 8)^(1/k) times that to the 8th.

    Source: Levina, Bickel 2004 (dimension from distances to neighbours).
    """
    if len(z) <= THIRTY_SECOND:
        return False
    z = np.ldexp(z, -int(np.frexp(np.abs(z).max())[1]))  # squares stay within float64
    probes = z[np.linspace(0, len(z) - 1, min(PROBES, len(z))).astype(np.int64)]
    # a probe is its own first neighbour
    distances = np.asarray(cKDTree(z).query(probes, [EIGHTH + 1, THIRTY_SECOND + 1])[0])
    near, far = distances.T
    if np.median(near) == 0:
        return False
    growth = np.median(np.log(far[near > 0] / near[near > 0]))
    return bool(growth * BETWEEN_CURVE_AND_AREA > np.log(THIRTY_SECOND / EIGHTH))
