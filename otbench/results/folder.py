"""A results folder as it is read: its rows, their frame and its tables, each worked out once."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from otbench.errors import ResultsError
from otbench.results.store import Results, Row, keys_digest
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
    def missing(self) -> int | None:
        """How many declared cells have no row, 0 where nothing is declared; None where planned measurements are
        missing, of which nothing says how many."""
        if self.measurements:
            return None if any(True for _ in unplanned(self.measurements, self.meta)) else 0
        declared = self.meta.get("cells")
        return max(0, declared - len(self.rows)) if isinstance(declared, int) else 0

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


def load(path: str | Path) -> pd.DataFrame:
    """What a results folder holds as a frame with its derived columns: a line per cell; of generators in training, a
    line per reading of a GAN (``otbench.results.tables.gan``); of a timing experiment, a line per measurement.

    Derived for cells: ``critic`` (the method, or "untrained"), the rungs ``clip_bound``, ``spectral``, ``slope``, every
    rung ``_over_w1``, ``k_eff``, ``skill``, ``c_over_c_star``, ``slope_half_ratio``, ``sampling_error``.

    Raises:
        ResultsError: no such folder, nothing in it, another schema, or a damaged file.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ResultsError(f"no rows in {folder}: there is no such folder; `otbench run {folder.name}` makes it")
    return Stored(Results(folder)).frame


def unplanned(measured: list[Row], meta: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Where the measurements there are not those planned: the machine, or "everywhere", and how many it has."""
    planned, made = meta.get("planned", {}), defaultdict(list)
    for row in measured:
        made["everywhere" if row["kind"] == "generator" else str(row["machine"])].append(str(row["key"]))
    for scope, keys in sorted(made.items()):
        if keys_digest(keys) != planned.get(scope):
            yield scope, len(keys)
