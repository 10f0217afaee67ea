"""Numbers that a text quotes, each tied to the table that it comes from, so that no quote can differ from its rows.

A quote looks like ``<!--quote matrix/clip slope_over_w1_median where dim=2 clip=0.01 as .2f-->0.93<!--/-->``. With its
interval it ends ``as .2f []-->0.93 [0.92, 0.94]<!--/-->``, from the columns ``_low`` and ``_high``, or of measured
times from ``_q1`` and ``_q3``, the quartiles of the repeats. A quoted table is like
``<!--table matrix where overlap=0,0.9-->`` ... ``<!--/table-->``, in which a condition may allow several values.
Rendered Markdown does not show these comments.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from otbench.errors import InputError, ResultsError
from otbench.files import write_atomically
from otbench.report.check.table_difference import markdown_difference
from otbench.report.check.violation import Violation
from otbench.report.markdown import by_clip, gap, markdown
from otbench.results.folder import Stored
from otbench.results.store import Results

QUOTE = re.compile(
    r"<!--quote (?P<experiment>[\w.-]+)/(?P<table>\w+) (?P<column>[\w.]+)"
    r"(?: (?P<statistic>median|min|max|count))?(?: where (?P<where>[^>]*?))? as (?P<format>[\w.%,]+)"
    r"(?P<interval> \[\])?-->"
    r"(?P<text>.*?)<!--/-->"
)
OPENING = re.compile(r"<!--\s*(?:quote|table)\b[^\n]*?(?:-->|$)", re.M)
TABLE = re.compile(
    r"(?P<open><!--table (?P<experiment>[\w.-]+)(?: where (?P<where>[^>\n]*?))?-->\n)(?P<text>.*?)"
    r"(?P<close><!--/table-->)",
    re.S,
)


def check_quotes(file: Path, results: Path, read: dict[str, Stored] | None = None) -> list[Violation]:
    """A violation for every number or table that ``file`` quotes and that the folders in ``results`` do not give.

    Args:
        file: the text.
        results: the folder of the results folders it quotes.
        read: folders that were read already, by name. A quote from one that cannot be read is a violation.

    Raises:
        InputError: the text cannot be read, or a quote in it is not understood.
        ResultsError: it quotes a folder that is not in ``read`` and cannot be read.
    """
    text = _read(file)
    known = dict(read or {})
    lost = {name for name, stored in known.items() if not _readable(stored)}
    found = []
    for match, value in _derived(text, results, known, lost):
        line = text.count("\n", 0, match.start("text")) + 1
        place = f"{file.name}, line {line}"
        if value is None:
            due = f"re-derived from {results / match['experiment']}, which cannot be read"
            found.append(Violation("quoted number", place, _shown(match["text"]), due))
        elif match["text"] != value and match.re is TABLE:
            where, seen, due, column = markdown_difference(match["text"], value)
            found.append(Violation("quoted table", f"{place}, its {where}", seen, due, column))
        elif match["text"] != value:
            found.append(Violation("quoted number", place, _shown(match["text"]), value))
    return found


def _readable(stored: Stored) -> bool:
    try:
        return bool(stored.tables)
    except ResultsError:
        return False


def _shown(text: str) -> str:
    """What a quote says, where it is short."""
    return text if len(text) < 40 else f"{text[:40]}..."


def rewrite_quotes(file: Path, results: Path) -> int:
    """Write what the results give into every quote of ``file``, and return how many changed."""
    text = _read(file)
    derived = _derived(text, results, {}, set())
    changed = [(m.span("text"), value) for m, value in derived if value is not None and m["text"] != value]
    for (start, end), value in sorted(changed, reverse=True):
        text = text[:start] + value + text[end:]
    if changed:
        write_atomically(file, text.encode("utf-8"))
    return len(changed)


def _derived(
    text: str, results: Path, read: dict[str, Stored], lost: set[str]
) -> Iterator[tuple[re.Match[str], str | None]]:
    """Every quote of a text with what the results give for it, None where its folder is one of ``lost``."""

    def stored(experiment: str) -> Stored:
        return read.setdefault(experiment, Stored(Results(results / experiment)))

    understood = {match.start() for pattern in (QUOTE, TABLE) for match in pattern.finditer(text)}
    for opening in OPENING.finditer(text):
        if opening.start() not in understood:
            line = text.count("\n", 0, opening.start()) + 1
            raise InputError(f"line {line}: {opening[0]!r} starts a quote that is not written as one; see quotes.py")
    for match in QUOTE.finditer(text):
        yield match, None if match["experiment"] in lost else quoted_value(match, stored(match["experiment"]).tables)
    for match in TABLE.finditer(text):
        yield match, None if match["experiment"] in lost else markdown(_quoted(stored(match["experiment"]), match))


def _quoted(stored: Stored, match: re.Match[str]) -> pd.DataFrame:
    """The table that a text shows of an experiment, of the rows that fit."""
    published = stored.kind == "published"
    rows = _fitting(stored.tables.get("published", pd.DataFrame()) if published else stored.frame, match)
    if rows.empty:
        raise InputError(f"quote {match['open'].strip()!r} fits no rows")
    return gap(stored.tables["gradients"], rows) if published else by_clip(rows)


def _fitting(table: pd.DataFrame, match: re.Match[str]) -> pd.DataFrame:
    """The lines of a table that have the values of the quote's conditions, or one of several with commas between."""
    for condition in (match["where"] or "").split():
        name, _, values = condition.partition("=")
        column = _column(table, name, match[0].partition("\n")[0])
        fits = table[column].map(lambda entry, values=values: any(_same(entry, value) for value in values.split(",")))
        table = table[fits]
    return table


