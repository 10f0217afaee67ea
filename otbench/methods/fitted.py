"""What it gives to fit a method to samples: a critic, with what is known of how it was made."""

from dataclasses import dataclass
from typing import Literal

from otbench.errors import InputError
from otbench.methods.functions import Critic
from otbench.types import Array


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted critic, itself a function of points (k, d), with what is known of its training.

    ``critic`` is None where ``status`` is "diverged", for a ``reason``; else it is "ok". ``halfway`` is the critic
    after half of the steps. ``saturation_start`` and ``saturation`` are the shares of the clipped parameters with
    |theta| >= 0.999 c before the first step and after the last. ``seconds`` is this critic's share of the time that the
    training steps took, from a device with nothing left to do until it had done them all, and ``seconds_prepare`` its
    share of the time before that: networks are made, and on a GPU first kernels loaded, or steps compiled or captured.
    ``batch`` is the number of critics that were trained together, and ``compiled`` says whether their step was
    compiled. What is not known, as of critics that need no training, is None.
    """

    critic: Critic | None
    status: Literal["ok", "diverged"] = "ok"
    reason: str = ""
    halfway: Critic | None = None
    saturation_start: float | None = None
    saturation: float | None = None
    seconds: float = 0.0
    seconds_prepare: float = 0.0
    batch: int = 1
    compiled: bool = False

    def __repr__(self) -> str:
        """What came of fitting, on one line, without the parameters."""
        what = " ".join(self.reason.split()) if self.critic is None else type(self.critic).__name__
        layers = "".join(f" -> {len(bias)}" for bias in getattr(self.critic, "biases", ()))
        company = f", one of {self.batch} trained together" if self.batch > 1 else ""
        return f"Fitted({self.status}: {what}{layers}, {self.seconds:.3g} s{company})"

    def values(self, z: Array) -> Array:
        """f(z) (k,) at points z (k, d); InputError where the critic has diverged."""
        return self._sound().values(z)

    def gradients(self, z: Array) -> Array | None:
        """grad f(z) (k, d) at points z (k, d), None where f offers none; InputError where the critic has diverged."""
        return self._sound().gradients(z)

    def constants(self) -> tuple[float | None, float | None]:
        """Lipschitz constants from the clip value and from the spectral norms; None where they are unknown."""
        return self._sound().constants()

    def _sound(self) -> Critic:
        if self.critic is None:
            raise InputError(f"this critic has {self.status}: {self.reason}; there is no function to read")
        return self.critic
