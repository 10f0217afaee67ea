"""A column of the ladder is declared in one place: what is stored follows from marked fields, and from nothing else."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from small import python

import otbench
from otbench.results.schema import GeneratorColumns, RowColumns, as_columns, names_of, stored_fields
from otbench.types import Alignment, Bounds, ExactSolution, Proof

PACKAGE = Path(otbench.__file__).parent

LAST = "    nearest: Annotated[float, Column()]\n"

#: Every row and every reading of a GAN is made, validated and shown with whatever columns there are.
CODE = """
import sys
from pathlib import Path
from otbench.experiment.cell import Cell, Sampling
from otbench.experiment.run.tasks import run_task
from otbench.methods import method
from otbench.problems import problem
from otbench.results.schema import ROWS, GeneratorColumns
from otbench.results.tables.cells import frame_of

cell = Cell(problem("spheres", dim=2), Sampling(n=8), method("zero"), 0, 0)
((row, _),) = run_task([[cell]], Path(sys.argv[1]), "cpu")
ROWS.validate_python([row])
print(row["planted"], frame_of([row])["planted"][0], "planted" in GeneratorColumns.model_fields)
"""


def test_a_column_added_to_the_ladder_in_one_place_arrives_in_rows_schemas_and_frames(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "otbench", ignore=shutil.ignore_patterns("__pycache__"))
    types = tmp_path / "otbench" / "types.py"
    source = types.read_text()
    assert source.count(LAST) == 1
    types.write_text(source.replace(LAST, LAST + "    planted: Annotated[float, Column()] = 0.25\n"))
    done = python(CODE, str(tmp_path / "exact"), cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.stderr) == ("0.25 0.25 True\n", "")


@pytest.mark.parametrize("kind", [Proof, Bounds, Alignment])
def test_every_marked_field_is_a_column_that_holds_what_the_value_holds(kind: type) -> None:
    marked = stored_fields(kind)
    assert set(marked) <= set(names_of(RowColumns))
    fields = [field.name for field in dataclasses.fields(kind)]
    value = kind(**{name: float(k) for k, name in enumerate(fields)})
    assert as_columns(kind, value) == {column: float(fields.index(field)) for column, (field, _) in marked.items()}
    assert as_columns(kind, None) == dict.fromkeys(marked)


def test_the_proof_of_an_exact_solution_is_stored_under_its_own_names() -> None:
    pair = otbench.problem("spheres", dim=2).sample(8)
    solution = otbench.solve_exact(pair.x, pair.y)
    columns = as_columns(Proof, solution)
    assert columns["primal"] == solution.w1
    assert columns["primal_lower"] == solution.lower <= solution.upper == columns["primal_upper"]
    assert isinstance(solution, ExactSolution)
    assert set(columns) <= set(names_of(GeneratorColumns))


def test_an_infinite_number_is_an_empty_column() -> None:
    bounds = otbench.lower_bounds([1.0, 0.0], [0.0, 0.0], np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert bounds.slope_constant == np.inf
    assert as_columns(Bounds, bounds)["slope_constant"] is None
