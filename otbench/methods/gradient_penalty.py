"""The critic whose slope is pulled towards 1 between the samples (WGAN-GP), or below 1 (WGAN-LP)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from otbench.methods.mlp import Activation
from otbench.methods.neural import Neural

if TYPE_CHECKING:
    from torch import Tensor

    from otbench.methods.training.step import Step


class GradientPenalty(Neural):
    """A critic that minimises -mean f(x) + mean f(y) + penalty mean (|grad f(z)| - 1)^2, z between a point x and a y.

    z = t x + (1 - t) y for each pair of a minibatch, with t uniform in [0, 1]. With ``one_sided`` slopes below 1 are
    free: (max(|grad f(z)| - 1, 0))^2. Nothing bounds the slope elsewhere: the constant of the critic is the product of
    its spectral norms, after the fact.
    """

    source: ClassVar[str] = "Gulrajani et al. 2017, Algorithm 1; one-sided: Petzka, Fischer, Lukovnikov 2018, eq. 8"
    own_fields: ClassVar[frozenset[str]] = frozenset({"lr", "penalty"})

    name: Literal["gradient_penalty"] = "gradient_penalty"
    activation: Activation = Field("relu", description="of the hidden layers")
    penalty: float = Field(10.0, gt=0, description="lambda, what the loss weighs the penalty with")
    one_sided: bool = Field(False, description="whether slopes below 1 are free (WGAN-LP)")

    def loss(self, step: "Step") -> "Tensor":
        excess = step.excess_slopes()
        excess = excess.clamp(min=0) if self.one_sided else excess
        return step.difference() + step.each("penalty") * excess.square().mean(1)
