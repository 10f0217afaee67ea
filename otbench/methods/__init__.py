"""The methods: recipes for critics, from the clipped WGAN critic to the baselines it is held against."""

from typing import Any

from otbench.errors import UnknownNameError
from otbench.methods.base import Job, Method
from otbench.methods.baselines import Linear, Potential, Zero
from otbench.methods.discriminator import Discriminator
from otbench.methods.fitted import Fitted
from otbench.methods.weight_clip import WeightClip

#: Every method by the name experiments use; a new one is one file and one line here.
METHODS: dict[str, type[Method]] = {
    "weight_clip": WeightClip,
    "discriminator": Discriminator,
    "zero": Zero,
    "linear": Linear,
    "potential": Potential,
}

__all__ = ["METHODS", "Discriminator", "Fitted", "Job", "Method", "WeightClip", "method"]


def method(name: str, **fields: Any) -> Method:
    """The method ``name`` with ``fields``.

    Raises:
        UnknownNameError: no such method or field; the nearest name is offered.
        InputError: a value of the wrong type or out of range.
    """
    if name not in METHODS:
        raise UnknownNameError("method", name, METHODS)
    return METHODS[name](name=name, **fields)
