"""Numbers that a text quotes, each tied to the table that it comes from, so that no quote can differ from its rows.

A quote looks like ``<!--quote matrix/clip slope_over_w1_median where dim=2 clip=0.01 as .2f-->0.93<!--/-->``, and a
quoted table like ``<!--table matrix-->`` ... ``<!--/table-->``. Rendered Markdown does not show these comments.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from otbench.errors import InputError
from otbench.report.check.violation import Violation
from otbench.report.markdown import by_clip, gap, markdown
from otbench.results.folder import Stored
from otbench.results.store import Results

QUOTE = re.compile(
    r"<!--quote (?P<experiment>[\w.-]+)/(?P<table>\w+) (?P<column>[\w.]+)"
    r"(?: (?P<statistic>median|min|max|count))?(?: where (?P<where>[^>]*?))? as (?P<format>[\w.%,]+)-->"
    r"(?P<text>.*?)<!--/-->"
)
OPENING = re.compile(r"<!--\s*(?:quote|table)\b[^\n]*?(?:-->|$)", re.M)
TABLE = re.compile(r"(?P<open><!--table (?P<experiment>[\w.-]+)-->\n)(?P<text>.*?)(?P<close><!--/table-->)", re.S)


def check_quotes(file: Path, results: Path, read: dict[str, Stored] | None = None) -> list[Violation]:
    """A violation for every number or table that ``file`` quotes and that the folders in ``results`` do not give.

    ``read`` holds folders, by name, that were read already.

    Raises:
        InputError: the text cannot be read, or a quote fits nothing.
    """
    text = _read(file)
    found = []
    for match, value in _derived(text, results, dict(read or {})):
        if match["text"] != value:
            line = text.count("\n", 0, match.start("text")) + 1
            seen, due = (part if len(part) < 40 else "another table" for part in (match["text"], value))
            found.append(Violation("quoted number", f"{file.name}, line {line}", seen, due))
    return found


def rewrite_quotes(file: Path, results: Path) -> int:
    """Write what the results give into every quote of ``file``, and return how many changed."""
    text = _read(file)
    changed = [(m.span("text"), value) for m, value in _derived(text, results, {}) if m["text"] != value]
    for (start, end), value in sorted(changed, reverse=True):
        text = text[:start] + value + text[end:]
    file.write_text(text)
    return len(changed)


def _derived(text: str, results: Path, read: dict[str, Stored]) -> Iterator[tuple[re.Match[str], str]]:
    """Every quote in a text, with what the results give for it."""

    def stored(experiment: str) -> Stored:
        return read.setdefault(experiment, Stored(Results(results / experiment)))

    understood = {match.start() for pattern in (QUOTE, TABLE) for match in pattern.finditer(text)}
    for opening in OPENING.finditer(text):
        if opening.start() not in understood:
            line = text.count("\n", 0, opening.start()) + 1
            raise InputError(f"line {line}: {opening[0]!r} starts a quote that is not written as one; see quotes.py")
    for match in QUOTE.finditer(text):
        yield match, _value(match, stored(match["experiment"]).tables)
    for match in TABLE.finditer(text):
        yield match, markdown(_quoted(stored(match["experiment"])))


def _quoted(stored: Stored) -> pd.DataFrame:
    """The table that a text shows of an experiment."""
    return gap(stored.tables["published"]) if stored.kind == "published" else by_clip(stored.frame)


def _value(match: re.Match[str], derived: dict[str, pd.DataFrame]) -> str:
    """The number that a quote stands for: one entry of a table, or a statistic over the entries that fit."""
    if match["table"] not in derived:
        raise InputError(f"quote {match[0]!r}: no table {match['table']!r}; known: {', '.join(derived)}")
    table = derived[match["table"]]
    for condition in (match["where"] or "").split():
        name, _, value = condition.partition("=")
        column = _column(table, name, match[0])
        table = table[table[column].map(lambda entry, value=value: _same(entry, value))]
    values = table[_column(table, match["column"], match[0])].dropna()
    try:
        if match["statistic"] == "count":
            return format(len(values), match["format"])
        if match["statistic"] and len(values):
            values = pd.Series([getattr(values, match["statistic"])()])
        if len(values) != 1:
            raise InputError(f"quote {match[0]!r} fits {len(values)} entries; narrow it to one, or name a statistic")
        return format(values.iloc[0], match["format"])
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"quote {match[0]!r}: {error}") from None


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
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