def quoted_value(match: re.Match[str], derived: dict[str, pd.DataFrame]) -> str:
    """The number that a quote stands for: one entry of a table, or a statistic over the entries that fit."""
    if match["table"] not in derived:
        raise InputError(f"quote {match[0]!r}: no table {match['table']!r}; known: {', '.join(derived)}")
    table = _fitting(derived[match["table"]], match)
    values = table[_column(table, match["column"], match[0])].dropna()
    try:
        if match["statistic"] == "count":
            return format(len(values), match["format"])
        if match["statistic"] and len(values):
            values = pd.Series([getattr(values, match["statistic"])()])
        if len(values) != 1:
            raise InputError(f"quote {match[0]!r} fits {len(values)} entries; narrow it to one, or name a statistic")
        middle = format(values.iloc[0], match["format"])
        return middle + _interval(table, match) if match["interval"] else middle
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"quote {match[0]!r}: {error}") from None


def _interval(line: pd.DataFrame, match: re.Match[str]) -> str:
    """The interval of a quoted number in brackets, or the quartiles of a time; none of a statistic over lines."""
    if match["statistic"]:
        raise InputError(f"quote {match[0]!r}: a {match['statistic']} over lines has no interval; leave [] out")
    column = _column(line, match["column"], match[0])
    line, name = line[line[column].notna()], column.removesuffix("_median")
    ends = ("q1", "q3") if f"{name}_q1" in line and f"{name}_low" not in line else ("low", "high")
    low, high = (line[_column(line, f"{name}_{end}", match[0])].iloc[0] for end in ends)
    return f" [{low:{match['format']}}, {high:{match['format']}}]"


def _column(table: pd.DataFrame, name: str, quote: str) -> str:
    """The column of that name, which may lack its prefix ``problem.``, ``sampling.`` or ``method.``."""
    known = [str(column) for column in table.columns]
    fits = [c for c in known if c == name] or [c for c in known if c.split(".")[-1] == name]
    if len(fits) != 1:
        raise InputError(f"quote {quote!r}: {name!r} fits {len(fits)} columns; write it with its prefix")
    return fits[0]


def _same(entry: object, text: str) -> bool:
    try:
        return float(entry) == float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(entry) == text


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
