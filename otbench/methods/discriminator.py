"""The discriminator of a classical GAN, trained on the logistic loss; its logit is a critic like any other."""

import itertools
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.mlp import Activation


class Discriminator(Method):
    """A classical discriminator D = 1/(1 + exp(-f)), trained to maximise E_P log D + E_Q log(1 - D).

    f is not constrained. The maximum is 2 JS(P, Q) - log 4. First weights, minibatches and fresh points are those of a
    clipped critic of equal widths and seed.
    """

    name: Literal["discriminator"] = "discriminator"
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field((64, 64), description="hidden widths")
    activation: Activation = Field("relu", description="of the hidden layers")
    lr: float = Field(1e-3, gt=0, description="learning rate of Adam")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's")
    batch: int = Field(64, ge=1, description="points of each sample a step")
    steps: int = Field(2000, ge=1, description="of training, one at least")

    source: ClassVar[str] = "Goodfellow et al. 2014, eq. 1; Adam: Kingma, Ba 2015"

    def shapes(self, dim: int) -> list[tuple[int, ...]]:
        """(in, out) of every layer."""
        return list(itertools.pairwise((dim, *self.widths, 1)))

    def batch_key(self) -> tuple[object, ...]:
        return tuple(sorted(self.model_dump().items()))

    @property
    def trained(self) -> bool:
        return True

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        from otbench.methods.training.logistic import train_discriminators  # torch loads here

        laws = None if jobs[0].law is None else [job.law for job in jobs if job.law is not None]
        pairs, seeds = [job.pair for job in jobs], [job.seed for job in jobs]
        return train_discriminators(pairs, methods[0], seeds, device=device, laws=laws)
