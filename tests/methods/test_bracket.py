"""The bracket of two laws from two samples: it holds what is known, says what it rests on, refuses what breaks it."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pytest
from command_line import Otbench, assert_one_line

import otbench
from otbench.errors import InputError
from otbench.methods import Fitted, Job, Method
from otbench.methods import estimate as bracket
from otbench.methods.estimate import BLOCKS, Estimate, estimate
from otbench.methods.functions import UserFunction

FAST = ("linear", "potential")


def two(name: str, seed: int, n: int = 300, m: int = 200, **fields: Any) -> tuple[np.ndarray, np.ndarray]:
    pair = otbench.problem(name, **fields).sample(n, m, seed=seed)
    return pair.x, pair.y


@pytest.fixture(scope="module")
def found() -> Estimate:
    x, y = two("translation", 0, dim=3, shift=2.0)
    return estimate(x, y, methods=FAST)


def test_the_bracket_holds_w1_of_the_laws_and_the_samples_have_their_own(found: Estimate) -> None:
    x, y = two("translation", 0, dim=3, shift=2.0)
    assert 0 < found.lower < 2.0 < found.upper
    assert found.sample_w1 == pytest.approx(otbench.solve_exact(x, y).w1, rel=1e-9)
    assert (found.sizes, found.sample_sizes, found.dim) == ((300, 200), (300, 200), 3)
    assert found.block_sizes == (60, 40)
    assert found.best is not None
    assert found.lower == found.critics[found.best].lower


def test_of_equal_laws_the_bracket_starts_at_zero() -> None:
    """A bracket that excludes 0 is wrong, and may be so in one of forty: none of four is."""
    for seed in range(4):
        x, y = two("shared_mass", seed, dim=2, overlap=1.0)
        found = estimate(x, y, methods=FAST)
        assert found.lower == 0.0
        assert found.upper > 0.0


def test_the_levels_of_its_sides_add_up(found: Estimate) -> None:
    """By hand: a fortieth below, shared by two critics, and a fortieth above, with Student's t of four degrees."""
    from scipy.stats import t

    for critic in found.critics.values():
        said = critic.held_out
        margin = t.ppf(1 - 0.025 / 2, said.dof) * said.stderr
        assert critic.lower == pytest.approx((said.raw - said.raw_error - margin) / critic.constant, rel=1e-9)
        assert critic.estimate == pytest.approx(said.raw / critic.constant, rel=1e-12)
    assert found.blocks == BLOCKS
    wider = estimate(*two("translation", 0, dim=3, shift=2.0), methods=FAST, level=0.99)
    assert wider.lower < found.lower
    assert wider.upper > found.upper
    assert (wider.upper - wider.upper_mean) / (found.upper - found.upper_mean) == pytest.approx(
        t.ppf(0.995, BLOCKS - 1) / t.ppf(0.975, BLOCKS - 1), rel=1e-9
    )


def test_critics_are_read_on_points_that_they_were_not_fitted_to(found: Estimate) -> None:
    """The exact potential of a sample reads W1 of that sample; on other points it reads less."""
    x, y = two("spheres", 1, dim=16)
    critic = estimate(x, y, methods=["potential"]).critics["potential"]
    assert critic.held_out.raw < 0.8 * otbench.solve_exact(x[:150], y[:100]).w1
    assert critic.constant == 1.0


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(found: Estimate) -> None:
    x, y = two("translation", 0, dim=3, shift=2.0)
    again, other = (estimate(x, y, methods=FAST, seed=seed) for seed in (0, 1))
    assert (again.lower, again.upper, again.critics) == (found.lower, found.upper, found.critics)
    assert other.lower != found.lower


def test_it_is_of_the_data_s_unit() -> None:
    x, y = two("translation", 3, dim=2)
    one, other = estimate(x, y, methods=["linear"]), estimate(1000 * x, 1000 * y, methods=["linear"])
    for name in ("lower", "upper", "sample_w1"):
        assert getattr(other, name) == pytest.approx(1000 * getattr(one, name), rel=1e-9)


def test_points_without_mass_do_not_matter_and_weights_do() -> None:
    x, y = two("translation", 2, dim=2)
    weights = np.r_[np.zeros(50), np.full(250, 1 / 250)]
    found = estimate(x, y, weights, methods=["linear"])
    assert found.block_sizes == (50, 40)
    assert found.sample_w1 == pytest.approx(otbench.solve_exact(x[50:], y).w1, rel=1e-9)
    heavy = np.exp(x[:, 0])
    tilted = estimate(x, y, heavy / heavy.sum(), methods=["linear"])
    assert tilted.sample_w1 != pytest.approx(found.sample_w1, rel=1e-3)


