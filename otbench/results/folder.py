"""A results folder as it is read: its rows, their frame and its tables, each worked out once."""

from functools import cached_property
from typing import Any

import pandas as pd

from otbench.results.store import Results, Row
from otbench.results.tables.cells import TABLES, frame_of, saturation
from otbench.results.tables.clip_sweeps import exponents, is_sweep
from otbench.results.tables.gan import CURVE_TABLES, curve_frame
from otbench.results.tables.published import SCORES_FILE, methods, published, read_scores
from otbench.results.tables.scale_rule import held_out, rule_table
from otbench.results.tables.timing import TIMING_TABLES, timing_frame


class Stored:
    """What a results folder holds, be it of a matrix or of measurements."""

    def __init__(self, results: Results) -> None:
        self.results = results

    @cached_property
    def rows(self) -> list[Row]:
        return self.results.rows()

    @cached_property
    def meta(self) -> dict[str, Any]:
        return self.results.meta()

    @cached_property
    def measurements(self) -> list[Row]:
        """The records of a plan; [] of a matrix."""
        return self.results.measurements()

    @property
    def generator(self) -> bool:
        """Whether the records are of generators in training."""
        return bool(self.measurements) and self.measurements[0]["kind"] == "generator"

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows, or the measurements, with their derived columns."""
        if self.generator:
            return curve_frame(self.measurements)
        return timing_frame(self.measurements, self.meta) if self.measurements else frame_of(self.rows)

    @cached_property
    def clock(self) -> pd.DataFrame:
        """The timing lines, one a cell or more."""
        return pd.DataFrame.from_records(self.results.timings())

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by name."""
        if self.measurements:
            known = CURVE_TABLES if self.generator else TIMING_TABLES
            return {name: table(self.frame) for name, table in known.items()}
        tables = {name: table(self.frame, self.clock) for name, table in TABLES.items()}
        if self.frame["js"].notna().any():
            tables["saturation"] = saturation(self.frame)
        if is_sweep(self.frame):
            tables |= {"exponents": exponents(self.frame)}
            tables |= {"rule": rule_table(self.frame), "held_out": held_out(self.frame)}
        if (self.results.folder / SCORES_FILE).is_file():
            scores = read_scores(self.results.folder / SCORES_FILE)
            tables |= {"published": published(self.frame, scores), "methods": methods(self.frame, scores)}
        return tables
