"""The check of a results folder: every theorem, certificate, closed form, table and promise, from what is stored."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from otbench.errors import InputError, ResultsError
from otbench.experiment.locate import declaration_digest, experiments
from otbench.experiment.promise import Promise
from otbench.files import read_toml
from otbench.report.check.convergence_rules import CONVERGENCE_RULES
from otbench.report.check.gan_rules import curve_certificates, curve_held_out, curve_ladder, curve_ranges
from otbench.report.check.growth_rules import GROWTH_RULES
from otbench.report.check.interval_rules import intervals
from otbench.report.check.law_rules import one_cell_a_line, population
from otbench.report.check.plugin_rules import of_given_plugins
from otbench.report.check.pricing_rules import one_w1, start_certificates, start_ranges
from otbench.report.check.proof_rules import PROOF, proved, rounding
from otbench.report.check.published_rules import near_published
from otbench.report.check.ray_rules import rays
from otbench.report.check.sample_rules import closed_forms, same_points
from otbench.report.check.table_difference import table_difference
from otbench.report.check.timing_rules import measurements
from otbench.report.check.violation import Violation, at_least, at_most, holds, place, whole
from otbench.results.folder import Kind, Stored, unplanned
from otbench.results.seal import SEAL, seal_holds
from otbench.results.store import Results, Row, cell_key, keys_digest
from otbench.results.table_files import read_table
from otbench.results.tables.bracketed import RATIO_ENDS, is_interval
from otbench.results.tables.cells import COSINES, to_csv
from otbench.transport.certificate import TOLERANCE

#: A rule on the frame of a folder.
Rule = Callable[[pd.DataFrame], Iterator[Violation]]


def check_results(
    results: Results | Stored | str | Path, plugins: Collection[str] = ()
) -> dict[str, list[Violation]]:
    """Check everything that a results folder holds, from its files alone: nothing is solved or trained.

    Args:
        results: the path of a results folder, or one that was opened or read already.
        plugins: the ``mark`` of every plugin that rows may be of. Where it is empty it is not looked at of which they
            are: everything else is checked from the rows alone.

    Returns:
        The violations of every rule by its name, [] where it holds. A violation says which rule is broken, where, what
        was seen and what it must be.

    Raises:
        ResultsError: the folder cannot be read.
        InputError: neither a path nor results.

    Source: Villani 2009, Thm 5.10 (weak duality, by which every rung is at most W1); Lin 1991, Thm 3 (JS and TV).
    """
    stored = results if isinstance(results, Stored) else Stored(_opened(results))
    if stored.is_study:
        return {
            **{name: list(rule(stored.frame)) for name, rule in STUDY_RULES[stored.kind].items()},
            "complete": list(all_measured(stored)),
            "declaration": list(declaration(stored.results.folder.name, stored.meta)),
            "seal": list(sealed(stored)),
            "tables": list(tables(stored)),
        }
    frame = stored.frame[stored.frame["status"] != "failed"]  # cells that failed have a rule of their own
    found: dict[str, list[Violation]] = {name: list(rule(frame)) for name, rule in RULES.items()}
    found["failures"] = list(failures(stored.frame))
    found["keys"] = list(keys(stored.rows))
    found["complete"] = list(complete(stored.rows, stored.meta))
    found["declaration"] = list(declaration(stored.results.folder.name, stored.meta))
    found["seal"] = list(sealed(stored))
    found["pooled"] = list(one_cell_a_line(stored.frame, stored.tables))
    found["tables"] = list(tables(stored))
    if plugins:
        found["plugins"] = list(of_given_plugins(stored.frame, plugins))
    if "published" in stored.tables:
        found["published scores"] = list(near_published(stored.tables["published"]))
    found["agreement"] = list(promises_kept(stored.frame, stored.meta.get("agree", [])))
    return found


def _opened(results: Results | str | Path) -> Results:
    return results if isinstance(results, Results) else Results(results)


def certificates(frame: pd.DataFrame) -> Iterator[Violation]:
    """Every sample has an exact value with the interval that proves it, or such an interval alone, for which there are
    rules of its own, and none was refused."""
    exact = frame[~is_interval(frame)]
    yield from proved(exact)
    yield from whole("certificate", exact[exact["status"] != "refused"], PROOF)
    yield from at_least("primal", frame, frame["primal"], 0.0)


def ladder(frame: pd.DataFrame) -> Iterator[Violation]:
    """0 <= clip_bound <= spectral <= slope <= c_transform <= primal where raw > 0, and raw <= S W1."""
    ok = frame[frame["status"] == "ok"]
    slack = rounding(ok)
    rungs = ["clip_bound", "spectral", "slope", "c_transform", "primal"]
    for k, lower in enumerate(rungs):
        yield from at_least(f"{lower} >= 0", ok, ok[lower], 0.0)
        # each rung is compared with every later one, as a rung between them may be unknown
        for upper in rungs[k + 1 :]:
            roof = ok["primal_upper" if upper == "primal" else upper]
            yield from at_most(f"{lower} <= {upper}", ok, ok[lower], roof + slack)
    yield from at_most("nearest <= c_transform", ok, ok["nearest"], ok["c_transform"] + slack)
    product = ok["slope_constant"] * ok["primal_upper"]
    yield from at_most("raw <= S W1", ok, ok["raw"], product * (1 + TOLERANCE) + ok["raw_error"])
    yield from at_most("spectral <= clip constant", ok, ok["spectral_constant"], ok["clip_constant"] * (1 + 1e-9))
    required = ["raw", "raw_error", "scale", "c_transform", "nearest", "grad_norm_max"]
    yield from whole("ladder", ok, required)
    pointed = ok.assign(plan_cosine=ok["plan_cosine"].fillna(ok["cosine"]))
    yield from whole("cosine where mass moves", pointed[ok["primal"] > 0], ["plan_cosine"])
    yield from whole("slope at half budget", ok[ok["critic"] == "weight_clip"], ["slope_half"])


def ranges(frame: pd.DataFrame) -> Iterator[Violation]:
    """Skill, cosine and shares are in their intervals, and no gradient is longer than the Lipschitz constant."""
    for name, low, high in (
        ("skill", 0.0, 1.0), *((name, -1.0, 1.0) for name in COSINES), ("coincident", 0.0, 1.0),
        ("population_overlap", 0.0, 1.0),
        ("saturation", 0.0, 1.0), ("saturation_start", 0.0, 1.0),
    ):  # fmt: skip
        slack = 1e-3 if name == "skill" else TOLERANCE  # skill divides by as little as 1e-6 W1
        yield from at_most(f"{name} <= {high:g}", frame, frame[name], high + slack)
        yield from at_least(f"{name} >= {low:g}", frame, frame[name], low - slack)
    longest = frame["grad_norm_max"]
    yield from at_most("|grad| <= spectral", frame, longest, frame["spectral_constant"] * (1 + TOLERANCE))
    yield from at_most("mean |grad| <= max", frame, frame["grad_norm_mean"], longest * (1 + TOLERANCE))
    yield from at_most("min |grad| <= mean", frame, frame["grad_norm_min"], frame["grad_norm_mean"] * (1 + TOLERANCE))
    yield from at_least("|grad| >= 0", frame, frame["grad_norm_min"], 0.0)
    roof = frame["primal_upper"] + rounding(frame)
    yield from at_most("slope at half budget <= primal", frame, frame["slope_half"], roof)


def divergences(frame: pd.DataFrame) -> Iterator[Violation]:
    """JS <= TV log 2 for laws and for samples; JS >= TV^2/2 and KL >= 2 TV^2 (Pinsker) for laws.

    Source: Lin 1991, Thm 3.
    """
    tv, js = 1 - frame["population_overlap"], frame["population_js"]
    yield from at_most("JS of the laws <= TV log 2", frame, js, tv * np.log(2) + TOLERANCE)
    yield from at_most("TV^2 / 2 <= JS of the laws", frame, tv**2 / 2, js + TOLERANCE)
    yield from at_most("2 TV^2 <= KL of the laws", frame, 2 * tv**2, frame["population_kl"] + TOLERANCE)
    yield from at_most("JS estimate <= TV log 2", frame, frame["js"], (1 - frame["coincident"]) * np.log(2) + TOLERANCE)
    logits = frame[(frame["method.name"] == "discriminator") & (frame["status"] == "ok")]
    yield from whole("JS estimate", logits, ["js"])
    yield from holds("its gradient", logits, logits["js_gradient"].notna() == logits["raw_gradient"].notna(),
                     "missing", "there where raw's is", "js_gradient")  # fmt: skip


def clip_constants(frame: pd.DataFrame) -> Iterator[Violation]:
    """The clip constant is K(c) = c^L sqrt(d) prod h_i of its cell, up to float32, which holds c to 6e-8."""
    if not {"method.widths", *SHAPE} <= set(frame):
        return
    rows = frame[(frame["method.name"] == "weight_clip") & (frame["status"] == "ok")]
    yield from whole("spectral constant", rows, ["spectral_constant"])
    after = rows["method.clip_when"] == "after"  # clipped before the step, weights may end outside the box
    yield from whole("clip constant", rows[after], ["clip_constant"])
    widths = rows["method.widths"].map(lambda text: _product(str(text)))
    layers, dim, c = (pd.to_numeric(rows[f], errors="coerce").astype(float) for f in SHAPE)
    layers = layers + 1
    expected = c**layers * np.sqrt(dim) * widths
    error = (rows["clip_constant"] / expected - 1).abs()
    yield from at_most("K(c) = c^L sqrt(d) prod h", rows, error, 1e-7 * layers)


#: The columns from which, with the widths, K(c) follows.
SHAPE = ("method.depth", "problem.dim", "method.clip")


def _product(widths: str) -> float:
    """prod h_i of widths as ``64x64``, 1 of ``none``; NaN, with which every comparison is false, of any other text."""
    parts = [part for part in widths.split("x") if part != "none"]
    return float(np.prod([float(p) for p in parts])) if all(p.isdigit() for p in parts) else np.nan


def failures(frame: pd.DataFrame) -> Iterator[Violation]:
    """No cell failed: one that did is missing in every table, and its reason says how to run it alone."""
    for _, row in frame[frame["status"] == "failed"].iterrows():
        yield Violation("no cell failed", place(row), str(row["reason"]), "done", "status")


#: Rules on the frame, by name, in the order they are reported.
RULES: dict[str, Rule] = {
    "certificates": certificates,
    "intervals": intervals,
    "ladder": ladder,
    "ranges": ranges,
    "closed forms": closed_forms,
    "rays": rays,
    "divergences": divergences,
    "same points": same_points,
    "clip constants": clip_constants,
    "population": population,
}

#: Rules on the frame of generators in training.
CURVE_RULES: dict[str, Rule] = {
    "certificates": curve_certificates,
    "ladder": curve_ladder,
    "held out": curve_held_out,
    "ranges": curve_ranges,
}

#: Rules on the frame of starts of exact solves.
START_RULES: dict[str, Rule] = {"certificates": start_certificates, "one w1": one_w1, "ranges": start_ranges}

#: Rules on the frame of a study's records, by the kind of its folder.
STUDY_RULES: dict[Kind, dict[str, Rule]] = {
    "timing": {"measurements": measurements},
    "generator": CURVE_RULES,
    "growth": GROWTH_RULES,
    "convergence": CONVERGENCE_RULES,
    "pricing": START_RULES,
}


def keys(rows: list[Row]) -> Iterator[Violation]:
    """Every row's key is the hash of its cell, and no cell has two rows."""
    seen = set()
    for row in rows:
        key = str(row["key"])
        if cell_key(row) != key:
            yield Violation("key is the hash of the cell", place(row), key[:12], cell_key(row)[:12], "key")
        if key in seen:
            yield Violation("one row per cell", place(row), "a second row", "the only one")
        seen.add(key)


