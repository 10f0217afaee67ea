"""Critics in batches of one size, halved where a device has no memory for them."""

import gc
from collections.abc import Callable

import numpy as np
import torch

from otbench.methods.fitted import Fitted
from otbench.types import Indices


def in_batches(count: int, size: int, train: Callable[[Indices], list[Fitted]]) -> list[Fitted]:
    """The critics 0 to ``count``, trained by ``train`` in batches of ``size`` at most and of almost equal size.

    A batch that does not fit the memory of a device, of which other processes may have taken some meanwhile, is trained
    in two halves.

    Raises:
        torch.OutOfMemoryError: one critic does not fit.
    """
    waiting = np.array_split(np.arange(count), -(-count // size))
    fitted: list[Fitted] = []
    while waiting:
        batch = waiting.pop(0)
        try:
            fitted += train(batch)
            continue
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
        # out of the handler, whose traceback kept the tensors that filled the memory
        gc.collect()
        torch.cuda.empty_cache()
        waiting[:0] = np.array_split(batch, 2)
    return fitted
