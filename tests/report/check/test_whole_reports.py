"""Every word of a report on a whole folder: the rule, the place, what stands there, what must, and the column."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small import Line, lines, write_lines

from otbench.report.check import rules
from otbench.report.check.rules import Violation, all_measured, check_results, complete, failures, keys, promises_kept
from otbench.report.check.table_difference import markdown_difference
from otbench.results.folder import Stored
from otbench.results.store import Results, keys_digest
from otbench.results.tables.cells import frame_of

COMMITTED = Path(__file__).parent.parent.parent.parent / "results"


@pytest.fixture(scope="module")
def rows(small_results: Path) -> list[Line]:
    """Four rows of the small experiment."""
    return lines(small_results / "rows.jsonl")[:4]


def place(row: Line) -> str:
    method = f"method {row['method.name']}" + (f", clip {row['method.clip']}" if "method.clip" in row else "")
    return f"problem {row['problem.name']}, dim {row['problem.dim']}, {method}, seed {row['seed']} [{row['key'][:12]}]"


def test_a_cell_that_failed_is_named_with_its_reason(rows: list[Line]) -> None:
    a, b = rows[0], rows[1] | {"status": "failed", "reason": "a worker died"}
    assert list(failures(pd.DataFrame([a, b]))) == [
        Violation("no cell failed", place(b), "a worker died", "done", "status")
    ]


def test_a_row_under_anothers_key_and_a_second_row_are_named(rows: list[Line]) -> None:
    a, b, c, _ = rows
    wrong = b | {"key": c["key"]}
    assert list(keys([a, wrong, c, a])) == [
        Violation("key is the hash of the cell", place(wrong), c["key"][:12], b["key"][:12], "key"),
        Violation("one row per cell", place(c), "a second row", "the only one"),
        Violation("one row per cell", place(a), "a second row", "the only one"),
    ]
    assert list(keys(rows)) == []


def test_rows_that_are_not_those_declared_are_counted_or_told_apart(rows: list[Line]) -> None:
    meta = {"cells": 4, "keys": keys_digest(row["key"] for row in rows)}
    assert list(complete(rows, meta)) == list(complete(rows[::-1], meta)) == []
    rule = "every declared cell has a row"
    assert list(complete(rows[:3], meta)) == [Violation(rule, "all cells", "3 rows", "4")]
    assert list(complete([*rows[:3], rows[0]], meta)) == [
        Violation(rule, "all cells", "4 rows, of other cells than declared",
                  "those declared: run the experiment again", "key")
    ]  # fmt: skip
    assert list(complete(rows, {})) == [
        Violation("meta.json", "all cells", "missing", "there: run the experiment again")
    ]


def test_measurements_that_were_not_planned_are_named_by_their_machine(tmp_path: Path) -> None:
    shutil.copytree(COMMITTED / "timing", tmp_path / "timing")
    results = Results(tmp_path / "timing")
    assert list(all_measured(Stored(results))) == []
    records = lines(results.measurements_file)
    write_lines(results.measurements_file, records[1:])
    assert list(all_measured(Stored(results))) == [
        Violation("every planned measurement is there", f"machine {records[0]['machine']}",
                  f"{len(records) - 1} records", "the records of its plan: run the experiment again", "key")
    ]  # fmt: skip
    assert [v.observed for v in check_results(results)["complete"]] == [f"{len(records) - 1} records"]


def test_a_declaration_that_moved_on_is_named_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "e.toml"
    file.write_text("question = 'b'\n")
    monkeypatch.setattr(rules, "experiments", lambda: {"e": file})
    assert list(rules.declaration("e", {"declaration": "of another text"})) == [
        Violation("the results are of the experiment", "e.toml", "declared otherwise since",
                  "as when it ran: run it again")
    ]  # fmt: skip
    now = rules.declaration_digest({"question": "b"})
    for name, meta in (("e", {"declaration": now}), ("e", {}), ("other", {"declaration": "of another text"})):
        assert list(rules.declaration(name, meta)) == []
    assert [v.rule for v in rules.declaration("e", {"cells": 3})] == ["the results are of the experiment"]


def test_a_table_that_is_missing_or_differs_is_named_with_both_values(copy: Results) -> None:
    file = copy.tables / "matrix.csv"
    right = file.read_text()
    heading, first, *rest = right.split("\n")
    cells = first.split(",")
    cells[1] = "other"
    file.write_text("\n".join([heading, ",".join(cells), *rest]))
    (copy.tables / "clip.csv").unlink()
    found = {v.cell.partition(",")[0]: v for v in rules.tables(Stored(copy))}
    assert found["clip.csv"] == Violation("tables re-derive", "clip.csv", "missing", "there: run `otbench tables`")
    assert list(found) == [name for name in (f"{n}.csv" for n in Stored(copy).tables) if name in found]
    changed = found["matrix.csv"]
    assert (changed.rule, changed.observed, changed.bound) == ("tables re-derive", "other", first.split(",")[1])
    assert changed.column == heading.split(",")[1]
    assert changed.cell.startswith("matrix.csv, line 2 (")


def frame(rows: list[Line], ratios: list[float | None], **columns: list[Any]) -> pd.DataFrame:
    made = frame_of(rows).head(len(ratios))
    return made.assign(ratio=pd.array(ratios, dtype="Float64"), status="ok", **columns)


def promise(least: float, **where: Any) -> dict[str, Any]:
    return {"ratio": "ratio", "at_least": least, "where": where}


def test_a_promise_is_kept_by_the_median_of_the_rows_it_is_of(rows: list[Line]) -> None:
    table = frame(rows, [0.2, 0.4, 0.6, 0.9], group=pd.array(["a", "a", "a", None], dtype="string"), half=[1, 1, 2, 2])
    for least, where in ((0.5, {}), (0.4, {"group": "a"}), (0.3, {"group": "a", "half": 1}), (0.75, {"half": 2})):
        assert list(promises_kept(table, [promise(least, **where)])) == []
        (found,) = promises_kept(table, [promise(least + 1e-9, **where)])
        cells = ", ".join(f"{name} = {value}" for name, value in where.items())
        count = {"": 4, "group = a": 3, "group = a, half = 1": 2, "half = 2": 2}[cells]
        assert found == Violation("ratio agreement", cells, f"{least:.6g} over {count} rows",
                                  f">= {least:g} in the median", "ratio")  # fmt: skip
    assert list(promises_kept(table.assign(status=["diverged", "ok", "ok", "ok"]), [promise(0.5)])) == []
    assert len(list(promises_kept(table.assign(status=["ok", "ok", "refused", "ok"]), [promise(0.5)]))) == 1


def test_a_promise_of_what_no_column_tells_is_named_and_the_next_one_is_judged(rows: list[Line]) -> None:
    table = frame(rows, [0.2, 0.4], word=["x", "y"])
    asked = [promise(0.1, nowhere=1, ratio=2), promise(0.1) | {"ratio": "gone"}, promise(0.1) | {"ratio": "word"},
             promise(0.9)]  # fmt: skip
    due = "a column of numbers"
    assert list(promises_kept(table, asked)) == [
        Violation("ratio agreement", "nowhere = 1, ratio = 2", "no column nowhere", due),
        Violation("gone agreement", "", "no column gone", due),
        Violation("word agreement", "", "word is no number", due),
        Violation("ratio agreement", "", "0.3 over 2 rows", ">= 0.9 in the median", "ratio"),
    ]


def test_cells_of_a_markdown_table_are_compared_without_their_frame() -> None:
    right = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |  |"
    assert markdown_difference(right.replace("2", "5"), right) == ("line 3 (1, 2)", "5", "2", "b")
    assert markdown_difference(right.replace("| 1", "|    1"), right)[1] == "the same values written otherwise"
    assert markdown_difference(right.replace("|  |", "| 4 |"), right) == ("line 4 (3)", "4", "an empty cell", "b")
    assert markdown_difference(right + "\n| 5 | 6 |", right) == ("line 5", "5 lines", "4 lines", "")


@pytest.mark.parametrize(("length", "at"), [(80, 60), (81, 0), (81, 40), (81, 41), (200, 39), (200, 120), (200, 199)])
def test_of_a_value_at_most_eighty_characters_are_shown_those_around_the_difference(length: int, at: int) -> None:
    text = "".join(chr(ord("a") + k % 26) for k in range(length))
    other = text[:at] + "!" + text[at + 1 :]
    _, observed, bound, _ = markdown_difference(f"| {other} |", f"| {text} |")
    start = max(0, at - 40) if length > 80 else 0
    for shown, whole in ((observed, other), (bound, text)):
        assert shown.removeprefix("...").removesuffix("...") == whole[start : start + 80]
        assert shown.startswith("...") == (start > 0)
        assert shown.endswith("...") == (start + 80 < length)


def test_a_value_that_is_the_start_of_another_differs_where_it_ends() -> None:
    longer = "x" * 300
    _, observed, bound, _ = markdown_difference(f"| {longer[:150]} |", f"| {longer} |")
    assert (observed, bound) == ("..." + "x" * 40, "..." + "x" * 80 + "...")


@pytest.mark.parametrize(("kind", "own"), [("timing", ["measurements"]), ("generator", list(rules.CURVE_RULES))])
def test_a_study_is_checked_by_the_rules_of_its_kind(kind: str, own: list[str], tmp_path: Path) -> None:
    results = Results(tmp_path / kind)
    results.folder.mkdir()
    results.meta_file.write_bytes((COMMITTED / kind / "meta.json").read_bytes())
    write_lines(results.measurements_file, Results(COMMITTED / kind).measurements()[:60])
    found = check_results(results)
    assert list(found) == [*own, "complete", "declaration", "seal", "tables"]
    assert not any(found[name] for name in own)


def test_a_gradient_that_is_missing_beside_another_is_told_by_its_column(rows: list[Line]) -> None:
    logit = frame_of(rows).head(1).assign(**{"method.name": "discriminator", "js": 0.1, "raw_gradient": 1.0})
    (found,) = rules.divergences(logit.assign(js_gradient=float("nan")))
    told = (found.rule, found.observed, found.bound, found.column)
    assert told == ("its gradient", "missing", "there where raw's is", "js_gradient")