class Steep(Method):
    """A user's own method, whose critic knows no constant."""

    name: Literal["steep"] = "steep"

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        return [Fitted(UserFunction(lambda z: 5 * z[:, 0])) for _ in jobs]


def test_a_critic_without_a_constant_certifies_no_law() -> None:
    x, y = two("translation", 4, dim=2)
    found = estimate(x, y, methods=[Steep(), "linear"])
    steep = found.critics["steep"]
    assert (steep.constant, steep.estimate, steep.lower) == (None, None, None)
    assert found.best == "linear"
    assert "steep        no Lipschitz constant is known everywhere: it certifies no law" in str(found)
    alone = estimate(x, y, methods=[Steep()])
    assert (alone.lower, alone.best) == (0.0, None)
    assert "ask a method with a Lipschitz constant" in alone.tighter


def shifted(n: int, m: int, spread_x: float, spread_y: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """n and m points of normal laws of the line, 10 apart."""
    rng = np.random.default_rng(seed)
    return spread_x * rng.normal(size=(n, 1)) + 10, spread_y * rng.normal(size=(m, 1))


@pytest.mark.parametrize(
    ("sizes", "spreads", "side", "share"),
    [
        ((400, 400), (1, 1), "either", 1 / 2),
        ((400, 400), (3, 1), "x", 9 / 10),
        ((400, 400), (1, 3), "y", 1 / 10),
        ((1600, 200), (1, 1), "y", 1 / 9),
        ((200, 1600), (1, 1), "x", 8 / 9),
        ((200, 1800), (1, 3), "either", 1 / 2),
    ],
)
def test_it_says_which_side_needs_more_points(
    sizes: tuple[int, int], spreads: tuple[float, float], side: str, share: float
) -> None:
    """The variance of the mean over a side is its law's variance over its points; more points help where it is more."""
    found = estimate(*shifted(*sizes, *spreads), methods=["linear"])
    assert found.side == side
    assert found.variance_shares is not None
    assert found.variance_shares[0] == pytest.approx(share, abs=0.06)
    assert sum(found.variance_shares) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(("times", "shown"), [((4, 1), 0), ((1, 4), 1), ((4, 4), 2)])
def test_four_times_the_points_of_a_side_make_of_the_margin_what_it_says(times: tuple[int, int], shown: int) -> None:
    def margin(found: Estimate) -> float:
        critic = found.critics["linear"]
        assert critic.estimate is not None
        assert critic.lower is not None
        return critic.estimate - critic.lower

    found = estimate(*shifted(600, 600, 3, 1), methods=["linear"])
    told = [float(number) for number in re.findall(r"\d\.\d+", found._four_times(margin(found)))]
    more = estimate(*shifted(600 * times[0], 600 * times[1], 3, 1, seed=1), methods=["linear"])
    assert margin(more) == pytest.approx(told[shown], rel=0.1)


def test_the_side_is_named_where_the_lower_bound_is_the_one_to_raise() -> None:
    found = estimate(*shifted(100, 2000, 1, 1), methods=["linear"])
    assert "the lower bound's margin for chance" in found.tighter
    assert "; more points of x help most: four times those of x make it about " in found.tighter


def test_without_chance_no_side_is_named() -> None:
    """Two atoms: the critic has one value a side, and no point more changes it."""
    x, y = np.zeros((40, 1)), np.ones((40, 1))
    found = estimate(x, y, methods=["linear"], discrete=True)
    assert (found.lower, found.side, found.variance_shares) == (pytest.approx(1.0), None, None)
    assert "points of x" not in found.tighter


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"methods": []}, "give at least one method; known: "),
    ({"methods": ["linaer"]}, "linear"),
    ({"methods": [3]}, "a method is a name or what otbench.method gives; got int"),
    ({"level": 0.0}, "level must be a number between 0 and 1, as 0.95; got 0.0"),
    ({"level": 95}, "level must be a number between 0 and 1, as 0.95; got 95"),
    ({"level": True}, "level must be a number between 0 and 1"),
    ({"seed": -1}, "seed"),
]


