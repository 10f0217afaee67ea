"""A section of the page per results folder: question, answer, proofs, verdict, machines, and its tables packed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from otbench.report.check import law_rules, published_rules, rules
from otbench.report.check.violation import Violation
from otbench.report.headline import MEASURED, identity
from otbench.report.page.answers import Answer, answer_of
from otbench.report.page.columns import packed
from otbench.report.page.fields import defined
from otbench.report.page.views import ROWS_TABLE, identity_columns, offered
from otbench.results.folder import Stored
from otbench.results.tables.bracketed import is_interval

#: Tables that are the rows themselves, their medians cell by cell, which the page takes from the rows, or a fit's own.
LEFT_OUT = frozenset({"matrix", "agreement", "clip", "exact", "timing", "laws", "paired", "generator", "rule"})

#: Columns that a table first shows, at most.
COLUMNS_SHOWN = 16

#: Violations that a rule lists, at most.
VIOLATIONS = 20

#: The checks that are no rule of a frame, by the name of what they check.
CHECKS: dict[str, Callable[..., Any]] = {
    "complete": rules.complete, "declaration": rules.declaration, "seal": rules.sealed, "tables": rules.tables,
    "failures": rules.failures, "keys": rules.keys, "agreement": rules.promises_kept,
    "pooled": law_rules.one_cell_a_line, "published scores": published_rules.near_published,
}  # fmt: skip


@dataclass(frozen=True)
class RuleFound:
    """A rule of the check: what it asks in words, and where it is broken."""

    name: str
    asks: str
    violations: int
    shown: tuple[str, ...]


@dataclass(frozen=True)
class PackedTable:
    """A packed table with what the page must know of it before it is unpacked."""

    name: str
    lines: int
    packed: str
    identity: tuple[str, ...]
    shown: tuple[str, ...]
    definitions: dict[str, str]


@dataclass(frozen=True)
class Section:
    """What the page tells of one results folder."""

    name: str
    question: str
    answer: Answer | None
    rules: tuple[RuleFound, ...]
    proofs: tuple[str, ...]
    missing: str
    machines: dict[str, dict[str, Any]]
    tables: tuple[PackedTable, ...]
    views: tuple[dict[str, Any], ...]

    @property
    def violations(self) -> int:
        """How many violations the check found."""
        return sum(rule.violations for rule in self.rules)


def section(stored: Stored, missing: str) -> Section:
    """The section of a results folder; ``missing`` says in words what it lacks of what it declared."""
    name, meta = stored.results.folder.name, stored.meta
    frames = {ROWS_TABLE: stored.frame} | {key: table for key, table in stored.tables.items() if key not in LEFT_OUT}
    frames = {key: table.reset_index(drop=True) for key, table in frames.items() if len(table)}
    return Section(
        name=name,
        question=str(meta.get("question", "")),
        answer=answer_of(stored),
        rules=tuple(_rule(name, broken, stored) for name, broken in rules.check_results(stored).items()),
        proofs=tuple(_proofs(stored.frame)),
        missing=missing,
        machines={str(machine): dict(parts) for machine, parts in meta.get("machines", {}).items()},
        tables=tuple(_table(key, table, stored) for key, table in frames.items()),
        views=tuple(offered(frames)),
    )


def _rule(name: str, broken: list[Violation], stored: Stored) -> RuleFound:
    known = rules.STUDY_RULES[stored.kind] if stored.is_study else rules.RULES
    check = {**CHECKS, **known}.get(name)
    asks = " ".join((check.__doc__ or "").split("\n\n")[0].split()) if check else ""
    return RuleFound(name, asks, len(broken), tuple(str(violation) for violation in broken[:VIOLATIONS]))


def _proofs(frame: pd.DataFrame) -> Iterable[str]:
    """What proves the exact values, in sentences; nothing where a frame has no such values."""
    if not {"primal", "primal_lower", "primal_upper"} <= set(frame):
        return
    there = frame[frame["primal"].notna() & frame["primal_lower"].notna() & frame["primal_upper"].notna()]
    distinct = there.drop_duplicates(["primal", "primal_lower", "primal_upper"])
    if len(distinct):
        wide = (distinct["primal_upper"] - distinct["primal_lower"]) / distinct["primal"].where(distinct["primal"] > 0)
        yield (
            f"Each of the {len(distinct)} exact distances lies in a proved interval, of dual potentials below and of a "
            f"transport plan above. The widest is {wide.max():.1e} of the distance wide."
        )
    if "truth" in frame and (count := int(is_interval(frame).sum())):
        yield f"In {count} rows the solver was stopped, and W1 is known to lie in an interval only."
    if "status" in frame:
        count = int((frame["status"] == "refused").sum())
        yield f"{count} answers of the solver were refused for want of a proof." if count else "No answer was refused."


def _table(name: str, table: pd.DataFrame, stored: Stored) -> PackedTable:
    told = [str(column) for column in table if table[column].notna().any()]
    if name == ROWS_TABLE and stored.is_study:
        table = table.drop(columns="key")  # it repeats the other columns
        told.remove("key")
    known_as = name if name != ROWS_TABLE else stored.kind if stored.is_study else "matrix"
    return PackedTable(
        name=name,
        lines=len(table),
        packed=packed(table),
        identity=tuple(column for column in identity_columns(table) if column in told),
        shown=tuple(_shown(name, table[told], stored)),
        definitions={column: words for column in told if (words := defined(column, table, known_as))},
    )


def _shown(name: str, table: pd.DataFrame, stored: Stored) -> list[str]:
    """The columns that a table first shows: what tells its lines apart, then what was measured."""
    if name == ROWS_TABLE and not stored.is_study:
        chosen = [*identity(table), *(column for column in MEASURED if column in table)][: COLUMNS_SHOWN - 3]
        chosen += ["seed", "status", "key"]
    else:
        named = identity_columns(table)
        chosen = [column for column in named if table[column].nunique(dropna=False) > 1]
        chosen += [str(column) for column in table if column not in named and table[column].nunique() > 1]
    return list(dict.fromkeys(chosen))[:COLUMNS_SHOWN]
