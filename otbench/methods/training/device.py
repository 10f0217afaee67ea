"""The device that training runs on, and the one thread that it takes of a CPU."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from otbench.errors import InputError


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
