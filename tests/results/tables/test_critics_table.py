"""The contest of critics: whose rate is read, what is averaged, and which critics are not told apart."""

import itertools

import numpy as np
import pandas as pd
import pytest

from otbench.report.figures.critics import critics as picture
from otbench.results.tables.critics import COMPETED_IN, critics

SEEDS, PROBLEMS, DIMS = (0, 1, 2), ("balls", "lift"), (2,)


def made(told, seconds=lambda critic, steps: steps / 1000):
    """Rows and times in which ``told(critic, rate, steps, problem, dim, seed)`` is every number that is told."""
    rows = []
    for critic, problem, dim, seed in itertools.product(("a", "b", "c"), PROBLEMS, DIMS, (*SEEDS, 100)):
        for rate, steps in [(None, None)] if critic == "c" else itertools.product((0.1, 0.2), (200, 900)):
            value = told(critic, rate, steps, problem, dim, seed)
            rows.append({
                "critic": critic, "problem.name": problem, "problem.dim": dim, "seed": seed, "method.name": critic,
                "method.lr": rate, "method.steps": steps, "status": "diverged" if value is None else "ok",
                "key": f"{critic} {problem} {dim} {seed} {rate} {steps}", **dict.fromkeys(COMPETED_IN, value),
                "seconds_fit": seconds(critic, steps or 0),
            })  # fmt: skip
    frame = pd.DataFrame(rows)
    return frame.drop(columns="seconds_fit"), frame[["key", "seconds_fit"]]


def line(table, **where):
    names = {"problem": "problem.name", "dim": "problem.dim"}
    for name, value in where.items():
        table = table[table[names.get(name, name)] == value]
    assert len(table) == 1, where
    return table.iloc[0]


def noisy(critic, rate, steps, problem, dim, seed):
    rng = np.random.default_rng([ord(critic), int(10 * (rate or 0)), steps or 0, len(problem), dim, seed])
    return rng.uniform()


def test_a_rate_is_chosen_on_the_tuning_seed_and_read_on_the_others():
    def told(critic, rate, steps, problem, dim, seed):
        good = 0.2 if problem == "balls" else 0.1
        if seed >= 100:
            return 0.9 if rate == good else 0.1
        return 0.3 if rate == good else 0.7  # elsewhere the other rate is better, which nobody may know

    table = critics(*made(told))
    for problem, rate in (("balls", 0.2), ("lift", 0.1)):
        found = line(table, problem=problem, dim=2, label="a", budget="900_steps")
        assert (found["rate"], found["slope_over_w1"], found["seeds"]) == (rate, pytest.approx(0.3), 3)


def test_averages_are_over_problems_and_seeds_at_the_chosen_rate():
    frame, times = made(noisy)
    table = critics(frame, times)
    for label, dim, budget in itertools.product("ab", DIMS, ("200_steps", "900_steps")):
        steps, means = int(budget.split("_")[0]), []
        for problem in PROBLEMS:
            rate = max((0.1, 0.2), key=lambda r, p=problem: noisy(label, r, steps, p, dim, 100))
            means.append(np.mean([noisy(label, rate, steps, problem, dim, seed) for seed in SEEDS]))
            own = line(table, problem=problem, dim=dim, label=label, budget=budget)
            assert own["held_out_over_population_w1"] == pytest.approx(means[-1])
            assert own["held_out_over_population_w1_low"] <= means[-1] <= own["held_out_over_population_w1_high"]
        found = line(table, problem="all", dim=dim, label=label, budget=budget)
        assert found["held_out_over_population_w1"] == pytest.approx(np.mean(means))
        assert found["held_out_over_population_w1_low"] <= np.mean(means) <= found["held_out_over_population_w1_high"]


def test_a_diverged_critic_tells_nothing_and_is_counted():
    table = critics(*made(lambda critic, rate, steps, problem, dim, seed: None if critic == "a" and seed == 1 else 0.6))
    found = line(table, problem="balls", dim=2, label="a", budget="200_steps")
    assert (found["slope_over_w1"], found["diverged"]) == (pytest.approx(0.4), pytest.approx(1 / 3))