def complete(rows: list[Row], meta: dict[str, Any]) -> Iterator[Violation]:
    """The rows are of exactly the cells that the experiment declared when it ran."""
    if not meta:
        yield Violation("meta.json", "all cells", "missing", "there: run the experiment again")
    elif len(rows) != meta.get("cells"):
        yield Violation("every declared cell has a row", "all cells", f"{len(rows)} rows", str(meta.get("cells")))
    elif keys_digest(str(row["key"]) for row in rows) != meta.get("keys"):
        yield Violation("every declared cell has a row", "all cells", f"{len(rows)} rows, of other cells than declared",
                        "those declared: run the experiment again", "key")  # fmt: skip


def all_measured(stored: Stored) -> Iterator[Violation]:
    """Every record of the plan is there once, and of a timed plan once from every machine that measured any."""
    for scope, count in unplanned(stored):
        what = "the records of its plan: run the experiment again"
        yield Violation("every planned measurement is there", f"machine {scope}", f"{count} records", what, "key")


def sealed(stored: Stored) -> Iterator[Violation]:
    """The rows or records are, to the last byte, those that the last run sealed. Who edits them on purpose can seal
    them anew; who does so by mistake is told."""
    kept = seal_holds(stored.results)
    if kept is not True:
        seen = "changed since" if kept is False else f"no {SEAL}"
        yield Violation("rows are those that were sealed", "all rows", seen, "as the run left them: run it again")


