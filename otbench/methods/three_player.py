"""A critic against a network that moves points to where the critic, less the way, is best (3P-WGAN)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from otbench.methods.functions import Critic
from otbench.methods.mlp import Activation, Mlp
from otbench.methods.movers import RaysOfMover
from otbench.methods.neural import Layers, Neural
from otbench.methods.training.recipes import Update

if TYPE_CHECKING:
    from torch import Tensor

    from otbench.methods.training.step import Step


class ThreePlayer(Neural):
    """A critic f and a mover T: R^d → R^d in the maximin game of mean f(x) - mean (f(T(y)) - |T(y) - y|).

    The mover takes ``mover_steps`` steps to every one of the critic, on the same points. With ``reverse`` it moves the
    other points: the critic maximises mean (f(T(x)) + |T(x) - x|) - mean f(y), which the mover minimises.
    """

    source: ClassVar[str] = "Korotin, Kolesov, Burnaev 2022, section 3 (MM and MM:R)"

    name: Literal["three_player"] = "three_player"
    activation: Activation = Field("relu", description="of the hidden layers")
    mover_steps: int = Field(12, ge=1, description="steps of the mover to one of the critic")
    reverse: bool = Field(False, description="whether the points x are moved, not y")
    rays: Literal["critic", "mover"] = Field("critic", description="whose directions count as the critic's gradient")

    def updates(self) -> tuple[Update, ...]:
        return (Update(self.way, ("mover",), self.mover_steps), Update(self.loss, ("critic",)))

    def networks(self, dim: int) -> dict[str, Layers]:
        return {"critic": self.shapes(dim), "mover": [*self.shapes(dim)[:-1], (self.shapes(dim)[-1][0], dim)]}

    def way(self, step: "Step") -> "Tensor":
        """What the mover descends (E,): the way, less what f gains by it."""
        start, sign = (step.x, 1) if self.reverse else (step.y, -1)
        moved = step.outputs(start, "mover")
        return (step.lengths(moved - start) + sign * step.values(moved)).mean(1)

    def loss(self, step: "Step") -> "Tensor":
        start, sign, others = (step.x, 1, step.y) if self.reverse else (step.y, -1, step.x)
        moved = step.outputs(start, "mover").detach()
        return sign * (step.values(others).mean(1) - step.values(moved).mean(1))

    def critic(self, networks: dict[str, Mlp]) -> Critic:
        """f, whose gradient is the direction of the mover where ``rays`` says so."""
        if self.rays == "critic":
            return networks["critic"]
        return RaysOfMover(networks["critic"], networks["mover"], 1.0 if self.reverse else -1.0)
