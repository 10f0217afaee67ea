"""Laws of critics that a loss trains: neighbours, fields of one's own, chance, constraints, and what diverges."""

import itertools

import deel.torchlip as torchlip
import numpy as np
import pytest
import torch

from otbench.errors import InputError
from otbench.methods import METHODS, method
from otbench.methods.audit import audit
from otbench.methods.mlp import Mlp
from otbench.methods.neural import Neural
from otbench.methods.train import train
from otbench.methods.training.constraints import Orthonormal, Spectral, nearest_orthonormal
from otbench.methods.training.differentiable import FullSort, MaxMin
from otbench.methods.training.exponentials import Exponential, exponential_less_one
from otbench.methods.training.neural import train_networks
from otbench.methods.training.parameters import filled
from otbench.methods.training.step import Chance
from otbench.problems import problem
from otbench.types import SamplePair

TRAINED = [name for name, kind in METHODS.items() if issubclass(kind, Neural)]

#: Odd widths and a batch that fills no lane, but for what sorts pairs.
NETWORK = {"widths": (14, 10), "batch": 20, "steps": 12, "lr": 1e-3}


@pytest.fixture(scope="module")
def pairs():
    rng, law = np.random.default_rng(0), problem("balls", dim=3)
    samples = [law.sample(40, 30, seed=seed) for seed in range(3)]
    weighted = SamplePair(samples[1].x, samples[1].y, rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(30)))
    return [samples[0], weighted, samples[2]]


def parameters(fit):
    return np.concatenate([part.ravel() for part in (*fit.critic.weights, *fit.critic.biases)])


@pytest.mark.parametrize(
    ("name", "fields"),
    [*((name, {}) for name in TRAINED), ("group_sort", {"orthonormalisation": "exponential", "lr": 0.1})],
)
def test_no_bit_of_a_critic_depends_on_its_neighbours(name, fields, pairs):
    recipe = method(name, **NETWORK | fields)
    together = train_networks(pairs, [recipe] * 3, [5, 6, 7])
    for k, seed in enumerate((5, 6, 7)):
        alone = train_networks([pairs[k]], [recipe], [seed])[0]
        assert np.array_equal(parameters(alone), parameters(together[k]))


@pytest.mark.parametrize("name", TRAINED)
def test_fields_of_one_s_own_are_the_critic_s_own(name, pairs):
    kind = METHODS[name]
    base = method(name, **NETWORK)
    own = [base, *(base.model_copy(update={field: 0.5 * getattr(base, field) + 1e-3}) for field in kind.own_fields)]
    together = train_networks([pairs[0]] * len(own), own, [3] * len(own))
    for recipe, fit in zip(own, together, strict=True):
        alone = train_networks([pairs[0]], [recipe], [3])[0]
        assert np.array_equal(parameters(alone), parameters(fit))
    at_once = len(own) - len(kind.own_fields & {"eps", "margin"})  # these two matter once a penalty is paid
    assert len({parameters(fit).tobytes() for fit in together}) >= at_once


@pytest.mark.parametrize("name", ["gradient_penalty", "three_player"])
def test_a_critic_that_diverges_takes_no_neighbour_with_it(name, pairs):
    sound = method(name, **NETWORK)
    wild = sound.model_copy(update={"lr": 1e30})
    first, second = train_networks([pairs[0]] * 2, [wild, sound], [3, 3])
    assert (first.status, first.critic, second.status) == ("diverged", None, "ok")
    assert "not finite after 12 steps" in first.reason
    assert np.array_equal(parameters(second), parameters(train_networks([pairs[0]], [sound], [3])[0]))


@pytest.mark.parametrize("orthonormalisation", ["bjorck", "exponential"])
def test_weights_that_are_not_finite_are_divergence_though_their_parameters_are(orthonormalisation, pairs):
    """One step of 1e20 leaves finite parameters, whose exponential is none."""
    recipe = method("group_sort", **NETWORK | {"orthonormalisation": orthonormalisation, "steps": 1, "lr": 1e20})
    (fit,) = train_networks([pairs[0]], [recipe], [3])
    assert (fit.status, fit.critic) == ("diverged", None)
    assert fit.reason == "a parameter is not finite after 1 steps"


