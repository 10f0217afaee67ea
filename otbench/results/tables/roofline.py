"""What bounds a training step: what it must move and compute, beside what its device can."""

import pandas as pd

#: The shapes that two measurements must share to be of one piece of work.
STEP_SHAPE = ["dim", "batch", "width"]

#: Bytes of a number that is kept, and of one that a layer hands on, by the dtype of the products.
KEPT_BYTES, HANDED_BYTES = 4, {"float32": 4, "tf32": 4, "bfloat16": 2}

#: How often a step must touch every parameter: read forwards and backwards, its gradient written; then theta, its
#: second moment and the gradient read, and theta and the moment written.
PARAMETER_PASSES = 8

#: How often a step must touch a hidden unit's number of every point: its output written, and read by the layer above,
#: by that layer's gradient and by its own derivative; what comes back written, and read by its weights' gradient. Above
#: the first hidden layer it is read by the layer below too.
HIDDEN_PASSES = 6

#: How often a step must touch a coordinate of every point: read and written as it is gathered, then read by the first
#: layer and by its gradient.
POINT_PASSES = 4


def roofline(frame: pd.DataFrame) -> pd.DataFrame | None:
    """Every training beside the two things that bound it; None where the rows tell nothing of the device's memory.

    ``bytes_per_step`` is the least that a step of two hidden layers moves where nothing stays in a cache from one
    operation to the next, and every operation reads and writes what it must once. ``share_of_bandwidth`` is that, over
    the seconds of a step, in units of what a copy of the device's memory moves: above 1 caches serve. In the same way
    ``share_of_product_rate`` holds its products against those of large square matrices of the same dtype. Where both
    are small, steps wait for calls. ``times_core`` is the speed in units of the fastest one of a processor's core on
    the same shape in float32.
    """
    rows = frame[frame["kind"] == "training"].copy()
    if "copy_seconds_median" not in rows or rows["copy_seconds_median"].isna().all():
        return None
    seconds = rows["seconds_per_step_median"]
    rows["critic_steps_per_second"] = rows["critics"] / seconds
    rows["times_plain"] = rows["critic_steps_per_second"] * rows["plain_seconds_per_step_median"]
    rows["times_core"] = rows["critic_steps_per_second"] / _core(rows)
    rows["bytes_per_step"] = step_bytes(rows)
    rows["bytes_per_second"] = rows["bytes_per_step"] / seconds
    rows["share_of_bandwidth"] = rows["bytes_per_second"] * rows["copy_seconds_median"] / rows["copy_bytes"]
    rows["flop_per_second"] = rows["flop_per_step"] / seconds
    rows["share_of_product_rate"] = rows["flop_per_second"] * rows["product_seconds_median"] / rows["product_flop"]
    columns = [
        "device", "device_name", "machine", *STEP_SHAPE, "engine", "dtype", "critics", "critic_steps_per_second",
        "times_plain", "times_core", "bytes_per_step", "share_of_bandwidth", "share_of_product_rate", "seconds_prepare",
        "seconds_context", "driver", "sm_clock_mhz", "memory_clock_mhz", "power_cap_watts", "throttle_reasons",
        "timing_valid", "reason",
    ]  # fmt: skip
    return rows.reindex(columns=columns).dropna(axis=1, how="all").reset_index(drop=True)


def step_bytes(rows: pd.DataFrame) -> "pd.Series[float]":
    """The least bytes of one step of all critics of each row, as ``roofline`` counts them."""
    dim, width, points = rows["dim"], rows["width"], 2 * rows["batch"]
    parameters = width * (dim + width + 1) + 2 * width + 1
    handed = rows["dtype"].fillna("float32").map(HANDED_BYTES) if "dtype" in rows else HANDED_BYTES["float32"]
    kept = KEPT_BYTES * PARAMETER_PASSES * parameters
    moved: pd.Series[float] = kept + handed * points * ((2 * HIDDEN_PASSES + 1) * width + POINT_PASSES * dim)
    return rows["critics"] * moved.astype("float64")


def _core(rows: pd.DataFrame) -> "pd.Series[float]":
    """For each row the critic-steps per second of the fastest training of a CPU on its shape, NaN where there is none.

    Every training of a CPU has one thread.
    """
    here = rows[(rows["device"] == "cpu") & (rows["dtype"].fillna("float32") == "float32")]
    best = here.groupby(STEP_SHAPE)["critic_steps_per_second"].max().rename("core")
    joined: pd.Series[float] = rows[STEP_SHAPE].merge(best, how="left", left_on=STEP_SHAPE, right_index=True)["core"]
    return joined
