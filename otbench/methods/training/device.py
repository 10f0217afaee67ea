"""The device that training runs on: its memory, waiting for it, and the one thread that it takes of a CPU."""

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch

from otbench.deadline import DEADLINE, check_deadline
from otbench.errors import InputError

#: Seconds of training between two waits for a device while a time limit runs: it is overshot by little more than that.
SECONDS_BETWEEN_WAITS = 1.0

#: The share of what is free on a GPU that one batch may take.
GPU_SHARE = 0.5

#: Bytes that libraries take of a GPU whatever the batch: cuBLAS has up to 32 MiB for each of two streams, and as much
#: again for its light version.
WORKSPACES = 128 * 2**20


def check_device(device: object) -> str:
    """The name of a CPU or CUDA device that this torch can compute on, an InputError where it is none."""
    device = str(device)  # a torch.device says its name
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise InputError(f"device {device!r} cannot be used: it is not cpu, cuda or cuda:N; use --device cpu")
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device!r} cannot be used: {reason}; use --device cpu") from None
    return device


@contextmanager
def one_thread() -> Iterator[None]:
    """Within this context torch has one thread: several can be a hundred times slower on a small shared machine, and
    sum in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def gpu_room(device: str) -> int:
    """The bytes of a GPU that one batch may take: a share of what nobody uses, after the workspaces of libraries."""
    free, _ = torch.cuda.mem_get_info(device)
    return share_of(free, torch.cuda.memory_reserved(device), torch.cuda.memory_allocated(device))


def share_of(free: int, reserved: int, allocated: int) -> int:
    """The bytes that one batch may take where ``free`` are left by all processes, and this one has ``reserved`` some of
    which ``allocated`` are in use: the others can be had again."""
    return max(0, int(GPU_SHARE * (free + reserved - allocated - WORKSPACES)))


class Pace:
    """The look at the clock between blocks of training steps.

    A device is handed its steps long before it has done them, so that a clock read beside them tells nothing of how far
    it is. While a time limit runs the device is therefore waited for, about once a second.

    Args:
        wait: waits until the device has done what it was handed; None where steps are done when they return.
    """

    def __init__(self, wait: Callable[[], object] | None) -> None:
        self.wait, self.waited = wait, time.monotonic()

    @classmethod
    def of(cls, device: torch.device) -> "Pace":
        """The pace of training on a device."""
        return cls(partial(torch.cuda.synchronize, device) if device.type == "cuda" else None)

    def check(self) -> None:
        """Raise TimeLimitError where the present cell's time is up."""
        limited = DEADLINE.get() < math.inf
        if self.wait is not None and limited and time.monotonic() - self.waited >= SECONDS_BETWEEN_WAITS:
            self.wait()
            self.waited = time.monotonic()
        check_deadline()
