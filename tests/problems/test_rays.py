"""Known potentials: their gradients point from T(x) to x, only problems that have one give rays, and rows tell."""

import numpy as np
import pytest
from families import cases
from small import declare

from otbench.experiment.run.runner import run_experiment
from otbench.problems import problem
from otbench.problems.base import direction
from otbench.problems.translation import Translation
from otbench.report.check.ray_rules import rays
from otbench.results.store import Results
from otbench.results.tables.cells import frame_of
from otbench.types import SamplePair

WITH_POTENTIAL = {"funnels", "patches", "translation"}


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


@pytest.mark.parametrize("way", ["axis", "diagonal"])
@pytest.mark.parametrize("law", ["gaussian", "cube", "ball"])
@pytest.mark.parametrize("shift", [-1e100, -3.0, -1e-6, 1e-6, 3.0, 1e100])
def test_rays_point_against_the_shift_whichever_way_it_goes(shift, law, way):
    pair = problem("translation", dim=3, shift=shift, law=law, direction=way).sample(50)
    assert (np.sign(pair.rays.sum(axis=1)) == -np.sign(shift)).all()
    assert pair.ray_cosine == pytest.approx(1, rel=1e-9)
    backwards = SamplePair(pair.x, pair.y, images=pair.images, rays=-pair.rays)
    assert backwards.ray_cosine == pytest.approx(-1, rel=1e-9)


def test_rays_that_are_not_there_have_no_cosine_and_those_of_length_zero_do_not_count():
    x, y = np.zeros((2, 2)), np.eye(2)
    assert SamplePair(x, y).ray_cosine is None
    assert SamplePair(x, y, images=y).ray_cosine is None
    assert SamplePair(x, y, images=x, rays=-y).ray_cosine is None
    assert SamplePair(x, y, images=y, rays=-y * [[1], [0]]).ray_cosine == 1
    assert SamplePair(x, y, a=[0.75, 0.25], images=y, rays=-y * [[1], [-1]]).ray_cosine == 0.5


TRANSLATED = '{ name = "translation", dim = 2, scale = 0.1, shift = [-0.7, 0.0, 0.7] }'
METHODS = '[{ name = "zero" }, { name = "linear" }, { name = "potential" }]'


def found_in(tmp_path, sampling='{ n = 24, mode = "coupled" }', problem=TRANSLATED):
    """The rows of an experiment on translations, as the checker sees them."""
    run_experiment(declare(tmp_path, problem, sampling, METHODS), tmp_path / "results")
    return frame_of(Results(tmp_path / "results").rows())


@pytest.mark.parametrize("mode", ["coupled", "independent", "population"])
def test_rays_that_point_the_wrong_way_are_found_in_the_rows_they_were_used_for(mode, tmp_path, monkeypatch):
    sampling = f'{{ n = 24, mode = "{mode}" }}'
    (tmp_path / "sound").mkdir()
    assert not list(rays(found_in(tmp_path / "sound", sampling)))

    def without_sign(self, x):
        return np.tile(-direction(self.direction, self.dim), (len(x), 1)) if self.shift else None

    monkeypatch.setattr(Translation, "potential_gradient", without_sign)
    (tmp_path / "wrong").mkdir()
    found = [v for v in rays(found_in(tmp_path / "wrong", sampling)) if v.rule == "rays lie along the moves"]
    assert [v.observed for v in found] == ["1.99"] * 3  # 0.99 less the cosine -1: one for each method at shift -0.7


@pytest.mark.parametrize(
    ("method", "columns", "rule"),
    [
        ("zero", {"ray_cosine": 0.98}, "rays lie along the moves"),
        ("zero", {"ray_cosine": 1.1}, "cosine of rays and moves <= 1"),
        ("zero", {"ray_cosine": None}, "rays"),
        ("linear", {"cosine": -1.0}, "cosine of an affine critic where all mass moves one way"),
        ("linear", {"cosine": 0.99}, "cosine of an affine critic where all mass moves one way"),
        ("zero", {"cosine": 0.01}, "cosine of an affine critic where all mass moves one way"),
        ("potential", {"gradient_l2_repaired": 1.01}, "repaired gradient loss <= 1"),
        ("zero", {"gradient_l2": 0.9}, "repaired gradient loss <= loss"),
        ("potential", {"gradient_l2": 0.1}, "gradient loss and its scale agree"),
        ("potential", {"gradient_scale": 1.1}, "gradient loss and its scale agree"),
        ("linear", {"gradient_l2": 4.0, "gradient_l2_repaired": 1.0}, "gradient loss and its scale agree"),
    ],
)
def test_each_rule_of_rays_sees_a_fault_planted_against_it(method, columns, rule, tmp_path):
    frame = found_in(tmp_path)
    row = frame.index[(frame["method.name"] == method) & (frame["problem.shift"] == -0.7)][0]
    for name, value in columns.items():
        frame.loc[row, name] = np.nan if value is None else value
    assert [v.rule for v in rays(frame) if v.rule == rule] == [rule]


def test_moves_that_are_not_parallel_promise_an_affine_critic_nothing(tmp_path):
    frame = found_in(tmp_path, problem='[{ name = "spheres", dim = 3 }, { name = "funnels", dim = 2 }]')
    assert frame["cosine"][frame["method.name"] == "linear"].max() < 0.99
    assert not list(rays(frame))
