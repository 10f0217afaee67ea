"""Two folders: merged where they agree, compared where they differ, refused where they have nothing in common."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Otbench, assert_one_line
from small import Line, change, declare, lines, write_lines

from otbench.results.store import Results

METHODS = '[{ name = "zero" }, { name = "linear" }]'


@pytest.fixture
def folders(copy: Results, tmp_path: Path) -> tuple[Path, Path]:
    """Twice the same results."""
    shutil.copytree(copy.folder, tmp_path / "b" / "small")
    return copy.folder, tmp_path / "b" / "small"


def test_two_halves_merge_into_the_whole(otbench: Otbench, folders: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = folders
    whole = lines(a / "rows.jsonl")
    write_lines(a / "rows.jsonl", whole[:60])
    write_lines(b / "rows.jsonl", whole[50:])
    done = otbench("merge", a, b, "-o", tmp_path / "c")
    assert (done.code, done.out) == (0, f"{tmp_path / 'c'}: 113 of 113 cells, 10 of them in both and in agreement\n")
    assert lines(tmp_path / "c" / "rows.jsonl") == whole
    assert otbench("check", "c", "--results", tmp_path).code == 0
    assert_one_line(otbench("merge", a, b, "-o", tmp_path / "c"), "is not empty; merge writes a new folder")


def test_cells_that_differ_are_both_shown_and_nothing_is_written(
    otbench: Otbench, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = folders
    rows = lines(b / "rows.jsonl")
    rows[3]["primal"] *= 1 + 1e-9  # rounding
    rows[4]["primal"] *= 1.001
    write_lines(b / "rows.jsonl", rows)
    done = otbench("merge", a, b, "-o", tmp_path / "c")
    assert done.code == 1
    first, last = done.out.splitlines()
    assert first == f"{rows[4]['key'][:12]}: primal {lines(a / 'rows.jsonl')[4]['primal']!r} and {rows[4]['primal']!r}"
    assert last == "1 number of the cells in both differ; nothing was written"
    assert not (tmp_path / "c").exists()


def of_machine(results: Path, **facts: str) -> None:
    """Say in meta.json that these rows were made on another machine."""
    meta = json.loads((results / "meta.json").read_text())
    (machine,) = meta["machines"].values()
    meta["machines"] = {"another": machine | facts}
    (results / "meta.json").write_text(json.dumps(meta))


def is_trained(row: Line) -> bool:
    return row.get("method.steps", 0) > 0 and row["status"] == "ok"


def test_what_is_itself_rounding_does_not_stop_a_merge(
    otbench: Otbench, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = folders
    rounding = ("gap", "violation", "marginal_error", "raw_error")
    rows = lines(b / "rows.jsonl")
    write_lines(b / "rows.jsonl", [row | {name: 1.001 * (row[name] or 0.0) for name in rounding} for row in rows])
    assert otbench("merge", a, b, "-o", tmp_path / "c").code == 0
    assert " 0 changed" in otbench("compare", a, b).out


def test_machines_that_round_differently_may_differ_in_trained_critics_and_in_nothing_else(
    otbench: Otbench, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = folders
    rows = lines(b / "rows.jsonl")
    amplified = [row | {"raw": row["raw"] * 1.01, "grad_norm_min": 0.0} if is_trained(row) else row for row in rows]
    write_lines(b / "rows.jsonl", amplified)
    done = otbench("merge", a, b, "-o", tmp_path / "one machine")
    assert done.code == 1
    assert "raw " in done.out
    of_machine(b, instruction_set="of another make")
    assert otbench("merge", a, b, "-o", tmp_path / "two machines").code == 0
    assert lines(tmp_path / "two machines" / "rows.jsonl") == lines(a / "rows.jsonl")
    assert "their machines round differently" in otbench("compare", a, b).out


@pytest.mark.parametrize(("which", "column", "factor"), [
    (lambda row: row["method.name"] == "linear" and row["raw"] > 0.1, "raw", 1 + 1e-5),
    (is_trained, "primal", 1 + 1e-5),
    (lambda row: is_trained(row) and row["raw"] > 0, "raw", 0.5),
    (is_trained, "c_transform", 0.5),
])  # fmt: skip
def test_beyond_rounding_rows_of_two_machines_are_in_conflict(
    which: Callable[[Line], bool], column: str, factor: float, otbench: Otbench, folders: tuple[Path, Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    a, b = folders
    of_machine(b, processor="another")
    change(Results(b), which, **{column: factor * next(r for r in lines(b / "rows.jsonl") if which(r))[column]})
    assert otbench("merge", a, b, "-o", tmp_path / "c").code == 1
    assert not (tmp_path / "c").exists()


def test_a_failed_cell_is_taken_from_where_it_did_not_fail(
    otbench: Otbench, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = folders
    whole = lines(a / "rows.jsonl")
    for folder, k in ((a, 3), (b, 4)):
        write_lines(folder / "rows.jsonl", [r | {"status": "failed"} if r is whole[k] else r for r in whole])
    assert otbench("merge", a, b, "-o", tmp_path / "c").code == 0
    assert lines(tmp_path / "c" / "rows.jsonl") == whole


def test_runs_of_two_experiments_do_not_merge(otbench: Otbench, copy: Results) -> None:
    declare(Path())
    otbench("run", "tiny.toml", "--engine", "inline")
    done = otbench("merge", copy.folder, "results/tiny", "-o", "c")
    assert_one_line(done, "are not runs of one experiment (experiment:")
    assert_one_line(otbench("merge", "nowhere", "results/tiny", "-o", "c"), "no such results folder: nowhere")


def test_the_same_results_compare_equal(otbench: Otbench, folders: tuple[Path, Path]) -> None:
    done = otbench("compare", *folders)
    assert done.code == 0
    assert done.out.startswith("113 cells in A, 113 in B, 113 in both\n")
    assert ", 0 different within the spread of seeds, 0 changed\n" in done.out


def test_a_number_changed_is_told_from_one_within_the_spread_of_seeds(
    otbench: Otbench, folders: tuple[Path, Path]
) -> None:
    a, b = folders
    rows = lines(b / "rows.jsonl")
    for row in rows:
        if row["method.name"] == "linear" and row["problem.name"] == "shared_mass" and row["problem.dim"] == 3:
            if row["sampling.mode"] == "coupled" and row["problem.overlap"] == 0.5:
                row["scale"] += 1.0  # both seeds
            elif row["sampling.mode"] == "independent" and row["seed"] == 0:
                row["plan_cosine"] += 1e-4  # one of two, less than they differ
    write_lines(b / "rows.jsonl", rows)
    done = otbench("compare", a, b)
    assert done.code == 1
    assert " 2 different within the spread of seeds, " in done.out
    changed = done.out.splitlines()[2:]
    assert {line.partition(":")[0] for line in changed} == {"scale", "k_eff"}
    assert all("problem.overlap = 0.5" in line and "spread of 2 seeds" in line for line in changed)


def test_what_has_no_cell_in_common_is_refused_with_the_reason(otbench: Otbench) -> None:
    for n, name in ((16, "one"), (32, "two")):
        declare(Path(), sampling=f"{{ n = {n} }}", method=METHODS, name=name)
        otbench("run", f"{name}.toml", "--engine", "inline")
    done = otbench("compare", "results/one", "results/two")
    assert_one_line(done, "no cell is in both folders, so nothing was compared: sampling.n is 16 in A and 32 in B")


CRITIC = '{{ name = "weight_clip", widths = [4], batch = 4, steps = 4, lr = {} }}'


def test_runs_that_share_baselines_alone_are_not_said_to_agree(otbench: Otbench) -> None:
    for lr, name in ((0.1, "one"), (0.2, "two")):
        declare(Path(), method=f'[{{ name = "zero" }}, {{ name = "linear" }}, {CRITIC.format(lr)}]', name=name)
        assert otbench("run", f"{name}.toml", "--engine", "inline").code == 0
    done = otbench("compare", "results/one", "results/two")
    assert_one_line(done, "2 rows are in both folders, all of baselines, and no other critic is, so none was compared")
    assert "method.lr is 0.1 in A and 0.2 in B" in done.err
    declare(Path(), method=METHODS, name="three")
    otbench("run", "three.toml", "--engine", "inline")
    assert_one_line(otbench("compare", "results/three", "results/two"), "2 rows are in both folders")
    assert otbench("compare", "results/three", "results/three").code == 0


COMMITTED = Path(__file__).parent.parent.parent / "results"


def test_curves_are_compared_as_curves(otbench: Otbench, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    every = Results(COMMITTED / "generator").measurements()
    rows = [row for row in every if row["dataset"] == "ring" and row["seed"] == 0][:300]
    for folder, clock in ((a, 0.5), (b, 1.5)):
        folder.mkdir()
        (folder / "meta.json").write_bytes((COMMITTED / "generator" / "meta.json").read_bytes())
        write_lines(folder / "measurements.jsonl", [row | {"seconds_critic": clock} for row in rows])
    done = otbench("compare", a, b)
    assert done.code == 0
    assert done.out.startswith(f"{len(rows)} readings of curves in A, {len(rows)} in B, {len(rows)} in both\n")
    last = rows[-1]["iteration"]
    changed = [row | {"nearest": row["nearest"] * 2} if row["iteration"] == last else row for row in rows]
    write_lines(b / "measurements.jsonl", changed)
    done = otbench("compare", a, b)
    assert done.code == 1
    assert "nearest: " in done.out
    assert f"iteration = {last}" in done.out
    assert json.loads(otbench("compare", a, b, "--json").out)["unit"] == "readings of curves"


def test_curves_of_two_plans_are_not_one(otbench: Otbench, tmp_path: Path) -> None:
    b = tmp_path / "generator"
    shutil.copytree(COMMITTED / "generator", b)
    rows = Results(b).measurements()
    (plan,) = {found for row in rows for found in re.findall(r"plan=(\w+)", str(row["key"]))}
    other = [row | {"key": str(row["key"]).replace(f"plan={plan}", "plan=000000000000")} for row in rows]
    (b / "measurements.jsonl.gz").unlink()
    write_lines(b / "measurements.jsonl", other)
    assert_one_line(otbench("compare", COMMITTED / "generator", b), f"plan is {plan} in A and 000000000000 in B")


@pytest.mark.parametrize(("a", "b", "said"), [
    ("timing", "timing", "times of two machines are not compared: merge the folders and read tables/timing.csv"),
    ("generator", "saturation", "A holds curves of GANs in training, B cells: nothing was compared"),
    ("saturation", "generator", "A holds cells, B curves of GANs in training: nothing was compared"),
])  # fmt: skip
def test_what_cannot_be_compared_is_called_by_its_name(a: str, b: str, said: str, otbench: Otbench) -> None:
    assert_one_line(otbench("compare", COMMITTED / a, COMMITTED / b), said)


def test_another_optimal_plan_of_another_machine_is_no_change(otbench: Otbench, folders: tuple[Path, Path]) -> None:
    a, b = folders
    longer = [row | {"longest_move": 3 * row["longest_move"]} for row in lines(b / "rows.jsonl")]
    write_lines(b / "rows.jsonl", longer)
    assert "longest_move" in otbench("compare", a, b).out
    of_machine(b, processor="another")
    assert " 0 changed" in otbench("compare", a, b).out
