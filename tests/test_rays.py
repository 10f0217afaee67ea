"""Known potentials: their gradients point from T(x) to x, and only problems that have one give rays."""

import numpy as np
from test_problems import cases

from otbench.problems import problem

WITH_POTENTIAL = {"funnels", "translation"}


@cases(1, 3, 32)
def test_a_known_potentials_gradient_points_from_the_image_to_the_point(name, dim, fields):
    pair = problem(name, dim=dim, **fields).sample(200)
    if name not in WITH_POTENTIAL:
        assert pair.rays is None
        return
    moved = pair.x - pair.images
    np.testing.assert_allclose(np.linalg.norm(pair.rays, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.einsum("nd,nd->n", pair.rays, moved), np.linalg.norm(moved, axis=1), rtol=1e-9)


def test_a_translation_by_nothing_has_no_rays():
    assert problem("translation", dim=3, shift=0.0).sample(4).rays is None
