"""What critics return and raise: one value a point in any form, or a refusal in one line."""

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from peoples import Returns, X, Y, centred, chain, refusal
from torch import nn

import otbench
from otbench.methods.fitted import Fitted
from otbench.types import Array

pytestmark = pytest.mark.usefixtures("fixed_seed")


class Scored(NamedTuple):
    score: Any
    label: Any


@pytest.mark.parametrize(
    ("form", "got"),
    [
        (lambda z: (z[:, 0], z), "tuple of 2 parts: wrap it so that it returns the score alone"),
        (lambda z: [z[:, :1], z[:, :1]], "list of 2 parts"),
        (lambda z: {"score": z[:, 0]}, "dict of 1 parts"),
        (lambda z: Scored(z[:, 0], None), "Scored of 2 parts"),
        (lambda z: (z[:, 0],), "tuple of 1 parts"),
        (lambda z: z, r"(80, 4)"),
        (lambda z: z.mean(), r"()"),
        (lambda z: z[:, 0].mean(0).reshape(1), r"(1,)"),
        (lambda z: z[:, :1].T, r"(1, 80)"),
        (lambda z: z[:40, 0], r"(40,)"),
        (lambda _z: None, "NoneType"),
        (lambda _z: "real", "str"),
        (lambda _z: object(), "object"),
    ],
)
def test_an_output_that_is_no_value_a_point_is_refused_by_name(form: Callable[[Any], Any], got: str) -> None:
    assert got in refusal(Returns(form))
    assert got in refusal(form)


@pytest.mark.parametrize(
    "critic",
    [
        lambda z: z[:, 0] * 1j,
        lambda z: z[:, 0].astype(object),
        lambda z: np.ma.masked_less(z[:, 0], 0),
        Returns(lambda z: torch.complex(z[:, 0], z[:, 1])),
        lambda z: (z[:, 0] * 2**40).astype(np.int64) * 2**20 + 1,
    ],
)
def test_no_part_of_a_value_is_dropped_silently(critic: object) -> None:
    assert "what the critic returns must" in refusal(critic)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_have_diverged(bad: float) -> None:
    assert "diverged" in refusal(lambda z: np.where(z[:, 0] == X[3, 0], bad, z[:, 0]))
    assert "diverged" in refusal(Returns(lambda z: z[:, 0] * bad))


@pytest.mark.parametrize(
    "critic",
    [
        lambda z: z[:, :1],
        lambda z: z[:, 0].tolist(),
        lambda z: [[v] for v in z[:, 0]],
        lambda z: tuple(z[:, 0]),
        lambda z: z[:, 0].reshape(-1, 1, 1, 1),
        lambda z: torch.from_numpy(z[:, 0]).requires_grad_(),
        lambda z: list(torch.from_numpy(z[:, 0])),
        Returns(lambda z: z[:, 0, None, None, None]),
        Returns(lambda z: z[:, :1].squeeze()),
        nn.Sequential(nn.Unflatten(1, (4, 1, 1)), Returns(lambda z: z[:, :1])),
    ],
)
def test_one_value_a_point_in_any_form_is_taken(critic: object) -> None:
    assert otbench.audit(critic, X, Y).raw == pytest.approx(float(X[:, 0].mean() - Y[:, 0].mean()))
    for count in (1, 2, 3):  # squeezed, a single value has no axis
        few = otbench.audit(critic, X[:count], Y[:1])
        assert few.raw == pytest.approx(float(X[:count, 0].mean() - Y[0, 0]))


def test_whole_numbers_and_flags_are_values() -> None:
    share = pytest.approx(float(np.mean(X[:, 0] > 0) - np.mean(Y[:, 0] > 0)))
    assert otbench.audit(lambda z: (z[:, 0] > 0).astype(int), X, Y).raw == share
    assert otbench.audit(lambda z: z[:, 0] > 0, X, Y).raw == share


