"""Numbers that a text quotes, each tied to the table that it comes from, so that no quote can differ from its rows.

A text that quotes says at its end where its quotes are written: ``<!--quotes docs/quotes/readme.txt-->``, a path from
the text's own folder. Rendered Markdown does not show that line. The file it names has the words around each number,
with ``{}`` in the number's place, and below them, indented, where each number comes from:

    In the plane it proves {} of W1, at d = 32
        matrix/clip slope_over_w1_median where dim=2 clip=0.01 as .2f []

With ``[]`` at its end a number has its interval, ``0.93 [0.92, 0.94]``, from the columns ``_low`` and ``_high``, or of
measured times from ``_q1`` and ``_q3``, the quartiles of the repeats. ``table matrix where overlap=0,0.9`` stands for
the table that texts show of an experiment, ``table published/reproduced method,pairs`` for columns of one of its
tables; in conditions several values may be allowed. The words may take several lines, and they must
stand in the text exactly once, however its own lines are broken. A new number is first written as ``?``. Lines that
start with ``#`` are comments.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from otbench.errors import InputError, ResultsError
from otbench.files import write_atomically
from otbench.report.check.table_difference import markdown_difference
from otbench.report.check.violation import Violation
from otbench.report.markdown import by_clip, gap, markdown
from otbench.results.folder import Stored
from otbench.results.store import Results

POINTER = re.compile(r"<!--quotes (?P<file>[^\s>]+)-->")

#: Comments that seem to be about quotes; one that is no pointer is refused, so that no number goes unchecked.
POINTER_LIKE = re.compile(r"<!--\s*(?:quote|table)[^\n]*?(?:-->|$)", re.M)

NUMBER_SOURCE = re.compile(
    r"(?P<experiment>[\w.-]+)/(?P<table>\w+) (?P<column>[\w.]+)"
    r"(?: (?P<statistic>median|min|max|count))?(?: where (?P<where>.+?))? as (?P<format>[\w.%,]+)"
    r"(?P<interval> \[\])?"
)
TABLE_SOURCE = re.compile(
    r"table (?P<experiment>[\w.-]+)(?:/(?P<table>\w+) (?P<columns>[\w.,]+))?(?: where (?P<where>.+))?"
)

HOLE = "{}"

#: What may stand in a hole, however wrong it is: a number, one with its interval, or the lines of a table.
A_NUMBER = r"(?:[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?%?|-?inf|nan|\?)"
QUOTED_NUMBER = rf"(?<![\d.]){A_NUMBER}(?:\s+\[{A_NUMBER},\s+{A_NUMBER}\])?(?!\d|\.\d|%)"
QUOTED_TABLE = r"(?:\|[^\n]*(?:\n|$))+"


@dataclass(frozen=True)
class Phrase:
    """Words of a text around numbers that it quotes.

    Attributes:
        place: file and line where the phrase is written.
        words: the words, with ``{}`` for each number.
        sources: where each number comes from, matches of ``NUMBER_SOURCE`` or ``TABLE_SOURCE``.
    """

    place: str
    words: str
    sources: list[re.Match[str]]

    def find(self, text: str) -> re.Match[str] | None:
        """The phrase in the text, a group per number; None where the text does not have it.

        Raises:
            InputError: the text has it more than once.
        """
        words = [r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in self.words.split(HOLE)]
        holes = [QUOTED_TABLE if source.re is TABLE_SOURCE else QUOTED_NUMBER for source in self.sources]
        pattern = words[0] + "".join(f"({hole}){after}" for hole, after in zip(holes, words[1:], strict=True))
        found = list(re.finditer(pattern, text))
        if len(found) > 1:
            raise InputError(f"{self.place}: the text says {self.words!r} {len(found)} times; write more of its words")
        return found[0] if found else None


@dataclass(frozen=True)
class Quote:
    """A number or table in a text: where it stands, what is written there, and what the results give."""

    span: tuple[int, int]
    text: str
    source: re.Match[str]
    due: str | None  # None where the results cannot be read


def check_quotes(file: Path, results: Path, read: dict[str, Stored] | None = None) -> list[Violation]:
    """A violation for every number or table that ``file`` quotes and that the folders in ``results`` do not give.

    Args:
        file: the text.
        results: the folder of the results folders it quotes.
        read: folders that were read already, by name. A quote from one that cannot be read is a violation.

    Raises:
        InputError: the text or its quotes cannot be read, or a quote is not understood.
        ResultsError: it quotes a folder that is not in ``read`` and cannot be read.
    """
    text = _read(file)
    known = dict(read or {})
    lost = {name for name, stored in known.items() if not _readable(stored)}
    found = []
    for phrase in _phrases(file, text):
        if not (match := phrase.find(text)):
            found.append(Violation("quoted number", file.name, "no such words", f"{phrase.words!r}, as {phrase.place}"))
            continue
        for quote in _quotes(phrase, match, results, known, lost):
            if quote.text != quote.due:
                place = f"{file.name}, line {text.count(chr(10), 0, quote.span[0]) + 1}"
                found.append(_violation(quote, place, results))
    return found


def quotes_of(file: Path) -> list[Quote]:
    """Every number and table that ``file`` quotes, as it is written there and in its order, without what is due.

    Raises:
        InputError: as in ``check_quotes``.
    """
    text = _read(file)
    found = []
    for phrase in _phrases(file, text):
        if match := phrase.find(text):
            written = (" ".join(match[k].split()) for k in range(1, len(phrase.sources) + 1))
            spans = (match.span(k) for k in range(1, len(phrase.sources) + 1))
            found += [Quote(*each, None) for each in zip(spans, written, phrase.sources, strict=True)]
    return sorted(found, key=lambda quote: quote.span)


def _violation(quote: Quote, place: str, results: Path) -> Violation:
    if quote.due is None:
        due = f"re-derived from {results / quote.source['experiment']}, which cannot be read"
        return Violation("quoted number", place, _shown(quote.text), due)
    if quote.source.re is TABLE_SOURCE:
        where, seen, due, column = markdown_difference(quote.text, quote.due)
        return Violation("quoted table", f"{place}, its {where}", seen, due, column)
    return Violation("quoted number", place, _shown(quote.text), quote.due)


def _readable(stored: Stored) -> bool:
    try:
        return bool(stored.tables)
    except ResultsError:
        return False


def _shown(text: str) -> str:
    """What a quote says, where it is short."""
    return text if len(text) < 40 else f"{text[:40]}..."


def rewrite_quotes(file: Path, results: Path, read: dict[str, Stored] | None = None) -> int:
    """Write what the results give into every quote of ``file``, and return how many changed.

    Args:
        file: the text.
        results: the folder of the results folders it quotes.
        read: folders that were read already, by name; those that are read here are added.

    Raises:
        InputError: the text does not have the words of a quote, or as in ``check_quotes``. Nothing is written then.
        ResultsError: as in ``check_quotes``.
    """
    text = _read(file)
    known = {} if read is None else read
    changed: dict[tuple[int, int], str] = {}
    for phrase in _phrases(file, text):
        if not (match := phrase.find(text)):
            raise InputError(f"{phrase.place}: {file.name} does not say {phrase.words!r}; write it as the text does")
        for quote in _quotes(phrase, match, results, known, set()):
            if quote.due is not None and quote.text != quote.due:
                changed[quote.span] = quote.due
    for (start, end), value in sorted(changed.items(), reverse=True):
        text = text[:start] + value + text[end:]
    if changed:
        write_atomically(file, text.encode("utf-8"))
    return len(changed)


def _phrases(file: Path, text: str) -> Iterator[Phrase]:
    """The phrases of the files of quotes that a text names."""
    for opening in POINTER_LIKE.finditer(text):
        if not (pointer := POINTER.fullmatch(opening[0])):
            line = text.count("\n", 0, opening.start()) + 1
            raise InputError(f"{file.name}, line {line}: {opening[0]!r} should be <!--quotes FILE-->, see quotes.py")
        yield from _read_phrases(file.parent / pointer["file"])


def _read_phrases(file: Path) -> Iterator[Phrase]:
    """The phrases of a file of quotes.

    Raises:
        InputError: a line is not understood, or words and sources do not fit each other.
    """
    found: list[Phrase] = []
    for number, line in enumerate(_read(file).splitlines(), start=1):
        place = f"{file.name}, line {number}"
        if not line.strip() or line.startswith("#"):
            continue
        if not line[0].isspace() and found and not found[-1].sources:
            found[-1] = replace(found[-1], words=f"{found[-1].words} {line.strip()}")
        elif not line[0].isspace():
            found.append(Phrase(place, line.strip(), []))
        elif source := NUMBER_SOURCE.fullmatch(line.strip()) or TABLE_SOURCE.fullmatch(line.strip()):
            if not found:
                raise InputError(f"{place}: {line.strip()!r} has no words above it; see quotes.py")
            found[-1].sources.append(source)
        else:
            raise InputError(f"{place}: {line.strip()!r} is no source of a quote; see quotes.py")
    for phrase in found:
        if not phrase.words.count(HOLE) == len(phrase.sources) > 0:
            counts = f"{phrase.words.count(HOLE)} places {HOLE} and {len(phrase.sources)} sources below them"
            raise InputError(f"{phrase.place}: {phrase.words!r} has {counts}; write as many, one at least")
    yield from found


def _quotes(
    phrase: Phrase, match: re.Match[str], results: Path, read: dict[str, Stored], lost: set[str]
) -> Iterator[Quote]:
    """Every number of a phrase with what the results give for it, None where its folder is one of ``lost``."""
    for k, source in enumerate(phrase.sources, start=1):
        due, name = None, source["experiment"]
        if name not in lost:
            stored = read.setdefault(name, Stored(Results(results / name)))
            try:
                is_table = source.re is TABLE_SOURCE
                due = markdown(_quoted(stored, source)) if is_table else quoted_value(source, stored.tables)
            except InputError as error:
                raise InputError(f"{phrase.place}: {error}") from None
        written = match[k] if source.re is TABLE_SOURCE else " ".join(match[k].split())
        yield Quote(match.span(k), written, source, due)


def _quoted(stored: Stored, match: re.Match[str]) -> pd.DataFrame:
    """The table that a text shows of an experiment, of the rows that fit."""
    if match["table"]:
        table = _fitting(_table(stored.tables, match), match)
        shown = table[[_column(table, name, match[0]) for name in match["columns"].split(",")]]
        return shown.rename(columns=lambda name: str(name).replace("_", " "))
    published = stored.kind == "published"
    rows = _fitting(stored.tables.get("published", pd.DataFrame()) if published else stored.frame, match)
    if rows.empty:
        raise InputError(f"quote {match[0]!r} fits no rows")
    return gap(stored.tables["gradients"], rows) if published else by_clip(rows)


def _table(derived: dict[str, pd.DataFrame], match: re.Match[str]) -> pd.DataFrame:
    """The table that a quote names."""
    if match["table"] not in derived:
        raise InputError(f"quote {match[0]!r}: no table {match['table']!r}; known: {', '.join(derived)}")
    return derived[match["table"]]


def _fitting(table: pd.DataFrame, match: re.Match[str]) -> pd.DataFrame:
    """The lines of a table that have the values of the quote's conditions, or one of several with commas between."""
    for condition in (match["where"] or "").split():
        name, _, values = condition.partition("=")
        column = _column(table, name, match[0])
        fits = table[column].map(lambda entry, values=values: any(_same(entry, value) for value in values.split(",")))
        table = table[fits]
    return table


def quoted_value(match: re.Match[str], derived: dict[str, pd.DataFrame]) -> str:
    """The number that a quote stands for: one entry of a table, or a statistic over the entries that fit."""
    table = _fitting(_table(derived, match), match)
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
