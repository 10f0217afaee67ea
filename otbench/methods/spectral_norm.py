"""The critic each of whose layers is divided by an estimate of its spectral norm (SN-GAN)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from otbench.methods.mlp import Activation
from otbench.methods.neural import Layers, Neural

if TYPE_CHECKING:
    from torch import Tensor

    from otbench.methods.training.constraints import Constraint
    from otbench.methods.training.step import Step


class SpectralNorm(Neural):
    """A critic that minimises -mean f(x) + mean f(y), whose layers are W / s with s about |W|_2.

    The derivative of the loss goes through s as well, as in the paper; with ``derivative`` "of_weights" it does not, as
    in the code of Korotin, Kolesov, Burnaev 2022. s comes of ``iterations`` power iterations a step, which go on from
    where those of the step before ended. As s is an estimate, it bounds nothing: the constant of the critic is the
    product of its spectral norms in float64.
    """

    source: ClassVar[str] = "Miyato, Kataoka, Koyama, Yoshida 2018, Algorithm 1"

    name: Literal["spectral_norm"] = "spectral_norm"
    activation: Activation = Field("relu", description="of the hidden layers")
    iterations: int = Field(1, ge=1, description="power iterations a step")
    derivative: Literal["whole", "of_weights"] = Field("whole", description="of_weights: as if s were a constant")

    def loss(self, step: "Step") -> "Tensor":
        return step.difference()

    def constraint(self, leaves: "Sequence[Tensor]", layers: Layers, seeds: Sequence[int]) -> "Constraint":
        from otbench.methods.training.constraints import Spectral

        return Spectral(leaves, layers, seeds, self.iterations, self.derivative == "whole")