@pytest.mark.parametrize("name", TRAINED)
def test_a_law_shows_fresh_points_and_the_sample_gives_the_dimension_alone(name, pairs):
    recipe, law = method(name, **NETWORK), problem("balls", dim=3)
    one, other = (train_networks([pair], [recipe], [3], laws=[law])[0] for pair in (pairs[0], pairs[2]))
    on_sample = train_networks([pairs[0]], [recipe], [3])[0]
    assert np.array_equal(parameters(one), parameters(other))
    assert not np.array_equal(parameters(one), parameters(on_sample))


@pytest.mark.parametrize("name", TRAINED)
def test_any_of_them_is_trained_by_hand_and_audited(name, pairs):
    fit = train(pairs[1], method(name, **NETWORK), seed=5)
    assert np.array_equal(parameters(fit), parameters(train_networks([pairs[1]], [method(name, **NETWORK)], [5])[0]))
    bounds = audit(fit, pairs[1].x, pairs[1].y, pairs[1].a, pairs[1].b)
    assert bounds.spectral <= bounds.slope <= bounds.c_transform <= bounds.primal * (1 + 1e-12)


def test_half_of_the_steps_are_halfway(pairs):
    for name in ("quadratic", "group_sort"):
        whole = train_networks([pairs[0]], [method(name, **{**NETWORK, "decay": "none"})], [3])[0]
        half = train_networks([pairs[0]], [method(name, **{**NETWORK, "decay": "none", "steps": 6})], [3])[0]
        z = pairs[0].y
        assert np.array_equal(whole.halfway.values(z), half.values(z))


def test_random_numbers_are_uniform_and_depend_on_seed_and_step_alone():
    like = torch.empty(0, dtype=torch.float64)
    three, one = Chance([4, 5, 6], like), Chance([5], like)
    for step in (0, 1, 70):
        three.begin(step)
        one.begin(step)
        first, second = three.uniform(200), three.uniform(3, 4)
        assert torch.equal(first[1:2], one.uniform(200))
        assert torch.equal(second[1:2], one.uniform(3, 4))
    three.begin(1)
    many = torch.cat([three.uniform(4000).flatten(), *(three.uniform(4000).flatten() for _ in range(2))]).numpy()
    assert len(np.unique(many)) == len(many)
    assert many.min() > 0
    assert many.max() < 1
    counts = np.histogram(many, bins=20, range=(0, 1))[0]
    assert np.abs(counts / len(many) - 0.05).max() < 6 * np.sqrt(0.05 * 0.95 / len(many))


@pytest.mark.parametrize("orthonormalisation", ["bjorck", "exponential"])
@pytest.mark.parametrize("activation", ["maxmin", "full_sort"])
def test_orthonormal_critics_are_1_lipschitz_and_as_steep_almost_everywhere(activation, orthonormalisation, pairs):
    held = {"activation": activation, "orthonormalisation": orthonormalisation}
    recipe = method("group_sort", **NETWORK | held | {"steps": 60})
    fit = train_networks([pairs[0]], [recipe], [3])[0]
    _, constant = fit.constants()
    assert constant == pytest.approx(1, abs=1e-5)
    rng = np.random.default_rng(0)
    z, moved = rng.standard_normal((2, 500, 3))
    assert (np.abs(fit.values(z) - fit.values(moved)) <= constant * np.linalg.norm(z - moved, axis=1) + 1e-12).all()
    # 14 units after 3, then 10: rows are orthonormal going back to the second layer, where length may be lost
    lengths = np.linalg.norm(fit.gradients(z), axis=1)
    assert lengths.max() <= constant + 1e-12
    square = (
        train_networks([pairs[0]], [method("group_sort", activation=activation, **{**NETWORK, "widths": (3, 3)})], [3])
        if activation == "full_sort"
        else []
    )
    for other in square:  # square layers keep every length, up to the first one's rows
        assert np.linalg.norm(other.gradients(z), axis=1) == pytest.approx(np.ones(500), abs=1e-5)


