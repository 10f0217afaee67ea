"""Critics of one's own among those of the literature: what each line says, and what is refused."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import otbench
from otbench.errors import InputError
from otbench.report.contest import Contest, contest
from otbench.types import SamplePair

LAWS = otbench.problem("translation", dim=3)
PAIR, FRESH = LAWS.sample(40, mode="independent"), LAWS.held_out(200)
POINTS = PAIR.x, PAIR.y, FRESH.x, FRESH.y
SMALL: dict[str, Any] = {"steps": 20, "widths": (8, 8), "batch": 16}

#: The direction in which the points of x lie farther than those of y.
AWAY = PAIR.x.mean(axis=0) - PAIR.y.mean(axis=0)


def along(z: np.ndarray) -> np.ndarray:
    """A critic of one's own: the best linear one, three times as steep."""
    return 3.0 * z @ AWAY / np.linalg.norm(AWAY)


@pytest.fixture(scope="module")
def found() -> Contest:
    critics = {"mine": along, "twice": lambda z: 2 * along(z)}
    return contest(critics, *POINTS, population_w1=LAWS.population_w1, lipschitz=6.0, **SMALL)


def line(found: Contest, critic: str) -> "pd.Series[Any]":
    return found.table.set_index("critic").loc[critic]


def test_there_is_a_line_for_every_critic_and_the_best_of_the_laws_is_first(found: Contest) -> None:
    table = found.table
    others = {"orthonormal", "spectral norm", "gradient penalty", "weight clipping", "c-transform"}
    assert set(table["critic"]) == {"mine", "twice", "sliced W1", "potential", "linear"} | others
    assert set(table[table["own"]]["critic"]) == {"mine", "twice"}
    assert list(table["laws"]) == sorted(table["laws"], reverse=True)
    assert set(table[table["seconds"] > 0]["critic"]) >= others
    assert set(table[table["rate"].notna()]["critic"]) == others


def test_one_function_has_one_standing_whoever_brings_it(found: Contest) -> None:
    mine, twice, linear = (line(found, name) for name in ("mine", "twice", "linear"))
    for row in (mine, twice):
        assert row["samples"] == pytest.approx(linear["samples"], rel=1e-9)
        assert np.isnan(row["direction"]), "a function of arrays has no gradients"
    # 6 is claimed of both: it is twice the constant of the one and that of the other, which is linear
    assert twice["laws"] == pytest.approx(linear["laws"], rel=1e-9)
    assert mine["laws"] == pytest.approx(linear["laws"] / 2, rel=1e-9)
    for end in ("laws_low", "laws_high"):
        assert twice[end] == pytest.approx(linear[end], rel=1e-9)


def test_a_line_says_what_audit_and_certify_say_of_critics_trained_by_hand(found: Contest) -> None:
    def critics(rate: float, seeds: range) -> list[Any]:
        recipe = otbench.method("group_sort", lr=rate, decay="linear", **SMALL)
        return [otbench.train(PAIR, recipe, seed=seed) for seed in seeds]

    def shares(rate: float, seeds: range) -> list[float]:
        return [otbench.audit(critic, PAIR.x, PAIR.y).slope / found.w1 for critic in critics(rate, seeds)]

    best = max((1e-4, 1e-3, 1e-2), key=lambda rate: shares(rate, range(100, 101))[0])
    told, row = shares(best, range(3)), line(found, "orthonormal")
    assert row["rate"] == best
    assert [row["samples_low"], row["samples"], row["samples_high"]] == pytest.approx(sorted(told), rel=1e-12)
    said = [otbench.certify(critic, FRESH.x, FRESH.y, level=0.975) for critic in critics(best, range(3))]
    assert row["laws"] == pytest.approx(np.median([each.estimate for each in said]) / LAWS.population_w1, rel=1e-12)
    assert row["laws_low"] == pytest.approx(min(each.lower for each in said) / LAWS.population_w1, rel=1e-12)
    highest = max(2 * each.estimate - each.lower for each in said)
    assert row["laws_high"] == pytest.approx(highest / LAWS.population_w1, rel=1e-12)


