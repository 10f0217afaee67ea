"""Damaged rows and timings: whatever stands in a line, the checker says a violation or one line."""

import json

import pytest
from small import change, lines, trained

from otbench.errors import ResultsError
from otbench.report.check.rules import check_results
from otbench.results.store import Results


def violations_or_one_line(copy: Results) -> list[str]:
    """What the user of a checker sees of damaged results."""
    try:
        return [str(violation) for found in check_results(copy).values() for violation in found]
    except ResultsError as error:
        return [str(error)] if "\n" not in str(error) else []


CELL = ("problem.dim", "sampling.mode", "method.name", "method.clip", "method.widths", "method.depth")


@pytest.mark.parametrize(
    ("name", "value"),
    [*((name, value) for name in CELL for value in ("text", "absent")),
     *(("method.clip", value) for value in (None, 3, [1], 10**30, float("nan")))],
    ids=str,
)  # fmt: skip
def test_a_damaged_cell_column_is_a_violation_or_one_line(name: str, value: object, copy: Results) -> None:
    rows = lines(copy.rows_file)
    row = next(row for row in rows if trained(row) and row["problem.dim"] == 2)
    del row[name]
    if value != "absent":
        row[name] = value
    copy.rows_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert violations_or_one_line(copy)


@pytest.mark.parametrize("name", ["seed", "n", "coincident_atoms"])
def test_an_enormous_whole_number_is_a_violation_or_one_line(name: str, copy: Results) -> None:
    change(copy, trained, **{name: 10**30})
    assert violations_or_one_line(copy)


@pytest.mark.parametrize("line", ['{"schema":3}', '{"schema":3,"key":3}', '{"schema":3,"key":"k","seconds_fit":"x"}'])
def test_a_damaged_timing_is_a_violation_or_one_line(line: str, copy: Results) -> None:
    text = copy.timing_file.read_text().splitlines()
    key = json.loads(text[0])["key"]
    copy.timing_file.write_text("\n".join([line.replace('"k"', f'"{key}"'), *text[1:]]) + "\n")
    assert violations_or_one_line(copy)
