"""The critic with a gradient penalty that must also agree with itself when units are dropped (CT-GAN)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from otbench.methods.mlp import Activation
from otbench.methods.neural import Neural

if TYPE_CHECKING:
    from torch import Tensor

    from otbench.methods.training.step import Step


class Consistency(Neural):
    """The loss of a gradient penalty, plus what two looks at the points x with dropped units differ by.

    That is mean max(consistency ((f' - f'')^2 + 0.1 mean (h' - h'')^2) - margin, 0), with h the last hidden layer of
    one of the looks. Units of hidden layers are dropped at the rate ``dropout`` in all values that training sees; the
    slopes of the penalty, and the critic that is read, have all units.
    """

    source: ClassVar[str] = "Wei, Gong, Liu, Lu, Wang 2018, eq. 4 to 6"
    own_fields: ClassVar[frozenset[str]] = frozenset({"lr", "penalty", "consistency", "margin"})

    name: Literal["consistency"] = "consistency"
    activation: Activation = Field("relu", description="of the hidden layers")
    penalty: float = Field(10.0, gt=0, description="lambda_1, what the loss weighs the gradient penalty with")
    consistency: float = Field(2.0, gt=0, description="lambda_2, what it weighs disagreement with")
    margin: float = Field(0.0, ge=0, description="M', the disagreement that is free")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of the hidden units that are dropped")

    def loss(self, step: "Step") -> "Tensor":
        *_, hidden, first = step.layers(step.x, dropout=self.dropout)
        *_, other, again = step.layers(step.x, dropout=self.dropout)
        of_y = step.layers(step.y, dropout=self.dropout)[-1]
        apart = (first - again).square()[:, :, 0] + 0.1 * step.mean_square(hidden - other)
        disagreement = (step.each("consistency")[:, None] * apart - step.each("margin")[:, None]).clamp(min=0)
        penalty = step.each("penalty") * step.excess_slopes().square().mean(1)
        return (of_y - first)[:, :, 0].mean(1) + penalty + disagreement.mean(1)
