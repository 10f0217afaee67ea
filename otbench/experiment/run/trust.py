"""Which workers are given tasks: not those that run another version, end, or fail at what others can do.

A worker whose tasks fail one after the other may be broken, or may have met the cells that fail anywhere. Another
worker tells: it is given the last of these tasks too.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Held = TypeVar("Held")

#: Failures in a row after which another worker is asked.
IN_A_ROW = 5


@dataclass
class Trust(Generic[Held]):
    """What is known of workers, by their addresses.

    ``held`` are the failures of a worker since it last did a task; they count once it does one, or once another worker
    failed as it did. ``aside`` are the workers that are given no more tasks, ``suspended`` those about whom another is
    being asked. ``say`` is told of every worker that is set aside.
    """

    say: Callable[[str], None]
    held: defaultdict[str, list[Held]] = field(default_factory=lambda: defaultdict(list))
    in_a_row: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    aside: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)

    def excluded(self) -> set[str]:
        """The workers that are given no tasks now."""
        return self.aside | self.suspended

    def set_aside(self, worker: str, why: str | None) -> None:
        """Give a worker no more tasks; ``why`` is said, where there is anything to say."""
        if worker not in self.aside and why:
            self.say(f"worker {worker} is given no more tasks: {why}")
        self.aside.add(worker)
        self.suspended.discard(worker)

    def did(self, worker: str) -> list[Held]:
        """A worker did a task; the failures it had before, which are the tasks' own."""
        return self.acquit(worker)

    def failed(self, worker: str, others: Iterable[str]) -> bool:
        """A task failed on a worker; whether to ask another of ``others`` whether it is the task or the worker."""
        self.in_a_row[worker] += 1
        if self.in_a_row[worker] < IN_A_ROW or not any(other != worker for other in others):
            return False
        self.suspended.add(worker)
        return True

    def acquit(self, worker: str) -> list[Held]:
        """A worker is as good as others; the failures that were held back."""
        self.suspended.discard(worker)
        self.in_a_row.pop(worker, None)
        return self.held.pop(worker, [])

    def convict(self, worker: str) -> list[Held]:
        """Another worker did what failed on this one, which is set aside; what failed on it is to be done again."""
        self.set_aside(worker, f"{self.in_a_row[worker]} tasks in a row failed on it, and the last did not elsewhere")
        return self.acquit(worker)

    def all_held(self) -> list[Held]:
        """Every failure that is held back; none is afterwards."""
        found = [one for held in self.held.values() for one in held]
        self.held.clear()
        return found
