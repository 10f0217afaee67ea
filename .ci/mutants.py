"""Faults planted one at a time in the core rooms, and which of them no test notices: `make mutants ROOM=exact`.

Every room is mutated in a folder of its own, with the tests of its own folder alone. What survives is counted in
docs/mutants.md; the command fails where a room is below its share, or a survivor is in a function that is not explained
there.
"""

import argparse
import collections
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "mutants.md"

#: The share of a room's mutants that mypy or the tests must notice.
LEAST = 0.85

#: The modules of each room, below otbench/, and the quick ones among its tests, below tests/:
#: what they miss, slower ones may still notice.
ROOMS = {
    "exact": (
        ["transport/dense", "transport/certificate", "transport/costs", "transport/forest"],
        ["transport/test_exact.py", "transport/test_exact_scales.py", "transport/test_certificate.py",
         "transport/test_blocks.py", "transport/test_exact_edges.py"],
    ),
    "sparse": (
        ["transport/exact", "transport/sparse", "transport/rounds", "transport/arcs", "transport/pricing",
         "transport/start", "transport/coarse", "transport/atoms", "transport/line"],
        ["transport/test_sparse.py", "transport/test_near_pairs.py"],
    ),
    "bounds": (
        ["transport/bounds", "transport/envelope"],
        ["transport/test_bounds.py", "transport/test_bounds_edges.py", "transport/test_blocks.py",
         "transport/test_device_ladder.py"],
    ),
    "engine": (
        ["methods/training/engine", "methods/training/network", "methods/training/minibatch"],
        ["methods/training/test_engine_edges.py", "methods/training/test_shown_points.py",
         "methods/training/test_minibatch.py", "methods/training/test_step_weights.py"],
    ),
    "rows": (
        ["results/store", "results/merge", "experiment/run/tasks"],
        ["results/test_store.py", "results/test_rows_by_hand.py", "experiment/run/test_tasks.py",
         "experiment/run/test_task_columns.py"],
    ),
    "check": (
        ["report/check/rules", "report/check/ray_rules", "report/check/proof_rules", "report/check/table_difference"],
        ["report/check/test_limits.py", "report/check/test_whole_reports.py", "report/check/test_absence.py",
         "report/check/test_table_difference.py"],
    ),
}  # fmt: skip

#: What runs on a GPU or through a compiler alone, with tests of its own: none of it is counted.
ELSEWHERE = ("Engine._capture", "Engine._graphed", "Engine._compiled_step")

SETTINGS = """
[tool.mutmut]
source_paths = ["otbench"]
only_mutate = {modules}
also_copy = ["experiments", "results", "docs", "README.md", "CONTRIBUTING.md"]
do_not_mutate_patterns = ['raise \\w+Error']
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=first"]
pytest_add_cli_args_test_selection = {tests}
process_isolation = "forkserver"
timeout_multiplier = 1.0
timeout_constant = 8.0
type_check_command = ["{python}", "-m", "mypy", "--no-warn-unused-ignores", "--output", "json"]
use_git_change_detection = false
"""


def workplace(room: str) -> Path:
    """A folder in which the room can be mutated: links to the sources, and the project's settings with mutmut's."""
    modules, tests = ROOMS[room]
    folder = ROOT / "mutants" / room
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("otbench", "tests", "experiments", "results", "docs", "README.md", "CONTRIBUTING.md"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(ROOT / name)
    there = [f"tests/{test}" for test in tests if (ROOT / "tests" / test).exists()]
    files = [f"otbench/{module}.py" for module in modules]
    settings = SETTINGS.format(modules=files, tests=there, python=sys.executable)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + settings)
    return folder


def mutate_here(jobs: int, only: list[str]) -> None:
    """Run mutmut in the working directory without its mutations of strings, which are words for people or break at
    once, as names of columns do."""
    from mutmut.__main__ import _run
    from mutmut.mutation import mutators

    mutators.mutation_operators[:] = [
        pair for pair in mutators.mutation_operators if pair[1] is not mutators.operator_string
    ]
    _run(only, jobs)


def outcomes(room: str) -> dict[str, dict[str, collections.Counter[str]]]:
    """By module and function: how many mutants there are of each status."""
    from mutmut.stats import status_by_exit_code

    found: dict[str, dict[str, collections.Counter[str]]] = {}
    for module in ROOMS[room][0]:
        meta = json.loads((ROOT / "mutants" / room / "mutants" / "otbench" / f"{module}.py.meta").read_text())
        functions = found.setdefault(module, {})
        for key, code in meta["exit_code_by_key"].items():
            name = re.sub(r"__mutmut_\d+$", "", key).rpartition(".")[2]
            function = name.removeprefix("xǁ").replace("ǁ", ".").removeprefix("x_")
            if function not in ELSEWHERE:
                functions.setdefault(function, collections.Counter())[status_by_exit_code[code]] += 1
    return found


def main() -> int:
    """Mutate the rooms named, write their lines of the document, and say what is not explained there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", help=f"of {', '.join(ROOMS)}; all where none is named")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once")
    parser.add_argument("--only", action="append", default=[], help="a pattern of mutants to try again, as '*_excess*'")
    parser.add_argument("--report", action="store_true", help="report on what was tried before, and try nothing")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        mutate_here(given.jobs, given.only)
        return 0
    bad = []
    for room in given.rooms or ROOMS:
        if not given.report:
            only = [f"--only={pattern}" for pattern in given.only]
            here = [sys.executable, __file__, "--here", f"--jobs={given.jobs}", *only]
            subprocess.run(here, cwd=workplace(room), check=True)
        bad += report(room)
    print("\n".join(bad))
    return 1 if bad else 0


def report(room: str) -> list[str]:
    """Write the room's lines of the document's table; what is wrong with it."""
    text = DOCUMENT.read_text()
    bad, noticed, living = [], 0, 0
    for module, functions in outcomes(room).items():
        sums = sum(functions.values(), collections.Counter())
        lives = {name: sum(count[status] for status in ALIVE) for name, count in functions.items()}
        alive, types = sum(lives.values()), sums["caught by type check"]
        tests = sums.total() - sums["not checked"] - types - alive
        shares = f"{(types + tests) / (types + tests + alive or 1):.0%} | {tests / (tests + alive or 1):.0%}"
        line = f"| {room} | `{module}` | {sums.total()} | {types} | {tests} | {alive} | {shares} |"
        text, lines = re.subn(rf"^\| {room} \| `{module}` \|.*$", line, text, flags=re.MULTILINE)
        bad += [] if lines else [f"{room}: docs/mutants.md has no line for {module}"]
        noticed, living = noticed + types + tests, living + alive
        where = module.rpartition("/")[2]
        bad += [f"{where}.{name}: {n} survive, docs/mutants.md does not say why" for name, n in lives.items()
                if n and f"`{where}.{name}`" not in text]  # fmt: skip
        print(line)
    DOCUMENT.write_text(text)
    if noticed < LEAST * (noticed + living):
        bad.append(f"{room}: {noticed} mutants are noticed and {living} survive, {LEAST:.0%} must be noticed")
    return bad


#: What mutmut calls a mutant that no test noticed.
ALIVE = ("survived", "no tests", "suspicious")

if __name__ == "__main__":
    sys.exit(main())
