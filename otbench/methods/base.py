"""What every method is: a frozen recipe that makes critics of samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from otbench.methods.fitted import Fitted
from otbench.spec import Spec
from otbench.types import ExactSolution, Law, SamplePair


@dataclass(frozen=True, eq=False)
class Job:
    """One critic to fit: on which samples, with which seed, and what else a method may use.

    ``exact`` is the exact solution of the samples, None where a network is trained by hand. ``law`` is the problem of
    which every training step sees fresh draws; where it is None, training sees the points of the pair.
    """

    pair: SamplePair
    seed: int
    exact: ExactSolution | None
    law: Law | None = None


class Method(Spec):
    """A recipe for critics: a field for everything that changes a number, and ``fit``, which a subclass gives.

    ``fit`` is handed all jobs whose methods have one ``batch_key``, with one method per job, so that fields may differ
    within one batched call.
    """

    kind: ClassVar[str] = "method"

    #: Whether the training seed changes a critic.
    chance: ClassVar[bool] = True

    name: str

    def batch_key(self) -> tuple[object, ...]:
        """Methods with equal keys may be fitted in one call."""
        return (self.name,)

    def at(self, dim: int) -> Self:
        """The method on R^dim, with the fields filled in that depend on the dimension."""
        return self

    @property
    def trained(self) -> bool:
        """Whether fitting takes training time, so that batches should be balanced by it."""
        return False

    def work(self, dim: int) -> float:
        """About how many floating-point operations it takes to fit one critic on R^dim."""
        return 0.0

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        """The critics fitted by methods[k] to jobs[k], in this order; ``device`` is where they are trained."""
        raise NotImplementedError
