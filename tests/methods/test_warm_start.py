"""An exact solve that starts from a critic: one value from any, at once from the exact one, refusals in one line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import otbench
from otbench.errors import InputError
from otbench.methods import Fitted, Job, method
from otbench.methods.functions import McShane
from otbench.methods.reading import read_critic
from otbench.methods.warm_start import SCALE_POINTS, part_of, potentials_of, some_points
from otbench.problems import problem
from otbench.transport import exact
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix
from otbench.transport.potentials import of_coarser_problem, proved_by, transformed
from otbench.types import ExactSolution, SamplePair


def weighted(seed: int, n: int, m: int, dim: int) -> SamplePair:
    """Samples with unequal sizes and weights, some of them 0, and points that both or one of them have twice."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, dim)), rng.standard_normal((m, dim)) + 0.7
    x[1], y[0] = x[0], x[2]
    a, b = rng.random(n), rng.random(m)
    a[3], b[-1] = 0.0, 0.0
    return SamplePair(x, y, a / a.sum(), b / b.sum())


def network(dim: int) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Linear(dim, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))


def trained(pair: SamplePair) -> Fitted:
    recipe = method("weight_clip", widths=(8,), clip=0.1, lr=0.01, lr_unit="clip", steps=20, batch=16)
    return type(recipe).fit([recipe], [Job(pair, 0, exact.solve_pair(pair))], "cpu")[0]


CRITICS: dict[str, Callable[[SamplePair], Any]] = {
    "a function": lambda pair: lambda z: -z[:, 0] - np.abs(z[:, -1]),
    "one of two axes": lambda pair: lambda z: -z.sum(axis=1, keepdims=True),
    "upside down": lambda pair: lambda z: 3 * z[:, 0],
    "a constant": lambda pair: lambda z: np.full(len(z), 7.0),
    "a huge constant": lambda pair: lambda z: 1e9 - z[:, 0],
    "huge": lambda pair: lambda z: -1e200 * z[:, 0],
    "tiny": lambda pair: lambda z: -1e-200 * z[:, 0],
    "without a slope": lambda pair: lambda z: np.sign(-z[:, 0]),
    "a module": lambda pair: network(pair.dim),
    "one that was trained": trained,
    "the exact one": lambda pair: McShane(pair.y[pair.b > 0], exact.solve_pair(pair).v[pair.b > 0]),
}


def nested(one: ExactSolution, other: ExactSolution) -> bool:
    """Whether both prove one number, each in an interval that the other's meets."""
    return one.is_exact and other.is_exact and max(one.lower, other.lower) <= min(one.upper, other.upper)


@pytest.mark.parametrize("name", CRITICS)
@pytest.mark.parametrize(("n", "m", "dim"), [(40, 31, 2), (23, 60, 5), (30, 30, 1)])
def test_no_critic_changes_the_value(name: str, n: int, m: int, dim: int) -> None:
    pair = weighted(n, n, m, dim)
    plain = exact.solve_exact(pair.x, pair.y, pair.a, pair.b, route="dense")
    found = otbench.solve_exact(pair.x, pair.y, pair.a, pair.b, critic=CRITICS[name](pair))
    assert nested(plain, found)
    assert found.w1 == pytest.approx(plain.w1, rel=1e-12)
    assert found.route == "sparse"
    otbench.verify_exact(found, pair.x, pair.y, pair.a, pair.b)


@pytest.mark.parametrize("dim", [2, 8])
def test_the_exact_critic_is_proved_in_one_round_and_a_bad_one_takes_more_pairs(dim: int) -> None:
    pair = problem("balls", dim=dim).sample(250)
    solved = exact.solve_pair(pair, "sparse")
    best = otbench.solve_exact(pair.x, pair.y, critic=McShane(pair.y, solved.v), route="sparse")
    worst = otbench.solve_exact(pair.x, pair.y, critic=lambda z: z @ np.ones(dim), route="sparse")
    assert best.rounds == 1
    assert best.pairs_in_all == best.pairs < worst.pairs_in_all
    assert (worst.pairs_in_all == worst.pairs) == (worst.rounds == 1)


