"""Which measurement a study's plan asks for."""

from otbench.results.store import Row
from otbench.studies import timing
from otbench.studies.gan.plan import GeneratorPlan
from otbench.studies.plan import StudyPlan


def measure(plan: StudyPlan, job: str, device: str) -> list[Row]:
    """The records of the job of that name."""
    if isinstance(plan, GeneratorPlan):
        from otbench.studies.gan.measure import measure as measure_generators  # torch loads here, not with the plan

        return measure_generators(plan, job, device)
    assert isinstance(plan, timing.TimingPlan)
    return [timing.measure(plan, job, device)]
