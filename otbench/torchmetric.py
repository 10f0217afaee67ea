"""The metric of ``otbench.torch`` as one of torchmetrics', which has to be installed."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from otbench.confidence import LEVEL
from otbench.methods.running import SIZE, BatchReader, Totals, united


class W1Metric(Metric):  # type: ignore[misc]
    """``otbench.torch.W1Monitor``, with the same arguments and numbers, for a ``MetricCollection``, for Lightning's
    ``self.log``, and for torchmetrics' synchronisation of several processes."""

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    numbers: Tensor

    def __init__(
        self,
        critic: Any = None,
        *,
        clip: float | None = None,
        lipschitz: Any = None,
        level: float = LEVEL,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.reader = BatchReader(critic, clip, lipschitz, level)
        self.add_state("numbers", torch.zeros(SIZE, dtype=torch.float64), dist_reduce_fx=_united)

    def update(self, critic_x: Any, critic_y: Any, x: Any, y: Any) -> None:
        """Read one pair of batches; the arguments are those of ``otbench.monitor``."""
        _, read = self.reader.read(critic_x, critic_y, x, y)
        both = united([Totals.from_numbers(self.numbers.tolist()), read])
        self.numbers = self.numbers.new_tensor(both.numbers())

    def compute(self) -> dict[str, Tensor]:
        """The numbers by now, by their names."""
        told = self.reader.told(Totals.from_numbers(self.numbers.tolist()))
        return {name: self.numbers.new_tensor(value) for name, value in told.items()}


def _united(parts: Tensor) -> Tensor:
    """The states (k, SIZE) of several processes as one (SIZE,)."""
    return parts.new_tensor(united(Totals.from_numbers(part) for part in parts.tolist()).numbers())
