"""Discriminators as critics: held to a plain autograd loop, to closed forms, and to the rules of their rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small import change, declare, lines
from torch import nn

from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.runner import run_experiment
from otbench.methods import Discriminator, WeightClip, method
from otbench.methods.train import train
from otbench.methods.training.logistic import TOGETHER, train_discriminators
from otbench.methods.training.minibatch import STEPS_PER_BLOCK, MinibatchSource
from otbench.methods.training.parameters import initial_parameters
from otbench.problems import problem
from otbench.report.check.rules import check_results, divergences
from otbench.report.markdown import write_tables
from otbench.results.folder import Stored
from otbench.results.store import Results
from otbench.results.tables.cells import frame_of
from otbench.transport.divergences import js_estimate


def plain_discriminator(pair, recipe, seed):
    """The logit after ``steps`` steps of torch's own layers, loss, derivative and Adam, on the same minibatches."""
    sizes = recipe.shapes(pair.dim)
    layers = [part for rows, cols in sizes for part in (nn.Linear(rows, cols), nn.ReLU())][:-1]
    network = nn.Sequential(*layers)
    flat = initial_parameters(sizes, seed, None)
    nn.utils.vector_to_parameters(flat, network.parameters())
    source = MinibatchSource([pair], [seed], recipe.batch, flat)
    optimiser, loss = torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=recipe.betas), nn.BCEWithLogitsLoss()
    real = torch.cat([torch.ones(recipe.batch, 1), torch.zeros(recipe.batch, 1)])
    for step in range(recipe.steps):
        if step % STEPS_PER_BLOCK == 0:
            source.draw(step, STEPS_PER_BLOCK)
        optimiser.zero_grad()
        (2 * loss(network(source.points(step % STEPS_PER_BLOCK)[0]), real)).backward()
        optimiser.step()
    return network


def test_the_batched_discriminator_is_the_plain_one():
    pairs = [problem("translation", dim=3, shift=s).sample(100) for s in (0.5, 2.0)]
    recipe = Discriminator(widths=(9, 7), batch=16, steps=70)
    for pair, fitted, seed in zip(pairs, train_discriminators(pairs, recipe, [3, 4]), (3, 4), strict=True):
        network = plain_discriminator(pair, recipe, seed)
        expected = network(torch.from_numpy(pair.x).float())[:, 0].detach().numpy()
        assert fitted.values(pair.x) == pytest.approx(expected, abs=2e-4)
        assert fitted.constants()[0] is None


@pytest.mark.parametrize("fresh", [False, True])
def test_a_discriminator_does_not_depend_on_its_batch(fresh: bool) -> None:
    """Of more than are trained together, each has its own points or law, the last ones, which are few, too."""
    laws = [problem("segments", theta=t) for t in np.linspace(-1, 1, TOGETHER + 3)]
    pairs = [law.sample(64, mode="coupled") for law in laws]
    recipe, seeds = Discriminator(widths=(8, 8), batch=8, steps=20), list(range(len(laws)))
    together = train_discriminators(pairs, recipe, seeds, laws=laws if fresh else None)
    for k in (0, 5, TOGETHER - 1, TOGETHER, TOGETHER + 2):
        (alone,) = train_discriminators([pairs[k]], recipe, [seeds[k]], laws=[laws[k]] if fresh else None)
        assert (alone.values(pairs[k].x) == together[k].values(pairs[k].x)).all()


def test_a_discriminator_and_a_clipped_critic_of_one_seed_start_alike():
    """Common random numbers: what differs between them is the loss and the box."""
    pair = problem("translation", dim=3).sample(20)
    (discriminator,) = train_discriminators([pair], Discriminator(widths=(5, 5), steps=1, lr=1e-30), [7])
    critic = train(pair, WeightClip(widths=(5, 5), steps=0, clip=10.0), seed=7)
    assert (discriminator.values(pair.x) == critic.values(pair.x)).all()


def test_a_trained_discriminator_comes_close_to_js_of_gaussians():
    p = problem("translation", dim=2, shift=1.5)
    pair = p.sample(4000)
    (fitted,) = train_discriminators([pair], Discriminator(widths=(32, 32), steps=600), [0])
    estimate = js_estimate(fitted.values(pair.x), fitted.values(pair.y), pair.a, pair.b)
    assert estimate == pytest.approx(p.population_js, abs=0.02)


def test_a_discriminator_that_diverges_is_a_result():
    pair = problem("segments", theta=1.0).sample(16, mode="coupled")
    (fitted,) = train_discriminators([pair], Discriminator(widths=(4,), batch=4, steps=5, lr=1e38), [0])
    assert (fitted.status, fitted.critic) == ("diverged", None)
    assert "not finite after 5 steps" in fitted.reason


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"widths": [8, 0]}, "widths.1: input should be greater than or equal to 1; got 0"),
        ({"clip": 0.1}, "unknown field of method 'discriminator' 'clip'"),
        ({"steps": 0}, "steps: input should be greater than or equal to 1; got 0"),
    ],
)
def test_a_discriminator_that_is_not_understood_is_refused(fields, message):
    with pytest.raises(Exception, match=message):
        method("discriminator", **fields)


THETAS = [-1.0, -0.25, 0.0, 0.25, 1.0]


@pytest.fixture(scope="module")
def moved(tmp_path_factory) -> Path:
    """A small sweep of theta through 0, really run."""
    folder = tmp_path_factory.mktemp("saturation")
    experiment = declare(
        folder,
        problem=f'[{{ name = "segments", theta = {THETAS} }}, {{ name = "translation", dim = 2, scale = 0.1, '
        f'shift = {THETAS} }}, {{ name = "scaling", dim = 2, factor = [0.5, 2.0] }}]',
        sampling='{ n = 64, mode = "coupled" }',
        method='[{ name = "discriminator", widths = [16], steps = 600, lr = 0.01 }, '
        '{ name = "weight_clip", widths = [16], steps = 300 }]',
        seeds="[0, 1]",
    )
    run_experiment(experiment, folder / "results" / "tiny")
    write_tables(Results(folder / "results" / "tiny"), "csv")
    return folder / "results" / "tiny"


