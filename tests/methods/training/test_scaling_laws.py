"""What c does to raw when the rate scales with it: c^L without biases, exactly c^2 for one hidden layer."""

import numpy as np
import pytest

from otbench.methods import WeightClip
from otbench.methods.functions import on_union
from otbench.methods.train import train_many
from otbench.problems import problem
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix

PAIR = problem("shared_mass", dim=8, overlap=0.5).sample(128, mode="coupled", seed=1)

#: What scales with c scales exactly only where eps is no part of the step.
SCALING = {"lr": 0.01, "lr_unit": "clip", "init": "box", "eps": 1e-30, "steps": 300}


def raws(clips, **fields):
    fitted = train_many([PAIR] * len(clips), [WeightClip(clip=c, **SCALING, **fields) for c in clips], [0] * len(clips))
    ladder = Ladder(cost_matrix(PAIR.x, PAIR.y), PAIR.a, PAIR.b)
    return [ladder.raw(*on_union(fit.critic, PAIR.x, PAIR.y)[:2]) for fit in fitted]


@pytest.mark.parametrize("biases", [True, False])
def test_raw_is_c_squared_to_four_digits_for_one_hidden_layer(biases):
    clips = np.array([0.001, 0.01, 0.07, 0.5])
    exponents = np.diff(np.log(raws(clips, widths=(32,), biases=biases))) / np.diff(np.log(clips))
    np.testing.assert_allclose(exponents, 2, atol=5e-5)


@pytest.mark.parametrize("layers", [2, 3, 4, 5])
def test_raw_is_c_to_the_number_of_layers_without_biases(layers):
    clips = np.geomspace(0.02, 0.5, 4)
    found = raws(clips, widths=(16,), depth=layers - 1, biases=False)
    exponents = np.diff(np.log(found)) / np.diff(np.log(clips))
    np.testing.assert_allclose(exponents, layers, rtol=0.02)


def test_clipped_biases_break_the_power_law_of_deeper_critics():
    clips = np.array([0.05, 0.1])
    with_biases = raws(clips, widths=(16,), depth=3, biases=True)
    exponent = np.diff(np.log(with_biases)) / np.log(2)
    assert abs(exponent[0] - 4) > 1e-3


def test_without_biases_they_stay_zero_and_are_not_counted_as_saturated():
    (fit,) = train_many([PAIR], [WeightClip(biases=False, steps=20, clip=0.9, lr=1e-6)], [0])
    assert not any(np.any(bias) for bias in fit.critic.biases)
    assert fit.saturation_start < 0.01
