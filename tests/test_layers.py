"""The floors and walls of the house: who may import whom, and what reading results may load."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from small import python

import otbench

HOUSE = Path(otbench.__file__).parent

#: From the ground up. A module imports from lower floors and from its own package only.
FLOORS: list[set[str]] = [
    {"errors", "memory", "columns", "machine", "progress", "violations"},
    {"inputs", "workers", "deadline"},
    {"types", "spec", "concave"},
    {"divergences", "bounded", "certificate", "forest", "peak_memory"},
    {"exact", "bounds", "rows", "rounding", "problems", "critics", "promises"},
    {"methods.base", "solutions", "tables", "auditing", "monitoring"},
    {"timetables", "published", "curves", "plans", "scale_rule", "sweeps", "proofs"},
    {"stored", "declared"},
    {"curverules", "rayrules", "timerules"},
    {"critics.training", "critics.logistic", "check", "render", "figures", "merge", "compare"},
    {"methods", "verdict", "quotes", "clusters"},
    {"cells", "timed_training", "generator"},
    {"timing"},
    {"experiment", "tasks"},
    {"attempts", "estimate", "portraits", "advising"},
    {"run", "again"},
    {"cli_results"},
    {"cli"},
]

FORBIDDEN_CALLS = {"eval", "exec", "__import__", "compile"}
FORBIDDEN_MODULES = {"pickle", "marshal", "dill", "cloudpickle", "shelve"}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(file): file for file in sorted(HOUSE.rglob("*.py")) if file != HOUSE / "__init__.py"}
FILES = [*HOUSE.rglob("*.py"), *Path(__file__).parent.rglob("*.py")]


def imported(source: str) -> Iterator[str]:
    """Full names of what a source imports when it runs, wherever the import stands."""
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def floor_of(name: str) -> int | None:
    """The floor of the longest listed name that ``name`` is or lies in."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        for floor, rooms in enumerate(FLOORS):
            if ".".join(parts[:size]) in rooms:
                return floor
    return None


def broken_floors(module: str, source: str) -> list[str]:
    """The imports of otbench in ``source`` that do not go down from ``module``."""
    bad = []
    for name in imported(source):
        if name.split(".")[0] != "otbench":
            continue
        target = name.removeprefix("otbench").removeprefix(".")
        if target.split(".")[0] == module.split(".")[0]:
            continue
        here, there = floor_of(module), floor_of(target)
        if here is None or there is None or there >= here:
            bad.append(f"{module} imports {name}")
    return bad


def first_names(module: str) -> set[str]:
    return {name.split(".")[0] for name in imported(MODULES[module].read_text())}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_floor_and_imports_only_from_below(module: str) -> None:
    assert floor_of(module) is not None, f"{module} is on no floor: give it one"
    assert broken_floors(module, MODULES[module].read_text()) == []


def test_every_room_on_the_plan_exists() -> None:
    assert {room for rooms in FLOORS for room in rooms} <= set(MODULES)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rows", "import otbench.cli.run"),
        ("rows", "from otbench import cli"),
        ("rows", "from otbench.results.tables.cells import load"),
        ("tables", "from otbench.transport.exact_cache import exact_solution"),
        ("exact", "def f():\n    from otbench.problems.base import Problem"),
        ("problems.arrays", "from otbench.methods import METHODS"),
        ("critics.mlp", "if True:\n    import otbench.methods.mlp, otbench.methods"),
        ("rows", "import otbench"),
        ("nowhere", "from otbench.errors import InputError"),
        ("run", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import otbench.cli.run"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_flagged(module: str, source: str) -> None:
    assert len(broken_floors(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("check", "from otbench.results.store import Results"),
        ("problems.lift", "from otbench.problems.base import Problem"),
        ("errors", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import otbench.cli.run"),
        ("errors", "import typing\nif typing.TYPE_CHECKING:\n    from otbench.cli.run import main"),
        ("errors", "import numpy, ot"),
    ],
)
def test_an_import_that_goes_down_or_is_for_types_alone_is_not_flagged(module: str, source: str) -> None:
    assert broken_floors(module, source) == []


def test_only_exact_imports_pot() -> None:
    assert [module for module in MODULES if "ot" in first_names(module)] == ["exact"]


def test_only_the_engine_the_adapter_for_modules_and_the_machine_import_torch() -> None:
    users = {module for module in MODULES if "torch" in first_names(module)}
    others = {"machine", "workers", "timed_training", "generator.training"}
    assert users <= {name for name in MODULES if name.startswith("critics")} | others


@pytest.mark.parametrize(
    "command", ["pass", "from otbench import load", "from otbench import check_results, InputError, ResultsError"]
)
def test_reading_results_loads_neither_torch_nor_pot_nor_the_slow_parts(command: str, small_results: Path) -> None:
    code = f"""
import sys
heavy = ("torch", "ot", "scipy.stats", "sklearn", "distributed", "dask")
def see(step):
    found = [name for name in heavy if name in sys.modules]
    assert not found, f"{{step}} loads {{found}}"
{command}
see("the package")
for name in ("cli", "errors", "spec", "rows", "tables", "check", "render", "quotes", "verdict", "experiment"):
    __import__(f"otbench.{{name}}")
    see(name)
from pathlib import Path
otbench = sys.modules["otbench"]
otbench.load(sys.argv[1])
otbench.check_results(sys.modules["otbench.results.store"].Results(sys.argv[1]))
sys.modules["otbench.experiment.declaration"].load_experiment(sys.argv[2])
see("reading")
"""
    done = python(code, str(small_results), str(small_results.parent.parent / "small.toml"))
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_all_there() -> None:
    assert all(getattr(otbench, name) is not None for name in otbench.__all__)
    assert dir(otbench) == otbench.__all__ == sorted(otbench._HOME)
    with pytest.raises(AttributeError, match="'otbench' has no attribute 'nothing'"):
        otbench.nothing  # noqa: B018


@pytest.mark.parametrize("module", MODULES)
def test_no_module_runs_text_or_unpickles(module: str) -> None:
    assert first_names(module).isdisjoint(FORBIDDEN_MODULES)
    calls = [n.func for n in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(n, ast.Call)]
    assert {f.id for f in calls if isinstance(f, ast.Name)}.isdisjoint(FORBIDDEN_CALLS)
    assert not any(isinstance(f, ast.Attribute) and ast.unparse(f) == "torch.load" for f in calls)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_says_in_its_first_line_what_it_is_and_stays_below_400_lines(file: Path) -> None:
    text = file.read_text()
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring is not None
    assert text.startswith('"""')
    assert docstring.splitlines()[0].endswith((".", ":", "?")), docstring.splitlines()[0]
    assert len(text.splitlines()) <= 400
