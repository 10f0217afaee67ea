"""What every method is: a frozen recipe that turns samples into critics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from otbench.methods.fitted import Fitted
from otbench.spec import Spec
from otbench.types import ExactSolution, Law, SamplePair


@dataclass(frozen=True, eq=False)
class Job:
    """One critic to fit: where, with which seed, and the exact solution for methods that are given it. ``law``: the
    problem whose fresh draws a training step sees, None where it sees the pair's points."""

    pair: SamplePair
    seed: int
    exact: ExactSolution
    law: Law | None = None


class Method(Spec):
    """A recipe for critics. A subclass gives its fields and ``fit``.

    ``fit`` is handed every job whose methods have equal ``batch_key``; the methods come one per job, so that
    a subclass may vary fields inside one batched call.
    """

    kind: ClassVar[str] = "method"

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
        """Floating-point operations that fitting one critic on R^dim takes, about."""
        return 0.0

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        """The fitted critics, in the order of the jobs."""
        raise NotImplementedError
