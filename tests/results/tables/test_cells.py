"""Tables: pure functions of rows, held to independent computations."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small import Line, declare, derive, lines, python

import otbench
from otbench.errors import ResultsError
from otbench.experiment.cell import Cell
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.runner import run_experiment
from otbench.methods import Job, WeightClip
from otbench.methods.audit import audit
from otbench.report.headline import headline
from otbench.report.markdown import markdown, short, write_tables
from otbench.results.folder import load
from otbench.results.store import Results
from otbench.results.tables.cells import RUNGS, SUMMARISED, agreement, frame_of, to_csv
from otbench.types import Bounds

COMMITTED = Path(__file__).parent.parent.parent.parent / "results"


@pytest.fixture(scope="module")
def frame(small_results: Path) -> pd.DataFrame:
    return load(small_results)


@pytest.fixture(scope="module")
def cells(small_results: Path) -> dict[str, Cell]:
    declared = load_experiment(str(small_results.parent.parent / "small.toml"))
    return {cell.key: cell for cell in declared.cells}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_and_timings_does_not_matter(seed: int, small_results: Path) -> None:
    results, rng = Results(small_results), random.Random(seed)
    rows, timings = results.rows(), results.timings()
    tables = derive(rng.sample(rows, len(rows)), rng.sample(timings, len(timings)))
    for name, table in tables.items():
        assert to_csv(name, table) == (small_results / "tables" / f"{name}.csv").read_bytes(), name


def test_matrix_csv_has_every_row_and_column_at_full_precision(small_results: Path, frame: pd.DataFrame) -> None:
    read = pd.read_csv(small_results / "tables" / "matrix.csv")
    rows = {str(row["key"]): row for row in Results(small_results).rows()}
    assert set(read["key"]) == set(rows)
    assert list(read.columns) == list(frame.columns)
    for line in read.to_dict("records"):
        row = rows[line["key"]]
        for name, value in row.items():
            read_back = line[name]
            assert read_back == value or (value in (None, "", "none") and pd.isna(read_back)), name


def grouped(rows: list[Line], *names: str) -> dict[tuple[Any, ...], list[Line]]:
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name) for name in names), []).append(row)
    return groups


def quotient(rung: str) -> Callable[[Line], float]:
    return lambda row: row[rung] / row["primal"]


def slope(row: Line) -> float:
    return max(row["raw"], 0.0) / row["slope_constant"] / row["primal"] if row["slope_constant"] else 0.0


@pytest.mark.parametrize(
    ("column", "value"),
    [("raw_over_w1", quotient("raw")), ("c_transform_over_w1", quotient("c_transform")), ("slope_over_w1", slope)],
)
def test_agreement_is_medians_and_quartiles_over_seeds(
    column: str, value: Callable[[Line], float], small_results: Path
) -> None:
    table = derive(Results(small_results).rows(), [])["agreement"]
    names = (
        "problem.name", "problem.dim", "problem.overlap", "sampling.mode", "method.name", "method.clip", "method.steps"
    )  # fmt: skip
    groups = grouped(lines(small_results / "rows.jsonl"), *names)
    assert len(table) == len(groups)
    for line in table.to_dict("records"):
        key = tuple(None if pd.isna(line[name]) else line[name] for name in names)
        values = [value(row) for row in groups[key]]
        assert line["cells"] == len(values)
        assert line["diverged"] == 0
        for part, q in (("median", 50), ("q1", 25), ("q3", 75)):
            assert line[f"{column}_{part}"] == pytest.approx(np.percentile(values, q), rel=1e-12, abs=1e-15)


def test_agreement_summarises_every_rung_with_skill_and_cosine(small_results: Path) -> None:
    table = derive(Results(small_results).rows(), [])["agreement"]
    known = [name for name in SUMMARISED if "cosine" not in name or name == "plan_cosine"]  # no potential is known here
    parts = ("median", "q1", "q3", "low", "high")
    assert {f"{name}_{part}" for name in known for part in parts} <= set(table.columns)
    assert set(SUMMARISED) > {*(f"{rung}_over_w1" for rung in RUNGS), "skill", "held_out_over_population_w1"}


def test_the_exact_table_has_a_line_a_sample(small_results: Path) -> None:
    table = derive(Results(small_results).rows(), [])["exact"]
    samples = grouped(
        lines(small_results / "rows.jsonl"), "problem.name", "problem.dim", "problem.overlap", "sampling.mode", "seed"
    )
    assert sorted(table["primal"]) == sorted(rows[0]["primal"] for rows in samples.values())
    assert len(table) == 17


def bounds_of(cell: Cell) -> Bounds:
    """The cell's ladder, from its points (uniform weights, all of them) and its critic made anew."""
    pair = cell.sample()
    if isinstance(cell.method, WeightClip):
        fitted = otbench.train(pair, cell.method, seed=cell.training_seed)
    else:
        job = Job(pair, cell.training_seed, otbench.solve_exact(pair.x, pair.y))
        (fitted,) = type(cell.method).fit([cell.method], [job], "cpu")
    return audit(fitted.critic, pair.x, pair.y)


