"""A promise: what an experiment declares that its results reach, checked again whenever they are."""

from typing import ClassVar

from pydantic import Field

from otbench.spec import Scalar, Spec


class Promise(Spec):
    """The median of the column ``ratio`` over the rows in which all of ``where`` holds is at least ``at_least``.

    ``ratio`` is as a rule a rung over primal, so that 1 is perfect.
    """

    kind: ClassVar[str] = "agree table"

    ratio: str
    at_least: float = Field(ge=-1, le=1)
    where: dict[str, Scalar]
