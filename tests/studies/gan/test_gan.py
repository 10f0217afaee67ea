"""Generators in training: held to the plain loop, to their plan, and to the data they learn."""

import itertools

import numpy as np
import pytest
import torch
from small_gan import PLAN, declare_gan, small_plan, timeless
from torch import nn

from otbench.errors import InputError
from otbench.experiment.declaration import load_experiment
from otbench.methods.training.minibatch import stream_seed
from otbench.results.schema import MEASUREMENTS
from otbench.studies.dispatch import measure
from otbench.studies.gan.critics import ClippedCritics
from otbench.studies.gan.plan import GanBatch, GeneratorPlan
from otbench.studies.gan.targets import MODES, ring, ring_modes, swiss_roll, target
from otbench.studies.gan.training import Gans


def network(stack, k):
    """Network k of a stack as torch's own layers."""
    layers = []
    for weight, bias in zip(stack.weights, stack.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[2])
        linear.weight.data, linear.bias.data = weight[k].T.clone(), bias[k, 0].clone()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_the_stacked_loop_is_the_plain_one():
    """Arjovsky, Chintala, Bottou 2017, Algorithm 1, with torch's modules, autograd and RMSprop, a GAN at a time."""
    plan = small_plan(clip=[0.02, 0.1])
    seen = ring(np.random.default_rng(0), 500)
    gans, twin = (Gans(plan, GanBatch("ring", 2e-3, 5, 3), seen, "cpu") for _ in range(2))
    draws = [(twin._draw(twin.rng, 3), twin._latent(twin.rng, 1)[0]) for _ in range(6)]
    for k, clip in enumerate(plan.clip):
        critic, generator = network(twin.critics.stack, k), network(twin.generators, k)
        optimisers = [torch.optim.RMSprop(part.parameters(), lr=2e-3) for part in (critic, generator)]
        for of_critic, of_generator in draws:
            for real, latent in of_critic:
                optimisers[0].zero_grad()
                loss = -critic(real[k]).mean() + critic(generator(latent[k]).detach()).mean()
                loss.backward()
                optimisers[0].step()
                for parameter in critic.parameters():
                    parameter.data.clamp_(-clip, clip)
            optimisers[1].zero_grad()
            (-critic(generator(of_generator[k])).mean()).backward()
            optimisers[1].step()
        if k == 0:
            gans.run(4)
            readers = gans.run(2)  # in parts or at once
        assert readers.printed[k] == pytest.approx(loss.item(), rel=1e-3, abs=1e-6)
        expected = generator(twin.fixed_latent[k]).detach().numpy()
        assert gans.generated()[k] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
@pytest.mark.parametrize("widths", [(), (7,), (7, 5, 6)])
def test_the_slopes_of_a_stack_are_those_of_its_networks(activation, widths):
    from otbench.methods.training.network import Stack
    from otbench.methods.training.parameters import initial_parameters

    shapes = list(itertools.pairwise((4, *widths, 1)))
    stack = Stack(torch.stack([initial_parameters(shapes, s, None) for s in range(3)]), shapes, activation, 10)
    points = torch.randn(3, 10, 4, generator=torch.Generator().manual_seed(0))
    for k, critic in enumerate(stack.read(stack.parameters, [None] * 3)):
        assert stack.slopes(points)[k].numpy() == pytest.approx(critic.gradients(points[k].numpy()), abs=1e-5)
        assert stack.values(points)[k, :, 0].numpy() == pytest.approx(critic.values(points[k].numpy()), abs=1e-5)


def test_a_clip_value_does_not_feel_the_others():
    both, other = (small_plan(clip=clip) for clip in ([0.01, 0.1], [0.1, 1.0]))
    (job,) = both.jobs()
    assert job in other.jobs()
    first, second = (timeless(measure(plan, job, "cpu")) for plan in (both, other))
    assert [r for r in first if r["clip"] == 0.1] == [r for r in second if r["clip"] == 0.1]


def test_all_clip_values_begin_with_one_generator_and_one_floor():
    plan = small_plan(clip=[0.001, 0.1, 1.0])
    records = measure(plan, next(iter(plan.jobs())), "cpu")
    start = [record for record in records if record["iteration"] == 0]
    assert len({record["primal"] for record in start}) == len({record["floor"] for record in records}) == 1
    assert {record["printed"] for record in start} == {None}
    assert len({record["primal"] for record in records if record["iteration"] == 4}) == 3


