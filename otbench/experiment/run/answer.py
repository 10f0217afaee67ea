"""What happens on a worker: it looks whether it may do a task at all, does it, and says who it is."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Generic, TypeVar

from otbench.results.schema import SCHEMA

AnyTask = TypeVar("AnyTask")
Result = TypeVar("Result")

#: Seconds that a process which can compute no more has to say so before it ends.
LAST_WORDS = 1.0


@dataclass(frozen=True)
class Failure:
    """Why a task has no result, and whether the process it failed in can do no more, as one whose device is lost."""

    reason: str
    ends_worker: bool = False


@dataclass(frozen=True)
class Reply(Generic[Result]):
    """What a worker says of a task: its address and the outcome, or that it does none and why; ``why`` is empty where
    that is known already."""

    worker: str
    outcome: Result | Failure | None
    why: str = ""


#: Set once this process is about to end.
ENDING = threading.Event()


def own_version() -> str:
    """The version of otbench here, and of the rows it makes."""
    return f"{metadata.version('otbench')}, schema {SCHEMA}"


def answer(attempt: Callable[[AnyTask], Result | Failure], version: str, task: AnyTask) -> Reply[Result]:
    """What this worker makes of a task; it does none where it runs another version than the coordinator, or is about to
    end."""
    from distributed import get_worker

    here = str(get_worker().address)
    if ENDING.is_set():
        return Reply(here, None)
    if own_version() != version:
        return Reply(here, None, f"it runs otbench {own_version()}, this is {version}; install the same everywhere")
    outcome = attempt(task)
    if isinstance(outcome, Failure) and outcome.ends_worker:
        end_soon()
    return Reply(here, outcome)


def end_soon() -> None:
    """End this process once it has said why; where it has a nanny, that starts another."""
    ENDING.set()
    timer = threading.Timer(LAST_WORDS, os._exit, [1])
    timer.daemon = True
    timer.start()
