"""Seconds of work on a device: a CPU's by the clock, a GPU's by events, which do not hold up what they time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch


def wait(device: str) -> None:
    """Wait until a device has done all that it was given; a CPU always has."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def now(device: str) -> float:
    """The clock, read when a device has done all that it was given."""
    wait(device)
    return time.perf_counter()


@cache
def warm_up(device: str) -> None:
    """Load what first products and their derivatives need on a GPU, once per process: no step shall pay for it."""
    if device == "cpu":
        return
    block = torch.ones(2, 8, 8, device=device, requires_grad=True)
    torch.bmm(block, block).relu().sum().backward()  # type: ignore[no-untyped-call]
    wait(device)


class Stopwatch:
    """The seconds that pieces of work take on a device, added up.

    A GPU is given work faster than it does it, so that a clock around calls tells when they were made and not how long
    they take. Events are recorded among the work, and ``seconds`` alone waits for them.
    """

    def __init__(self, device: str) -> None:
        self.device, self._told = device, 0.0
        self._open: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time what is given to the device within this context."""
        if self.device == "cpu":
            start = time.perf_counter()
            yield
            self._told += time.perf_counter() - start
            return
        first, last = self._event(), self._event()
        stream = torch.cuda.current_stream(self.device)
        first.record(stream)
        yield
        last.record(stream)
        self._open.append((first, last))

    @property
    def seconds(self) -> float:
        """The seconds so far; the device is waited for."""
        if self._open:
            wait(self.device)
            self._told += sum(first.elapsed_time(last) for first, last in self._open) / 1000  # from milliseconds
            self._open.clear()
        return self._told

    def _event(self) -> torch.cuda.Event:
        with torch.cuda.device(self.device):
            return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
