"""Methods: recipes for critics, from the clipped WGAN critic to the baselines with which it is compared."""

from typing import Any

from otbench.errors import UnknownNameError
from otbench.methods.base import Job, Method
from otbench.methods.baselines import Linear, Potential, Zero
from otbench.methods.c_transform import CTransform
from otbench.methods.consistency import Consistency
from otbench.methods.discriminator import Discriminator
from otbench.methods.fitted import Fitted
from otbench.methods.gradient_penalty import GradientPenalty
from otbench.methods.group_sort import GroupSort
from otbench.methods.least_squares import LeastSquares
from otbench.methods.max_sliced import MaxSliced
from otbench.methods.quadratic import Quadratic
from otbench.methods.sinkhorn import Sinkhorn
from otbench.methods.sliced import Sliced
from otbench.methods.spectral_norm import SpectralNorm
from otbench.methods.three_player import ThreePlayer
from otbench.methods.weight_clip import WeightClip

#: Every method by the name experiments use; a new one is one file and one line here.
METHODS: dict[str, type[Method]] = {
    "weight_clip": WeightClip,
    "gradient_penalty": GradientPenalty,
    "spectral_norm": SpectralNorm,
    "group_sort": GroupSort,
    "c_transform": CTransform,
    "quadratic": Quadratic,
    "least_squares": LeastSquares,
    "three_player": ThreePlayer,
    "consistency": Consistency,
    "discriminator": Discriminator,
    "zero": Zero,
    "linear": Linear,
    "potential": Potential,
    "sinkhorn": Sinkhorn,
    "sliced": Sliced,
    "max_sliced": MaxSliced,
}

__all__ = ["METHODS", "Discriminator", "Fitted", "Job", "Method", "WeightClip", "method"]


def method(name: str, **fields: Any) -> Method:
    """A recipe for critics by its name in experiments, with its own fields: see ``otbench list``.

    Args:
        name: the method, such as "weight_clip".
        fields: its parameters; those left out have their defaults.

    Returns:
        A frozen recipe; ``train`` takes those that train a network, experiments all of them.

    Raises:
        InputError: no such method or field, for which the nearest name is offered; a value of the wrong type or out of
            range.

    Source: the recipe's own.
    """
    if name not in METHODS:
        raise UnknownNameError("method", name, METHODS)
    return METHODS[name](name=name, **fields)
