"""What the rule of the clip value was not fitted on is refused or said, by the advice and by the documents."""

import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Otbench, assert_one_line

import otbench as package
from otbench.errors import InputError
from otbench.methods import WeightClip
from otbench.report.advice import advise, in_words
from otbench.report.not_fitted import ASKED, FITTED
from otbench.results.tables.scale_rule import fitted_rows

ROOT = Path(__file__).parent.parent.parent

SAID: list[tuple[dict[str, Any], str]] = [
    ({"optimiser": "adam"}, "optimiser adam, fitted on rmsprop"),
    ({"optimiser": "sgd"}, "optimiser sgd, fitted on rmsprop"),
    ({"activation": "tanh"}, "activation tanh, fitted on relu"),
    ({"activation": "leaky_relu"}, "activation leaky_relu, fitted on relu"),
    ({"clip_when": "before"}, "clip_when before, fitted on after"),
    ({"smoothing": 0.9}, "smoothing 0.9, fitted on 0.99"),
    ({"eps": 1e-6}, "eps 1e-06, fitted on 1e-08 and 1e-30"),
    ({"batch": 1024}, "batch 1024, fitted on 64"),
    ({"batch": "full"}, "batch full, fitted on 64"),
    ({"dtype": "float64"}, "dtype float64, fitted on float32"),
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"convolutions": True}, "convolutions"),
    ({"kernel": 3}, "kernel"),
    ({"penalty": 10.0}, "penalty"),
    ({"activation": "gelu"}, "gelu"),
    ({"optimiser": "adamw"}, "adamw"),
    ({"steps": 5}, "steps is no further field of the critic"),
    ({"clip": 0.1}, "clip is no further field of the critic"),
]


def outside(critic: dict[str, Any]) -> list[str]:
    lines = in_words(advise(16, (64, 64), lr=0.01, lr_unit="clip", steps=1000, critic=critic))
    return [line for line in lines if line.startswith("Outside of what the rule was fitted on: ")]


@pytest.mark.parametrize(("critic", "said"), SAID)
def test_the_advice_says_what_it_was_not_fitted_on(critic: dict[str, Any], said: str) -> None:
    assert outside(critic) == [f"Outside of what the rule was fitted on: {said}; take it as a guess."]


@pytest.mark.parametrize("critic", [{name: value} for name, values in FITTED.items() for value in values])
def test_of_what_it_was_fitted_on_it_says_nothing(critic: dict[str, Any]) -> None:
    assert outside(critic) == []


@pytest.mark.parametrize(("critic", "said"), REFUSED)
def test_what_no_clipped_critic_has_is_refused(critic: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        advise(16, (64, 64), critic=critic)


def test_every_field_of_a_critic_is_asked_for_or_told() -> None:
    """Adam's betas are told with Adam itself."""
    assert set(WeightClip.model_fields) == {"name", "optimiser", "betas", *FITTED, *ASKED}


def test_what_counts_as_fitted_is_what_the_committed_critics_were() -> None:
    rows = fitted_rows(package.load(ROOT / "results" / "clip"))
    assert {name: set(rows[f"method.{name}"]) for name in FITTED} == {name: set(of) for name, of in FITTED.items()}
    assert set(rows["method.optimiser"]) == {"rmsprop"}


def test_the_command_takes_the_critic_s_further_fields(otbench: Otbench) -> None:
    asked = ("advise", "--dim", "16", "--widths", "64,64", "--critic")
    assert "optimiser adam, fitted on rmsprop; take it as a guess." in otbench(*asked, '{ optimiser = "adam" }').out
    assert_one_line(otbench(*asked, "{ convolutions = 3 }"), "convolutions")
    assert_one_line(otbench(*asked, "adam"), "--critic takes a TOML table")
    assert_one_line(otbench(*asked, "3"), "--critic takes a TOML table")


@pytest.mark.parametrize("name", ["Adam", "convolutions"])
@pytest.mark.parametrize("document", ["README.md", "docs/findings.md", "the advice"])
def test_the_documents_say_that_it_was_not_fitted(name: str, document: str) -> None:
    text = "\n\n".join(in_words(advise(16, (64,)))) if document == "the advice" else (ROOT / document).read_text()
    plain = [" ".join(part.split()) for part in re.split(r"\n\s*\n|\n\d\. |\n\* ", text)]
    assert [part for part in plain if re.search(rf"\b{name}\b[^.]*\bnot fitted\b|\bnot fitted\b[^.]*\b{name}\b", part)]
