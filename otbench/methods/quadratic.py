"""The critic whose rise between two points is weighed against its square over their distance (WGAN-QP)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from otbench.methods.mlp import Activation
from otbench.methods.neural import Neural

if TYPE_CHECKING:
    from torch import Tensor

    from otbench.methods.training.step import Step


class Quadratic(Neural):
    """A critic that maximises mean r - r^2 / (2 slope |x - y|), with r = f(x) - f(y) for each pair of a minibatch.

    Of a single pair the best r is slope |x - y|, and what is left of it is half of that. Pairs at one point are left
    out. Nothing bounds the slope between other points.
    """

    source: ClassVar[str] = "Su 2018 (GAN-QP), eq. 12"
    own_fields: ClassVar[frozenset[str]] = frozenset({"lr", "slope"})

    name: Literal["quadratic"] = "quadratic"
    activation: Activation = Field("relu", description="of the hidden layers")
    slope: float = Field(1.0, gt=0, description="lambda, the rise over the distance that is best for a single pair")

    def loss(self, step: "Step") -> "Tensor":
        fx, fy = step.both()
        lengths = step.lengths(step.x - step.y)
        rise = (fx - fy) * (lengths > 0)
        best = step.each("slope")[:, None] * lengths + (lengths == 0)
        return (rise.square() / (2 * best) - rise).mean(1)