@pytest.mark.parametrize("orthonormalisation", ["bjorck", "exponential"])
def test_orthonormal_critics_go_on_to_the_potential(orthonormalisation):
    """The planted fault would be Adam on the whole gradient: most of it points out of the set, and the three stop at
    0.94 of W1 in the mean."""
    recipe = method("group_sort", orthonormalisation=orthonormalisation, widths=(32, 32), steps=500)
    shares = []
    for seed in range(3):
        spheres = problem("spheres", dim=2).sample(256, mode="coupled", seed=seed)
        bounds = audit(train(spheres, recipe, seed=seed), spheres.x, spheres.y)
        shares.append(bounds.raw / bounds.primal)
    assert np.mean(shares) > 0.975


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_units_are_sorted_as_torch_sorts_them_the_first_of_equal_ones_first(dtype):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3, 40, 13, generator=generator, dtype=dtype)
    z[0] = z[0].round()  # many are equal, and some are -0
    z[1, :20] *= 10 ** torch.linspace(-44, 38, 20, dtype=dtype)[:, None]
    z[1, 0, 3:7] = torch.tensor([torch.inf, -torch.inf, -0.0, 0.0])
    z[2] = -z[0]
    pull, leaf = torch.randn(3, 40, 11, generator=generator, dtype=dtype), z.clone().requires_grad_()
    ours = FullSort.apply(leaf[:, :, :11])  # as of units that are followed by those that fill up
    (ours_back,) = torch.autograd.grad((ours * pull).sum(), leaf)
    torchs = leaf[:, :, :11].sort(dim=2, descending=True, stable=True).values
    (torchs_back,) = torch.autograd.grad((torchs * pull).sum(), leaf)
    assert torch.equal(ours, torchs)
    assert torch.equal(ours_back, torchs_back)
    assert FullSort.apply(torch.full((1, 2, 5), torch.nan, dtype=dtype)).isnan().all()


def test_spectral_layers_have_norms_of_about_1_and_the_constant_is_that_of_their_product(pairs):
    fit = train_networks([pairs[0]], [method("spectral_norm", **{**NETWORK, "iterations": 20})], [3])[0]
    norms = [np.linalg.norm(weight, 2) for weight in fit.critic.weights]
    assert norms == pytest.approx(np.ones(3), abs=1e-3)
    assert fit.constants()[1] == pytest.approx(np.prod(norms))


def test_a_spectral_estimate_is_at_most_the_norm():
    """The planted fault would be to sell it as a bound: after one iteration it is below the norm by percents."""
    generator = torch.Generator().manual_seed(0)
    leaf = torch.randn(4, 12, 9, generator=generator, dtype=torch.float64)
    (used,) = Spectral([leaf], [(12, 9)], [0, 1, 2, 3], 1, True).weights([leaf])
    norms = torch.linalg.matrix_norm(used, 2)
    assert (norms >= 1 - 1e-12).all()
    assert norms.max() > 1.02


@pytest.mark.parametrize("shape", [(12, 7), (7, 12), (5, 5), (4, 1), (1, 6)])
def test_bjorck_s_iteration_draws_back_to_orthonormal_weights(shape):
    generator = torch.Generator().manual_seed(0)
    leaf = torch.zeros(2, 32, 32, dtype=torch.float64)
    leaf[:, : shape[0], : shape[1]] = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    held = Orthonormal([leaf], [shape], 6)
    start = leaf.clone()
    leaf[:, : shape[0], : shape[1]] += 0.05 * torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    held.weights([leaf])
    assert not torch.equal(leaf, start)
    own = leaf[:, : shape[0], : shape[1]]
    small = own.mT @ own if shape[0] >= shape[1] else own @ own.mT
    assert torch.allclose(small, torch.eye(min(shape), dtype=torch.float64).expand_as(small), atol=1e-9)
    leaf[:, : shape[0], : shape[1]] = 0  # what fills up has stayed 0
    assert not leaf.any()


