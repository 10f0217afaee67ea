"""A results folder as it is read: what kind it is, its rows, their frame and its tables, each computed once."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from otbench.errors import ResultsError
from otbench.results.store import Results, Row, keys_digest
from otbench.results.tables.bracketed import is_interval
from otbench.results.tables.cells import agreement, clip, exact, frame_of, losses, timing
from otbench.results.tables.clip_sweeps import exponents, is_sweep, worth
from otbench.results.tables.convergence import CONVERGENCE_TABLES, convergence_frame
from otbench.results.tables.critics import critics
from otbench.results.tables.crossings import crossing_law, crossings
from otbench.results.tables.gan import curve_frame
from otbench.results.tables.gradients import gradients
from otbench.results.tables.growth import GROWTH_TABLES, growth_frame
from otbench.results.tables.laws import laws
from otbench.results.tables.paired import paired
from otbench.results.tables.pricing import PRICING_TABLES, pricing_frame
from otbench.results.tables.published import methods, published
from otbench.results.tables.published_reproduced import reproduced
from otbench.results.tables.published_scores import SCORES_FILE, read_scores
from otbench.results.tables.published_sweep import sweep
from otbench.results.tables.rule_held_out import held_out, rule_table
from otbench.results.tables.timing import TIMING_TABLES, timing_frame
from otbench.results.tables.tracking import CURVE_TABLES
from otbench.results.tables.transfer import fitted_rule, transfer

#: What a results folder holds: rows of a matrix of cells, such rows beside published scores, or a study's records.
Kind = Literal["matrix", "published", "timing", "generator", "growth", "convergence", "pricing"]

#: The kinds of a study's folder: what its records of that kind make it. Other records are of times.
STUDIES: dict[object, Kind] = {
    "generator": "generator",
    "growth": "growth",
    "convergence": "convergence",
    "pricing": "pricing",
}

#: Where in meta.json stand the planned records that any machine may have made.
EVERYWHERE = "everywhere"


class Stored:
    """What a results folder holds. Which kind of folder it is, is asked in ``kind`` and nowhere else."""

    def __init__(self, results: Results) -> None:
        self.results = results

    @cached_property
    def kind(self) -> Kind:
        """The kind of folder this is, by the files in it and the first of its records."""
        if self.measurements:
            return STUDIES.get(self.measurements[0]["kind"], "timing")
        return "published" if (self.results.folder / SCORES_FILE).is_file() else "matrix"

    @property
    def is_study(self) -> bool:
        """Whether the folder holds records of a study, and no rows of cells."""
        return self.kind not in {"matrix", "published"}

    @property
    def is_timed(self) -> bool:
        """Whether the folder's records are a machine's own: seconds and bytes."""
        return self.kind in {"timing", "growth", "pricing"}

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of a matrix."""
        return self.results.rows()

    @cached_property
    def meta(self) -> dict[str, Any]:
        """The declaration that the rows or records answer to, and the machines that made them."""
        return self.results.meta()

    @cached_property
    def measurements(self) -> list[Row]:
        """The records of a study; [] of a matrix."""
        return self.results.measurements()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows, or the measurements, with their derived columns."""
        if self.kind == "generator":
            return curve_frame(self.measurements)
        if self.kind == "growth":
            return growth_frame(self.measurements, self.meta)
        if self.kind == "convergence":
            return convergence_frame(self.measurements)
        if self.kind == "pricing":
            return pricing_frame(self.measurements)
        return timing_frame(self.measurements, self.meta) if self.kind == "timing" else frame_of(self.rows)

    @cached_property
    def valued(self) -> pd.DataFrame:
        """The rows of a matrix but for those whose W1 is an interval, of which nothing tells how near a critic is to
        it: what is fitted to ratios, and every picture, leaves them out."""
        return self.frame[~is_interval(self.frame)]

    @cached_property
    def clock(self) -> pd.DataFrame:
        """The timing lines, one or more per cell."""
        return pd.DataFrame.from_records(self.results.timings())

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The published scores that lie beside the rows."""
        return read_scores(self.results.folder / SCORES_FILE)

    @cached_property
    def beside_published(self) -> pd.DataFrame | None:
        """The table of our critics beside published scores; None where there are none."""
        return published(self.frame, self.scores) if self.kind == "published" else None

    @cached_property
    def missing(self) -> int | None:
        """How many declared cells have no row, 0 where nothing is declared; None where planned measurements are
        missing, of which nothing says how many."""
        if self.is_study:
            return None if any(True for _ in unplanned(self)) else 0
        declared = self.meta.get("cells")
        return max(0, declared - len(self.rows)) if isinstance(declared, int) else 0

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by name."""
        if self.is_study:
            made = {name: table(self.frame) for name, table in STUDY_TABLES[self.kind].items()}
        else:
            made = {name: table(self) for name, table in TABLES.items()}
        return {name: table for name, table in made.items() if table is not None}


#: The tables of a study by the kind of its folder and by file name, each made of the records' frame.
STUDY_TABLES: Mapping[Kind, Mapping[str, Callable[[pd.DataFrame], pd.DataFrame | None]]] = {
    "timing": TIMING_TABLES,
    "generator": CURVE_TABLES,
    "growth": GROWTH_TABLES,
    "convergence": CONVERGENCE_TABLES,
    "pricing": PRICING_TABLES,
}


def _transfer(stored: Stored) -> pd.DataFrame | None:
    """The rule that came with otbench, held against critics it was not fitted on; None where the folder has none."""
    rules = None if is_sweep(stored.valued) else fitted_rule()
    table = pd.DataFrame() if rules is None else transfer(stored.valued, rules)
    return None if table.empty else table


#: Every table of a matrix by its file name: made of a results folder, None where the folder has not what it shows.
TABLES: dict[str, Callable[[Stored], pd.DataFrame | None]] = {
    "matrix": lambda stored: stored.frame,
    "agreement": lambda stored: agreement(stored.frame),
    "clip": lambda stored: clip(stored.frame),
    "laws": lambda stored: laws(stored.frame),
    "paired": lambda stored: paired(stored.frame),
    "critics": lambda stored: critics(stored.frame, stored.clock),
    "exact": lambda stored: exact(stored.frame),
    "timing": lambda stored: timing(stored.frame, stored.clock),
    "saturation": lambda stored: losses(stored.frame) if stored.frame["js"].notna().any() else None,
    "exponents": lambda stored: exponents(stored.valued) if is_sweep(stored.valued) else None,
    "worth": lambda stored: worth(stored.valued) if is_sweep(stored.valued) else None,
    "crossings": lambda stored: crossings(stored.valued) if is_sweep(stored.valued) else None,
    "crossing_law": lambda stored: crossing_law(stored.valued) if is_sweep(stored.valued) else None,
    "rule": lambda stored: rule_table(stored.valued) if is_sweep(stored.valued) else None,
    "held_out": lambda stored: held_out(stored.valued) if is_sweep(stored.valued) else None,
    "transfer": lambda stored: _transfer(stored),
    "published": lambda stored: stored.beside_published,
    "reproduced": lambda stored: reproduced(stored.beside_published),
    "sweep": lambda stored: sweep(stored.frame) if stored.kind == "published" else None,
    "gradients": lambda stored: gradients(stored.frame),
    "methods": lambda stored: methods(stored.frame, stored.scores) if stored.kind == "published" else None,
}


def load(path: str | Path) -> pd.DataFrame:
    """What a results folder holds, as a frame: its rows or records with the columns that follow from them.

    Args:
        path: a results folder, as ``otbench run`` writes it.

    Returns:
        A frame of one line per record, whatever kind of folder it is:

        * cells, and cells beside published scores: one line per cell;
        * generators in training: one line per reading of a GAN (``otbench.results.tables.gan``);
        * times, solvers that grow, samples that converge, starts of exact solves: one line per measurement.

        ``frame.attrs`` say of which ``experiment``, ``kind`` and ``question``. For cells follow from the stored
        columns: ``critic`` (the method, or "untrained"), the rungs ``clip_bound``, ``spectral`` and ``slope`` in
        the data's unit, every rung ``_over_w1``, ``k_eff``, ``skill``, ``c_over_c_star``, ``slope_half_ratio``,
        ``sampling_error``. Where a solver was stopped and W1 is an interval, ``truth`` says so, and the ends of a ratio
        are ``_least`` and ``_most``.

    Raises:
        InputError: no path.
        ResultsError: no such folder, nothing in it, another schema, or a damaged file.
    """
    results = Results(path)
    if not results.folder.is_dir():
        name = results.folder.name
        raise ResultsError(f"no rows in {results.folder}: there is no such folder; `otbench run {name}` makes it")
    stored = Stored(results)
    frame = stored.frame
    about = {"experiment": results.folder.name, "kind": stored.kind, "question": stored.meta.get("question", "")}
    frame.attrs.update(about)
    return frame


def unplanned(stored: Stored) -> Iterator[tuple[str, int]]:
    """Where the measurements there are not those planned: the machine, or "everywhere", and how many it has."""
    planned, made = stored.meta.get("planned", {}), defaultdict(list)
    for row in stored.measurements:
        made[str(row["machine"]) if stored.is_timed else EVERYWHERE].append(str(row["key"]))
    for scope, keys in sorted(made.items()):
        if keys_digest(keys) != planned.get(scope):
            yield scope, len(keys)