def test_no_share_of_the_samples_is_above_1_and_the_exact_potential_has_all_of_it(found: Contest) -> None:
    assert line(found, "potential")["samples"] == pytest.approx(1, abs=1e-9)
    assert (found.table["samples_high"] <= 1 + 1e-9).all()
    assert found.table["direction"].dropna().abs().max() <= 1 + 1e-12


def test_the_same_call_gives_the_same_table_but_for_its_seconds(found: Contest) -> None:
    critics = {"mine": along, "twice": lambda z: 2 * along(z)}
    again = contest(critics, *POINTS, population_w1=LAWS.population_w1, lipschitz=6.0, **SMALL)
    pd.testing.assert_frame_equal(again.table.drop(columns="seconds"), found.table.drop(columns="seconds"))
    assert again.about == found.about


def test_without_their_w1_shares_of_the_laws_are_of_the_held_out_points_and_said_to_be(found: Contest) -> None:
    module = nn.Linear(3, 1, bias=False, dtype=torch.float64)
    module.load_state_dict({"weight": torch.from_numpy(AWAY[None])})
    other = contest(module, *POINTS, **SMALL)
    w1 = otbench.solve_exact(FRESH.x, FRESH.y).w1
    assert (other.laws_w1, other.is_of_laws, found.is_of_laws) == (w1, False, True)
    assert line(other, "linear")["laws"] * w1 == pytest.approx(line(found, "linear")["laws"] * LAWS.population_w1)
    assert f"of the samples {found.w1:.6g}, of the held-out points {w1:.6g}" in str(other)
    assert "of the laws 1" in str(found)
    for name in ("samples", "laws", "laws_low", "laws_high", "direction"):
        assert line(other, "yours")[name] == pytest.approx(line(other, "linear")[name], rel=1e-6), "its module is that"


class Squash(nn.Module):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.special.erfcx(z.abs())


def conv(end: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64, 1)
    return nn.Sequential(*body, end)