def raises(error: BaseException) -> Callable[[Any], Any]:
    def function(_z: Any) -> Any:
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("too\n  large"), "ValueError: too large"),
        (AssertionError(), "AssertionError: "),
        (KeyError("z"), "KeyError: 'z'"),
        (StopIteration(), "StopIteration: "),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (MemoryError("no room"), "MemoryError: no room"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
def test_what_a_critic_raises_is_named_in_one_line(error: BaseException, said: str) -> None:
    assert refusal(raises(error)).startswith(f"the critic raised {said}")
    assert refusal(Returns(raises(error))).startswith(f"the critic raised {said}")


def test_a_critic_for_points_of_another_shape_says_what_it_was_handed() -> None:
    assert "the critic raised RuntimeError: mat1 and mat2 shapes" in refusal(chain(dim=5))
    said = refusal(nn.Conv2d(3, 1, 8))
    assert said.endswith("(it was handed points of shape (4,)): pass images of shape (n, c, h, w)")
    assert "the critic raised ValueError" in refusal(lambda z: z @ np.ones(5))
    fitted = otbench.train(otbench.SamplePair(X[:, :2], Y[:, :2]), otbench.WeightClip(widths=(8,), steps=2), seed=0)
    assert "the critic raised ValueError" in refusal(fitted)


def test_an_interrupt_is_not_the_critic_s() -> None:
    with pytest.raises(KeyboardInterrupt):
        otbench.audit(raises(KeyboardInterrupt()), X, Y)


@pytest.mark.parametrize("critic", [nn.Linear, dict, torch.nn.functional])
def test_what_only_makes_critics_is_none(critic: Any) -> None:
    assert "a critic must be a torch.nn.Module or a function of" in refusal(critic)


def images(seed: int, count: int = 20) -> Array:
    return np.random.default_rng(seed).random((count, 3, 8, 8))


@pytest.mark.parametrize("as_tensor", [True, False])
def test_a_critic_of_images_is_handed_images_and_distances_are_of_rows(as_tensor: bool) -> None:
    x, y = images(0), images(1, 15) * 0.8
    conv = nn.Sequential(nn.Conv2d(3, 4, 4, 2), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 1, 3))
    flat = nn.Sequential(nn.Unflatten(1, (3, 8, 8)), conv)
    handed = (torch.from_numpy(x), torch.from_numpy(y)) if as_tensor else (x, y)
    found = otbench.audit(conv, *handed)
    assert found == otbench.audit(flat, x.reshape(20, -1), y.reshape(15, -1))
    assert found.primal == otbench.solve_exact(x.reshape(20, -1), y.reshape(15, -1)).w1
    of_a_function = otbench.audit(lambda z: z[:, 0].mean(axis=(1, 2)), x, y)
    assert of_a_function.raw == pytest.approx(x[:, 0].mean() - y[:, 0].mean())


def test_otbench_s_own_critics_take_images_as_rows() -> None:
    x, y = images(2), images(3) * 0.8
    rows = x.reshape(20, -1), y.reshape(20, -1)
    fitted = otbench.train(otbench.SamplePair(*rows), otbench.WeightClip(widths=(8,), steps=5), seed=0)
    assert otbench.audit(fitted, x, y) == otbench.audit(fitted, *rows)


def test_images_of_two_shapes_and_images_beside_rows_are_refused() -> None:
    assert "one shape; got (3, 8, 8) and (8, 8, 3)" in refusal(centred, images(0), images(1).reshape(20, 8, 8, 3))
    assert "one shape; got (3, 8, 8) and (192,)" in refusal(centred, images(0), images(1).reshape(20, -1))
    assert "at least one point" in refusal(centred, images(0)[:0], images(1))


@pytest.mark.parametrize(
    ("slope", "said"),
    [(1.0, "proves W1 >= "), (-1.0, "wrong sign: low on x and high on y"), (0.0, "no better than a constant")],
)
def test_the_reading_says_what_the_sign_is(slope: float, said: str) -> None:
    bounds = otbench.audit(lambda z: slope * z[:, 0] + 3, X, Y)
    assert said in bounds.reading
    assert str(bounds).startswith(bounds.reading)
    assert f"primal {bounds.primal:.6g}" in str(bounds)
    assert "\n" not in str(bounds)


def test_a_critic_of_the_wrong_sign_is_told_so() -> None:
    with pytest.warns(UserWarning, match=r"wrong sign: low on x and high on y .*; read -f") as told:
        otbench.audit(lambda z: -z[:, 0], X, Y)
    assert [warning.filename for warning in told] == [__file__]
    with warnings.catch_warnings(action="error"):
        otbench.audit(lambda z: z[:, 0], X, Y)
        otbench.audit(lambda z: 0 * z[:, 0], X, Y)


def test_a_fitted_critic_is_printed_on_one_line() -> None:
    pair = otbench.SamplePair(X, Y)
    fitted = otbench.train(pair, otbench.WeightClip(widths=(8, 4), steps=5), seed=0)
    assert re.fullmatch(r"Fitted\(ok: Mlp -> 8 -> 4 -> 1, \S+ s\)", repr(fitted))
    assert len(repr(Fitted(None, "diverged", "the loss is\nnot a number"))) < 80
    assert repr(Fitted(None, "diverged", "why\nso")) == "Fitted(diverged: why so, 0 s)"
