"""Two networks whose sum is held below the distance by a square penalty on the pairs of a minibatch (LSOT)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from otbench.methods.mlp import Activation
from otbench.methods.neural import Layers, Neural
from otbench.methods.training.recipes import Update

if TYPE_CHECKING:
    from torch import Tensor

    from otbench.methods.training.step import Step


class LeastSquares(Neural):
    """Networks f and g that minimise -mean f(x) - mean g(y) + mean max(f(x) + g(y) - |x - y|, 0)^2 / (4 eps).

    The last mean is over the pairs of a minibatch. f is the critic that is read.
    """

    source: ClassVar[str] = "Seguy et al. 2018, eq. 7 (the quadratic penalty); as run by Korotin, Kolesov, Burnaev 2022"
    own_fields: ClassVar[frozenset[str]] = frozenset({"lr", "eps"})

    name: Literal["least_squares"] = "least_squares"
    activation: Activation = Field("relu", description="of the hidden layers")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's")
    eps: float = Field(0.01, gt=0, description="of the penalty, in units of the data")

    def updates(self) -> tuple[Update, ...]:
        return (Update(self.loss, ("critic", "second")),)

    def networks(self, dim: int) -> dict[str, Layers]:
        return {"critic": self.shapes(dim), "second": self.shapes(dim)}

    def loss(self, step: "Step") -> "Tensor":
        f, g = step.values(step.x), step.values(step.y, "second")
        excess = (f + g - step.lengths(step.x - step.y)).clamp(min=0)
        return -f.mean(1) - g.mean(1) + excess.square().mean(1) / (4 * step.each("eps"))
