"""What clipping does to a trained critic: the box, saturation, the scaling law, divergence as data."""

import numpy as np
import pytest
import torch

from otbench.errors import InputError
from otbench.methods import WeightClip, method
from otbench.methods.fitted import Fitted
from otbench.methods.mlp import Mlp
from otbench.methods.train import train, train_many
from otbench.types import Array, SamplePair


def samples(scale: float = 1.0, dim: int = 3) -> SamplePair:
    rng = np.random.default_rng(0)
    return SamplePair(scale * rng.standard_normal((40, dim)), scale * (rng.standard_normal((40, dim)) + 0.7))


def read(fitted: Fitted) -> Mlp:
    assert isinstance(fitted.critic, Mlp)
    return fitted.critic


def raw(fitted: Fitted, pair: SamplePair) -> float:
    return float(pair.a @ read(fitted).values(pair.x) - pair.b @ read(fitted).values(pair.y))


def sizes(arrays: tuple[Array, ...]) -> float:
    return max(float(np.abs(array).max()) for array in arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimiser", ["rmsprop", "adam", "sgd"])
def test_clipping_all_after_the_step_leaves_every_parameter_in_the_box(optimiser: str, dtype: str) -> None:
    recipe = WeightClip(widths=(8, 8), clip=0.01, lr=0.02, optimiser=optimiser, dtype=dtype, steps=30)
    critic = read(train(samples(), recipe))
    assert critic.clip == pytest.approx(0.01, rel=1e-7)
    assert sizes(critic.weights) == critic.clip
    assert sizes(critic.biases) <= critic.clip
    assert critic.constants()[0] == pytest.approx(recipe.lipschitz_constant(3), rel=1e-6)


def test_clipping_weights_only_lets_the_biases_leave_the_box() -> None:
    recipe = WeightClip(widths=(8, 8), clip=0.01, clip_parameters="weights", lr=0.02, steps=30)
    critic = read(train(samples(), recipe))
    assert sizes(critic.weights) <= critic.clip < sizes(critic.biases)
    assert critic.constants()[0] is not None


def test_clipping_before_the_step_may_leave_the_box_by_one_step() -> None:
    recipe = WeightClip(widths=(8, 8), clip=0.01, clip_when="before", optimiser="sgd", lr=1.0, steps=30)
    critic = read(train(samples(), recipe))
    assert sizes(critic.weights) > critic.clip
    assert critic.constants()[0] is None


@pytest.mark.parametrize("method_fields", [{"optimiser": "rmsprop"}, {"optimiser": "adam"}])
def test_with_one_hidden_layer_raw_is_proportional_to_the_square_of_the_clip(
    method_fields: dict[str, str],
) -> None:
    recipes = [
        WeightClip(
            widths=(32,), clip=clip, init="box", lr=0.01, lr_unit="clip", eps=1e-30, dtype="float64",
            steps=200, **method_fields,
        )  # type: ignore[arg-type]
        for clip in (0.01, 0.02, 0.04)
    ]  # fmt: skip
    pair = samples()
    values = [raw(f, pair) for f in train_many([pair] * 3, recipes, [7] * 3)]
    assert values[0] > 0
    assert values[1] / values[0] == pytest.approx(4, rel=1e-4)
    assert values[2] / values[0] == pytest.approx(16, rel=1e-4)


def test_the_square_law_breaks_when_the_rate_does_not_scale_with_the_clip() -> None:
    recipes = [
        WeightClip(widths=(32,), clip=clip, init="box", lr=1e-4, eps=1e-30, dtype="float64", steps=50)
        for clip in (0.01, 0.02)
    ]
    pair = samples()
    values = [raw(f, pair) for f in train_many([pair] * 2, recipes, [7] * 2)]
    assert abs(values[1] / values[0] - 4) > 0.01


def test_training_raises_raw() -> None:
    pair, recipe = samples(), WeightClip(widths=(16, 16), clip=0.1, lr=1e-3, steps=300)
    untrained = train(pair, recipe.model_copy(update={"steps": 0}))
    assert raw(train(pair, recipe), pair) > 10 * abs(raw(untrained, pair))


def test_torch_puts_77_per_cent_of_a_512_fan_in_layer_beyond_a_hundredth() -> None:
    recipe = WeightClip(widths=(512,), clip=0.01, steps=0)
    fitted = train(SamplePair(np.zeros((2, 512)), np.ones((2, 512))), recipe)
    assert fitted.saturation_start == pytest.approx(1 - 0.00999 * np.sqrt(512), abs=0.003)
    assert fitted.saturation_start == pytest.approx(0.77, abs=0.01)


def test_an_initial_box_is_saturated_in_its_last_thousandth_only() -> None:
    fitted = train(samples(), WeightClip(widths=(256, 256), init="box", steps=0))
    assert fitted.saturation_start == pytest.approx(0.001, abs=0.0005)


@pytest.mark.parametrize("which", ["all", "weights"])
def test_saturation_is_the_share_of_clipped_parameters_at_the_wall(which: str) -> None:
    fitted = train(samples(), WeightClip(widths=(9, 7), clip_parameters=which, lr=1e-3, steps=25))
    critic = read(fitted)
    clipped = critic.weights if which == "weights" else (*critic.weights, *critic.biases)
    at_wall = np.concatenate([np.abs(p).ravel() >= 0.999 * critic.clip for p in clipped])
    assert fitted.saturation == pytest.approx(at_wall.mean(), abs=1e-12)
    assert 0 < fitted.saturation < 1


WILD = WeightClip(widths=(8,), clip=1e38, optimiser="sgd", lr=1e30, steps=9)

DIVERGING = {
    "a rate of 1e30 in a wide box": (samples(), WILD),
    "pixels beyond float32": (samples(1e39), WeightClip(widths=(8,), clip=0.01, optimiser="sgd", steps=9)),
    "activations beyond float32": (samples(1e30), WeightClip(widths=(8,), clip=1e20, init="box", steps=9)),
}


@pytest.mark.parametrize("name", DIVERGING)
def test_divergence_is_a_status_and_not_an_exception(name: str) -> None:
    fitted = train(*DIVERGING[name])
    assert (fitted.status, fitted.critic, fitted.halfway, fitted.saturation) == ("diverged", None, None, None)
    assert fitted.reason == "a parameter or its second moment is not finite after 9 steps"


def test_a_diverging_critic_does_not_disturb_its_neighbours() -> None:
    tame = WILD.model_copy(update={"clip": 0.1, "lr": 0.01})
    pairs = [samples(), samples(1e39), samples(), samples()]
    fitted = train_many(pairs, [tame, tame, WILD, tame], [1, 2, 3, 4])
    assert [f.status for f in fitted] == ["ok", "diverged", "diverged", "ok"]
    for k in (0, 3):
        alone = read(train(pairs[k], tame, seed=k + 1))
        for here, there in zip(read(fitted[k]).weights, alone.weights, strict=True):
            assert (here == there).all()


def test_no_jobs_give_no_critics() -> None:
    assert train_many([], [], []) == []


@pytest.mark.parametrize(
    ("pairs", "recipes", "seeds", "text"),
    [
        (2, [{}], 1, r"one pair, method, seed \(and law\) per critic; got \[2, 1, 1\]"),
        (2, [{}, {"batch": 32}], 2, "must agree in dimension and in all but clip, lr.*and eps.*batch_key"),
        (2, [{}, {"widths": (3,)}], 2, "must agree"),
        (2, [{}, {"steps": 2}], 2, "must agree"),
    ],
)
def test_critics_that_cannot_share_a_batch_are_refused(
    pairs: int, recipes: list[dict[str, object]], seeds: int, text: str
) -> None:
    methods = [WeightClip(**{"steps": 1, **fields}) for fields in recipes]  # type: ignore[arg-type]
    with pytest.raises(InputError, match=text) as refused:
        train_many([samples()] * pairs, methods, list(range(seeds)))
    assert "\n" not in str(refused.value)


def test_samples_of_unequal_dimension_or_size_are_refused_in_one_batch() -> None:
    recipe = WeightClip(steps=1)
    with pytest.raises(InputError, match="must agree in dimension"):
        train_many([samples(dim=2), samples(dim=3)], [recipe] * 2, [0, 0])
    smaller = SamplePair(samples().x[:9], samples().y)
    with pytest.raises(InputError, match="need samples of equal size; group them by n and m"):
        train_many([samples(), smaller], [recipe] * 2, [0, 0])


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "gpu"])
def test_a_device_that_is_not_there_is_refused_in_one_line(device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match=f"device '{device}' cannot be used: .*; use") as refused:
        train(samples(), WeightClip(steps=1), device=device)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"pairs": 3}, "takes lists.*got int, list, list"),
        ({"seeds": None}, "takes lists.*got list, list, NoneType"),
        ({"pairs": [(1, 2)]}, r"takes a SamplePair\(x, y\); got tuple"),
        ({"methods": ["weight_clip"]}, r"takes a recipe, as WeightClip\(\) .* make it; got str"),
        ({"methods": [method("zero")]}, "takes a recipe that trains a network; zero has none"),
        ({"laws": [3]}, "law must be a problem.*got int"),
        ({"seeds": ["0"]}, "seed must be a whole number"),
        ({"device": None}, "device 'None' cannot be used"),
        ({"device": 3}, "device '3' cannot be used"),
    ],
)
def test_what_no_training_takes_is_refused_by_name(changed: dict[str, object], text: str) -> None:
    asked: dict[str, object] = {"pairs": [samples()], "methods": [WeightClip(steps=1)], "seeds": [0]}
    with pytest.raises(InputError, match=text):
        train_many(**asked | changed)  # type: ignore[arg-type]


def test_a_device_may_be_named_or_handed_in() -> None:
    recipe = WeightClip(steps=2)
    named, handed = (train(samples(), recipe, device=device) for device in ("cpu", torch.device("cpu")))  # type: ignore[arg-type]
    for here, there in zip(read(named).weights, read(handed).weights, strict=True):
        assert (here == there).all()
