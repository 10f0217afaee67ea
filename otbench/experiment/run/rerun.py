"""Running cells again on purpose: one by its key, those that failed, or all, with the old results set aside."""

from pathlib import Path

from otbench.errors import InputError
from otbench.experiment.cell import Cell
from otbench.experiment.declaration import Experiment
from otbench.results.store import Results


def chosen_cells(experiment: Experiment, results: Results, only: str | None, retry: bool) -> list[Cell] | None:
    """The cell whose key starts with ``only``, or with ``retry`` the cells that have no row or failed; else None.

    Raises:
        InputError: the key of no cell, or of several, starts with ``only``.
    """
    if only is not None:
        found = [cell for cell in experiment.cells if cell.key.startswith(only)]
        if len(found) != 1:
            raise InputError(
                f"--only {only}: {len(found)} of the {len(experiment.cells)} cells have a key that starts so; "
                "give the start of one key, as in the key column of matrix.csv"
            )
        return found
    if not retry:
        return None
    done = {key for key, status in results.statuses().items() if status != "failed"}
    return [cell for cell in experiment.cells if cell.key not in done]


def set_aside(results: Results) -> Path | None:
    """Move a results folder to the first free ``.aside/NAME-N`` beside it and return that; None where there is none.

    Raises:
        ResultsInUseError: a run holds the folder.
    """
    folder = results.folder
    if not folder.is_dir():
        return None
    with results.locked():
        aside = folder.parent / ".aside"
        aside.mkdir(exist_ok=True)
        number = 1 + max((int(f.name.rpartition("-")[2]) for f in aside.glob(f"{folder.name}-*")), default=0)
        return folder.rename(aside / f"{folder.name}-{number}")
