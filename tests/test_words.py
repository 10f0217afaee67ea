"""One word, one meaning: no two classes, types or constants of the package have one name."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import otbench

SOURCES = [file.read_text() for file in sorted(Path(otbench.__file__).parent.rglob("*.py"))]

#: ``__all__`` is every module's own, and EPS the unit of rounding wherever it stands: of float64, or by type.
SHARED = {"__all__", "EPS"}


@cache
def named(source: str) -> set[str]:
    """The classes, types and constants that a module defines."""
    tree = ast.parse(source)
    classes = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    targets = [node.targets if isinstance(node, ast.Assign) else [node.target] for node in tree.body
               if isinstance(node, ast.Assign | ast.AnnAssign)]  # fmt: skip
    values = {name.id for part in targets for target in part for name in ast.walk(target) if isinstance(name, ast.Name)}
    return classes | values


def shared(sources: list[str]) -> set[str]:
    """The names that more than one module defines."""
    return {name for name, count in Counter(name for source in sources for name in named(source)).items() if count > 1}


def test_no_two_modules_define_one_name() -> None:
    assert shared(SOURCES) <= SHARED


@pytest.mark.parametrize("name", ["Plan", "Job", "Law", "Task", "TOLERANCE", "Proof"])
def test_a_word_that_once_had_several_meanings_has_one(name: str) -> None:
    assert sum(name in named(source) for source in SOURCES) == 1


@pytest.mark.parametrize("second", ["class Plan: pass", "TOLERANCE: float = 1e-6", "Law = int", "A, TOLERANCE = 1, 2"])
def test_a_second_meaning_would_be_found(second: str) -> None:
    assert shared([*SOURCES, second]) - SHARED != set()
