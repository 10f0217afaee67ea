"""The critics of the literature: which recipe is chosen, on which seed, and what of those that diverge."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pytest

import otbench
from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.functions import Affine
from otbench.methods.literature import CHOOSING_SEED, literature, read_fitted, trained
from otbench.methods.reading import Reader

PAIR = otbench.problem("translation", dim=2).sample(30, mode="coupled")
READER = Reader(PAIR.x, PAIR.y, None, None)
EXACT = otbench.solve_exact(PAIR.x, PAIR.y)

#: The direction of the translation, and one across it.
ALONG = (PAIR.x - PAIR.y)[0] / np.linalg.norm((PAIR.x - PAIR.y)[0])
ACROSS = np.array([-ALONG[1], ALONG[0]])


class Turned(Method):
    """The best linear critic on one seed and nearly no critic on the others; the rate 3 has diverged on seed 1."""

    name: Literal["turned"] = "turned"
    lr: float
    good_on: int

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        def fitted(recipe: Self, seed: int) -> Fitted:
            if (recipe.lr, seed) == (3, 1):
                return Fitted(None, status="diverged", reason="planted")
            return Fitted(Affine(ALONG if seed == recipe.good_on else ACROSS + 0.1 * ALONG))

        return [fitted(recipe, job.seed) for recipe, job in zip(methods, jobs, strict=True)]


class Still(Turned):
    """The same without chance."""

    chance: ClassVar[bool] = False


@pytest.mark.parametrize(("best", "expected"), [(CHOOSING_SEED, 2.0), (0, 1.0)])
def test_a_recipe_is_chosen_on_a_seed_of_its_own_and_trained_on_the_others(best: int, expected: float) -> None:
    options = [Turned(lr=1, good_on=0), Turned(lr=2, good_on=best), Turned(lr=3, good_on=1)]
    recipe, critics = trained(options, READER, EXACT, 3, "cpu")
    assert recipe.model_dump()["lr"] == expected, "seeds 0 and 1 have no say, and of equals it is the first"
    assert len(critics) == 3
    read = read_fitted(critics, READER, EXACT)
    good = [bounds is not None and bounds.slope == pytest.approx(EXACT.w1) for bounds in read]
    assert good == [seed == recipe.model_dump()["good_on"] for seed in range(3)]


def test_what_does_not_depend_on_chance_is_fitted_once() -> None:
    _, critics = trained([Still(lr=1, good_on=0)], READER, EXACT, 3, "cpu")
    assert len(critics) == 1


def test_what_has_diverged_is_read_as_nothing_in_its_place() -> None:
    _, critics = trained([Turned(lr=3, good_on=0)], READER, EXACT, 3, "cpu")
    read = read_fitted(critics, READER, EXACT)
    assert [bounds is None for bounds in read] == [False, True, False]
    assert read[0].slope > read[2].slope


def test_rates_and_the_clip_value_are_those_of_the_committed_contest() -> None:
    block = tomllib.loads((Path(__file__).parents[2] / "experiments" / "critics.toml").read_text())["block"][0]
    declared = {fields["name"]: fields for fields in block["method"]}
    for options in literature(1500, (64, 64), 64).values():
        if len(options) > 1:
            fields = declared[options[0].name]
            assert [option.model_dump()["lr"] for option in options] == pytest.approx(fields["lr"])
            own = options[0].model_dump()
            assert {name: own[name] for name in ("clip", "lr_unit", "decay") if name in fields} == {
                name: fields[name] for name in ("clip", "lr_unit", "decay") if name in fields
            }


def test_every_network_has_the_same_settings() -> None:
    settings: dict[str, Any] = {"steps": 7, "widths": (5, 4), "batch": 3}
    recipes = literature(**settings)
    networks = [options for options in recipes.values() if len(options) > 1]
    assert len(networks) == 5
    for options in networks:
        assert [settings == {k: option.model_dump()[k] for k in settings} for option in options] == [True] * 3
