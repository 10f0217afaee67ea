"""A time limit for one cell: training stops itself at the limit, and a process that does not is ended soon after."""

import faulthandler
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from otbench.errors import OtbenchError

#: Seconds from the limit, at which training stops itself, to the end of a process that has not stopped.
GRACE = 2.0

#: When the present cell's time is up, on the monotonic clock: no change of the wall clock moves it.
DEADLINE = ContextVar("DEADLINE", default=math.inf)


class TimeLimitError(OtbenchError):
    """A cell's time is up."""


@contextmanager
def limited(seconds: float | None, stacks: Path | None = None) -> Iterator[None]:
    """Within this context ``check_deadline`` raises TimeLimitError once ``seconds`` have passed; None sets no limit.

    Where a file ``stacks`` is given, the process ends GRACE seconds after the limit, even within a library that holds
    the interpreter, and leaves in that file where it was.
    """
    if seconds is None:
        yield
        return
    token = DEADLINE.set(time.monotonic() + seconds)
    try:
        with _ended_after(seconds + GRACE, stacks):
            yield
    finally:
        DEADLINE.reset(token)


def check_deadline() -> None:
    """Raise TimeLimitError where the present cell's time is up; long loops call this now and then."""
    if time.monotonic() > DEADLINE.get():
        raise TimeLimitError("the time limit is reached")


@contextmanager
def _ended_after(seconds: float, stacks: Path | None) -> Iterator[None]:
    if stacks is None:
        yield
        return
    stacks.parent.mkdir(parents=True, exist_ok=True)
    with stacks.open("w") as file:
        faulthandler.dump_traceback_later(seconds, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            stacks.unlink(missing_ok=True)
