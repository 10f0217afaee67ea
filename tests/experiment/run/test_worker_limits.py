"""How long and how often a run waits for workers: just inside each limit it goes on, just beyond it gives up."""

from types import SimpleNamespace
from typing import Any

import pytest
from distributed import KilledWorker
from small import declare

import otbench.experiment.declaration as declaration
import otbench.experiment.run.workers as workers
from otbench.errors import InputError, ResultsError
from otbench.experiment.declaration import Block, _affordable, _cells
from otbench.experiment.known import known
from otbench.experiment.run.clusters import STARTS, visible_devices
from otbench.experiment.run.filling import make_tasks, share_out
from otbench.experiment.run.workers import Dispatch, Failure, _outcome, run_here


def ended(error: BaseException | None) -> Any:
    """A future that has ended, with an error or with a result."""
    return SimpleNamespace(status="finished" if error is None else "error", exception=lambda: error,
                           result=lambda: "rows")  # fmt: skip


DIED = KilledWorker("task", None, "")


@pytest.mark.parametrize(
    ("deaths", "passed", "limit", "reason"),
    [
        (0, 1e9, None, None),
        (1, 0.0, None, "its worker died 2 times out of 2"),
        (0, 4.999, 5.0, None),
        (0, 5.0, 5.0, "not done after 5 s"),
        (1, 4.999, 5.0, "its worker died 2 times out of 2"),
        (1, 5.0, 5.0, "not done after 5 s"),
    ],
)  # fmt: skip
def test_a_worker_s_death_is_its_task_s_the_second_time_or_after_its_time(
    deaths: int, passed: float, limit: float | None, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "monotonic", lambda: 100.0 + passed)
    found = _outcome(ended(DIED), deaths, 100.0, limit)
    assert found is None if reason is None else found.reason.startswith(reason)


def test_a_result_is_taken_however_late_and_an_error_is_told_in_one_line() -> None:
    assert _outcome(ended(None), 1, 0.0, 1e-9) == "rows"
    assert _outcome(ended(ValueError("bad\nluck")), 0, 0.0, None) == Failure("ValueError: bad")
    for status in ("cancelled", "lost"):
        with pytest.raises(ResultsError, match="the dask scheduler is gone"):
            _outcome(SimpleNamespace(status=status), 0, 0.0, None)


def test_a_task_that_fails_is_done_in_parts_in_their_order_before_the_next() -> None:
    def attempt(task: str) -> str | Failure:
        return Failure("too long") if len(task) > 1 or task == "c" else task.upper()

    def halves(task: str) -> list[str]:
        return [part for part in (task[: len(task) // 2], task[len(task) // 2 :]) if part] if len(task) > 1 else []

    done = list(run_here(attempt, ["abcd", "e"], halves))
    assert [task for task, _ in done] == ["a", "b", "c", "d", "e"]
    assert [outcome for _, outcome in done] == ["A", "B", Failure("too long"), "D", "E"]


class SentOutError(Exception):
    """A task was sent to a worker."""


@pytest.mark.parametrize(("until", "given_up"), [(119.5, False), (121.0, True)])
def test_a_run_waits_two_minutes_for_a_worker(until: float, given_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And two minutes more whenever one was there."""
    now = [0.0]
    monkeypatch.setattr(workers, "monotonic", lambda: now[0])
    monkeypatch.setattr(workers, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def submit(*_: object, **__: object) -> None:
        raise SentOutError

    client: Any = SimpleNamespace(nthreads=lambda: {"worker": 1} if now[0] >= until else {}, submit=submit)
    with pytest.raises(ResultsError if given_up else SentOutError):
        next(Dispatch(client, str, ["task"], lambda task: []).outcomes())
    assert now[0] == pytest.approx(until, abs=1.0)


@pytest.mark.parametrize("axis", ["problem", "sampling", "method", "seeds", "training_seeds"])
def test_every_axis_of_every_block_counts_towards_the_cells_of_an_experiment(
    axis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two blocks of twenty by twenty-five are allowed in a thousand; one cell more along any axis is not."""
    monkeypatch.setattr(declaration, "MAX_CELLS", 1000)
    axes: dict[str, Any] = {
        "problem": {"name": "translation", "dim": 2}, "sampling": {"n": 8}, "method": {"name": "weight_clip"},
        "seeds": list(range(25)), "training_seeds": [0],
    }  # fmt: skip
    lists = {"problem": ("shift", 0.5), "sampling": ("n", 2), "method": ("clip", 0.5)}
    axes["training_seeds" if axis == "seeds" else "seeds"] = list(range(25))
    for count in (20, 21):
        values = list(range(1, count + 1))
        name, unit = lists.get(axis, ("", 1))
        axes[axis] = {**axes[axis], name: [unit * value for value in values]} if name else values
        blocks = [Block(**axes), Block(**axes)]
        if count == 20:
            assert len(list(_cells(blocks, ".", None, known()))) == 1000
        else:
            with pytest.raises(InputError, match="an experiment of 1050 cells is more than the 1000 allowed; split"):
                next(_cells(blocks, ".", None, known()))


def test_a_million_cells_are_allowed_and_the_axes_of_one_table_are_counted_before_they_are_made() -> None:
    _affordable(1_000_000)
    with pytest.raises(InputError, match="a table of 2000001 entries is more than the 2000000 cells allowed"):
        _affordable(2_000_001)


def test_tasks_have_32_critics_each_or_what_is_worth_as_many(tmp_path: Any) -> None:
    small = '{ name = "weight_clip", widths = [4], steps = 10, batch = 4 }'
    cells = declare(tmp_path, sampling="{ n = 8 }", seeds=str(list(range(65))), method=small).cells
    assert [sum(map(len, task)) for task in make_tasks(cells, "cpu")] == [32, 32, 1]
    assert [sum(map(len, task)) for task in make_tasks(cells, "cuda")] == [65]
    work = cells[0].method.work(2)
    steps = round(10 * 2e11 / work)  # twice the work of one that counts as one
    large = small.replace("steps = 10", f"steps = {steps}")
    cells = declare(tmp_path, sampling="{ n = 8 }", seeds=str(list(range(33))), method=large, name="large").cells
    assert [sum(map(len, task)) for task in make_tasks(cells, "cpu")] == [16, 16, 1]
    tasks = make_tasks(declare(tmp_path, sampling="{ n = 8 }", seeds=str(list(range(8))), name="few").cells, "cpu")
    assert [len(share_out(tasks, count)) for count in (1, 2, 3)] == [4, 8, 8]
    uneven = [tasks[0][:1], tasks[0][:4], tasks[0][:2], tasks[0][:3]]
    assert [len(task) for task in share_out(uneven, 1)] == [4, 3, 2, 1], "the longest first, so that none ends late"


def test_one_gpu_more_than_are_shown_is_refused() -> None:
    assert visible_devices(2, "3, 5") == ["3", "5"]
    with pytest.raises(InputError, match="ask for as many"):
        visible_devices(3, "3, 5")
    assert STARTS > 1
