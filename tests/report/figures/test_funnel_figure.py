"""The picture of surfaces: what is drawn where, and what its titles say."""

import matplotlib as mpl
import numpy as np
import pytest

from otbench.errors import InputError
from otbench.methods import WeightClip
from otbench.methods.functions import Affine, McShane, UserFunction
from otbench.methods.train import train
from otbench.problems import problem
from otbench.problems.funnels import Funnels
from otbench.report.figures.funnels import surfaces
from otbench.report.figures.style import STYLE, save

PAIR = problem("funnels", dim=2, funnels=4, pair_seed=3)


def titles(figure):
    return [panel.get_title() for panel in figure.axes]


@pytest.fixture(scope="module")
def figure():
    trained = train(PAIR.sample(64), WeightClip(steps=20, widths=(8,)), seed=0).critic
    critics = [("c = 0.01", trained), ("against it", McShane(*own_pair())), ("dead", Affine(np.zeros(2))),
               ("no gradient", UserFunction(lambda z: 1e-5 * z[:, 0]))]  # fmt: skip
    with mpl.rc_context(STYLE):
        return surfaces(PAIR, critics)


def own_pair():
    """Centres and minus biases, by the rule the problem's description states."""
    rng = np.random.default_rng([2, 4, 3])
    centres = rng.uniform(-2.5, 2.5, (4, 2))
    return centres, -0.1 * rng.standard_normal(4)


def test_titles_tell_labels_ranges_and_the_cosine_with_the_known_gradient(figure):
    optimal, trained, against, dead, blind = titles(figure)
    assert optimal.startswith("optimal potential\nrange 3.4")
    assert optimal.endswith("cosine 1.00")
    assert trained.startswith("c = 0.01\nrange ")
    assert against.endswith("cosine -1.00")
    assert dead == "dead\nrange 0, cosine 0.00"
    assert blind == "no gradient\nrange 5e-5"


def test_the_potential_is_darkest_at_its_deepest_centre_and_against_it_lightest(figure):
    axis = np.linspace(-2.5, 2.5, figure.axes[0].images[0].get_array().shape[0])
    centres, heights = own_pair()
    deepest = centres[heights.argmax()]
    row, col = np.abs(axis - deepest[1]).argmin(), np.abs(axis - deepest[0]).argmin()
    optimal, against = (figure.axes[k].images[0].get_array() for k in (0, 2))
    assert optimal[row, col] == 1.0
    np.testing.assert_allclose(optimal, 1 - against, atol=1e-12)
    assert figure.axes[0].images[0].origin == "lower"


def test_rays_run_from_x_to_y_on_the_potentials_steepest_way(figure):
    for panel in figure.axes:
        *rays, dots = panel.lines
        ends = np.array([ray.get_xydata() for ray in rays])
        np.testing.assert_array_equal(ends[:, 0], dots.get_xydata())
        climbed = PAIR.potential(ends[:, 0]) - PAIR.potential(ends[:, 1])
        np.testing.assert_allclose(climbed, np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1), rtol=1e-9)


def test_the_same_picture_has_the_same_bytes(tmp_path):
    def draw(name):
        with mpl.rc_context(STYLE):
            return [file.read_bytes() for file in save(surfaces(PAIR, []), tmp_path / name)]

    assert draw("one") == draw("two")


def test_pairs_outside_the_plane_are_refused():
    with pytest.raises(InputError, match="two dimensions; got dim 3"):
        surfaces(Funnels(dim=3), [])
