"""The plan of a study: an experiment that is no matrix of cells, but jobs that each give one or more records."""

from typing import ClassVar

from otbench.spec import Spec


class StudyPlan(Spec):
    """What to measure. A record's key says all that it depends on, so that none of another plan is taken for it."""

    #: Whether records depend on the machine: their jobs are then done one at a time, and once on every machine.
    timed: ClassVar[bool] = False

    def records(self, device: str) -> dict[str, list[str]]:
        """The jobs in order, each with the keys of the records that it gives."""
        raise NotImplementedError
