"""Critics in batches of almost equal size."""

from collections.abc import Callable

import numpy as np

from otbench.methods.fitted import Fitted
from otbench.types import Indices


def in_batches(count: int, size: int, train: Callable[[Indices], list[Fitted]]) -> list[Fitted]:
    """The critics 0 to ``count``, trained by ``train`` in batches of ``size`` at most and of almost equal size."""
    return [fitted for some in np.array_split(np.arange(count), -(-count // size)) for fitted in train(some)]
