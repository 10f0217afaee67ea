"""Run a study: the jobs of its plan that have not all their records yet, their records appended as they end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from otbench.errors import ResultsError
from otbench.experiment.declaration import Experiment
from otbench.experiment.run.machine import machine_facts, machine_id
from otbench.experiment.run.runner import write_meta
from otbench.results.folder import EVERYWHERE
from otbench.results.lines import Row, append_lines
from otbench.results.seal import seal, unseal
from otbench.results.store import Results, keys_digest
from otbench.studies.dispatch import measure
from otbench.studies.plan import StudyPlan


def run_plan(
    experiment: Experiment,
    folder: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    on_progress: Callable[[int, int, int], None] = lambda before, now, total: None,
) -> int:
    """Do every job of an experiment's plan that has not all its records in ``folder`` yet, and return how many.

    A timed plan's jobs are done one at a time, in this process: two at once would time each other; each machine
    does them all. A job that was interrupted is done again from its beginning.
    """
    from otbench.methods.training.device import check_device

    plan = experiment.plan
    assert plan is not None
    check_device(device)
    results, facts = Results(folder), machine_facts(device)
    machine, jobs = machine_id(facts), plan.records(device)
    scope = machine if plan.timed else EVERYWHERE
    keys = [key for records in jobs.values() for key in records]
    with results.locked():
        unseal(results)
        results.mend()
        todo = _unmeasured(jobs, results, scope)
        if not plan.timed:
            whole = {key for job, records in jobs.items() if job not in todo for key in records}
            results.keep_measurements([key for key in keys if key in whole])
        write_meta(experiment, results, {machine: facts}, {scope: keys_digest(keys)})
        for now, records in enumerate(_measured(plan, todo, device, 1 if plan.timed else workers)):
            append_lines(results.measurements_file, [{**record, "machine": machine} for record in records])
            on_progress(0, now + 1, len(todo))
        if not plan.timed:
            results.keep_measurements(keys)
        seal(results)
    return len(todo)


def missing_jobs(experiment: Experiment, results: Results, device: str) -> tuple[int, int]:
    """How many jobs of an experiment's plan ``run_plan`` would do here, and how many the plan has."""
    from otbench.methods.training.device import check_device

    plan = experiment.plan
    assert plan is not None
    check_device(device)
    jobs = plan.records(device)
    scope = machine_id(machine_facts(device)) if plan.timed else EVERYWHERE
    return len(_unmeasured(jobs, results, scope)), len(jobs)


def _unmeasured(jobs: Mapping[str, list[str]], results: Results, scope: str) -> list[str]:
    """The jobs that have not all their records from ``scope`` yet: a machine, or everywhere."""
    done = [row for row in results.measurements() if scope in (EVERYWHERE, row["machine"])]
    there = {str(row["key"]) for row in done}
    return [job for job, records in jobs.items() if not there.issuperset(records)]


def _measured(plan: StudyPlan, jobs: Sequence[str], device: str, workers: int) -> Iterator[list[Row]]:
    """The records of each job as it ends, in this process or on workers; ResultsError for a job that fails."""
    from otbench.experiment.run.clusters import open_client
    from otbench.experiment.run.workers import Dispatch, Failure

    records = partial(_one_threaded, plan, device)
    if workers == 1 or len(jobs) <= 1:
        yield from map(records, jobs)
        return
    with open_client("local", min(workers, len(jobs)), 0) as client:
        for job, outcome in Dispatch(client, records, jobs, lambda job: []).outcomes():
            if isinstance(outcome, Failure):
                raise ResultsError(f"{job} failed: {outcome.reason}; the other jobs' records are kept")
            yield outcome


def _one_threaded(plan: StudyPlan, device: str, job: str) -> list[Row]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return measure(plan, job, device)
