"""The seal of a results folder: one changed byte is seen, an interrupted run leaves none, sha256sum reads it."""

import json
import subprocess
from pathlib import Path

import pytest
from small import change, trained

from otbench.report.check.rules import check_results
from otbench.report.markdown import write_tables
from otbench.results.seal import SEAL, seal, seal_holds, unseal
from otbench.results.store import Results


def test_a_finished_run_is_sealed(copy: Results) -> None:
    assert seal_holds(copy) is True
    assert check_results(copy)["seal"] == []


def test_an_edit_that_breaks_no_other_rule_is_found(copy: Results) -> None:
    """Every number that follows from raw is changed with it, and the tables are written anew."""
    row = json.loads(copy.rows_file.read_text().splitlines()[change(copy, trained)])
    less = {name: row[name] * (1 - 1e-6) for name in ("raw", "slope_half", "fresh_raw")}
    change(copy, trained, **less)
    write_tables(copy, "csv")
    found = {name for name, violations in check_results(copy).items() if violations}
    assert found == {"seal"}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "measurements.jsonl", "measurements.jsonl.gz"])
def test_every_file_of_measured_numbers_is_sealed(name: str, tmp_path: Path) -> None:
    results = Results(tmp_path)
    (tmp_path / name).write_bytes(b"1\n")
    seal(results)
    assert seal_holds(results) is True
    (tmp_path / name).write_bytes(b"2\n")
    assert seal_holds(results) is False
    (tmp_path / name).unlink()
    assert seal_holds(results) is False


def test_without_a_seal_it_is_said_so(copy: Results) -> None:
    unseal(copy)
    assert seal_holds(copy) is None
    (violation,) = check_results(copy)["seal"]
    assert f"no {SEAL}" in str(violation)


def test_the_tool_that_everybody_has_reads_it(copy: Results) -> None:
    done = subprocess.run(["sha256sum", "-c", SEAL], cwd=copy.folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "rows.jsonl: OK\n")
