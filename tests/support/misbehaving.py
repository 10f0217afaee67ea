"""Tasks for workers that misbehave on purpose: a task is a list of numbers, and done when it is returned as it was."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from otbench.experiment.run.answer import Failure

Task = list[int]


def split(task: Task) -> list[Task]:
    """The halves of a task, none of one number."""
    middle = len(task) // 2
    return [task[:middle], task[middle:]] if middle else []


def lose_device(bad: int, mark: str, task: Task) -> Task | Failure:
    """A device that is lost once the bad number was on it: whatever this process is given afterwards fails too."""
    lost = Path(f"{mark}-{os.getpid()}")
    if lost.exists() or bad in task:
        lost.touch()
        return Failure("CUDA error: an illegal memory access was encountered", ends_worker=True)
    return task


def die_once(mark: str, bad: int, task: Task) -> Task:
    """A process that ends in the middle of the task with the bad number, the first time that is tried."""
    if bad in task and not os.path.exists(mark):
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def be_broken(mark: str, task: Task) -> Task | Failure:
    """The first process to be given a task is broken: it fails whatever it is given, at once."""
    here = Path(f"{mark}-{os.getpid()}")
    with suppress(FileExistsError):
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        here.touch()
    if here.exists():
        return Failure("no space left on this machine")
    time.sleep(0.25)  # while the broken one fails five times, so that neither is given a task before the fifth is known
    return task


def fail(task: Task) -> Failure:
    """A task that fails anywhere."""
    return Failure(f"cell {task} is bad")