def test_critics_that_are_trained_afresh_read_the_loop_s_generators_and_leave_it_as_it_was():
    both, alone = (small_plan(n_critic=entries) for entries in ([5, "converged"], [5]))
    (job,) = both.jobs()
    records = timeless(measure(both, job, "cpu"))
    loop, afresh = ([r for r in records if r["n_critic"] == name] for name in ("5", "converged"))
    assert loop == timeless(measure(alone, job, "cpu"))
    of_points = ("clip", "iteration", "primal", "nearest", "longest_move", "modes", "floor")
    assert [[r[name] for name in of_points] for r in loop] == [[r[name] for name in of_points] for r in afresh]
    assert all(r["raw"] != s["raw"] for r, s in zip(loop, afresh, strict=True))
    assert {(r["printed"] is None, r["raw_half"] is None) for r in afresh} == {(False, False)}
    assert {(r["printed"] is None, r["raw_half"] is None) for r in loop} == {(False, True), (True, True)}


def test_critics_that_are_trained_afresh_are_the_plain_loop_on_a_generator_that_stands_still():
    plan = small_plan(clip=[0.02, 0.1], retrain_steps=8, retrain_rate=0.1)
    gans = Gans(plan, GanBatch("ring", 2e-3, 5, 5), ring(np.random.default_rng(0), 500), "cpu")
    gans.run(2)
    seed = stream_seed("retrained", 5, 75)
    rng = np.random.default_rng(seed % 2**64)
    draws = gans._draw(rng, 4) + gans._draw(rng, 4)
    readers = gans.retrain(75)
    for k, clip in enumerate(plan.clip):
        critic = network(ClippedCritics(plan, 2, seed, [1.0, 1.0], "cpu").stack, k)
        optimiser, generator = torch.optim.RMSprop(critic.parameters(), lr=0.1 * clip), network(gans.generators, k)
        for step, (real, latent) in enumerate(draws):
            if step == 4:
                values = critic(real[k]).detach().numpy()[:, 0], readers.halfway[k].values(real[k].numpy())
                # up to a constant: the gradient of the last bias is rounding, which RMSProp makes a step of
                halfway, found = (v - v.mean() for v in values)
                assert found == pytest.approx(halfway, rel=1e-3, abs=1e-3 * float(np.ptp(halfway)))
            optimiser.zero_grad()
            loss = -critic(real[k]).mean() + critic(generator(latent[k]).detach()).mean()
            loss.backward()
            optimiser.step()
            for parameter in critic.parameters():
                parameter.data.clamp_(-clip, clip)
        assert readers.printed[k] == pytest.approx(loss.item(), rel=1e-3, abs=1e-6)
        assert max(np.abs(w).max() for w in readers.critics[k].weights) == np.float32(clip)  # its box is reached


def test_no_point_that_is_read_is_trained_on():
    """Of either side: points of the data that are held out are not seen, and latent points of readings never drawn."""
    plan = small_plan(datasets=["ring", "swiss_roll", "digits"])
    for name in plan.datasets:
        goal = target(name, 100, seed=1)
        gans = Gans(plan, GanBatch(name, 2e-3, 1, 5), goal.seen, "cpu")
        drawn = [gans._draw(gans.rng, 5) for _ in range(20)]
        seen = {row.tobytes() for batch in drawn for real, _ in batch for row in real[0].double().numpy()}
        assert seen <= {row.tobytes() for row in goal.seen.astype(np.float32).astype(float)}
        read = [row.tobytes() for row in goal.held_out.astype(np.float32).astype(float)]
        assert sum(row in seen for row in read) <= (1 if name == "digits" else 0)  # the digits hold a twin or two
        latent = {row.tobytes() for batch in drawn for _, z in batch for row in z[0].numpy()}
        assert latent.isdisjoint(row.tobytes() for row in gans.fixed_latent[0].numpy())


def test_a_generator_comes_closer_to_the_data():
    plan = small_plan(datasets=["swiss_roll"], clip=[0.01, 0.03], iterations=300, every=300, batch=64, critic=[64, 64],
                      generator=[64, 64], latent=8, n=256)  # fmt: skip
    records = measure(plan, next(iter(plan.jobs())), "cpu")
    for before, after in zip(records[:2], records[2:], strict=True):
        assert after["primal"] < before["primal"] / 2
        assert after["primal"] > after["floor"]


