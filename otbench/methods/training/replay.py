"""Many training steps as one thing to do again: a captured CUDA graph, or on a CPU the steps themselves."""

from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch

#: Steps before a capture: libraries allocate their workspaces, and compilers compile, when they are first called.
STEPS_BEFORE_CAPTURE = 3


class Replay(Protocol):
    """Some steps that can be done again."""

    def replay(self) -> None:
        """Do the steps."""
        ...


class EagerReplay:
    """Steps that are done one by one, as a graph would do them; what lies around a graph runs so without a GPU."""

    def __init__(self, step: Callable[[], None], steps: int) -> None:
        self.step, self.steps = step, steps

    def replay(self) -> None:
        for _ in range(self.steps):
            self.step()


class GraphReplay:
    """Steps that were captured as one CUDA graph, on the device that is the current one.

    The steps of the warm-up are done; those of the capture are not. Whatever tells one step from the next, as their
    number does, has to lie on the device: the graph repeats every call with the same addresses and Python numbers.
    """

    def __init__(self, step: Callable[[], None], steps: int, device: torch.device) -> None:
        stream, current = _stream_of(torch.cuda.current_device()), torch.cuda.current_stream(device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            for _ in range(STEPS_BEFORE_CAPTURE):
                step()
        current.wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        # a thread that draws points meanwhile may allocate pinned memory, which another mode takes for a fault
        with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
            for _ in range(steps):
                step()

    def replay(self) -> None:
        self.graph.replay()


def replay_of(step: Callable[[], None], steps: int, device: torch.device) -> Replay:
    """``steps`` steps as a graph on a GPU, and one by one elsewhere; some may be done here already, for practice."""
    if device.type == "cuda":
        return GraphReplay(step, steps, device)
    practised = EagerReplay(step, STEPS_BEFORE_CAPTURE)
    practised.replay()
    return EagerReplay(step, steps)


@cache
def _stream_of(device: int) -> torch.cuda.Stream:
    """The stream of a device on which steps are warmed up and captured: torch's own belongs to the device that was the
    current one when it was first asked for, and workspaces are kept per stream."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
