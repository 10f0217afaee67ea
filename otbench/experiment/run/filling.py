"""Tasks: samples with their cells, put together so that critics of one shape are trained in one batch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from otbench.experiment.cell import Cell

#: Trained critics that a task should have: enough to fill a batch and to outweigh its sending, few enough that progress
#: is seen.
CRITICS_PER_TASK = 32

CRITICS_PER_GPU_TASK = 1024

#: Floating-point operations of a critic that counts as one; a critic that takes more counts as several.
WORK_PER_CRITIC = 1e11

#: Tasks that every worker should get at least, so that none is idle while another has many cells left.
TASKS_PER_WORKER = 4

#: The cells of one sample.
Group = Sequence[Cell]

#: Samples with their cells: what a worker is sent.
Task = Sequence[Group]


def make_tasks(cells: Iterable[Cell], device: str) -> list[Task]:
    """The cells as tasks of about CRITICS_PER_TASK trained critics, or CRITICS_PER_GPU_TASK on a GPU.

    A task has groups of one kind where there are enough of them, wherever they stand in the experiment: critics of one
    shape on samples of one dimension and size share a batch. Kinds of which little is left share tasks.

    On a CPU all cells of a sample are one group, so that it is solved once. On a GPU the critics of each shape are a
    group of their own, so that a batch is as large as a task: their sample is then drawn and proved once per shape.
    """
    kinds: dict[object, list[Group]] = {}
    for kind, group in _groups(cells, device):
        kinds.setdefault(kind, []).append(group)
    size = CRITICS_PER_TASK if device == "cpu" else CRITICS_PER_GPU_TASK
    full: list[Task] = []
    rest: list[Task] = []
    for groups in kinds.values():
        *whole, last = _cut(groups, size)
        full += whole
        rest.append(last)
    return full + [[group for task in together for group in task] for together in _cut(rest, size)]


def _groups(cells: Iterable[Cell], device: str) -> Iterator[tuple[object, Group]]:
    """The cells that stay together, with what decides in which batches they are."""
    groups: dict[object, list[Cell]] = {}
    shapes: dict[object, object] = {}  # a description's shape, found once for each of the many cells it is in
    for cell in cells:
        method = cell.method
        if id(method) not in shapes:
            shapes[id(method)] = (type(method), method.batch_key()) if method.trained else None
        shape = shapes[id(method)]
        # two solvers of one sample would stop at two intervals
        apart = shape if device != "cpu" and cell.sampling.exact_seconds is None else None
        groups.setdefault((cell.sample_key, apart), []).append(cell)
    for group in groups.values():
        first = group[0]
        trained = dict.fromkeys(shape for cell in group if (shape := shapes[id(cell.method)]) is not None)
        population = first.sampling.mode == "population"
        yield (first.problem.dim, first.sizes(), population, tuple(trained)), group


def _cut(parts: Sequence[Any], size: float) -> list[list[Any]]:
    """Groups, or tasks, in their order, cut where more than ``size`` critics would come together."""
    found: list[list[Any]] = []
    load = 0.0
    for part in parts:
        weight = max(1.0, sum(_weight(cell) for cell in _cells_of(part)))
        if not found or load + weight > size:
            found.append([])
            load = 0.0
        found[-1].append(part)
        load += weight
    return found


def _cells_of(part: Any) -> Iterator[Cell]:
    """The cells of a group, or of a task."""
    for each in part:
        yield from [each] if isinstance(each, Cell) else each


def halved(task: Task) -> list[Task]:
    """The halves of a task, cut between samples where it has several; none where it is one cell.

    Of a task in which one cell fails this leaves that cell alone after few steps, and the others done in company.
    """
    if len(task) > 1:
        return _halves(task)
    (group,) = task
    middle = len(group) // 2
    return [[group[:middle]], [group[middle:]]] if middle else []


def share_out(tasks: Sequence[Task], workers: int) -> list[Task]:
    """The tasks, halved between samples until every worker has TASKS_PER_WORKER, or each task has one sample.

    Those with the most work come first, so that the last ones to end are short (Graham 1969).
    """
    found = list(tasks)
    while len(found) < TASKS_PER_WORKER * workers and any(len(task) > 1 for task in found):
        found = [part for task in found for part in _halves(task)]
    return sorted(found, key=lambda task: -_work_of(task))


def _halves(task: Task) -> list[Task]:
    middle = len(task) // 2
    return [task[:middle], task[middle:]] if middle else [task]


def _work_of(task: Task) -> float:
    """How many small critics a task's training is worth; an untrained critic counts a little."""
    return sum(max(0.1, _weight(cell)) for group in task for cell in group)


def _weight(cell: Cell) -> float:
    """How many small critics a cell's training is worth."""
    return max(1.0, cell.method.work(cell.problem.dim) / WORK_PER_CRITIC) if cell.method.trained else 0.0