@pytest.mark.parametrize("name", [name for name in CRITICS if name != "without a slope"])
def test_a_start_proves_at_least_its_own_dual_value_and_at_most_w1(name: str) -> None:
    """s mean f(x_i) + mean min_i (M_ij - s f(x_i)), up to the rounding of float32, in which a start is computed."""
    pair = problem("translation", dim=3).sample(60, 50)
    read = read_critic(CRITICS[name](pair), pair.x, pair.y, pair.a, pair.b, None)
    potentials, scale = potentials_of(read)
    cost = cost_matrix(pair.x, pair.y)
    assert scale == Ladder(cost, pair.a, pair.b).bounds(read.fx, read.fy).scale
    u = scale * (read.fx - read.fx[0])
    proved = proved_by(pair, *potentials)
    assert proved >= pair.a @ u + pair.b @ (cost - u[:, None]).min(axis=0) - 1e-5
    assert proved <= exact.solve_pair(pair).w1 * (1 + 1e-12)


@pytest.mark.parametrize(("factor", "constant"), [(1e-3, 0.0), (1e6, 0.0), (1.0, 50.0), (0.5, -1e4)])
def test_a_start_is_that_of_every_multiple_of_the_critic_and_of_every_constant_beside_it(factor, constant) -> None:
    pair = problem("translation", dim=3).sample(80, 70)
    starts = [
        potentials_of(read_critic(critic, pair.x, pair.y, None, None, None))[0]
        for critic in (lambda z: -z[:, 0] + np.cos(z[:, 1]),
                       lambda z: constant + factor * (np.cos(z[:, 1]) - z[:, 0]))
    ]  # fmt: skip
    for one, other in zip(*starts, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_transforms_are_feasible_raise_the_start_and_scale_with_the_unit() -> None:
    pair = weighted(0, 50, 40, 3)
    u = 0.3 * pair.x[:, 0]
    raised, v = transformed(pair, u)
    cost = np.linalg.norm(pair.x[:, None] - pair.y, axis=2)
    assert v == pytest.approx((cost - u[:, None]).min(axis=0), abs=1e-5)
    assert raised == pytest.approx((cost - v).min(axis=1), abs=1e-5)
    assert (raised >= u - 1e-5).all()
    far = SamplePair(pair.x * 2.0**300, pair.y * 2.0**300, pair.a, pair.b)
    for here, there in zip((raised, v), transformed(far, u * 2.0**300), strict=True):
        assert (here * 2.0**300 == there).all()


@pytest.mark.parametrize(("name", "dim", "n"), [("translation", 8, 1100), ("balls", 3, 300)])
def test_the_potentials_of_a_coarser_problem_are_where_the_solver_starts_by_itself(name, dim, n) -> None:
    pair = problem(name, dim=dim).sample(n)
    alone, told = exact.solve_pair(pair, "sparse"), exact.solve_pair(pair, "sparse", None, of_coarser_problem(pair))
    for part in ("w1", "lower", "upper", "rounds", "pairs", "pairs_in_all"):
        assert getattr(alone, part) == getattr(told, part)


def test_the_scale_of_large_samples_is_found_on_a_part_of_the_points_that_have_mass() -> None:
    rng = np.random.default_rng(0)
    n, m = SCALE_POINTS + 200, SCALE_POINTS // 2
    a, b = np.where(np.arange(n) < 100, 0.0, rng.random(n)), np.full(m, 1 / m)
    pair = SamplePair(rng.standard_normal((n, 2)), rng.standard_normal((m, 2)), a / a.sum(), b)
    rows, cols = some_points(pair, SCALE_POINTS)
    assert (len(rows), len(cols)) == (SCALE_POINTS, m)
    assert len(set(rows)) == SCALE_POINTS
    assert (pair.a[rows] > 0).all()
    part = part_of(pair, rows, cols)
    assert part.a == pytest.approx(pair.a[rows] / pair.a[rows].sum(), rel=1e-15)
    assert (part.x == pair.x[rows]).all()
    assert (part.y == pair.y[cols]).all()


X, Y = np.random.default_rng(0).standard_normal((2, 20, 3))

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "potentials beside a critic": (
        {"critic": lambda z: z[:, 0], "potentials": (np.zeros(20), np.zeros(20))}, "potentials or a critic .* not both"
    ),
    "a route that has no start": ({"critic": lambda z: z[:, 0], "route": "dense"}, "a critic needs the sparse route"),
    "an unknown route": ({"critic": lambda z: z[:, 0], "route": "spare"}, "route must be one of"),
    "a false limit": ({"critic": lambda z: z[:, 0], "time_limit": -1}, "time_limit must be"),
    "a critic that has diverged": ({"critic": Fitted(None, "diverged", "NaN at step 3")}, "diverged: NaN at step 3"),
    "a critic that is not finite": ({"critic": lambda z: np.log(z[:, 0] * 0)}, "it has diverged"),
    "two values a point": ({"critic": lambda z: z[:, :2]}, r"one value a point, shape \(40,\)"),
    "a critic that raises": ({"critic": lambda z: z[:, 9]}, "the critic raised IndexError"),
    "no critic": ({"critic": 3}, "a critic must be a torch.nn.Module or a function"),
    "potentials of other points": ({"potentials": (np.zeros(19), np.zeros(20))}, "20 and 20 numbers; got 19 and 20"),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_a_start_is_refused_in_one_line(what: str) -> None:
    options, told = REFUSED[what]
    with pytest.raises(InputError, match=told) as refused:
        otbench.solve_exact(X, Y, **options)
    assert "\n" not in str(refused.value)


def test_images_are_refused_as_they_are_without_a_critic() -> None:
    for options in ({}, {"critic": lambda z: z.sum(axis=(1, 2))}):
        with pytest.raises(InputError, match="flatten every point to a row"):
            otbench.solve_exact(np.zeros((4, 2, 2)), np.zeros((4, 2, 2)), **options)


def test_without_a_critic_it_is_the_solve_of_transport() -> None:
    options: dict[str, Any] = {"route": "sparse", "potentials": (X[:, 0], -Y[:, 0])}
    one, other = otbench.solve_exact(X, Y, **options), exact.solve_exact(X, Y, **options)
    assert (one.w1, one.lower, one.upper, one.rounds, one.pairs) == (
        other.w1, other.lower, other.upper, other.rounds, other.pairs
    )  # fmt: skip


def test_a_solve_that_is_stopped_tells_an_interval_around_the_value() -> None:
    pair = problem("balls", dim=2).sample(200)
    stopped = otbench.solve_exact(pair.x, pair.y, critic=lambda z: z[:, 0], time_limit=1e-9)
    solved = exact.solve_pair(pair)
    assert not stopped.is_exact
    assert stopped.lower <= solved.upper
    assert solved.lower <= stopped.upper


def test_a_critic_from_which_no_round_arrives_is_given_up_for_a_coarser_problem(monkeypatch) -> None:
    """With one round at most: the exact potential arrives in it, a critic that is upside down does not."""
    monkeypatch.setattr("otbench.transport.rounds.MOST_ROUNDS", 1)
    pair = problem("balls", dim=2).sample(300)
    none = np.zeros(300), np.zeros(300)
    assert not exact.solve_exact(pair.x, pair.y, route="sparse", potentials=none).is_exact
    assert nested(otbench.solve_exact(pair.x, pair.y, critic=lambda z: z[:, 0]), exact.solve_pair(pair, "dense"))


def test_gradients_are_left_out_where_nobody_asks_for_them() -> None:
    reads = [read_critic(network(3), X, Y, None, None, None, gradients=asked) for asked in (True, False)]
    assert [read.gx is None for read in reads] == [read.gy is None for read in reads] == [False, True]
    assert reads[0].fx == pytest.approx(reads[1].fx, rel=1e-12)
    assert reads[0].constants == reads[1].constants
