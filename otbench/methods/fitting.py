"""Critics of one shape fitted together, in halves where all of them at once do not fit in memory."""

import gc
from collections.abc import Sequence

from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted


def fit_together(methods: Sequence[Method], jobs: Sequence[Job], device: str) -> list[Fitted]:
    """What ``fit`` of the methods' class gives; of half of them after the other where the memory of the machine, or of
    the device, of which other processes may have taken some meanwhile, is too small for all.

    Raises:
        MemoryError: one critic does not fit into the machine; or whatever torch raises where it does not fit a device.
    """
    try:
        return type(methods[0]).fit(methods, jobs, device)
    except (MemoryError, RuntimeError) as error:
        if len(jobs) == 1 or not is_out_of_memory(error):
            raise
    # out of the handler, whose traceback kept what filled the memory
    gc.collect()
    if device != "cpu":
        import torch

        torch.cuda.empty_cache()
    middle = len(jobs) // 2
    halves = slice(None, middle), slice(middle, None)
    return [fitted for some in halves for fitted in fit_together(methods[some], jobs[some], device)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that this machine, or its device, has too little memory."""
    said = str(error).lower()
    short = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
    return isinstance(error, MemoryError) or any(text in said for text in short)
