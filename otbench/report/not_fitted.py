"""What of a critic's recipe the rule of the clip value was not fitted on: nothing of it enters a prediction."""

from collections.abc import Iterator, Mapping
from typing import Any

from otbench.errors import InputError
from otbench.methods import WeightClip

#: The values that the critics of the fit had, of fields which the rule's table does not tell.
FITTED: Mapping[str, tuple[object, ...]] = {
    "activation": ("relu",),
    "biases": (True, False),
    "clip_parameters": ("all", "weights"),
    "clip_when": ("after",),
    "smoothing": (0.99,),
    "eps": (1e-8, 1e-30),
    "init": ("torch", "box"),
    "batch": (64,),
    "dtype": ("float32",),
}

#: What a recipe has besides, and what the advice is asked with or for.
ASKED = ("clip", "clip_over_c_star", "widths", "width_per_dim", "depth", "lr", "lr_unit", "steps")


def recipe(asked: Mapping[str, Any], further: Mapping[str, Any]) -> WeightClip:
    """The clipped critic that advice is asked for, with further fields of ``WeightClip``.

    Raises:
        InputError: a field that no clipped critic has, as of convolutions, or one that is asked for by itself.
    """
    for name in further:
        if name in ASKED:
            raise InputError(f"{name} is no further field of the critic: the advice is asked with it, or for it")
    return WeightClip(**{**further, **asked})


def not_fitted(critic: WeightClip, optimisers: str) -> Iterator[str]:
    """Every field of the critic with a value on which the rule was not fitted, in words."""
    for name, fitted in {"optimiser": tuple(optimisers.split()), **FITTED}.items():
        value = getattr(critic, name)
        if value not in fitted:
            yield f"{name} {value}, fitted on {' and '.join(map(str, fitted))}"