def test_the_checker_agrees_with_the_sweep(moved):
    assert {rule: found for rule, found in check_results(Results(moved)).items() if found} == {}


def test_the_old_loss_saturates_and_w1_does_not(moved):
    table = Stored(Results(moved)).tables["saturation"]
    for name in ("segments", "translation"):
        part = table[table["problem.name"] == name].set_index(["critic", "theta"])
        gan, wgan = part.loc["discriminator"], part.loc["weight_clip"]
        assert list(gan.index) == THETAS
        assert gan["primal_median"].to_numpy() == pytest.approx(np.abs(THETAS), abs=1e-12)  # W1(P, P) = 0 among them
        assert gan.loc[[-1.0, 1.0], "js_median"].to_numpy() == pytest.approx(np.log(2), abs=0.01)
        assert gan.loc[0.0, "js_median"] <= 0
        assert gan.loc[[-1.0, 1.0], "js_gradient_median"].abs().max() < 0.02
        assert (np.sign(wgan["raw_gradient_over_slope_median"].drop(0.0)) == [-1, -1, 1, 1]).all()
        assert wgan["raw_gradient_over_slope_median"].drop(0.0).abs().min() > 0.4
        assert wgan["js_median"].isna().all()
    segments = table[table["problem.name"] == "segments"]
    assert segments["population_kl"].tolist() == [0.0 if t == 0 else np.inf for t in segments["theta"]]
    exchanged = table[table["problem.name"] == "scaling"]
    assert exchanged["population_js"].nunique() == 1
    assert exchanged["population_kl"].nunique() == 2


def test_the_gradient_over_the_slope_is_at_most_one_where_points_move_at_unit_speed(moved):
    """A mean of directional derivatives is at most the spectral constant."""
    frame = frame_of(Results(moved).rows())
    frame = frame[frame["problem.name"] != "scaling"]
    assert (frame["raw_gradient"].abs() <= frame["grad_norm_max"] * (1 + 1e-9)).all()
    logits = frame[frame["js"].notna()]
    assert (logits["js_gradient"].abs() <= logits["grad_norm_max"] / 2).all()



def test_other_experiments_have_no_saturation_table(small_results):
    assert "saturation" not in Stored(Results(small_results)).tables


@pytest.mark.parametrize(
    ("rule", "where", "columns"),
    [
        ("JS of the laws <= TV log 2", {}, {"population_js": 0.7}),
        ("TV^2 / 2 <= JS of the laws", {"problem.theta": 1.0}, {"population_js": 0.4}),
        ("2 TV^2 <= KL of the laws", {"problem.factor": 2.0}, {"population_kl": 0.3}),
        ("JS estimate <= TV log 2", {"problem.theta": 0.0, "method.name": "discriminator"}, {"js": 0.01}),
        ("JS estimate <= TV log 2", {"problem.theta": 1.0, "method.name": "discriminator"}, {"js": 0.7}),
        ("JS estimate", {"method.name": "discriminator"}, {"js": None}),
        ("its gradient", {"method.name": "discriminator"}, {"js_gradient": None}),
    ],
)
def test_a_planted_fault_in_the_old_loss_is_found(rule, where, columns, moved, tmp_path):
    results = Results(tmp_path)
    (tmp_path / "rows.jsonl").write_bytes((moved / "rows.jsonl").read_bytes())
    change(results, lambda row: all(row.get(name) == value for name, value in where.items()), **columns)
    assert rule in {violation.rule for violation in divergences(frame_of(results.rows()))}


def test_rows_hold_no_infinity(moved):
    for row in lines(moved / "rows.jsonl"):
        json.dumps(row, allow_nan=False)
    apart = [row for row in lines(moved / "rows.jsonl") if row.get("problem.theta")]
    assert {row["population_kl"] for row in apart} == {None}


def test_the_declared_sweep_goes_through_zero_on_both_families_and_exchanges_the_sides():
    cells = load_experiment("saturation").cells
    frame = pd.DataFrame([cell.columns() for cell in cells])
    for column in ("problem.theta", "problem.shift"):
        thetas = sorted(frame[column].dropna().unique())
        assert thetas[0] == -1.0
        assert 0.0 in thetas
        assert thetas == [-t for t in reversed(thetas)]
    pairs = {(c.problem.sigma, c.problem.sigma * c.problem.factor) for c in cells if c.problem.name == "scaling"}
    assert {pair[::-1] for pair in pairs} == pairs


def test_with_a_law_every_step_sees_fresh_points_and_never_the_sample() -> None:
    """Equal laws and seeds give one discriminator, whatever the samples are that it is read on."""
    law = problem("translation", dim=2, shift=1.0)
    pairs = [law.sample(16, mode="population", seed=seed) for seed in (0, 1)]
    method = Discriminator(widths=(8,), steps=40, batch=8)
    one, other = train_discriminators(pairs, method, [3, 3], laws=[law, law])
    z = pairs[0].x
    assert np.array_equal(one.values(z), other.values(z))
    (on_points,) = train_discriminators(pairs[:1], method, [3])
    assert not np.array_equal(one.values(z), on_points.values(z))
    (alone,) = train_discriminators(pairs[:1], method, [3], laws=[law])
    assert np.array_equal(alone.values(z), one.values(z))
