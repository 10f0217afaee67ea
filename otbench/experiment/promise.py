"""A promise: what an experiment says its results must reach, re-checked whenever they are."""

from typing import ClassVar

from pydantic import Field

from otbench.spec import Scalar, Spec


class Promise(Spec):
    """The median of ``ratio`` over the rows where all of ``where`` holds is at least ``at_least``.

    ``ratio`` is a column of the rows, a rung over primal as a rule, so that 1 is perfect.
    """

    kind: ClassVar[str] = "agree table"

    ratio: str
    at_least: float = Field(ge=-1, le=1)
    where: dict[str, Scalar]
