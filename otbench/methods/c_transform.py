"""The critic trained on the c-transforms of itself over a minibatch (CoWGAN)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from otbench.methods.mlp import Activation
from otbench.methods.neural import Neural

if TYPE_CHECKING:
    from torch import Tensor

    from otbench.methods.training.step import Step


class CTransform(Neural):
    """A critic that maximises the dual value of f and its c-transform f^c(y) = min_i |x_i - y| - f(x_i) of a minibatch.

    With ``sides`` "y" the value is mean f(x) + mean f^c(y). With "both" it is whichever is asked for: that value where
    it is below mean f(x) - mean f(y), as it is where f is steeper than 1; else -mean f(y) + mean g^c(x) with
    g = -f where that is below; else the difference itself. Points of the minibatch are the only ones that hold f.
    """

    source: ClassVar[str] = "Mallasto, Montufar, Gerolin 2019, section 3; as run by Korotin, Kolesov, Burnaev 2022"

    name: Literal["c_transform"] = "c_transform"
    activation: Activation = Field("relu", description="of the hidden layers")
    sides: Literal["both", "y"] = Field(
        "both", description="whose points the c-transform is taken at; both: where it is below the difference"
    )

    def loss(self, step: "Step") -> "Tensor":
        fx, fy = step.both()
        # A row a point of y: the minimum every recipe takes is along a row, where torch is several times as fast.
        costs = step.distances()
        to_y, from_x = (costs - fx.detach()[:, None, :]).min(dim=2)
        along_y = fx.mean(1) + (to_y + fx.detach().gather(1, from_x) - fx.gather(1, from_x)).mean(1)
        if self.sides == "y":
            return -along_y
        to_x, from_y = _apart(costs, fy.detach()[:, :, None]).min(dim=1)
        along_x = (to_x - fy.detach().gather(1, from_y) + fy.gather(1, from_y)).mean(1) - fy.mean(1)
        plain = fx.mean(1) - fy.mean(1)
        return -along_y.where(along_y < plain, along_x.where(along_x < plain, plain))


def _apart(costs: "Tensor", added: "Tensor") -> "Tensor":
    """``costs`` (E, B, B) and ``added`` as a sum whose rows are no power of two apart in memory.

    Where they are, as with 1024 points, the rows share a few lines of the cache, and a minimum across them takes four
    times as long.
    """
    critics, rows, columns = costs.shape
    room = costs.new_empty(critics, rows, columns + 16)[:, :, :columns]
    return room.copy_(costs).add_(added)