@pytest.mark.parametrize("shape", [(12, 7), (7, 12), (24, 24), (4, 1)])
def test_an_update_that_went_too_far_is_drawn_back_to_the_nearest_orthonormal_weights_too(shape):
    """Without shrinking it the iteration diverges: singular values are well above √3 here."""
    generator = torch.Generator().manual_seed(0)
    leaf = torch.zeros(2, 32, 32, dtype=torch.float64)
    leaf[:, : shape[0], : shape[1]] = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    held = Orthonormal([leaf], [shape], 60)
    leaf[0, : shape[0], : shape[1]] += 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    far, near = leaf[:, : shape[0], : shape[1]].clone()
    assert torch.linalg.matrix_norm(far, 2) > 2
    held.weights([leaf])
    expected = torch.from_numpy(nearest_orthonormal(far.numpy()))
    assert torch.allclose(leaf[0, : shape[0], : shape[1]], expected, atol=1e-9)
    assert torch.allclose(leaf[1, : shape[0], : shape[1]], near, atol=1e-12)  # what has not moved stays


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-6, 1e-2, 0.3, 2.0, 40.0])
def test_the_exponential_is_torch_s_with_its_derivative_and_orthonormal(size, dtype):
    generator = torch.Generator().manual_seed(0)
    lower, pull = torch.randn(2, 3, 20, 20, generator=generator, dtype=torch.float64)
    lower = size * lower / torch.linalg.matrix_norm(lower - lower.mT, 2)[:, None, None]  # |A|_2 is size
    ours, torchs = lower.to(dtype).requires_grad_(), lower.clone().requires_grad_()
    less_one = exponential_less_one(ours - ours.mT)
    (back,) = torch.autograd.grad((less_one * pull.to(dtype)).sum(), ours)
    expected = torch.matrix_exp(torchs - torchs.mT)
    (expected_back,) = torch.autograd.grad((expected * pull).sum(), torchs)
    # an error of A by rounding moves exp(A) by as much, and exp(A) - 1 keeps its digits where torch's result rounds 1
    close, of_torch = 20 * torch.finfo(dtype).eps * max(1, size), 4 * torch.finfo(torch.float64).eps
    unit = torch.eye(20, dtype=torch.float64)
    assert torch.allclose(less_one.double(), expected - unit, rtol=0, atol=min(close, close * size + of_torch))
    assert torch.allclose(back.double(), expected_back, rtol=0, atol=40 * close)
    turned = less_one.double() + unit
    assert torch.allclose(turned.mT @ turned, unit.expand_as(turned), rtol=0, atol=close)


def test_an_exponential_has_the_same_bits_beside_any_others_even_such_as_have_diverged():
    generator = torch.Generator().manual_seed(0)
    lower = torch.randn(4, 32, 32, generator=generator) * torch.tensor([1e-3, 0.1, 50.0, torch.nan])[:, None, None]
    lower[3, 0, 1] = torch.inf
    together = exponential_less_one(lower - lower.mT)
    for k in range(3):
        pair = lower[[k, k]]
        assert torch.equal(together[k], exponential_less_one(pair - pair.mT)[0])
    assert not together[3].isfinite().all()


@pytest.mark.parametrize("shape", [(12, 7), (7, 12), (5, 5), (4, 1), (1, 6), (40, 12)])
def test_exponentials_keep_weights_orthonormal_wherever_the_leaves_go(shape):
    generator = torch.Generator().manual_seed(0)
    rows, cols = shape
    leaf = torch.zeros(2, rows, filled(cols), dtype=torch.float64)
    leaf[:, :, :cols] = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    first = torch.from_numpy(np.stack([nearest_orthonormal(w.numpy()) for w in leaf[:, :, :cols]]))
    held = Exponential([leaf], [shape], [3, 4])
    (used,) = held.weights([leaf])
    assert torch.allclose(used[:, :, :cols], first, atol=1e-12)
    leaf[:, :, :cols] = 3 * torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    leaf.requires_grad_()
    (used,) = held.weights([leaf])
    own = used[:, :, :cols]
    assert (own - first).abs().max() > 0.1
    small = own.mT @ own if rows >= cols else own @ own.mT
    assert torch.allclose(small, torch.eye(min(shape), dtype=torch.float64).expand_as(small), atol=1e-12)
    assert not used[:, :, cols:].any()
    (back,) = torch.autograd.grad((used * torch.randn(used.shape, generator=generator, dtype=used.dtype)).sum(), leaf)
    assert not back[:, :, cols:].any()  # what fills up stays 0
    assert back[:, :, :cols].any()