COLUMNS = (
    "raw", "raw_error", "clip_constant", "clip_bound", "spectral_constant", "spectral", "slope_constant", "slope",
    "scale", "c_transform", "nearest", "primal", "k_eff", "skill", "plan_cosine",
)  # fmt: skip


@pytest.mark.parametrize("part", range(4))
def test_every_row_is_what_training_and_auditing_its_cell_again_gives(
    part: int, frame: pd.DataFrame, cells: dict[str, Cell]
) -> None:
    for row in frame.to_dict("records")[part::4]:
        cell = cells[row["key"]]
        bounds = bounds_of(cell)
        for name in COLUMNS:
            found, expected = row[name], getattr(bounds, name)
            if expected is None:
                assert pd.isna(found), (name, row["critic"])
            else:
                rel = 1e-9 if name == "skill" else 1e-12  # skill is a ratio of differences
                assert found == pytest.approx(expected, rel=rel, abs=1e-15), (name, row["critic"])
        for rung in RUNGS:
            known = getattr(bounds, rung)
            assert known is None or row[f"{rung}_over_w1"] == pytest.approx(known / bounds.primal, rel=1e-12, abs=1e-15)
        population = cell.problem.population_w1
        if population is not None:
            assert row["sampling_error"] == pytest.approx(bounds.primal - population, rel=1e-12, abs=1e-14)


def test_c_over_c_star_is_the_clip_over_the_certified_clip(frame: pd.DataFrame, cells: dict[str, Cell]) -> None:
    seen = 0
    for row in frame.to_dict("records"):
        cell = cells[row["key"]]
        if isinstance(cell.method, WeightClip):
            certified = cell.method.certified_clip(cell.problem.dim)
            assert row["c_over_c_star"] == pytest.approx(cell.method.clip / certified, rel=1e-6)
            seen += 1
        else:
            assert pd.isna(row["c_over_c_star"])
    assert seen == 64


def test_an_untrained_critic_is_called_so(frame: pd.DataFrame) -> None:
    assert set(frame["critic"]) == {"zero", "linear", "potential", "weight_clip", "untrained"}
    assert (frame.loc[frame["critic"] == "untrained", "method.steps"] == 0).all()
    assert set(frame.loc[frame["critic"] == "weight_clip", "method.steps"]) == {40}


def test_the_potential_reaches_w1_and_zero_the_nearest_bound(frame: pd.DataFrame) -> None:
    best, none = frame[frame["critic"] == "potential"], frame[frame["critic"] == "zero"]
    assert (best["slope_over_w1"] > 1 - 1e-9).all()
    assert (best["skill"] > 1 - 1e-6).all()
    assert (none["c_transform"] == none["nearest"]).all()
    assert (none["slope"] == 0).all()


def test_load_takes_a_path_or_its_text_and_says_where_nothing_is(small_results: Path, tmp_path: Path) -> None:
    assert otbench.load(str(small_results)).equals(otbench.load(small_results))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultsError, match=r"no rows in .*empty: run `otbench run empty` first"):
        otbench.load(tmp_path / "empty")
    with pytest.raises(ResultsError, match=r"no rows in .*nothing: there is no such folder; `otbench run"):
        otbench.load(tmp_path / "nothing")


