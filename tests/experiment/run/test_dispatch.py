"""Which tasks are given to whom: workers that end, differ or fail what others can do, and what becomes of their tasks.

On a real scheduler with real worker processes, whose tasks misbehave on purpose.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, wait
from misbehaving import Task, be_broken, die_once, fail, lose_device, split

import otbench.experiment.run.workers as workers
from otbench.experiment.run.answer import Failure, answer, own_version
from otbench.experiment.run.clusters import open_client
from otbench.experiment.run.trust import IN_A_ROW, Trust
from otbench.experiment.run.workers import Dispatch, run_here, threads


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two worker processes with nannies, which start another when one ends."""
    with open_client("local", 2) as opened:
        opened.wait_for_workers(2, timeout=60)
        yield opened


@pytest.fixture
def doomed() -> Iterator[Client]:
    """Two such processes for a test that ends some: another test must not meet one that has yet to be started again."""
    with open_client("local", 2) as opened:
        opened.wait_for_workers(2, timeout=60)
        yield opened


def kept(outcomes: Iterator[tuple[Task, Any]]) -> tuple[list[int], dict[int, str]]:
    """What was done, and why what was not done was not."""
    done, failed = [], {}
    for task, outcome in outcomes:
        if isinstance(outcome, Failure):
            (one,) = task
            failed[one] = outcome.reason
        else:
            done += task
    return sorted(done), failed


@pytest.mark.slow  # processes are started again
def test_a_lost_device_ends_its_worker_and_costs_one_cell(doomed: Client, tmp_path: Path) -> None:
    before = set(doomed.nthreads())
    tasks = [[k, k + 1, k + 2, k + 3] for k in range(0, 16, 4)]
    done, failed = kept(Dispatch(doomed, partial(lose_device, 5, str(tmp_path / "lost")), tasks, split).outcomes())
    assert done == [k for k in range(16) if k != 5]
    assert failed == {5: "CUDA error: an illegal memory access was encountered"}
    assert len(list(tmp_path.glob("lost-*"))) == 3, "of four cells, of two and of one: a process each, and no other"
    doomed.wait_for_workers(2, timeout=60)
    assert set(doomed.nthreads()) != before, "a process whose device is lost has ended, and another was started"


@pytest.mark.slow
def test_a_worker_that_dies_in_the_middle_of_a_task_costs_nothing(doomed: Client, tmp_path: Path) -> None:
    tasks = [[k, k + 1] for k in range(0, 20, 2)]
    found = kept(Dispatch(doomed, partial(die_once, str(tmp_path / "died"), 7), tasks, split).outcomes())
    assert found == (list(range(20)), {})


def test_a_worker_that_fails_what_others_do_is_set_aside_with_a_line_and_costs_nothing(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, tasks = partial(be_broken, str(tmp_path / "broken")), [[k] for k in range(10)]
    found = kept(Dispatch(client, work, tasks, split).outcomes())
    assert found == (list(range(10)), {})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("otbench: worker tcp://127.0.0.1:")
    assert line.endswith(f" is given no more tasks: {IN_A_ROW} tasks in a row failed on it, and the last did not "
                         "elsewhere")  # fmt: skip


def test_results_are_asked_for_at_once_and_one_that_is_none_leaves_all_to_be_judged_alone(client: Client) -> None:
    dispatch = Dispatch(client, fail, [], split)
    good, bad = client.submit(int, "3"), client.submit(int, "none")
    wait([good, bad])
    assert dispatch._results([good]) == {good: 3}
    assert dispatch._results([good, bad]) == {}


def test_cells_that_fail_everywhere_are_failures_of_their_own(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    done, failed = kept(Dispatch(client, fail, [list(range(12)), [12]], split).outcomes())
    assert (done, failed) == ([], {k: f"cell [{k}] is bad" for k in range(13)})
    assert capsys.readouterr().err == ""


def test_a_worker_of_another_version_is_given_nothing_and_named(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = sorted(threads(client))
    monkeypatch.setattr(workers, "PATIENCE", 1.0)
    dispatch = Dispatch(client, fail, [[1]], split)
    dispatch.version = "another"
    with pytest.raises(workers.ResultsError, match="no worker of use was there for 1 s"):
        list(dispatch.outcomes(lambda: None))
    said = sorted(capsys.readouterr().err.splitlines())
    assert [line.split()[2] for line in said] == there
    assert all("it runs otbench" in line and ", this is another; install the same everywhere" in line for line in said)


def test_a_free_worker_is_sent_its_next_task_before_an_outcome_is_handed_on(client: Client) -> None:
    client.wait_for_workers(2, timeout=60)
    dispatch = Dispatch(client, split, [[k] for k in range(8)], split)
    left = [len(dispatch.waiting) for _ in dispatch.outcomes(lambda: None)]
    sent = [8 - waiting for waiting in left]
    assert all(count >= min(8, handed + 2) for handed, count in enumerate(sent, start=1))


def test_a_lost_device_in_this_process_ends_the_run_with_its_cell_told() -> None:
    lost = Failure("CUDA error: unspecified launch failure", ends_worker=True)
    outcomes = run_here(lambda task: lost if task == [2] else task, [[1], [2], [3]], split)
    assert next(outcomes) == ([1], [1])
    assert next(outcomes) == ([2], lost)
    with pytest.raises(workers.ResultsError, match="this process can compute no more; what was done is kept"):
        next(outcomes)


def test_what_failed_on_a_worker_counts_once_it_did_something_or_others_failed_too() -> None:
    said: list[str] = []
    trust: Trust[str] = Trust(said.append)
    for k in range(IN_A_ROW - 1):
        assert not trust.failed("a", ["a", "b"])
        trust.held["a"].append(f"cell {k}")
    assert trust.did("b") == []
    assert trust.did("a") == [f"cell {k}" for k in range(IN_A_ROW - 1)]
    assert not trust.failed("a", ["a", "b"]), "a task that was done begins a new row"
    for _ in range(IN_A_ROW - 1):
        asks = trust.failed("a", ["a", "b"])
    assert asks
    assert trust.excluded() == {"a"}
    assert not trust.failed("b", ["b"]), "nobody else is there to ask"
    trust.acquit("a")
    assert (trust.excluded(), said) == (set(), [])
    trust.held["a"].append("cell")
    trust.in_a_row["a"] = IN_A_ROW
    assert trust.convict("a") == ["cell"]
    assert trust.excluded() == {"a"}
    assert len(said) == 1


def test_a_worker_of_the_coordinators_version_does_the_task(client: Client) -> None:
    said = client.submit(answer, split, own_version(), [1, 2]).result()
    assert (said.outcome, said.why) == ([[1], [2]], "")
    assert said.worker in threads(client)