def test_maxmin_is_the_sorting_of_pairs_forwards_and_backwards():
    z = torch.randn(3, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    weights = torch.linspace(1, 2, 120, dtype=torch.float64).view(3, 5, 8)
    ours = MaxMin.apply(z)
    (ours * weights).sum().backward()
    found, z.grad = z.grad, None
    sorted_pairs = z.view(3, 5, 4, 2).sort(dim=3, descending=True).values.view(3, 5, 8)
    (sorted_pairs * weights).sum().backward()
    assert torch.equal(ours, sorted_pairs)
    assert torch.equal(found, z.grad)
    of_torchlip = torchlip.GroupSort2()(z.detach().view(15, 8)).view(3, 5, 4, 2)
    assert torch.equal(of_torchlip.sort(dim=3, descending=True).values.view(3, 5, 8), ours.detach())


@pytest.mark.parametrize("activation", ["maxmin", "full_sort"])
def test_gradients_of_networks_that_sort_are_those_of_autograd(activation):
    rng = np.random.default_rng(0)
    sizes = (4, 6, 8, 1)
    weights = tuple(rng.standard_normal((i, o)) for i, o in itertools.pairwise(sizes))
    biases = tuple(rng.standard_normal(o) for o in sizes[1:])
    z = rng.standard_normal((50, 4))
    points = torch.from_numpy(z).requires_grad_()
    out = points
    for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        out = out @ torch.from_numpy(weight) + torch.from_numpy(bias)
        if k < 2:
            group = 2 if activation == "maxmin" else out.shape[1]
            out = out.view(50, -1, group).sort(dim=2, descending=True).values.view(50, -1)
    out.sum().backward()
    critic = Mlp(weights, biases, activation)
    assert critic.values(z) == pytest.approx(out.detach().numpy()[:, 0])
    assert critic.gradients(z) == pytest.approx(points.grad.numpy())


def test_a_mover_gives_the_direction_where_it_is_asked_for(pairs):
    recipe = method("three_player", rays="mover", reverse=True, **NETWORK)
    fit = train_networks([pairs[0]], [recipe], [3])[0]
    way = pairs[0].x - fit.critic.mover.outputs(pairs[0].x)
    assert fit.gradients(pairs[0].x) == pytest.approx(way / np.linalg.norm(way, axis=1, keepdims=True))
    by_critic = train_networks([pairs[0]], [recipe.model_copy(update={"rays": "critic"})], [3])[0]
    assert np.array_equal(fit.values(pairs[0].x), by_critic.values(pairs[0].x))
    forward = train_networks([pairs[0]], [recipe.model_copy(update={"reverse": False})], [3])[0]
    back = forward.critic.mover.outputs(pairs[0].y) - pairs[0].y
    assert forward.gradients(pairs[0].y) == pytest.approx(back / np.linalg.norm(back, axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("group_sort", {"widths": [5], "activation": "maxmin"}, "widths must be even"),
        ("gradient_penalty", {"widths": [0]}, "widths must be at least 1; got [0]"),
        ("gradient_penalty", {"betas": [0.0, 1.0]}, "betas must lie in [0, 1)"),
        ("spectral_norm", {"activation": "maxmin"}, "activation"),
        ("consistency", {"dropout": 1.0}, "dropout"),
    ],
)
def test_fields_that_make_no_sense_are_refused_in_one_line(name, fields, said):
    with pytest.raises(InputError) as refused:
        method(name, **fields)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
