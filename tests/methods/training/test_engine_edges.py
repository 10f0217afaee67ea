"""The engine's parts at the ends of their blocks: gradients against autograd, walls, states, streams and indices."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from reference_loop import reference_parameters
from torch import Tensor, nn

from otbench.methods import WeightClip
from otbench.methods.mlp import Activation
from otbench.methods.training.engine import Engine
from otbench.methods.training.minibatch import (
    sample_source,
)
from otbench.methods.training.network import CPU_ROWS, Stack
from otbench.methods.training.parameters import LANE, filled, filled_shapes, initial_parameters
from otbench.types import SamplePair

ACTIVATIONS: dict[Activation, Any] = {
    "relu": nn.functional.relu, "leaky_relu": lambda z: nn.functional.leaky_relu(z, 0.2), "tanh": torch.tanh,
}  # fmt: skip

#: Below, at and beyond the end of the first block of rows and of the second.
ROWS = [LANE, CPU_ROWS - LANE, CPU_ROWS, CPU_ROWS + LANE, 2 * CPU_ROWS, 2 * CPU_ROWS + LANE]

SHAPES = [[(3, 1)], [(3, 5), (5, 1)], [(3, 33), (33, 40), (40, 1)], [(2, 6), (6, 7), (7, 3)]]

#: Shapes with an activation each.
CASES = list(zip(SHAPES, ["relu", "tanh", "leaky_relu", "relu"], strict=True))


def count(shapes: list[tuple[int, int]]) -> int:
    return sum(i * o + o for i, o in shapes)


def stack(shapes: list[tuple[int, int]], critics: int = 2, rows: int = 64, activation: Activation = "relu",
          seed: int = 0, products: torch.dtype | None = None) -> tuple[Stack, Tensor]:  # fmt: skip
    """A stack of critics with random parameters (E, P), float64."""
    generator = torch.Generator().manual_seed(seed)
    initial = torch.randn((critics, count(shapes)), generator=generator, dtype=torch.float64)
    return Stack(initial, shapes, activation, rows, products), initial


def plain(theta: Tensor, shapes: list[tuple[int, int]], activation: Activation, points: Tensor) -> Tensor:
    """One network's outputs (R, out), its parameters in the order of torch's Linear layers."""
    at, found = 0, points
    for k, (i, o) in enumerate(shapes):
        weight, bias = theta[at : at + i * o].view(o, i), theta[at + i * o : at + i * o + o]
        found = found @ weight.T + bias
        found = ACTIVATIONS[activation](found) if k < len(shapes) - 1 else found
        at += i * o + o
    return found


def by_layers(theta: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
    """Parameters (P,) in the order of ``Stack.by_critic``: all weights (in, out), then all biases."""
    weights, biases, at = [], [], 0
    for i, o in shapes:
        weights.append(theta[at : at + i * o].view(o, i).T.flatten())
        biases.append(theta[at + i * o : at + i * o + o])
        at += i * o + o
    return torch.cat([*weights, *biases])


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("shapes", "activation"), CASES)
def test_a_gradient_is_autograds_whichever_block_a_row_is_in(
    shapes: list[tuple[int, int]], activation: Activation, rows: int
) -> None:
    made, initial = stack(shapes, 2, rows, activation)
    rng = np.random.default_rng(rows)
    points = torch.from_numpy(rng.standard_normal((2, rows, shapes[0][0])))
    pull = torch.from_numpy(rng.standard_normal((2, rows, shapes[-1][1])))
    for _ in range(2):  # the second sweep must not add to what the first one left
        made.backward(points, pull)
    found = made.by_critic(made.gradient)
    for k in range(2):
        theta = initial[k].clone().requires_grad_()
        (plain(theta, shapes, activation, points[k]) * pull[k]).sum().backward()
        assert theta.grad is not None
        torch.testing.assert_close(found[k], by_layers(theta.grad, shapes), rtol=1e-11, atol=1e-11)
    assert made.gradient.count_nonzero() <= 2 * count(shapes)  # the units that fill up have none


@pytest.mark.parametrize("rows", [CPU_ROWS, CPU_ROWS + LANE])
def test_products_in_another_type_round_once_and_are_summed_in_the_parameters_own(rows: int) -> None:
    shapes = SHAPES[2]
    exact, _ = stack(shapes, 2, rows)
    coarse, _ = stack(shapes, 2, rows, products=torch.float32)
    assert (exact.products, coarse.products) == (None, torch.float32)
    assert stack(shapes, products=torch.float64)[0].products is None
    points, pull = torch.randn(2, rows, 3, dtype=torch.float64), torch.full((2, rows, 1), 1 / rows, dtype=torch.float64)
    for each in (exact, coarse):
        each.backward(points, pull)
    torch.testing.assert_close(coarse.gradient, exact.gradient, rtol=1e-4, atol=1e-5)
    assert coarse.gradient.dtype == torch.float64
    assert not torch.equal(coarse.gradient, exact.gradient)


@pytest.mark.parametrize(("shapes", "activation"), CASES[:3])
def test_values_and_slopes_are_those_of_the_plain_network(
    shapes: list[tuple[int, int]], activation: Activation
) -> None:
    made, initial = stack(shapes, 3, 32, activation, seed=4)
    points = torch.randn(3, 32, shapes[0][0], dtype=torch.float64)
    values, slopes = made.values(points), made.slopes(points)
    for k in range(3):
        here = points[k].clone().requires_grad_()
        outputs = plain(initial[k], shapes, activation, here)
        outputs.sum().backward()
        assert here.grad is not None
        torch.testing.assert_close(values[k], outputs, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(slopes[k], here.grad, rtol=1e-12, atol=1e-12)
        critic = made.read(made.parameters, [0.5, None, 2.0])[k]
        assert critic.clip == [0.5, None, 2.0][k]
        np.testing.assert_allclose(critic.values(points[k].numpy()), outputs.detach()[:, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shapes", SHAPES)
def test_every_parameter_is_told_its_critics_number(shapes: list[tuple[int, int]]) -> None:
    made, initial = stack(shapes, 3)
    assert torch.equal(made.by_critic(made.parameters), torch.stack([by_layers(theta, shapes) for theta in initial]))
    column = torch.tensor([1.5, -2.0, 7.0], dtype=torch.float64)
    weights, size = sum(i * o for i, o in shapes), count(shapes)
    every = made.by_critic(made.per_parameter(column))
    assert torch.equal(every, column[:, None].expand(3, size))
    for wall in (0.0, torch.inf):
        walls = made.by_critic(made.per_parameter(column, biases=wall))
        assert torch.equal(walls[:, :weights], column[:, None].expand(3, weights))
        assert torch.equal(walls[:, weights:], torch.full((3, size - weights), wall, dtype=torch.float64))


def test_layers_are_filled_up_to_the_next_multiple_of_a_lane() -> None:
    for number in range(1, 4 * LANE):
        assert filled(number) % LANE == 0
        assert number <= filled(number) < number + LANE
    assert filled_shapes([(3, 5), (5, 33), (33, 1)]) == [(3, 32), (32, 64), (64, 1)]
    assert filled_shapes([(3, 1)]) == [(3, 1)]
    made, _ = stack(SHAPES[2], 2)
    offsets = [view.storage_offset() for view in (*made.weights, *made.biases)]
    assert all(offset % LANE == 0 for offset in offsets)
    assert made.parameters.numel() == 2 * sum(filled(i * o) + filled(o) for i, o in made.filled_shapes)


def test_first_parameters_lie_in_their_box_layer_by_layer() -> None:
    shapes = [(400, 30), (30, 1)]
    drawn = initial_parameters(shapes, 3, None)
    layers = drawn[: 400 * 30 + 30], drawn[400 * 30 + 30 :]
    for layer, limit in zip(layers, (400**-0.5, 30**-0.5), strict=True):
        assert limit * (1 - 4 / len(layer)) - limit / len(layer) <= layer.abs().max() <= limit
    boxed = initial_parameters(shapes, 3, 0.25).abs().max()
    assert 0.2499 <= boxed <= 0.25
    assert (drawn.dtype, drawn.shape) == (torch.float32, (count(shapes),))
    assert torch.equal(drawn, initial_parameters(shapes, 3, None))
    assert not torch.equal(drawn, initial_parameters(shapes, 4, None))


def pair(n: int = 40, m: int = 50, seed: int = 0, weighted: bool = False) -> SamplePair:
    rng = np.random.default_rng(seed)
    a, b = (rng.dirichlet(np.ones(k)) if weighted else None for k in (n, m))
    return SamplePair(rng.standard_normal((n, 2)), rng.standard_normal((m, 2)) + 1, a, b)


def engine(*fields: dict[str, Any], **shared: Any) -> Engine:
    """An engine of one critic per mapping of fields."""
    methods = [WeightClip(**({"widths": (6,), "clip": 0.1, "batch": 16} | shared | each)) for each in fields]
    return Engine([pair(seed=k) for k in range(len(fields))], methods, list(range(len(fields))), "cpu")


@pytest.mark.parametrize("optimiser", ["rmsprop", "adam", "sgd"])
@pytest.mark.parametrize("cuts", [(0, 150), (0, 63, 64, 65, 150), (0, 1, 100, 128, 150)])
def test_steps_done_in_any_goes_are_the_same_steps(optimiser: str, cuts: tuple[int, ...]) -> None:
    whole, parts = (engine({}, {"clip": 0.05, "lr": 1e-3}, optimiser=optimiser) for _ in range(2))
    for k in range(150):
        whole.source.draw(k, 1)
        whole.step(0)
    parts.prepare()
    for first, last in itertools.pairwise(cuts):
        parts.run(first, last)
    assert torch.equal(whole.stack.parameters, parts.stack.parameters)


def test_preparing_changes_nothing_that_a_later_step_reads() -> None:
    made = engine({}, optimiser="adam")
    made.run(0, 3)
    before = [tensor.clone() for tensor in made._state()]
    made.prepare()
    assert all(torch.equal(one, other) for one, other in zip(before, made._state(), strict=True))
    assert len(before) > 2


@pytest.mark.parametrize(
    ("fields", "walls"),
    [({}, ["weights", "biases"]), ({"clip_parameters": "weights"}, ["weights"]), ({"biases": False}, ["weights"])],
)
def test_saturation_is_the_share_of_the_clipped_parameters_within_a_thousandth_of_the_wall(
    fields: dict[str, Any], walls: list[str]
) -> None:
    made = engine({"clip": 0.1}, {"clip": 4.0}, **fields, dtype="float64")
    views = {"weights": made.stack._own(made.stack.parameters)[0], "biases": made.stack._own(made.stack.parameters)[1]}
    made.stack.parameters.zero_()
    assert made.saturation() == [0.0, 0.0]
    size = sum(view[0].numel() for name in walls for view in views[name])
    first, last = views["weights"][0], views[walls[-1]][-1]
    first[0, 0, 0], first[0, 0, 1], first[1, 1, 5] = 0.09991, -0.09991, 0.09991
    assert made.saturation() == pytest.approx([2 / size, 0.0], abs=1e-15)
    last[1].fill_(-3.9961)
    assert made.saturation() == pytest.approx([2 / size, last[1].numel() / size], abs=1e-15)
    last[1].fill_(-3.9959)
    first[0, 0, 0] = 0.09989
    assert made.saturation() == pytest.approx([1 / size, 0.0], abs=1e-15)
    made.stack.parameters.fill_(9.0)
    made.clip_to_box()
    assert made.saturation() == [1.0, 1.0]
    if "biases" not in walls:
        assert {float(view.max()) for view in views["biases"]} == {0.0 if made.method.biases is False else 9.0}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("optimiser", ["rmsprop", "adam", "sgd"])
def test_a_critic_that_is_not_finite_anywhere_is_told_and_its_neighbour_is_not(value: float, optimiser: str) -> None:
    for which in range(len(engine({}, optimiser=optimiser)._state())):
        made = engine({}, {}, optimiser=optimiser)
        state = made._state()[which]
        if state.shape != made.stack.parameters.shape:
            continue
        assert made.finite() == [True, True]
        made.stack._own(state)[0][-1][1, -1, -1] = value
        assert made.finite() == [True, False]
        made.stack._own(state)[1][0][0, 0, 0] = value
        assert made.finite() == [False, False]


def test_what_is_not_clipped_has_no_wall_and_critics_have_their_own() -> None:
    walls_of = (({}, [0.1, 4.0]), ({"clip_parameters": "weights"}, [torch.inf] * 2), ({"biases": False}, [0.0] * 2))
    for fields, biases in walls_of:
        made = engine({"clip": 0.1}, {"clip": 4.0}, **fields, dtype="float64")
        weights, walls = made.stack._own(made.high)
        assert [float(weights[0][k].unique()) for k in range(2)] == [0.1, 4.0]
        assert [float(walls[-1][k].unique()) for k in range(2)] == biases
        assert torch.equal(made.low, -made.high)
        assert made.uses_graphs is False


@pytest.mark.parametrize(("dtype", "within"), [("tf32", "high"), ("float32", "highest"), ("bfloat16", "highest")])
def test_tensorfloat_is_used_within_the_steps_alone(
    dtype: str, within: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, found = engine({}, dtype=dtype), []
    monkeypatch.setattr(made, "step", lambda k: found.append(torch.get_float32_matmul_precision()))
    try:
        for outside in ("high", "highest"):
            torch.set_float32_matmul_precision(outside)
            made.run(0, 1)
            assert torch.get_float32_matmul_precision() == outside
        monkeypatch.setattr(made, "step", lambda k: {}[k])
        with pytest.raises(KeyError):
            made.run(0, 1)
        assert torch.get_float32_matmul_precision() == outside
    finally:
        torch.set_float32_matmul_precision("highest")
    assert found == [within] * 2


@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize(("optimiser", "lr", "more"), [
    ("rmsprop", 1e-3, {"smoothing": 0.9}), ("adam", 1e-3, {"betas": (0.5, 0.8)}),
    ("sgd", 0.1, {"clip_parameters": "weights"}),
])  # fmt: skip
def test_a_few_steps_on_weighted_samples_are_those_of_the_plain_loop(
    optimiser: str, lr: float, more: dict[str, Any], when: str
) -> None:
    """Two critics of one engine, with clip values, rates and eps of their own, each against its own plain loop."""
    shared = {"widths": (7, 5), "optimiser": optimiser, "clip_when": when, "dtype": "float64", "batch": 20, **more}
    methods = [WeightClip(**shared, clip=0.1 / k, lr=lr / k, eps=1e-4 * k, steps=70) for k in (1, 2)]
    pairs = [pair(30, 50, k, weighted=True) for k in (1, 2)]
    made = Engine(pairs, methods, [8, 9], "cpu")
    made.run(0, 70)
    for critic, method, sample, seed in zip(made.stack.read(made.stack.parameters, [None] * 2), methods, pairs, (8, 9),
                                            strict=True):  # fmt: skip
        there = reference_parameters(sample, method, seed)
        here = itertools.chain(*zip(critic.weights, critic.biases, strict=True))
        assert max(np.abs(p - q).max() for p, q in zip(here, there, strict=True)) <= 1e-11 * method.clip


def test_what_coarse_products_are_added_up_to_is_kept_in_full() -> None:
    """1 + 2^-10 in a bias and, at points that are 1, in the weights: bfloat16 would leave the 1."""
    initial = torch.zeros(1, 2)
    made = Stack(initial, [(1, 1)], "relu", 32, torch.bfloat16)
    pull = torch.zeros(1, 32, 1)
    pull[0, 3], pull[0, 7] = 1.0, 2.0**-10
    made.backward(torch.ones(1, 32, 1), pull)
    assert made.by_critic(made.gradient).tolist() == [[1 + 2.0**-10] * 2]
    made.backward(torch.ones(1, 32, 1), (1 + 2.0**-10) * (pull == 1))  # a pull is rounded before it is used
    assert made.by_critic(made.gradient).tolist() == [[1.0] * 2]


@pytest.mark.parametrize(("device", "rows"), [("cpu", CPU_ROWS), ("meta", CPU_ROWS + LANE)])
@pytest.mark.parametrize("weighted", [False, True])
def test_everything_a_step_needs_lies_where_the_parameters_do(device: str, rows: int, weighted: bool) -> None:
    """On a device without memory, as on a GPU, a tensor left on the CPU is an error; no rows are split there."""
    initial = torch.zeros(2, count(SHAPES[2]), device=device)
    made = Stack(initial, SHAPES[2], "relu", CPU_ROWS + LANE)
    assert made.rows == rows
    points, pull = (torch.zeros(2, CPU_ROWS + LANE, wide, device=device) for wide in (3, 1))
    made.backward(points, pull)
    column = torch.ones(2, device=device)
    for tensor in (made.parameters, made.gradient, made.spare, *made.outputs, made.values(points), made.slopes(points),
                   made.per_parameter(column), made.by_critic(made.gradient)):  # fmt: skip
        assert tensor.device.type == device
    pairs = [pair(seed=k, weighted=weighted) for k in range(2)]
    for batch in (4, "full"):
        source = sample_source(pairs, [0, 1], batch, initial)
        source.draw(0, 2)
        assert (source.points(1).device.type, source.pull.device.type) == (device, device)
