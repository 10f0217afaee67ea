"""The critic of orthonormal layers whose activation sorts: 1-Lipschitz, and able to be as steep everywhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from otbench.methods.mlp import SortingActivation
from otbench.methods.neural import Layers, Neural

if TYPE_CHECKING:
    from torch import Tensor

    from otbench.methods.training.constraints import Constraint
    from otbench.methods.training.step import Step


class GroupSort(Neural):
    """A critic that minimises -mean f(x) + mean f(y), of orthonormal layers and an activation that sorts its inputs.

    Sorting only permutes, so that the gradient keeps its length through every layer whose rows are orthonormal, and
    no layer is steeper than 1: the constant of the critic is 1 up to rounding. "maxmin" sorts pairs of neighbouring
    units, the larger first; "full_sort" sorts a whole layer. With ``orthonormalisation`` "bjorck" a layer W is drawn
    back after each step to orthonormal ones by ``iterations`` steps of Bjorck's iteration, shrunk before where the step
    went too far for it, and the loss descends along such layers. With "exponential" W is B exp(A) of a fixed B, and
    steps move the skew-symmetric A, as in the code of Korotin, Kolesov, Burnaev 2022; such steps take longer.
    """

    source: ClassVar[str] = "Anil, Lucas, Grosse 2019, sections 4.1 and 4.2"

    version: ClassVar[int] = 3
    added: ClassVar[frozenset[str]] = frozenset({"orthonormalisation"})

    name: Literal["group_sort"] = "group_sort"
    activation: SortingActivation = Field("full_sort", description="of the hidden layers")
    lr: float = Field(1e-2, gt=0, description="learning rate of Adam")
    decay: Literal["none", "linear"] = Field("linear", description="linear: the rate falls to 0 at the end")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's")
    orthonormalisation: Literal["bjorck", "exponential"] = Field("bjorck", description="what keeps layers orthonormal")
    iterations: int = Field(3, ge=1, description="of Bjorck's iteration a step")

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.activation == "maxmin" and any(width % 2 for width in self.widths):
            raise ValueError(f'widths must be even, as activation "maxmin" sorts pairs; got {list(self.widths)}')
        return self

    def loss(self, step: "Step") -> "Tensor":
        return step.difference()

    def constraint(self, leaves: "Sequence[Tensor]", layers: Layers, seeds: Sequence[int]) -> "Constraint":
        from otbench.methods.training.constraints import Orthonormal
        from otbench.methods.training.exponentials import Exponential

        if self.orthonormalisation == "exponential":
            return Exponential(leaves, layers, seeds)
        return Orthonormal(leaves, layers, self.iterations)
