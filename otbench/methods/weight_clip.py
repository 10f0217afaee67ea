"""The WGAN critic whose parameters are clipped to [-c, c] at every training step."""

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.functions import clip_constant
from otbench.methods.mlp import Activation

#: More hidden layers than this are a slip of the pen, and the tuple of their widths may not fit in memory.
MAX_DEPTH = 1000


class WeightClip(Method):
    """The critic of Arjovsky, Chintala, Bottou 2017, Algorithm 1, with a field for everything that changes its number.

    The defaults are the procedure that its readers copy: RMSProp with rate 5e-5, 64 points of each sample per step, the
    loss -mean f(x) + mean f(y), and every parameter clipped to [-clip, clip] after the step. The network starts as
    torch's Linear layers do and is clipped once before the first step. First weights and minibatches follow from the
    seed alone, so that critics that differ in clip value or problem are compared on common random numbers.

    ``method("weight_clip", clip=0.01, ...)`` makes one as well. ``lipschitz_constant`` is the largest slope that a
    critic of this class can have, in units of f per unit of the data, and ``certified_clip`` the clip value at which
    that is 1.

    Raises:
        InputError: an unknown field, a value of the wrong type or out of range, or fields that contradict each other.

    Source: Arjovsky, Chintala, Bottou 2017, Algorithm 1.
    """

    name: Literal["weight_clip"] = "weight_clip"
    clip: float = Field(0.01, gt=0, description="c, the half side of the box")
    clip_over_c_star: float | None = Field(None, gt=0, description="c in units of c*, instead of clip")
    widths: tuple[int, ...] = Field((64, 64), description="hidden widths h_1, ..., h_{L-1}; [] is linear")
    width_per_dim: int = Field(0, ge=0, description="hidden widths are at least this many times the dimension")
    depth: int = Field(2, ge=0, description="hidden layers; repeats a single width")
    activation: Activation = Field("relu", description="of the hidden layers")
    biases: bool = Field(True, description="whether the layers have them")
    clip_parameters: Literal["all", "weights"] = Field("all", description="biases too, or not")
    clip_when: Literal["after", "before"] = Field("after", description="of the optimiser's step")
    optimiser: Literal["rmsprop", "adam", "sgd"] = Field("rmsprop", description="of the descent")
    lr: float = Field(5e-5, gt=0, description="learning rate, in units of lr_unit")
    lr_unit: Literal["absolute", "clip"] = Field("absolute", description='"clip": the rate is lr * clip')
    smoothing: float = Field(0.99, ge=0, lt=1, description="RMSProp's alpha")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's")
    eps: float = Field(1e-8, gt=0, description="added to the root of the second moment")
    init: Literal["torch", "box"] = Field("torch", description="U(±1/sqrt fan_in), or U(±clip)")
    batch: int | Literal["full"] = Field(64, description="points of each sample a step")
    steps: int = Field(4000, ge=0, description="0: the untrained critic")
    dtype: Literal["float32", "tf32", "bfloat16", "float64"] = Field("float32", description="of the products")

    version: ClassVar[int] = 2
    source: ClassVar[str] = "Arjovsky, Chintala, Bottou 2017, Algorithm 1"

    @model_validator(mode="before")
    @classmethod
    def _repeat_width(cls, fields: Any) -> Any:
        """Fill in depth or widths from the other: ``widths = 128, depth = 3`` are three hidden layers of 128."""
        if not isinstance(fields, dict):
            return fields
        widths, depth = fields.get("widths", 64 if "depth" in fields else (64, 64)), fields.get("depth")
        widths = (widths,) if isinstance(widths, int) and not isinstance(widths, bool) else widths
        if not isinstance(widths, list | tuple) or not isinstance(depth, int | None) or isinstance(depth, bool):
            return fields  # wrong types: the field's own rule says so better
        if depth is not None and depth > MAX_DEPTH:
            raise ValueError(f"depth must be at most {MAX_DEPTH}; got {depth}")
        if depth is not None and len(widths) == 1:
            widths = tuple(widths) * depth
        if depth not in (None, len(widths)):
            raise ValueError(f"depth {depth} does not fit widths {list(widths)}; give one width, or leave depth out")
        return {**fields, "widths": tuple(widths), "depth": len(widths)}

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        if any(width < 1 for width in self.widths):
            raise ValueError(f"widths must be at least 1; got {list(self.widths)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1); got {list(self.betas)}")
        if self.batch != "full" and self.batch < 1:
            raise ValueError(f'batch must be at least 1, or "full"; got {self.batch}')
        if self.clip_over_c_star is not None and "clip" in self.model_fields_set:
            raise ValueError("give clip or clip_over_c_star, not both")
        return self

    def at(self, dim: int) -> Self:
        """The method on R^dim: widths are at least width_per_dim dim, clip is clip_over_c_star c* if set."""
        widths = tuple(max(width, self.width_per_dim * dim) for width in self.widths)
        placed = self.model_copy(update={"widths": widths})
        if self.clip_over_c_star is None:
            return placed
        return placed.model_copy(update={"clip": self.clip_over_c_star * placed.certified_clip(dim)})

    @property
    def rate(self) -> float:
        """The learning rate that the optimiser is given, whatever the unit of ``lr``."""
        return self.lr * self.clip if self.lr_unit == "clip" else self.lr

    def lipschitz_constant(self, dim: int) -> float:
        """K(c) = c^L sqrt(d) prod_i h_i, a Lipschitz constant of every critic of this class on R^dim."""
        return clip_constant(self.clip, self.shapes(dim))

    def certified_clip(self, dim: int) -> float:
        """c* = (sqrt(d) prod_i h_i)^(-1/L), the clip value with K(c) = 1: raw is then a lower bound of W1 itself."""
        return float(clip_constant(1.0, self.shapes(dim)) ** (-1 / (self.depth + 1)))

    def shapes(self, dim: int) -> list[tuple[int, ...]]:
        """(in, out) of every layer."""
        sizes = (dim, *self.widths, 1)
        return list(itertools.pairwise(sizes))

    def batch_key(self) -> tuple[object, ...]:
        """All fields but clip value, learning rate and eps, which may differ within a batch."""
        own = {"clip", "clip_over_c_star", "lr", "lr_unit", "eps"}
        return tuple(sorted((k, v) for k, v in self.model_dump().items() if k not in own))

    @property
    def trained(self) -> bool:
        return self.steps > 0

    def work(self, dim: int) -> float:
        rows = 2 * (64 if self.batch == "full" else self.batch)
        return 6.0 * rows * sum(fan_in * fan_out for fan_in, fan_out in self.shapes(dim)) * self.steps

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        from otbench.methods.training.clipped import train_clipped  # torch loads here, not when an experiment is read

        laws = None if jobs[0].law is None else [job.law for job in jobs if job.law is not None]
        return train_clipped([j.pair for j in jobs], methods, [j.seed for j in jobs], device=device, laws=laws)
