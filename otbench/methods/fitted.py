"""What fitting one method on one sample returns: a critic, with what is known of its making."""

from dataclasses import dataclass
from typing import Literal

from otbench.errors import InputError
from otbench.methods.functions import Critic
from otbench.types import Array


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

    def __repr__(self) -> str:
        """What came of fitting, on one line, without the parameters."""
        what = " ".join(self.reason.split()) if self.critic is None else type(self.critic).__name__
        layers = "".join(f" -> {len(bias)}" for bias in getattr(self.critic, "biases", ()))
        company = f", one of {self.batch} trained together" if self.batch > 1 else ""
        return f"Fitted({self.status}: {what}{layers}, {self.seconds:.3g} s{company})"

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
