"""The base of methods that train a network by a loss on minibatches."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.functions import Critic
from otbench.methods.mlp import AnyActivation, Mlp
from otbench.methods.training.recipes import Update

if TYPE_CHECKING:  # torch loads when something is trained, not when an experiment is read
    from torch import Tensor

    from otbench.methods.training.constraints import Constraint
    from otbench.methods.training.step import Step

#: (in, out) of every layer of a network.
Layers = Sequence[tuple[int, ...]]


class Neural(Method):
    """A network f: R^d → R, trained by Adam on a loss of ``batch`` points of either sample a step.

    A subclass gives the loss, with the operations of a ``Step``, and whatever fields change its number. The network
    starts as torch's Linear layers do. First weights, minibatches and fresh points are those of a clipped critic of
    equal widths and seed.
    """

    #: Fields that may differ between critics that are trained together.
    own_fields: ClassVar[frozenset[str]] = frozenset({"lr"})

    #: Each subclass has a field for it.
    activation: AnyActivation

    widths: tuple[int, ...] = Field((64, 64), description="hidden widths")
    width_per_dim: int = Field(0, ge=0, description="hidden widths are at least this many times the dimension")
    lr: float = Field(1e-4, gt=0, description="learning rate of Adam")
    decay: Literal["none", "linear"] = Field("none", description="linear: the rate falls to 0 at the end")
    betas: tuple[float, float] = Field((0.0, 0.9), description="Adam's")
    batch: int = Field(64, ge=1, description="points of each sample a step")
    steps: int = Field(4000, ge=0, description="0: the untrained critic")
    dtype: Literal["float32", "float64"] = Field("float32", description="of training")

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if any(width < 1 for width in self.widths):
            raise ValueError(f"widths must be at least 1; got {list(self.widths)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1); got {list(self.betas)}")
        return self

    def updates(self) -> tuple[Update, ...]:
        """What one training step does."""
        return (Update(self.loss),)

    def loss(self, step: "Step") -> "Tensor":
        """What the critics descend (E,): small where f is large on x, small on y and nearly as the constraint asks."""
        raise NotImplementedError

    def constraint(self, leaves: "Sequence[Tensor]", layers: Layers, seeds: Sequence[int]) -> "Constraint | None":
        """What holds the critics' weights ``leaves``, (E, in, out) of each layer, to a norm; None where nothing."""
        return None

    def networks(self, dim: int) -> dict[str, Layers]:
        """The layers of every network that is trained, the critic first."""
        return {"critic": self.shapes(dim)}

    def shapes(self, dim: int) -> Layers:
        """(in, out) of every layer of the critic."""
        return list(itertools.pairwise((dim, *self.widths, 1)))

    def critic(self, networks: dict[str, Mlp]) -> Critic:
        """The critic that is read, of all networks after training as float64 functions."""
        return networks["critic"]

    def at(self, dim: int) -> Self:
        """The method on R^dim: widths are at least width_per_dim dim."""
        widths = tuple(max(width, self.width_per_dim * dim) for width in self.widths)
        return self.model_copy(update={"widths": widths})

    def batch_key(self) -> tuple[object, ...]:
        """All fields but those that may differ within a batch."""
        return tuple(sorted((k, v) for k, v in self.model_dump().items() if k not in self.own_fields))

    @property
    def trained(self) -> bool:
        return self.steps > 0

    def work(self, dim: int) -> float:
        sizes = {name: sum(i * o for i, o in layers) for name, layers in self.networks(dim).items()}
        products = sum(update.times * sizes[name] for update in self.updates() for name in update.networks)
        return 12.0 * self.batch * products * self.steps

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        from otbench.methods.training.neural import train_networks  # torch loads here

        laws = None if jobs[0].law is None else [job.law for job in jobs if job.law is not None]
        return train_networks([j.pair for j in jobs], methods, [j.seed for j in jobs], device=device, laws=laws)
