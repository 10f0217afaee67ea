"""Patches of photographs: whence they are, what is done to them, and what is known of their laws."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import SIGMAS
from matplotlib.image import imread
from sklearn.datasets import load_sample_images

from otbench.errors import InputError
from otbench.problems import Problem, problem
from otbench.transport.exact import solve_exact
from otbench.types import Array

SIDES = {192: 8, 768: 16, 3072: 32}
COMPARISONS = ("photographs", "sides", "same", "brighter", "blurred", "moved", "noisy")

#: Comparisons of whose laws nobody knows an optimal coupling.
UNKNOWN = ("photographs", "sides", "blurred", "moved", "noisy")

#: The photographs by another reader.
PHOTOGRAPHS = {Path(file).stem: imread(file) / 255 for file in load_sample_images().filenames}


def patches(**fields: Any) -> Problem:
    return problem("patches", **fields)


class Corner(np.random.Generator):
    """Draws the largest number of a range, or its smallest, always."""

    def __init__(self, last: bool) -> None:
        super().__init__(np.random.PCG64(0))
        self.last = last

    def integers(self, low: Any, high: Any = None, size: Any = None, **_: Any) -> Any:  # type: ignore[override]
        return np.full(size, high - 1 if self.last else low)


def cut(photograph: str, side: int, row: int, column: int) -> Array:
    """The patch whose upper left pixel is that one, pixel by pixel."""
    image = PHOTOGRAPHS[photograph]
    return np.concatenate([image[row + i, column + j] for i in range(side) for j in range(side)])


@pytest.mark.parametrize("dim", SIDES)
@pytest.mark.parametrize(("comparison", "columns", "other", "step"), [
    ("photographs", 640, "flower", 0), ("same", 640, "china", 0), ("sides", 320, "china", 320),
    ("moved", 633, "china", 7),
])  # fmt: skip
def test_patches_are_of_all_positions_from_one_corner_to_the_other(
    dim: int, comparison: str, columns: int, other: str, step: int
) -> None:
    """The first position is the upper left corner of P's part, the last one that in which the patch still fits."""
    side, p = SIDES[dim], patches(dim=dim, comparison=comparison, photograph="china", pixels=7)
    for far, row, column in ((False, 0, 0), (True, 427 - side, columns - side)):
        x, y, _ = p.coupling(Corner(far), 1)
        np.testing.assert_allclose(x[0], cut("china", side, row, column), atol=1e-15)
        np.testing.assert_allclose(y[0], cut(other, side, row, column + step), atol=1e-15)


@pytest.mark.parametrize("photograph", ["china", "flower"])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_the_mean_patch_is_that_of_all_positions(photograph: str, comparison: str) -> None:
    """The mean of every pixel is that of the part of the photograph that it runs over."""
    side, count = 8, 4000
    p = patches(photograph=photograph, comparison=comparison, pixels=200, brightness=-0.2, noise=0.5)
    pair = p.sample(count)
    other = {"china": "flower", "flower": "china"}[photograph] if comparison == "photographs" else photograph
    step = {"sides": 320, "moved": 200}.get(comparison, 0)
    rows, columns = 427 - side + 1, 640 - side + 1 - step
    for points, name, left in ((pair.x, photograph, 0), (pair.y, other, step)):
        sums = np.pad(PHOTOGRAPHS[name].cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0), (0, 0)))
        high, wide = np.arange(side)[:, None], left + np.arange(side)
        below, beyond = high + rows, wide + columns
        area = sums[below, beyond] - sums[high, beyond] - sums[below, wide] + sums[high, wide]
        means = area.ravel() / (rows * columns)
        if points is pair.y and comparison == "brighter":
            means = means - 0.2
        if points is pair.y and comparison == "blurred":  # which keeps the mean over a patch, not of its pixels
            points, means = (z.reshape(-1, side * side, 3).mean(axis=1) for z in (points, means[None]))
        error = points.std(axis=0) / count**0.5
        assert (np.abs(points.mean(axis=0) - means) <= SIGMAS * error).all()


@pytest.mark.parametrize("dim", SIDES)
@pytest.mark.parametrize("brightness", [-0.5, 1e-3, 0.1])
def test_w1_of_brighter_patches_is_the_length_of_the_translation(dim: int, brightness: float) -> None:
    p = patches(dim=dim, comparison="brighter", brightness=brightness)
    pair = p.sample(40, mode="coupled", seed=1)
    assert p.population_w1 == pytest.approx(abs(brightness) * dim**0.5, rel=1e-15)
    assert solve_exact(pair.x, pair.y).w1 == pytest.approx(p.population_w1, rel=1e-11)
    assert pair.ray_cosine == pytest.approx(1, rel=1e-12)
    assert (pair.y.min() < 0) == (brightness == -0.5)  # nothing is clipped


def test_patches_no_brighter_than_before_are_the_same() -> None:
    p = patches(comparison="brighter", brightness=0.0)
    assert (p.population_w1, p.population_overlap, p.sample(4).rays) == (0.0, 1.0, None)