@pytest.mark.parametrize(("asked", "said"), REFUSED)
def test_what_is_no_question_is_refused_in_one_line(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        estimate(*two("translation", 0, dim=2), **asked)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x, y: (x, np.vstack([y, x[:3]])), "3 rows are in x and in y"),
        (lambda x, y: (np.vstack([x, x[:2]]), y), "2 rows of x repeat others"),
        (lambda x, y: (x, np.vstack([y, y[:1], y[:1]])), "2 rows of y repeat others"),
        (lambda x, y: (x[:19], y), "at least 20 points with mass on each side; got 19"),
    ],
)
def test_points_that_are_not_independent_are_refused(spoil: Callable[..., Any], said: str) -> None:
    x, y = spoil(*two("translation", 0, dim=2, n=60, m=60))
    with pytest.raises(InputError, match=said):
        estimate(x, y, methods=["linear"])


def test_laws_with_atoms_may_have_equal_rows_if_one_says_so() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3, (200, 2)), rng.integers(1, 4, (200, 2))
    with pytest.raises(InputError, match="say that the laws are discrete"):
        estimate(x, y, methods=["linear"])
    found = estimate(x, y, methods=["linear"], discrete=True)
    assert found.lower < 2**0.5 < found.upper


def test_the_command_says_it_on_one_screen_and_in_json(tmp_path: Path, otbench: Otbench) -> None:
    for name, points in zip("xy", two("translation", 0, dim=3, shift=2.0), strict=True):
        np.save(tmp_path / f"{name}.npy", points)
    files = [str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    done = otbench("estimate", *files, "--method", "linear", "--method", "potential")
    assert done.code == 0
    screen = done.out.splitlines()
    assert len(screen) < 24
    assert "W1 of the laws:" in done.out
    assert "with confidence 95 %" in done.out
    assert "assumed: the points of each side are independent draws of one law" in done.out
    again = otbench("estimate", *files, "--method", "linear", "--method", "potential", "--json")
    read = json.loads(again.out)
    assert read["side"] in {"x", "y", "either"}
    assert sum(read["variance_shares"]) == pytest.approx(1)
    assert f"narrower: {read['narrower']}" == screen[-1]
    assert f"[{read['lower']:.6g}, {read['upper']:.6g}]" in done.out
    table = otbench("estimate", *files, "--method", '{ name = "weight_clip", steps = 5 }', "--json")
    assert list(json.loads(table.out)["critics"]) == ["weight_clip"]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("{ name = }", "--method takes a name or a TOML table"),
        ("{ clip = 0.1 }", "--method's table needs a name"),
        ('{ name = "weight_clip", clipp = 0.1 }', "clip"),
        ("wieght_clip", "weight_clip"),
    ],
)
def test_a_method_that_is_none_is_refused_in_one_line(tmp_path: Path, otbench: Otbench, method: str, said: str) -> None:
    for name, points in zip("xy", two("translation", 0, dim=2, n=30, m=30), strict=True):
        np.save(tmp_path / f"{name}.npy", points)
    assert_one_line(otbench("estimate", str(tmp_path / "x.npy"), str(tmp_path / "y.npy"), "--method", method), said)


def test_of_many_points_a_part_is_trained_on_and_the_whole_other_half_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of 30 points in place of 5000, so that all three are felt: training, blocks and the exact value."""
    monkeypatch.setattr(bracket, "MOST_POINTS", 30)
    x, y = two("translation", 0, dim=2, n=400, m=40)
    found = estimate(x, y, methods=["linear"])
    assert (found.training_sizes, found.block_sizes, found.sample_sizes) == ((30, 20), (30, 8), (30, 30))
    said = found.critics["linear"].held_out
    assert said.stderr**2 == pytest.approx(1 / 200 + 1 / 20, rel=0.5)  # 200 and 20 points of variance 1 are read
    assert "critics trained on 30 and 20 points, read on the other half" in str(found)
    small = estimate(x[:60], y, methods=["linear"])
    assert (small.training_sizes, small.block_sizes) == ((30, 20), (12, 8))


@pytest.mark.parametrize(
    ("n", "m", "said"),
    [
        (400, 40, "; more points of y alone make the blocks larger"),
        (40, 400, "; more points of x alone make the blocks larger"),
        (150, 200, "; the blocks are the largest that are solved"),
        (60, 40, "; more points make the blocks larger, whose values do not tell which side's help more"),
    ],
)
def test_points_that_make_the_upper_bound_s_blocks_larger_are_named(
    monkeypatch: pytest.MonkeyPatch, n: int, m: int, said: str
) -> None:
    """In high dimension, where the width is what samples add to W1 and hardly chance."""
    monkeypatch.setattr(bracket, "MOST_POINTS", 30)
    found = estimate(*two("translation", 0, dim=128, n=n, m=m), methods=["linear"])
    assert found.tighter.endswith(said)
