"""otbench.load of every kind of folder: a line per record, and what the folder is."""

from pathlib import Path
from typing import get_args

import pytest

import otbench
from otbench.errors import ResultsError
from otbench.results.folder import Kind, Stored
from otbench.results.store import Results

COMMITTED = Path(__file__).parent.parent.parent / "results"

#: A committed folder of every kind, the smallest there is, with columns that its records have.
KINDS: dict[str, tuple[str, set[str]]] = {
    "matrix": ("saturation", {"primal", "slope_over_w1", "critic"}),
    "published": ("published", {"primal", "cosine", "problem.funnels"}),
    "timing": ("timing", {"kind", "machine"}),
    "generator": ("generator", {"iteration", "clip"}),
    "growth": ("growth", {"solver", "seconds"}),
    "convergence": ("convergence", {"error", "population_w1"}),
    "pricing": ("pricing", {"start", "rounds"}),
}


def test_every_kind_of_folder_is_here() -> None:
    assert set(KINDS) == set(get_args(Kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_folder_is_a_frame_with_a_line_per_record(kind: str) -> None:
    name, columns = KINDS[kind]
    frame, stored = otbench.load(COMMITTED / name), Stored(Results(COMMITTED / name))
    assert stored.kind == kind
    records = stored.measurements if stored.is_study else stored.rows
    assert len(frame) == len(records) > 0
    assert columns <= set(frame)
    assert frame.attrs["kind"] == kind
    assert frame.attrs["experiment"] == name
    assert frame.attrs["question"].endswith("?")


def test_a_folder_without_anything_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no rows in"):
        otbench.load(tmp_path)