def mirrored(side: int, deviation: float) -> Array:
    """The matrix of a Gaussian filter of a line of pixels that is continued by its mirror images."""
    reach = int(4 * deviation + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    line = np.concatenate([np.arange(side), np.arange(side)[::-1]])
    matrix = np.zeros((side, side))
    for i in range(side):
        for weight, at in zip(kernel, range(i - reach, i + reach + 1), strict=True):
            matrix[i, line[at % (2 * side)]] += weight
    return matrix


@pytest.mark.parametrize(("dim", "blur"), [(192, 0.25), (192, 1.0), (192, 16.0), (768, 2.5), (3072, 1.0)])
def test_blurring_is_a_gaussian_filter_of_every_patch_by_itself_and_keeps_its_colours(dim: int, blur: float) -> None:
    x, y, _ = patches(dim=dim, comparison="blurred", blur=blur).coupling(np.random.default_rng(0), 5)
    side = SIDES[dim]
    before, after = (z.reshape(-1, side, side, 3) for z in (x, y))
    line = mirrored(side, blur)
    np.testing.assert_allclose(after, np.einsum("ij,kl,njlc->nikc", line, line, before), atol=1e-13)
    np.testing.assert_allclose(after.mean(axis=(1, 2)), before.mean(axis=(1, 2)), rtol=1e-12)
    assert (np.linalg.norm(y, axis=1) <= np.linalg.norm(x, axis=1)).all()
    assert not np.array_equal(x, y)


@pytest.mark.parametrize("fields", [{"comparison": "same"}, {"comparison": "moved", "pixels": 0}])
def test_patches_moved_by_nothing_are_of_the_same_law(fields: dict[str, Any]) -> None:
    p = patches(**fields)
    coupled = p.sample(20, mode="coupled")
    assert (p.population_w1, p.population_stderr, p.population_overlap) == (0.0, 0.0, 1.0)
    assert np.array_equal(coupled.x, coupled.y)
    assert solve_exact(coupled.x, coupled.y).w1 == 0.0
    assert coupled.rays is None


def test_patches_moved_by_a_pixel_are_of_another_law() -> None:
    p = patches(comparison="moved", pixels=1)
    assert p.population_w1 is p.population_overlap is None


@pytest.mark.parametrize("noise", [1e-3, 0.3])
def test_noisy_patches_have_noise_of_that_deviation_in_every_pixel(noise: float) -> None:
    p = patches(comparison="noisy", noise=noise)
    x, y, _ = p.coupling(np.random.default_rng(0), 200)
    added = y - x
    assert (added.mean(), added.std()) == pytest.approx((0, noise), abs=SIGMAS * noise / added.size**0.5)
    assert abs(np.corrcoef(added[:, 0], x[:, 0])[0, 1]) < SIGMAS / 200**0.5
    assert (p.population_w1, p.population_overlap) == (None, 0.0)


def test_w1_of_independent_samples_of_one_law_falls_with_their_size() -> None:
    p = patches(comparison="same")
    means = []
    for n in (20, 80, 320):
        pairs = [p.sample(n, seed=seed) for seed in range(4)]
        means.append(np.mean([solve_exact(pair.x, pair.y).w1 for pair in pairs]))
    assert means[0] > 1.1 * means[1] > 1.1 * 1.1 * means[2]


def test_two_photographs_are_further_apart_than_two_samples_of_one_and_than_its_sides() -> None:
    pairs = [patches(comparison=kind).sample(200) for kind in ("same", "sides", "photographs")]
    same, sides, photographs = (solve_exact(pair.x, pair.y).w1 for pair in pairs)
    assert same < sides < photographs


@pytest.mark.parametrize("comparison", UNKNOWN)
def test_without_a_known_coupling_x_and_y_are_drawn_independently_in_every_mode_there_is(comparison: str) -> None:
    p = patches(comparison=comparison)
    for pair in (p.sample(30), p.sample(30, mode="population"), p.held_out(30, 30)):
        assert pair.images is pair.coupled_w1 is pair.rays is None
        closest = np.linalg.norm(pair.x - pair.y, axis=1)
        assert np.median(closest) > 0.5 * np.median(np.linalg.norm(pair.x - pair.y[::-1], axis=1))
    with pytest.raises(InputError) as caught:
        p.sample(30, mode="coupled")
    remedy = 'use mode = "independent" or "population"'
    assert str(caught.value) == f'patches compared as "{comparison}" have no known optimal coupling; {remedy}'


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_the_same_arguments_give_the_same_patches_and_others_others(comparison: str) -> None:
    """Another seed, mode or size, points held out and those of training steps: streams of their own, of one law."""
    p, again = patches(comparison=comparison), patches(comparison=comparison)
    for draw in (lambda q: q.sample(50, 40, seed=3), lambda q: q.held_out(50, 40, seed=3)):
        one, same = draw(p), draw(again)
        assert (one.x.tobytes(), one.y.tobytes()) == (same.x.tobytes(), same.y.tobytes())
    pairs = [p.sample(50, seed=3), p.sample(50, seed=4), p.sample(50, 51, seed=3), p.held_out(50, 50, seed=3),
             p.sample(50, mode="population", seed=3)]  # fmt: skip
    drawn = [*((pair.x, pair.y) for pair in pairs), p.fresh(50, 50, 3, 0), p.fresh(50, 50, 3, 1)]
    for side in (0, 1):
        points = np.concatenate([both[side][:50] for both in drawn])
        assert len(np.unique(points, axis=0)) >= 0.98 * len(points)  # positions come twice by chance, and rarely


@pytest.mark.parametrize("mode", ["independent", "population"])
def test_sizes_are_those_asked_for_and_1024_where_none_is(mode: Any) -> None:
    p = patches(comparison="sides")
    assert p.sizes(None, None, mode) == (1024, 1024)
    pair = p.sample(7, 7 if mode == "population" else 9, mode=mode)
    assert (pair.x.shape, pair.y.shape[1]) == ((7, 192), 192)
