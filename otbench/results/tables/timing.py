"""The tables of a timing experiment: what was measured, and how speed scales with the number of critics."""

from collections.abc import Callable, Sequence

import pandas as pd

from otbench.results.store import Row
from otbench.results.tables.cells import typed_frame
from otbench.results.tables.roofline import roofline

#: A time is believed where its quartiles are no further apart than this share of the median.
STEADY = 0.25


def timing_frame(rows: Sequence[Row], meta: dict[str, object]) -> pd.DataFrame:
    """The measurements, with ``timing_valid`` where quartiles are close and the load was no more than the cores."""
    frame = typed_frame(rows, list(dict.fromkeys(name for row in rows for name in row)))
    frame = frame.sort_values(["kind", "machine", "key"], key=_numbers_in_order, ignore_index=True)
    machines = meta.get("machines", {})
    assert isinstance(machines, dict)
    cores = frame["machine"].map(lambda name: machines.get(name, {}).get("cores", 0)).astype(float)
    steady = pd.Series(True, frame.index)
    for name in ("seconds_per_step", "plain_seconds_per_step", "product_seconds", "copy_seconds", "exact_seconds",
                 "arrival_seconds"):  # fmt: skip
        if f"{name}_median" in frame:
            width = (frame[f"{name}_q3"] - frame[f"{name}_q1"]) / frame[f"{name}_median"]
            steady &= ~(width > STEADY)
    frame["timing_valid"] = steady & (frame["load"].astype(float) <= cores)
    return frame


def timing(frame: pd.DataFrame) -> pd.DataFrame:
    """Every measurement, without the columns that are empty in all of them.

    ``timing_valid`` says whether a time can be believed; ``peak_memory_bytes`` is empty where it cannot be measured.
    """
    return frame.drop(columns=["schema", "key"]).dropna(axis=1, how="all")


def scaling(frame: pd.DataFrame) -> pd.DataFrame:
    """Critic-steps per second against critics in the batch, for every engine and width, beside the plain loop.

    ``times_plain`` is the ratio of both medians, ``_q1`` and ``_q3`` those of opposite quartiles: wider than quartiles
    of ratios, which were not stored.
    """
    rows = frame[frame["kind"] == "training"].copy()
    rows["critic_steps_per_second"] = rows["critics"] / rows["seconds_per_step_median"]
    rows["times_plain"] = rows["critic_steps_per_second"] * rows["plain_seconds_per_step_median"]
    for end, other in (("q1", "q3"), ("q3", "q1")):
        per_critic = rows[f"seconds_per_step_{other}"] / rows["critics"]
        rows[f"times_plain_{end}"] = rows[f"plain_seconds_per_step_{end}"] / per_critic
    rows["flop_per_second"] = rows["flop_per_step"] / rows["seconds_per_step_median"]
    rows["share_of_product_rate"] = rows["flop_per_second"] * rows["product_seconds_median"] / rows["product_flop"]
    told = [name for name in ("device_name", "dtype") if name in rows]  # older rows are of a CPU, in float32
    columns = [
        "device", "machine", "dim", "batch", "width", "engine", *told, "critics", "critic_steps_per_second",
        "times_plain", "times_plain_q1", "times_plain_q3", "flop_per_second", "share_of_product_rate",
        "peak_memory_bytes", "timing_valid",
    ]  # fmt: skip
    return rows.reindex(columns=columns).reset_index(drop=True)


#: The tables of a timing folder by file name; None where the rows have not what a table shows.
TIMING_TABLES: dict[str, Callable[[pd.DataFrame], pd.DataFrame | None]] = {
    "timing": timing,
    "scaling": scaling,
    "roofline": roofline,
}


def _numbers_in_order(column: "pd.Series[str]") -> "pd.Series[str]":
    """Keys with their numbers padded, so that 1024 comes after 64 when they are sorted as text."""
    return column.map(lambda text: " ".join(word.zfill(9) if word.isdigit() else word for word in text.split()))
