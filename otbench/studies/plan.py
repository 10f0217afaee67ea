"""A study: an experiment that is no matrix of cells, but jobs that each give one or more records."""

from typing import ClassVar

from otbench.spec import Spec


class StudyPlan(Spec):
    """What to measure. A record's key says all that the record depends on, so that no other plan's is taken for it."""

    #: Whether a record is of the machine: its jobs are then done one at a time, and once on every machine.
    timed: ClassVar[bool] = False

    def records(self, device: str) -> dict[str, list[str]]:
        """The jobs in order, each with the keys of the records it gives."""
        raise NotImplementedError
