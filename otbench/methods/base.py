"""What every method is: a frozen recipe that turns samples into critics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from otbench.errors import InputError
from otbench.methods.functions import Critic
from otbench.spec import Spec
from otbench.types import Array, ExactSolution, Law, SamplePair


@dataclass(frozen=True, eq=False)
class Fitted:
    """One method's outcome on one sample: a critic, with what is known of its making.

    ``status`` is "ok", or "diverged" with a reason and no critic.

    ``halfway`` is the critic at half the step budget; ``saturation_start`` and ``saturation`` are the shares of
    clipped parameters with |theta| >= 0.999 c before the first step and at the end; ``seconds`` is this
    critic's share of the training time, ``batch`` the number of critics that shared it, and ``compiled`` whether
    their step was.
    """

    critic: Critic | None
    status: Literal["ok", "diverged"] = "ok"
    reason: str = ""
    halfway: Critic | None = None
    saturation_start: float | None = None
    saturation: float | None = None
    seconds: float = 0.0
    batch: int = 1
    compiled: bool = False

    def values(self, z: Array) -> Array:
        """f(z) (k,) at points z (k, d)."""
        return self._sound().values(z)

    def gradients(self, z: Array) -> Array | None:
        """grad f(z) (k, d)."""
        return self._sound().gradients(z)

    def constants(self) -> tuple[float | None, float | None]:
        """Lipschitz constants (from the clip value, from the spectral norms)."""
        return self._sound().constants()

    def _sound(self) -> Critic:
        if self.critic is None:
            raise InputError(f"this critic has {self.status}: {self.reason}; there is no function to read")
        return self.critic


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