@pytest.mark.parametrize(("name", "columns"), [
    ("generator", {"dataset", "clip", "iteration", "primal", "slope", "printed_w1"}),
    ("timing", {"kind", "machine", "timing_valid", "seconds_per_step_median"}),
])  # fmt: skip
def test_load_reads_measurements_too(name: str, columns: set[str]) -> None:
    frame = otbench.load(COMMITTED / name)
    assert len(frame) == len(Results(COMMITTED / name).measurements())
    assert columns <= set(frame)


def test_a_folder_without_whole_rows_is_one_line(copy: Results) -> None:
    copy.rows_file.write_bytes(b'{"schema"')
    with pytest.raises(ResultsError, match="no rows in"):
        otbench.load(copy.folder)


@pytest.mark.parametrize("suffix", [("csv", "csv"), ("markdown", "md"), ("json", "json"), ("latex", "tex")])
def test_tables_are_written_in_every_format(suffix: tuple[Any, str], copy: Results) -> None:
    for file in copy.tables.iterdir():
        file.unlink()
    assert write_tables(copy, suffix[0]) == 7
    names = {"matrix", "agreement", "clip", "laws", "paired", "exact", "timing"}
    assert {file.name for file in copy.tables.iterdir()} == {f"{name}.{suffix[1]}" for name in names}


def test_tables_are_written_only_when_they_change_and_without_timings_too(copy: Results) -> None:
    assert write_tables(copy, "csv") == 0
    (copy.tables / "clip.csv").write_text("tampered")
    assert write_tables(copy, "csv") == 1
    copy.timing_file.unlink()
    assert write_tables(copy, "csv") == 1
    assert len(list(copy.tables.iterdir())) == 7


def test_rows_of_one_seed_and_one_method_make_tables_too(tmp_path: Path) -> None:
    run_experiment(declare(tmp_path), tmp_path / "results" / "tiny")
    results = Results(tmp_path / "results" / "tiny")
    assert write_tables(results, "csv") == write_tables(results, "latex") == 5
    assert len(headline(load(results.folder))) == 1


def test_sizes_that_are_left_out_and_sizes_that_are_given_are_not_pooled(tmp_path: Path) -> None:
    sampling = "[{ n = 16 }, { n = 16, m = 9 }, { n = 20 }]"
    run_experiment(declare(tmp_path, sampling=sampling, seeds="[0, 1]"), tmp_path / "tiny")
    frame = load(tmp_path / "tiny")
    assert list(agreement(frame)["cells"]) == [2, 2, 2]


AWKWARD = pd.DataFrame({"a|b_c": ["x|y", "50% & $2_3 #{}~^\\"], "n": [1.23456, np.nan]})


def test_markdown_escapes_what_would_break_a_table() -> None:
    header, rule, *body = markdown(AWKWARD).strip().splitlines()
    assert len(body) == 2
    for line in (header, rule, *body):
        assert line.replace("\\|", "").count("|") == 3, line
    assert "1.23" in body[0]


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (float("nan"), ""), (pd.NA, ""), (1234.5, "1.23e+03"), (0.5, "0.5"), (3, "3")]
)
def test_short_numbers_have_three_digits(value: object, text: str) -> None:
    assert short(value) == text


def test_a_frame_of_rows_keeps_whole_numbers_whole(frame: pd.DataFrame, small_results: Path) -> None:
    assert frame["n"].dtype == "Int64"
    assert frame["method.steps"].dtype == "Int64"
    assert frame["raw"].dtype == "float64"
    assert frame.equals(frame_of(Results(small_results).rows()))


def test_tables_are_the_same_bytes_on_a_processor_without_vector_instructions(small_results: Path) -> None:
    script = """
import hashlib, sys
from otbench.results.folder import load
from otbench.results.store import Results
from otbench.results.folder import Stored
from otbench.results.tables.cells import to_csv
tables = Stored(Results(sys.argv[1])).tables
print({name: hashlib.sha256(to_csv(name, table)).hexdigest() for name, table in tables.items()})
"""
    dispatched = [name for name in np._core._multiarray_umath.__cpu_dispatch__
                  if np._core._multiarray_umath.__cpu_features__[name]]  # fmt: skip
    plain = python(script, str(small_results))
    bare = python(
        script, str(small_results), NPY_DISABLE_CPU_FEATURES=" ".join(dispatched), OPENBLAS_CORETYPE="Prescott"
    )
    assert plain.stdout, plain.stderr
    assert plain.stdout == bare.stdout, bare.stderr