def test_a_key_says_all_that_its_record_depends_on():
    keys = [key for records in small_plan().records("cpu").values() for key in records]
    assert len(set(keys)) == len(keys) == 2 * 3
    for fields in ({"batch": 9}, {"critic": [9]}, {"latent": 4}, {"n": 25}, {"n_critic": [4]}, {"lr": [1e-3]},
                   {"retrain_steps": 7}, {"retrain_rate": 0.02}):  # fmt: skip
        assert not set(keys) & {k for r in small_plan(**fields).records("cpu").values() for k in r}, fields
    more = {"clip": [0.01, 0.1, 1.0], "seeds": [0, 1], "n_critic": [1, "converged", 5]}
    wider = [k for r in small_plan(**more).records("cpu").values() for k in r]
    assert len(set(wider)) == len(wider) == 3 * 2 * 3 * 3
    assert set(keys) < set(wider)


def test_the_records_of_a_job_are_those_that_were_planned():
    plan = small_plan(datasets=["swiss_roll"], seeds=[3], n_critic=["converged", 5])
    ((job, keys),) = plan.records("cpu").items()
    records = measure(plan, job, "cpu")
    assert [record["key"] for record in records] == keys
    MEASUREMENTS.validate_python([record | {"machine": "m"} for record in records])


def test_modes_are_counted_by_their_share():
    rng = np.random.default_rng(0)
    sample = ring(rng, 800)
    assert ring_modes(sample) == MODES
    assert ring_modes(sample[sample[:, 0] > 0.5]) == 3
    assert ring_modes(np.zeros((100, 2))) == 0
    assert ring_modes(np.tile([[2.0, 0.0]], (100, 1))) == 1
    few = np.concatenate([np.tile([[2.0, 0.0]], (969, 1)), np.tile([[-2.0, 0.0]], (31, 1))])
    assert ring_modes(few) == 1  # 31 of 1000 are less than a quarter of an eighth
    assert ring_modes(few[1:]) == 1
    assert ring_modes(np.concatenate([few, few[-1:]])) == 2


def test_digits_are_split_and_all_ten_are_found_among_those_held_out():
    goal = target("digits", 300, seed=4)
    assert goal.modes is not None
    assert goal.modes(goal.held_out) == 10
    assert goal.modes(np.tile(goal.seen[:1], (50, 1))) == 1
    seen = {row.tobytes() for row in goal.seen}
    assert len(goal.seen) == 898
    assert sum(row.tobytes() in seen for row in goal.held_out) <= 1  # the data holds no more than a twin or two
    assert (target("digits", 300, seed=4).held_out == goal.held_out).all()
    assert (target("digits", 300, seed=5).held_out != goal.held_out).any()


def test_the_laws_lie_where_they_should():
    rng = np.random.default_rng(0)
    assert np.linalg.norm(ring(rng, 4000), axis=1) == pytest.approx(2.0, abs=0.5)
    assert ring(rng, 4000).mean(axis=0) == pytest.approx([0, 0], abs=0.15)
    radius = np.linalg.norm(swiss_roll(rng, 4000), axis=1)
    assert (radius.min() > 0.3, radius.max() < 2.2) == (True, True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clip = [0.01, 0.1]", "clip = [0.01]", "clip: .*at least 2 items"),
        ("clip = [0.01, 0.1]", "clip = [0.01, 0.0]", "clip.1: input should be greater than 0"),
        ('"digits"', '"digit"', "datasets.1: input should be 'ring', 'swiss_roll' or 'digits'"),
        ('"converged"', '"convergd"', "n_critic.2: must be a number of steps from 1 on, or 'converged'; got"),
        ("n_critic = [2,", "n_critic = [0,", "n_critic.0: must be a number of steps from 1 on"),
        ("latent", "latnt", "unknown field of generator table 'latnt': did you mean 'latent'"),
        ("n = 24", "n = 1000", "n: input should be less than or equal to 898"),
        ("[generator]", "[generators]", "unknown field of experiment file 'generators': did you mean 'generator'"),
    ],
)
def test_a_plan_that_is_not_understood_is_one_line(old, new, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        declare_gan(tmp_path, PLAN.replace(old, new, 1))
    assert "\n" not in str(error.value)


def test_the_declared_experiment_sweeps_the_papers_clip_value_on_all_three_data_sets():
    plan = load_experiment("generator").plan
    assert isinstance(plan, GeneratorPlan)
    assert (set(plan.datasets), 0.01 in plan.clip, 5e-5 in plan.lr) == ({"ring", "swiss_roll", "digits"}, True, True)
    assert {1, 5, 50, "converged"} <= set(plan.n_critic)
    assert len(plan.seeds) >= 5
    assert len(plan.readings()) > 20
