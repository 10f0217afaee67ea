"""The ladder of many critics at once, by torch in float64 on a device.

A processor reads critics one by one, and drops what cannot matter as it goes. A device looks through all pairs of
points at every scale, for all critics together. Both evaluate the same dual function, whose every value is a bound.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from otbench.transport.bounds import Ladder
from otbench.transport.envelope import from_heaviest, maximise_each
from otbench.types import Array, Indices

#: Pairs of points, times critics, that are looked at together: 256 MiB of float64, of which there are a few.
PAIRS_AT_ONCE = 2**25


class DeviceLadder(Ladder):
    """The same bounds as those of ``Ladder``, for all critics it is handed at once, with the distances on ``device``.

    The largest slope is the same to the last bit, as the rounding of a quotient does not depend on who divides; sums
    over points are rounded in another order.
    """

    def __init__(self, cost: Array, a: Array, b: Array, device: str) -> None:
        super().__init__(cost, a, b)
        self.device = device
        self._there, self._turned = self._on_device(self.cost), self._on_device(self.transposed)

    def slope_constant(self, fx: Array, fy: Array) -> float:
        return self.slope_constants([fx], [fy])[0]

    def slope_constants(self, fxs: Sequence[Array], fys: Sequence[Array]) -> list[float]:
        import torch

        fx, fy = np.stack(fxs)[:, self.rows], np.stack(fys)[:, self.cols]

        def steepest(some: slice) -> Any:
            rises = self._on_device(fx[some])[:, :, None] - self._on_device(fy[some])[:, None, :]
            slopes = rises.div_(self._there)
            return slopes.masked_fill_(torch.isnan(slopes), -torch.inf).amax(dim=(1, 2))  # 0/0 does not count

        found = [steepest(some).cpu().numpy() for some in self._parts(len(fx))]
        return [float(constant) for constant in np.maximum(np.concatenate(found), 0.0)]

    def c_transform(self, fx: Array, fy: Array, guess: float) -> tuple[float, float]:
        return self.c_transforms([fx], [fy], [guess])[0]

    def c_transforms(
        self, fxs: Sequence[Array], fys: Sequence[Array], guesses: Sequence[float]
    ) -> list[tuple[float, float]]:
        fx, fy = np.stack(fxs)[:, self.rows], np.stack(fys)[:, self.cols]
        of_x = self._maxima(fx, self.a, self.b, self._there, guesses)
        of_y = self._maxima(-fy, self.b, self.a, self._turned, guesses)
        best = [max(each, key=lambda one: one[1]) for each in zip(of_x, of_y, strict=True)]
        return [one if one[1] > self.nearest else (0.0, self.nearest) for one in best]

    def _maxima(self, f: Array, a: Array, b: Array, cost: Any, guesses: Sequence[float]) -> list[tuple[float, float]]:
        """(s*, D(s*)) of every critic, for D(s) = s a.f + sum_j b_j min_i (M_ij - s f_i)."""
        f = np.stack([from_heaviest(one, a) for one in f])
        found: list[tuple[float, float]] = []
        for some in self._parts(len(f)):
            evaluate = _envelopes(self._on_device(f[some]), f[some] @ a, b, cost)
            scales, values = maximise_each(evaluate, np.array(guesses[some]))
            found += zip(scales.tolist(), values.tolist(), strict=True)
        return found

    def _parts(self, critics: int) -> list[slice]:
        """The critics in parts that are looked at together."""
        step = max(1, PAIRS_AT_ONCE // self.cost.size)
        return [slice(k, k + step) for k in range(0, critics, step)]

    def _on_device(self, numbers: Array) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self.device)


def _envelopes(f: Any, means: Array, b: Array, cost: Any) -> Callable[[Array, Indices], tuple[Array, Array, Array]]:
    """D with its left and right derivative, at a scale each, of the critics of given numbers."""
    import torch

    weights = torch.from_numpy(b).to(f.device)

    def evaluate(scales: Array, critics: Indices) -> tuple[Array, Array, Array]:
        some = f[torch.from_numpy(critics).to(f.device)]
        lines = cost - (torch.from_numpy(scales).to(f.device)[:, None] * some)[:, :, None]
        lowest = lines.amin(dim=1)
        active = lines == lowest[:, None, :]
        # the slopes of the lines that are lowest, which differ where D has a kink
        flattest = torch.where(active, some[:, :, None], torch.inf).amin(dim=1)
        steepest = torch.where(active, some[:, :, None], -torch.inf).amax(dim=1)
        rest, last, first = torch.stack([lowest @ weights, flattest @ weights, steepest @ weights]).cpu().numpy()
        mean = means[critics]
        return scales * mean + rest, mean - last, mean - first

    return evaluate