def test_convolutions_take_images_and_the_others_the_same_images_as_vectors() -> None:
    patches = otbench.problem("patches", dim=192, comparison="brighter")
    pair, fresh = patches.sample(30, mode="independent"), patches.held_out(40)
    images = [part.reshape(-1, 3, 8, 8) for part in (pair.x, pair.y, fresh.x, fresh.y)]
    nets = {"known": conv(nn.Identity()), "odd": conv(Squash())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an untrained critic may have the wrong sign
        found = contest(nets, *images, population_w1=patches.population_w1, **SMALL)
        bounds = otbench.audit(nets["known"], *images[:2])
    row = line(found, "known")
    assert row["samples"] == bounds.slope / bounds.primal
    assert row["direction"] == bounds.plan_cosine
    assert row["laws"] == otbench.certify(nets["known"], *images[2:]).estimate / patches.population_w1
    assert found.table["critic"].iloc[-1] == "odd"
    assert np.isnan(line(found, "odd")["laws"])
    assert "odd: no constant is known everywhere: `Squash` (at 4) is not known" in str(found)
    assert found.table["laws"].notna().sum() == len(found.table) - 1
    flat = contest(lambda z: z[:, 0], pair.x, pair.y, fresh.x, fresh.y, population_w1=patches.population_w1, **SMALL)
    pd.testing.assert_series_equal(
        line(found, "orthonormal").drop("seconds"), line(flat, "orthonormal").drop("seconds")
    )


def test_the_picture_has_the_endings_that_it_is_written_in_and_equal_bytes(found: Contest, tmp_path: Path) -> None:
    first, again = found.draw(tmp_path / "new" / "mine.svg"), found.draw(str(tmp_path / "again"))
    assert [file.name for file in first] == ["mine.svg", "mine.png"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    with pytest.raises(InputError, match=r"draw writes SVG and PNG, as to mine\.svg and mine\.png; got mine\.pdf"):
        found.draw("mine.pdf")


def test_small_samples_of_lists_and_one_seed_do_and_no_number_is_minus_zero() -> None:
    few = [part[:5].tolist() for part in POINTS]
    told = str(contest(lambda z: -1e-4 * z[:, 0] + along(z), *few, seeds=1, steps=2))
    assert "n = 5 and 5, d = 3, 5 and 5 points held out" in told
    assert "the scores are those of one seed." in told
    assert "yours: no constant is known everywhere: a function tells none: pass lipschitz" in told
    with pytest.warns(UserWarning, match="wrong sign"):
        found = contest(lambda z: -along(z), *few, seeds=1, steps=0, lipschitz=1e9)
    assert line(found, "yours")["laws"] < 0, "and it is told as 0.00"
    assert "-0.00" not in str(found)


def test_a_critic_that_is_low_on_x_is_told_by_its_name() -> None:
    with pytest.warns(UserWarning, match=r"wrong sign: .* \(upside down\)") as caught:
        found = contest({"upside down": lambda z: -along(z)}, *POINTS, lipschitz=3.0, **SMALL)
    assert line(found, "upside down")["samples"] == 0
    assert line(found, "upside down")["laws"] < 0
    assert caught[0].filename == __file__


def test_a_method_that_diverges_tells_nothing_and_the_others_stand() -> None:
    far = [1e25 * part for part in POINTS]
    found = contest(lambda z: z @ AWAY, *far, lipschitz=float(np.linalg.norm(AWAY)), **SMALL)
    diverged = found.table[found.table["diverged"] > 0]
    assert len(diverged) >= 1
    assert (diverged[["samples", "laws", "direction"]] == 0).all(axis=None)
    assert line(found, "linear")["samples"] == pytest.approx(line(found, "yours")["samples"])
    assert line(found, "linear")["diverged"] == 0
    assert "100%" in str(found)


def same() -> SamplePair:
    return SamplePair(PAIR.x, PAIR.x)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"critics": {}}, "contest takes a critic, or a mapping from names to critics; got an empty mapping"),
        ({"critics": {"a": along, "b": 3}}, "b: a critic must be a torch.nn.Module or a function"),
        ({"critics": {"mine": lambda z: z.no_such}}, "mine: the critic raised AttributeError"),
        ({"critics": {"mine": lambda z: z}}, "mine: "),
        ({"fresh_x": FRESH.x[:, :2]}, "held-out points: x and y must have the same dimension; got 2 and 3"),
        ({"fresh_x": FRESH.x[:, :2], "fresh_y": FRESH.y[:, :2]},
         r"held-out points must have the shape of the others, \(3,\); got \(2,\)"),
        ({"fresh_x": FRESH.x[:1]}, "needs points that weigh as 2 equal ones at least"),
        ({"y": PAIR.x}, "W1 of the two samples is 0, of which nothing is a share"),
        ({"fresh_y": FRESH.x}, "W1 of the held-out points is 0, of which nothing is a share"),
        ({"x": PAIR.x[:0]}, "x must hold at least one point"),
        ({"population_w1": 0}, "population_w1 must be a finite number above 0, or None; got 0"),
        ({"population_w1": float("nan")}, "population_w1 must be a finite number above 0, or None; got nan"),
        ({"population_w1": "one"}, "population_w1 must be a finite number above 0, or None; got 'one'"),
        ({"lipschitz": 1.0}, "yours: "),
        ({"seeds": 0}, "seeds must be a whole number of at least 1; got 0"),
        ({"steps": -1}, "steps"),
        ({"widths": 8}, "widths: input should be a valid tuple; got 8"),
        ({"widths": "88"}, "widths: input should be a valid tuple; got '88'"),
        ({"widths": (0,)}, "widths must be at least 1"),
        ({"batch": 0}, "batch"),
        ({"device": "tpu"}, "tpu"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_in_one_line(change: dict[str, Any], said: str) -> None:
    arguments = dict(zip(("critics", "x", "y", "fresh_x", "fresh_y"), (along, *POINTS), strict=True))
    with pytest.raises(InputError, match=said) as refused:
        contest(**(arguments | {"lipschitz": 6.0} | SMALL | change))
    assert "\n" not in str(refused.value)