def tables(stored: Stored) -> Iterator[Violation]:
    """Every table in the folder has exactly the bytes that the rows give."""
    for name, table in stored.tables.items():
        try:
            found = read_table(stored.results.tables, name)
        except ValueError:
            found = b""
        if found is None:
            yield Violation("tables re-derive", f"{name}.csv", "missing", "there: run `otbench tables`")
        elif found != (right := to_csv(name, table)):
            yield Violation("tables re-derive", *table_difference(f"{name}.csv", found, right))


def declaration(name: str, meta: dict[str, Any]) -> Iterator[Violation]:
    """The experiment of that name, if it is found, declares what it declared when it ran."""
    file = experiments().get(name)
    if file is not None and meta and meta.get("declaration") != declaration_digest(read_toml(file)):
        yield Violation(
            "the results are of the experiment", file.name, "declared otherwise since", "as when it ran: run it again"
        )


def promises_kept(frame: pd.DataFrame, promises: Any) -> Iterator[Violation]:
    """The cells of each promise reach its ratio in the median; one that diverged or was refused counts 0, and one whose
    W1 is an interval what it reaches of its upper end."""
    for promise in _promises(promises):
        where, ratio, least = promise.where, promise.ratio, promise.at_least
        cells = ", ".join(f"{name} = {value}" for name, value in where.items())
        absent = [name for name in (*where, ratio) if name not in frame]
        if absent or not pd.api.types.is_numeric_dtype(frame[ratio]):
            what = f"no column {absent[0]}" if absent else f"{ratio} is no number"
            yield Violation(f"{ratio} agreement", cells, what, "a column of numbers")
            continue
        fits = pd.Series(True, frame.index)
        for name, value in where.items():
            fits &= (frame[name] == value).fillna(False)
        rows = frame[fits]
        reached = rows[ratio].fillna(rows.get(f"{ratio}{RATIO_ENDS[0]}", np.nan))
        median = reached.where(rows["status"] == "ok", 0.0).median()
        if not median >= least:
            seen = f"{median:.6g} over {len(rows)} rows"
            yield Violation(f"{ratio} agreement", cells, seen, f">= {least:g} in the median", ratio)


def _promises(stored: Any) -> list[Promise]:
    """The promises in meta.json."""
    try:
        return [Promise(**fields) for fields in stored]
    except (InputError, TypeError) as error:
        reason = f"meta.json: agree is damaged ({error}); restore it, or run the experiment again"
        raise ResultsError(reason) from None