def test_a_problem_that_knows_no_direction_is_in_no_average_of_it():
    frame, times = made(lambda critic, rate, steps, problem, dim, seed: 0.6 if problem == "balls" else 0.8)
    table = critics(frame.assign(fresh_cosine=frame["fresh_cosine"].where(frame["problem.name"] == "balls")), times)
    found = line(table, problem="all", dim=2, label="a", budget="200_steps")
    assert (found["fresh_cosine"], found["slope_over_w1"]) == (pytest.approx(0.6), pytest.approx(0.7))
    assert np.isnan(line(table, problem="lift", dim=2, label="a", budget="200_steps")["fresh_cosine"])


def test_equal_critics_share_their_ranks_and_a_better_one_is_first():
    better = {"a": 0.9, "b": 0.5, "c": 0.5}
    table = critics(*made(lambda critic, rate, steps, problem, dim, seed: better[critic] + seed / 100))
    ranks = {c: line(table, problem="all", dim=2, label=c, budget="200_steps") for c in "abc"}
    told = {c: tuple(ranks[c][f"fresh_cosine_rank{end}"] for end in ("", "_low", "_high")) for c in "abc"}
    assert told == {"a": (1, 1, 1), "b": (2, 2, 2), "c": (2, 2, 2)}


def test_critics_whose_seeds_overlap_have_ranks_that_overlap():
    jump = {"a": (0.2, 0.9, 0.5), "b": (0.8, 0.3, 0.55)}
    table = critics(*made(lambda critic, rate, steps, problem, dim, seed: jump.get(critic, (0, 0, 0))[seed % 3]))
    a, b = (line(table, problem="all", dim=2, label=c, budget="900_steps") for c in "ab")
    assert a["slope_over_w1_rank_low"] < a["slope_over_w1_rank_high"]
    assert max(a["slope_over_w1_rank_low"], b["slope_over_w1_rank_low"]) <= min(
        a["slope_over_w1_rank_high"], b["slope_over_w1_rank_high"]
    )


def test_a_budget_of_seconds_is_the_most_steps_within_it():
    slow = {"a": 1.0, "b": 0.1, "c": 0.0}
    table = critics(*made(noisy, lambda critic, steps: slow[critic] * steps / 300))
    steps = {c: line(table, problem="all", dim=2, label=c, budget="1_s")["steps"] for c in "abc"}
    assert steps == {"a": 200, "b": 900, "c": 0}
    assert set(table[(table["budget"] == "0.3_s") & (table["problem.name"] == "all")]["label"]) == {"b", "c"}


def test_seconds_to_nine_tenths_are_those_of_the_fewest_steps():
    reach = {"a": {200: 0.91, 900: 0.95}, "b": {200: 0.89, 900: 0.9}}

    def told(critic, rate, steps, problem, dim, seed):
        return reach[critic][steps] if critic in reach else 0.2

    table = critics(*made(told))
    seconds = {c: line(table, problem="all", dim=2, label=c, budget="900_steps")["seconds_to_90"] for c in "abc"}
    assert (seconds["a"], seconds["b"]) == (0.2, 0.9)
    assert np.isnan(seconds["c"])


@pytest.mark.parametrize("seeds", [{0, 1}, {100, 101}])
def test_there_is_no_contest_without_seeds_of_either_kind(seeds):
    frame, times = made(noisy)
    renamed = frame["seed"].map(lambda seed: min(seeds) if seed < 100 else max(seeds))
    assert critics(frame.assign(seed=renamed), times) is None


def test_the_picture_shows_every_mean_of_the_largest_budget():
    table = critics(*made(noisy))
    panels = picture(table, "1024").axes
    for panel, name in zip(panels, COMPETED_IN, strict=True):
        shown = sorted(x for drawn in panel.lines if drawn.get_linestyle() == "None" for x in drawn.get_xdata())
        rows = table[(table["problem.name"] == "all") & (table["budget"] == "900_steps")]
        assert shown == pytest.approx(sorted(rows[name]))
