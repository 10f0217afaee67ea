"""For training loops in torch: a metric that tells what a critic proves of W1, in place of its loss."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from otbench.confidence import LEVEL
from otbench.methods.running import BatchReader, Totals, united
from otbench.transport.monitoring import BatchBound


class W1Monitor(nn.Module):
    """What a critic's values prove of W1, over the batches since ``reset``: ``update``, ``compute``, ``reset``.

    ``update(critic(x), critic(y), x, y)`` reads one pair of batches, as ``otbench.monitor`` does. ``compute`` gives, in
    the data's unit and as float64 tensors on the module's device:

    * ``bound``: the mean over the updates of raw / slope, a lower bound of the mean W1 *of the pairs of batches*;
    * ``raw``: the mean of what the loop would print, and ``slope``, the largest slope, which is its scale;
    * with ``critic=``, of the *laws*, from batches of held-out points that the critic was not fitted to:
      ``estimate``, unbiased for a lower bound of their W1, and the bracket ``lower`` to ``upper``, which holds W1 with
      probability ``level``. From below it is what ``otbench.certify`` says of all points together; from above the mean
      exact W1 of the pairs of batches, which is at least that of the laws, with its margin: the larger the batches,
      the nearer. It is infinite after one update.

    Before any update the numbers are NaN. ``forward`` updates, and returns the batch's own ``BatchBound``.

    Its state is a few numbers, no parameters and no buffers: it is in ``state_dict``, stays float64 whatever the
    module is cast to, and what wraps modules for several processes does not touch it; ``merge_state`` unites those of
    several. It has the interface of a torchmetrics metric and needs no torchmetrics; ``otbench.torchmetric.W1Metric``
    is one.

    Args:
        critic: a critic that is held out, as for ``otbench.certify``; it is read in evaluation mode and in float64. It
            is not a submodule: its weights are not in ``state_dict``.
        clip: as for ``otbench.certify``.
        lipschitz: as for ``otbench.certify``.
        level: the probability with which the bracket holds W1 of the laws.

    Raises:
        InputError: what ``otbench.monitor`` and ``otbench.certify`` refuse; a critic that changes between two updates,
            or of which no Lipschitz constant is known everywhere.

    Source: Villani 2009, Thm 5.10 (duality) and Thm 4.8 (convexity).
    """

    def __init__(
        self, critic: Any = None, *, clip: float | None = None, lipschitz: Any = None, level: float = LEVEL
    ) -> None:
        super().__init__()
        # within another object torch does not take it for a submodule
        self.reader = BatchReader(critic, clip, lipschitz, level)
        self.totals = Totals()
        self.device = torch.device("cpu")

    def update(self, critic_x: Any, critic_y: Any, x: Any, y: Any) -> None:
        """Read one pair of batches; the arguments are those of ``otbench.monitor``."""
        self.forward(critic_x, critic_y, x, y)

    def forward(self, critic_x: Any, critic_y: Any, x: Any, y: Any) -> BatchBound:
        """``update``, and what this pair of batches alone says."""
        bound, read = self.reader.read(critic_x, critic_y, x, y)
        self.totals = self.totals + read
        return bound

    def compute(self) -> dict[str, Tensor]:
        """The numbers by now, by their names."""
        told = self.reader.told(self.totals)
        return {name: torch.tensor(value, dtype=torch.float64, device=self.device) for name, value in told.items()}

    def reset(self) -> None:
        """Forget all batches."""
        self.totals = Totals()

    @property
    def update_count(self) -> int:
        """How many pairs of batches were read."""
        return int(self.totals.bounds.count)

    def merge_state(self, other: Self) -> None:
        """Take over what another one read, as of another process."""
        self.totals = united([self.totals, other.totals])

    def get_extra_state(self) -> Tensor:
        """The state as ``state_dict`` has it."""
        return torch.tensor(self.totals.numbers(), dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """The state as ``load_state_dict`` hands it over."""
        self.totals = Totals.from_numbers(state.tolist())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What torch calls to move or cast a module: results follow to its device, and stay float64."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.device = fn(torch.empty(0, device=self.device)).device
        return self

    def extra_repr(self) -> str:
        return f"updates={self.update_count}, held_out={self.reader.critic is not None}"
