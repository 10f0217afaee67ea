"""Which kind of study a plan is of, and hence what measures it."""

from otbench.results.store import Row
from otbench.studies import convergence, growth, pricing, timing
from otbench.studies.gan.plan import GeneratorPlan
from otbench.studies.plan import StudyPlan


def measure(plan: StudyPlan, job: str, device: str) -> list[Row]:
    """The records that the job of that name in the plan gives."""
    if isinstance(plan, GeneratorPlan):
        from otbench.studies.gan.measure import measure as measure_generators  # torch loads here, not with the plan

        return measure_generators(plan, job, device)
    if isinstance(plan, growth.GrowthPlan):
        return [growth.measure(plan, job)]
    if isinstance(plan, convergence.ConvergencePlan):
        return convergence.measure(plan, job, device)
    if isinstance(plan, pricing.PricingPlan):
        return pricing.measure(plan, job, device)
    assert isinstance(plan, timing.TimingPlan)
    return [timing.measure(plan, job, device)]
