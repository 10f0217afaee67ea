"""What bounds a step: its bytes and operations counted by hand, and shares that follow from what the device can do."""

import pandas as pd
import pytest

from otbench.report.check.timing_rules import measurements
from otbench.results.tables.roofline import roofline, step_bytes
from otbench.results.tables.timing import TIMING_TABLES, scaling

ROW = {
    "kind": "training", "key": "k", "schema": 3, "machine": "m", "device": "cuda", "engine": "graph", "compiled": False,
    "dtype": "float32", "dim": 3, "batch": 5, "width": 4, "critics": 10, "flop_per_step": 800.0, "product_flop": 4000.0,
    "copy_bytes": 1e6, "timing_valid": True, "peak_memory_bytes": 10**6,
}  # fmt: skip


def row(**fields: object) -> dict[str, object]:
    times = {"seconds_per_step": 2.0, "plain_seconds_per_step": 3.0, "product_seconds": 0.5, "copy_seconds": 0.25}
    times |= {name: float(str(fields.pop(name))) for name in list(times) if name in fields}
    parts = {f"{name}_{part}": value for name, value in times.items() for part in ("q1", "median", "q3")}
    return ROW | parts | fields


@pytest.mark.parametrize(("dtype", "number"), [("float32", 4), ("tf32", 4), ("bfloat16", 2), (None, 4)])
def test_the_bytes_of_a_step_are_those_of_every_operation_that_reads_and_writes_what_it_must(
    dtype: str | None, number: int
) -> None:
    """A step written out call by call, each with what it reads and what it writes, of one critic on R points."""
    d, h, points = 3, 4, 2 * 5
    theta = (d * h + h) + (h * h + h) + (h + 1)
    parameters = {
        "forwards": theta, "backwards": theta, "gradient": theta,
        "optimiser reads theta, its moment and the gradient": 3 * theta, "and writes two of them": 2 * theta,
    }  # fmt: skip
    numbers = {
        "gather reads and writes points": 2 * d, "first layer": d + h, "second layer reads and writes": 2 * h,
        "last layer": h, "its gradient": h, "back to the second": h, "times its derivative": h,
        "second layer's gradient": 2 * h, "back to the first reads and writes": 2 * h, "times its derivative, ": h,
        "first layer's gradient": d + h,
    }  # fmt: skip
    due = 4 * sum(parameters.values()) + number * points * sum(numbers.values())
    assert step_bytes(pd.DataFrame([ROW | {"dtype": dtype}])).tolist() == [10 * due]


def test_shares_are_of_what_a_copy_moves_and_a_product_computes_in_the_same_minutes() -> None:
    frame = pd.DataFrame([row(), row(device="cpu", critics=3, seconds_per_step=6.0), row(device="cpu", critics=1)])
    table = roofline(frame)
    assert table is not None
    line = table.iloc[0]
    assert line["critic_steps_per_second"] == 10 / 2.0
    assert line["times_plain"] == 5.0 * 3.0
    assert line["times_core"] == 5.0 / 0.5, "the faster of a critic in 2 s and of three in 6 s, both 0.5 a second"
    assert line["share_of_bandwidth"] == pytest.approx(line["bytes_per_step"] / 2.0 / (1e6 / 0.25))
    assert line["share_of_product_rate"] == pytest.approx(800.0 / 2.0 / (4000.0 / 0.5))


def test_a_core_of_another_shape_or_dtype_is_not_held_against_a_row() -> None:
    others = [row(device="cpu", width=5), row(device="cpu", dim=4), row(device="cpu", batch=6),
              row(device="cpu", dtype="bfloat16")]  # fmt: skip
    table = roofline(pd.DataFrame([row(), *others]))
    assert table is not None
    assert pd.isna(table.iloc[0]["times_core"])


def test_rows_that_tell_nothing_of_memory_have_no_such_table_and_the_others_as_before() -> None:
    old = {name: value for name, value in row().items() if not name.startswith("copy") and name != "dtype"}
    frame = pd.DataFrame([old])
    assert TIMING_TABLES["roofline"](frame) is None
    assert "dtype" not in scaling(frame)
    assert "dtype" in scaling(pd.DataFrame([row()]))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"engine": "compiled_graph", "compiled": True}, 0),
        ({"engine": "compiled_graph", "compiled": False}, 1),
        ({"engine": "compiled", "compiled": False, "reason": "no compiler"}, 1),
        ({"engine": "graph", "compiled": False}, 0),
    ],
)
def test_a_time_that_is_called_compiled_was(fields: dict[str, object], found: int) -> None:
    assert [v.rule for v in measurements(pd.DataFrame([row(**fields)]))] == ["compiled"] * found


def test_a_row_that_could_not_be_compiled_has_a_reason_in_place_of_times() -> None:
    untimed = {name: value for name, value in ROW.items() if name not in ("flop_per_step", "peak_memory_bytes")}
    refused = untimed | {"engine": "compiled", "reason": "no compiler"}
    assert not list(measurements(pd.DataFrame([row(), refused])))
    (violation,) = measurements(pd.DataFrame([row(), refused | {"reason": None}]))
    assert violation.rule == "compiled"
