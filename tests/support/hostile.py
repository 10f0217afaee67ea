"""Cells that misbehave on purpose, as a method of real runs: this module, run as a program, is otbench with it.

    python hostile.py run FILE.toml ...

``does`` says what a cell does as it is fitted; whatever is left of it then is the zero critic.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from otbench.deadline import check_deadline
from otbench.methods import METHODS
from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.functions import Affine


class Hostile(Method):
    """f = 0, after having done what it ``does``; ``index`` tells cells of one kind apart."""

    name: Literal["hostile"] = "hostile"
    does: Literal["nothing", "sleep", "die", "die_once", "raise", "memory", "hang", "loop"] = "nothing"
    seconds: float = 0.0
    index: int = 0
    mark: str = ""

    def batch_key(self) -> tuple[object, ...]:
        return self.name, self.does, self.index

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        for method in methods:
            getattr(method, f"_{method.does}")()
        return [Fitted(Affine(np.zeros(job.pair.dim))) for job in jobs]

    def _nothing(self) -> None:
        pass

    def _sleep(self) -> None:
        time.sleep(self.seconds * float(os.environ.get("HOSTILE_PACE", "1")))

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _die_once(self) -> None:
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        self._die()

    def _raise(self) -> None:
        raise ZeroDivisionError("the cell\nis broken")

    def _memory(self) -> None:
        import resource

        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (2**33, before[1]))
        try:
            np.ones(2**40)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    def _hang(self) -> None:
        """Hold the interpreter, as a library in C does: no Python thread of the process goes on."""
        ctypes.PyDLL(None).sleep(3600)

    def _loop(self) -> None:
        """A long loop that looks at its deadline, as training does."""
        end = time.monotonic() + 3600
        while time.monotonic() < end:
            check_deadline()
            time.sleep(0.01)


def with_hostile() -> dict[str, Any]:
    """Make the method known in this process."""
    METHODS["hostile"] = Hostile
    return METHODS


if __name__ == "__main__":
    import hostile

    from otbench.cli.run import main

    sys.path.insert(0, str(Path(__file__).parent))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal; a job in the background ignores it
    hostile.with_hostile()
    main()
