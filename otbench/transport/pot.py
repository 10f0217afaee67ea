"""POT, the library whose network simplex solves every problem here."""

import warnings
from functools import cache
from typing import Any

#: POT stops early at 100 000 simplex steps by default, with a warning and a cost up to 2.5 % too high.
MAX_ITERATIONS = 10**12

#: POT's stabilised Sinkhorn moves the scalings u, v into the potentials, and rebuilds its kernel, when one exceeds
#: this. Its own limit, 1000, is exceeded at every iteration from a thousand points on, where scalings start at 1/n: no
#: plan then comes of it.
LARGEST_SCALING = 1e30

#: The code by which POT says that it has found an optimum; its warning text says which other state it is in.
OPTIMAL = 1


@cache
def pot() -> Any:
    """POT, imported at the first solve, so that reading results does not take a second longer."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # POT 0.9.7: optional backends
        import ot
    return ot
