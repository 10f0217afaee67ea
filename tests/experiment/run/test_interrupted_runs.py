"""A run that is interrupted at any operation on files keeps the rows it told of, and is finished by the same call.

It then ends with the very bytes of a run that nothing disturbed.
"""

from pathlib import Path

import numpy as np
import pytest
from failing_disk import HOWS, interruptions
from small import declare

from otbench.experiment.run.runner import run_experiment
from otbench.results.seal import seal_holds
from otbench.results.store import Results
from otbench.transport.exact_cache import exact_solution
from otbench.types import SamplePair

PROBLEM = '{ name = "segments", dim = [2, 3] }'
SAMPLING, METHODS = '{ n = 4, mode = "coupled" }', '[{ name = "zero" }, { name = "linear" }]'


def test_what_a_run_told_of_is_there_and_the_next_run_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    told: list[int] = []

    def prepare(place: Path) -> Path:
        told[:] = [0]
        return place

    def work(place: Path) -> None:
        experiment = declare(place.parent, problem=PROBLEM, sampling=SAMPLING, method=METHODS)
        run_experiment(experiment, place / "results" / "tiny",
                       on_progress=lambda before, now, total: told.append(before + now))  # fmt: skip

    declare(tmp_path)
    (tmp_path / "whole").mkdir()
    work(tmp_path / "whole")
    undisturbed = (tmp_path / "whole" / "results" / "tiny" / "rows.jsonl").read_bytes()
    for place, ended in interruptions(tmp_path, ("power", "error", "killed"), prepare, work):
        results = Results(place / "results" / "tiny")
        assert len({row["key"] for row in results.rows_so_far()}) >= told[-1]
        assert len(results.rows_so_far()) <= 4
        assert not ended or results.rows_file.read_bytes() == undisturbed
        work(place)
        assert results.rows_file.read_bytes() == undisturbed
        assert {row["key"] for row in results.rows()} == {timing["key"] for timing in results.timings()}
        assert results.meta()["cells"] == 4
        assert len(results.meta()["machines"]) == 1


def test_no_interrupted_run_leaves_a_seal_that_does_not_hold(tmp_path: Path) -> None:
    """Of a sealed folder in which rows are set aside, taken back and added: the seal is off before any of it."""

    def run(place: Path, *names: str) -> None:
        methods = "[" + ", ".join(f'{{ name = "{name}" }}' for name in names) + "]"
        experiment = declare(place.parent, problem='{ name = "segments", dim = 2 }', sampling=SAMPLING, method=methods)
        run_experiment(experiment, place / "results" / "tiny")

    def prepare(place: Path) -> Path:
        run(place, "zero", "linear")
        run(place, "linear")
        return place

    def work(place: Path) -> None:
        run(place, "zero", "potential")

    for place, ended in interruptions(tmp_path, ("killed", "error"), prepare, work):
        kept = seal_holds(Results(place / "results" / "tiny"))
        assert kept is True if ended else kept is not False
        work(place)
        assert seal_holds(Results(place / "results" / "tiny")) is True


@pytest.mark.parametrize("how", HOWS)
def test_a_kept_solution_is_whole_or_not_there_and_the_answer_is_the_same(how: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pair = SamplePair(rng.standard_normal((5, 2)), rng.standard_normal((4, 2)), np.arange(1.0, 6) / 15)
    values: list[float] = []

    def prepare(place: Path) -> Path:
        values.clear()
        return place / "exact"

    def work(folder: Path) -> None:
        values.append(exact_solution(pair, "mine", folder).w1)

    work(tmp_path / "undisturbed")
    (right,), kept = values, (tmp_path / "undisturbed" / "mi" / "mine.npz").read_bytes()
    for folder, ended in interruptions(tmp_path, how, prepare, work):
        assert values == [right] * ended
        files = list(folder.glob("*/*"))
        assert all(file.read_bytes() == kept for file in files if file.name == "mine.npz")
        work(folder)
        assert values[-1] == right
        assert (folder / "mi" / "mine.npz").read_bytes() == kept
