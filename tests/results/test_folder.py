"""Which kind of folder a results folder is: told of every kind, and asked in one place."""

import ast
from pathlib import Path

import pytest

import otbench
from otbench.results.folder import Stored
from otbench.results.store import Results

PACKAGE = Path(otbench.__file__).parent

COMMITTED = {
    "matrix": "matrix", "clip": "matrix", "critics": "matrix", "funnels": "matrix", "saturation": "matrix",
    "published": "published", "timing": "timing", "generator": "generator", "growth": "growth",
    "convergence": "convergence", "pricing": "pricing",
}  # fmt: skip

#: What only a study's records and published scores tell a folder by.
SIGNS = ("SCORES_FILE", "measurements")


def askers(source: str) -> int:
    """How often a source decides something by a folder's records, by the file of scores, or by a record's kind."""
    decisions = [n.test for n in ast.walk(ast.parse(source)) if isinstance(n, ast.If | ast.IfExp)]
    names = [name for test in decisions for name in ast.walk(test) if isinstance(name, ast.Name | ast.Attribute)]
    by_sign = sum((n.id if isinstance(n, ast.Name) else n.attr) in SIGNS for n in names)
    subscripts = [n for test in decisions for n in ast.walk(test) if isinstance(n, ast.Subscript)]
    return by_sign + sum(ast.unparse(n.slice) == "'kind'" for n in subscripts)


@pytest.mark.parametrize(("name", "kind"), COMMITTED.items())
def test_every_committed_folder_is_of_its_kind(name: str, kind: str) -> None:
    stored = Stored(Results(PACKAGE.parent / "results" / name))
    assert stored.kind == kind
    assert stored.is_study == bool(stored.measurements)


def test_the_kind_of_a_folder_is_asked_in_one_place() -> None:
    found = {file: askers(file.read_text()) for file in PACKAGE.rglob("*.py")}
    assert [file.relative_to(PACKAGE).as_posix() for file, count in found.items() if count] == ["results/folder.py"]


@pytest.mark.parametrize(
    "source", ["if stored.measurements: pass", "x = 1 if row['kind'] == 'generator' else 2", "if (f / SCORES_FILE): x"]
)
def test_a_second_place_that_asks_would_be_found(source: str) -> None:
    assert askers(source) == 1
