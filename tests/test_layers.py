"""The floors and walls of the house: who may import whom, and what reading results may load."""

import ast
import graphlib
from functools import cache
from pathlib import Path

import pytest
from small import python

import otbench

HOUSE = Path(otbench.__file__).parent

#: From the ground up; "" is the files beside the rooms. A module imports from lower floors and from its own room only.
FLOORS = [{""}, {"problems", "transport", "results"}, {"methods"}, {"studies"}, {"experiment"}, {"report"}, {"cli"}]

#: The ways in, above every floor: the public names, ``python -m otbench``, and what others' frameworks load.
DOORS = {"otbench", "otbench.__main__", "otbench.torch", "otbench.torchmetric", "otbench.pytest_agreement"}

FORBIDDEN_CALLS = {"eval", "exec", "__import__", "compile"}
FORBIDDEN_MODULES = {"pickle", "marshal", "dill", "cloudpickle", "shelve"}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(file): file for file in sorted(HOUSE.rglob("*.py"))}
SOURCES = {name: file.read_text() for name, file in MODULES.items()}
FILES = [*HOUSE.rglob("*.py"), *Path(__file__).parent.rglob("*.py")]


@cache
def imported(source: str) -> list[str]:
    """What a source imports: wherever the import stands, for types alone too; a module of otbench, or a full name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                found.append(name if name in MODULES or node.module not in MODULES else str(node.module))
    return found


def room_of(module: str) -> str:
    first = f"{module}.".split(".")[1]
    return first if (HOUSE / first).is_dir() else ""


def floor_of(module: str) -> int:
    return len(FLOORS) if module in DOORS else next(k for k, rooms in enumerate(FLOORS) if room_of(module) in rooms)


def broken_floors(module: str, source: str) -> list[str]:
    """The imports of otbench in ``source`` that go neither down from ``module`` nor stay in its room."""
    ours = [name for name in imported(source) if name.split(".")[0] == "otbench"]
    same = {name for name in ours if name not in DOORS and room_of(name) == room_of(module)}
    return [f"{module} imports {name}" for name in ours if name not in same and floor_of(name) >= floor_of(module)]


def circle(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a ring, [] where there are none."""
    graph = {module: set(imported(source)) & set(sources) for module, source in sources.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def users(library: str, sources: dict[str, str]) -> set[str]:
    """The modules that import a library, by any of its parts."""
    return {module for module, source in sources.items() if library in {n.split(".")[0] for n in imported(source)}}


def within(module: str, *rooms: str) -> bool:
    return f"{module}.".startswith(tuple(f"otbench.{room}." for room in rooms))


def broken_walls(sources: dict[str, str]) -> list[str]:
    """Modules outside transport that import POT, and modules of results and of the check that import torch."""
    pot = [f"{module} imports POT" for module in users("ot", sources) if not within(module, "transport")]
    reading = [module for module in users("torch", sources) if within(module, "results", "report.check")]
    return pot + [f"{module} imports torch" for module in reading]


def is_empty(source: str) -> bool:
    """Whether a file holds a docstring and nothing else."""
    return len(ast.parse(source).body) == 1 and ast.get_docstring(ast.parse(source)) is not None


def test_every_module_has_a_floor_and_imports_only_from_below() -> None:
    broken = {module: broken_floors(module, SOURCES[module]) for module in MODULES}
    assert {module: floors for module, floors in broken.items() if floors} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(SOURCES) == []


def test_rooms_are_those_of_the_plan_and_few_files_lie_beside_them() -> None:
    assert {room_of(module) for module in set(MODULES) - DOORS} == set().union(*FLOORS)
    beside = {name_of(file) for file in HOUSE.glob("*.py")}
    assert beside >= DOORS
    assert len(beside - DOORS) <= 8


def test_only_transport_imports_pot_and_neither_results_nor_the_check_import_torch() -> None:
    assert broken_walls(SOURCES) == []


def test_the_constants_of_modules_stand_on_the_shared_files_alone() -> None:
    """They are a floor of their own within methods: no recipe, and nothing of transport, bears on them."""
    ours = [name for name in MODULES if within(name, "methods.lipschitz")]
    assert len(ours) >= 10
    used = {name for module in ours for name in imported(SOURCES[module]) if name.split(".")[0] == "otbench"}
    assert {name for name in used if not within(name, "methods.lipschitz") and room_of(name) != ""} == set()


def test_init_files_of_results_reports_and_experiments_are_empty() -> None:
    inits = [n for n, f in MODULES.items() if f.name == "__init__.py" and within(n, "results", "report", "experiment")]
    assert len(inits) >= 3
    assert [name for name in inits if not is_empty(SOURCES[name])] == []


def test_only_methods_and_what_looks_at_the_device_import_torch() -> None:
    others = {"experiment.run.machine", "experiment.run.workers", "studies.timed_training", "studies.device_state",
              "studies.gan.training", "studies.gan.critics", "problems.funnel_checkpoints", "transport.products",
              "transport.device_ladder"}  # fmt: skip
    beyond = {module for module in users("torch", SOURCES) if not within(module, "methods")} - DOORS
    assert beyond <= {f"otbench.{name}" for name in others}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("results.store", "import otbench.cli"),
        ("results.store", "from otbench import cli"),
        ("results.store", "from otbench.transport.exact import solve_exact"),
        ("results.store", "from otbench.transport import exact"),
        ("transport.exact", "def f():\n    from otbench.problems.base import Problem"),
        ("problems.arrays", "from otbench.methods import METHODS"),
        ("methods.mlp", "if True:\n    import otbench.methods.mlp, otbench.studies.timing"),
        ("results.store", "import otbench"),
        ("errors", "from otbench.results.schema import SCHEMA"),
        ("report.quotes", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from otbench.cli.run import main"),
        ("files", "import otbench.__main__"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_flagged(module: str, source: str) -> None:
    assert len(broken_floors(f"otbench.{module}", source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("report.check.rules", "from otbench.results.store import Results"),
        ("problems.lift", "from otbench.problems.base import Problem"),
        ("types", "from otbench.errors import InputError"),
        ("methods.base", "from otbench.transport import exact"),
        ("errors", "import numpy, ot"),
    ],
)
def test_an_import_that_goes_down_or_stays_in_its_room_is_not_flagged(module: str, source: str) -> None:
    assert broken_floors(f"otbench.{module}", source) == []


@pytest.mark.parametrize(
    "back",
    [
        "from otbench.types import Array",
        "from otbench import types",
        "def late():\n    import otbench.types",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from otbench.types import Array",
    ],
)
def test_a_circle_is_found_wherever_its_import_stands(back: str) -> None:
    assert "otbench.types" in circle({**SOURCES, "otbench.errors": back})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("methods.base", "def late():\n    from ot.lp import emd"),
        ("report.check.rules", "import ot"),
        ("results.folder", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import Tensor"),
        ("report.check.junit", "import numpy, torch.nn"),
    ],
)
def test_an_import_through_a_wall_is_found(module: str, source: str) -> None:
    assert len(broken_walls({**SOURCES, f"otbench.{module}": source})) == 1


def test_a_file_with_a_name_in_it_is_not_empty() -> None:
    assert not is_empty('"""A room."""\n\nfrom otbench.errors import InputError\n')
    assert not is_empty("import numpy\n")


def test_reading_results_loads_neither_torch_nor_pot_nor_the_slow_parts(small_results: Path) -> None:
    reading = [name for name in MODULES if within(name, "results", "report.check")]
    others = ["cli", "report.markdown", "report.quotes", "experiment.declaration"]
    code = f"""
import sys
heavy = ("torch", "ot", "sklearn", "distributed", "dask")
statistics = ("scipy.stats",)  # which tables of medians alone need, for their intervals
def see(step):
    found = [name for name in (heavy if step == "reading" else heavy + statistics) if name in sys.modules]
    assert not found, f"{{step}} loads {{found}}"
import otbench
see("the package")
from otbench import load
see("load")
from otbench import check_results, InputError, ResultsError
see("check_results")
for name in {reading + [f"otbench.{name}" for name in others]}:
    __import__(name)
    see(name)
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


def what_files_could_run(source: str) -> set[str]:
    """What of a source runs text, or loads from a file what may be more than tensors."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    found = {name.split(".")[0] for name in imported(source)} & FORBIDDEN_MODULES
    found |= {call.func.id for call in calls if isinstance(call.func, ast.Name)} & FORBIDDEN_CALLS
    safe = ast.dump(ast.parse("f(weights_only=True)", mode="eval").body.keywords[0])
    loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    found |= {"torch.load" for call in loads if safe not in map(ast.dump, call.keywords)}
    return found | {name for name in imported(source) if name == "torch.load"}


def test_no_module_runs_text_or_unpickles() -> None:
    found = {module: what_files_could_run(SOURCES[module]) for module in MODULES}
    assert {module: runs for module, runs in found.items() if runs} == {}


@pytest.mark.parametrize(
    "source",
    ["eval('1')", "import pickle", "torch.load(f)", "torch.load(f, weights_only=False)", "from torch import load",
     "torch.load(f, weights_only=safe)", "torch.load(f, True)", "import dill as json"],
)  # fmt: skip
def test_what_a_file_could_run_is_found(source: str) -> None:
    assert len(what_files_could_run(source)) == 1
    assert what_files_could_run("torch.load(f, map_location='cpu', weights_only=True)") == set()


def test_every_file_says_in_its_first_line_what_it_is_and_stays_short() -> None:
    for file in FILES:
        text = file.read_text()
        docstring = ast.get_docstring(ast.parse(text))
        assert docstring is not None, file
        assert text.startswith('"""'), file
        assert docstring.splitlines()[0].endswith((".", ":", "?")), (file, docstring.splitlines()[0])
        # 300 is the guide; a file split to obey it reads worse than a longer one
        assert len(text.splitlines()) <= 350, file
