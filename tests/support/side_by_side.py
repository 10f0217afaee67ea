"""Ratios that mean something on a shared machine: the parties take turns in one process, medians are compared."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Turns:
    """Seconds of each party, one entry per turn."""

    seconds: dict[str, list[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, slow: str, fast: str) -> float:
        """How many times longer ``slow`` takes: the median over turns of the ratio within a turn."""
        return statistics.median(a / b for a, b in zip(self.seconds[slow], self.seconds[fast], strict=True))

    def report(self, title: str) -> str:
        lines = [title]
        for name in self.seconds:
            q1, median, q3 = np.quantile(self.seconds[name], [0.25, 0.5, 0.75]) * 1e3
            lines.append(f"  {name:32} {median:10.3f} ms   quartiles {q1:.3f} ... {q3:.3f}")
        return "\n".join(lines)


def take_turns(parties: dict[str, Callable[[], object]], turns: int) -> Turns:
    """Every party once a turn, after one turn that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in parties}
    for turn in range(turns + 1):
        for name, work in parties.items():
            start = time.perf_counter()
            work()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return Turns(seconds)
