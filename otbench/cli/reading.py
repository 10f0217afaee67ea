"""Commands that read what is stored: tables | show | check."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otbench.cli.options import (
    RESULTS,
    ExperimentsArgument,
    Format,
    JsonOption,
    PluginOption,
    ResultsOption,
    chosen,
    many,
    missing_in_words,
)
from otbench.errors import InputError, OtbenchError

if TYPE_CHECKING:
    import pandas as pd

    from otbench.results.folder import Stored


#: Columns of what was measured for which the settings of critics make room on a narrow terminal.
FEWEST_SHOWN = 3


def texts_here() -> list[Path]:
    """The texts whose quoted numbers are re-derived with all results: READMEs, pages and answers that quote any."""
    texts = [*sorted(Path().glob("README*.md")), *sorted(Path("docs").rglob("*.md")), Path("experiments/answers.md")]
    texts = [text for text in texts if text.is_file()]
    return [text for text in texts if b"<!--quote" in text.read_bytes()]


def tables(
    experiments: ExperimentsArgument = None,
    results: ResultsOption = RESULTS,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the CSV files there; write nothing.")] = False,
    format: Annotated[Format | None, typer.Option(help="Of the files written; CSV when left out.")] = None,
) -> None:
    """Write the tables anew from the rows: the same rows give the same bytes.

    Exit status 0: done, or nothing differs. 1: with --verify, some file differs. 2: the rows cannot be read.
    """
    from otbench.report.check.rules import tables as differing
    from otbench.report.markdown import write_tables
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    if verify and format not in (None, Format.CSV):
        raise InputError(f"--verify compares CSV files; leave --format {format} out")
    bad = 0
    for name in chosen(experiments, results):
        stored = Stored(Results(results / name))
        if verify:
            found = list(differing(stored))
            bad += len(found)
            for violation in found:
                print(f"{name}: {violation}")
            print(f"{name}: {'differs' if found else 'tables are what the rows give'}")
        else:
            print(f"{name}: {many(write_tables(stored, (format or Format.CSV).value), 'table')} changed")
        warn_of_missing(stored)
    raise typer.Exit(1 if bad else 0)


def show(
    experiments: ExperimentsArgument = None,
    results: ResultsOption = RESULTS,
    format: Annotated[Format | None, typer.Option(help="For a program to read; a table when left out.")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Measured columns to show, as raw_over_w1,skill.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(help="A table of the folder, clip_values, scale_and_shape or shares; else the headline."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Print the headline: what every critic prints and what it proves, as medians over seeds and nothing else.

    Whatever else varies in an experiment is a column. With --format or --json every median has its 95 % interval over
    seeds. For a paper --format latex has few columns, and the digits that the intervals' widths give.

    On a terminal that is too narrow, settings of critics are letters, and columns on the right are left out and named;
    a pipe or a file gets them all.
    """
    if json_ and format not in (None, Format.JSON):
        raise InputError(f"--json and --format {format} ask for two formats; leave one of them out")
    wanted = [name.strip() for name in columns.split(",")] if columns else []
    form = Format.JSON if json_ else format
    if table is None:
        print_headlines(chosen(experiments, results), results, form, wanted)
    else:
        _print_tables(chosen(experiments, results), results, form, table, wanted)


def print_headlines(
    names: list[str], results: Path, format: Format | None = None, columns: list[str] | None = None
) -> None:
    """The headlines of results folders."""
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    found = {}
    for name in names:
        stored = Stored(Results(results / name))
        if stored.is_study:
            told = {
                "generator": "curves of GANs in training",
                "convergence": "errors of samples",
                "pricing": "starts of exact solves",
            }
            what = told.get(stored.kind, "times")
            print(f"{name}: {what}, which have no headline; see {stored.results.tables}",
                  file=None if format is None else sys.stderr)  # fmt: skip
        elif format is None:
            draw_headline(stored, columns or [])
        else:
            found[name] = _headline(stored, columns or _default_columns(stored, format), intervals=True)
        warn_of_missing(stored)
    if format is not None:
        sys.stdout.write(_written(found, format))


def _print_tables(names: list[str], results: Path, format: Format | None, table: str, columns: list[str]) -> None:
    """One table of each results folder."""
    from otbench.cli.drawn import draw
    from otbench.report.paper import named_table
    from otbench.report.short import short
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    found = {name: named_table(Stored(Results(results / name)), table, columns) for name in names}
    if format is not None:
        sys.stdout.write(_written(found, format, table))
        return
    for name, made in found.items():
        print(f"{name}: {table}, {many(len(made), 'line')}")
        draw(made.map(short), 1)


def _headline(stored: "Stored", columns: list[str], intervals: bool = False) -> "pd.DataFrame":
    from otbench.report.headline import headline

    return headline(stored.frame, columns, intervals)


def _default_columns(stored: "Stored", format: Format) -> list[str]:
    """What a headline shows where nobody chose: all there is, but for a paper, which has room for little."""
    from otbench.report.markdown import PAPER

    return [name for name in PAPER if stored.frame[name].notna().any()] if format is Format.LATEX else []


def draw_headline(stored: "Stored", columns: list[str], most: int = 10**9) -> None:
    """A title, at most ``most`` lines of the headline, and what of it is not shown.

    On a terminal every problem and sampling mode has a table of its own, which needs none of the others' columns.
    """
    from rich.console import Console

    from otbench.report.headline import by_problem_and_mode, constants, headline
    from otbench.results.tables.bracketed import is_interval

    name, frame, narrow = stored.results.folder.name, stored.frame, Console().is_terminal
    parts = [(part, headline(part, columns)) for part in (by_problem_and_mode(frame) if narrow else [frame])]
    of = f"{same}; " if (same := constants(frame)) else ""
    some = int(is_interval(frame).sum())
    truth = f"an interval in {some} of {many(len(frame), 'cell')}" if some else "exact"
    print(f"{name}: {of}medians over {many(frame['seed'].nunique(), 'seed')}; W1 is {truth}")
    left, hidden, out = most, 0, dict[str, None]()
    for part, whole in parts:
        table = whole.head(left)
        left, hidden = left - len(table), hidden + len(whole) - len(table)
        if len(table):
            if len(part) < len(frame):
                print(f"\n{constants(part)}")
            out |= dict.fromkeys(_draw_part(table, narrow))
    if hidden:
        print(f"... and {many(hidden, 'line')} more: otbench show {name}")
    if out:
        print(f"too narrow for {', '.join(out)}; --columns chooses, a pipe gets all")


def _draw_part(table: "pd.DataFrame", narrow: bool) -> list[str]:
    """A headline's lines as a table, and the columns that a terminal has no room for.

    Where it has none for the first FEWEST_SHOWN of what was measured, columns that tell no lines apart are left out,
    and where that is not enough settings of the methods are told by letters.
    """
    from otbench.cli.drawn import draw, fits
    from otbench.report.headline import fields_in_names, labelled, settings_by_letter, told_by_others

    def is_narrow(shown: "pd.DataFrame") -> bool:
        told = labelled(shown)
        return narrow and not fits(told.iloc[:, : _telling(shown) + ("ok" in told) + FEWEST_SHOWN])

    letters, out = dict[str, str](), list[str]()
    if narrow:
        named = fields_in_names(table)
        if is_narrow(named):
            out = told_by_others(table)
            table = table.drop(columns=out)
            named = fields_in_names(table)
        table, letters = settings_by_letter(table) if is_narrow(named) else (named, letters)
    cut = draw(labelled(table), _telling(table))
    for letter, settings in letters.items():
        print(f"{letter}: {settings}")
    return [*(name.split(".")[1] for name in out), *cut]


def _telling(table: "pd.DataFrame") -> int:
    """How many columns of a headline, on the left, say what a line is of."""
    return sum(name == "critic" or "." in str(name) for name in table if name != "method.lr_unit")


def _written(tables: "dict[str, pd.DataFrame]", format: Format, what: str = "headline") -> str:
    """Headlines, or other tables, as text for a program, the experiment named in each."""
    import pandas as pd

    from otbench.report.headline import labelled
    from otbench.report.latex import latex_table
    from otbench.report.markdown import as_text, markdown, records

    if format is Format.JSON:
        return json.dumps({name: records(table) for name, table in tables.items()}, indent=1, allow_nan=False) + "\n"
    if format is Format.CSV:
        named = [table.assign(experiment=name) for name, table in tables.items()]
        whole = pd.concat(named) if named else pd.DataFrame(columns=["experiment"])
        return as_text("headline", whole[["experiment", *(c for c in whole if c != "experiment")]], "csv").decode()
    if format is Format.LATEX:
        brackets = "medians over seeds, " * (what == "headline") + "in brackets the ends of 95 % intervals"
        return "\n".join(latex_table(made, f"{name}, {what}: {brackets}") for name, made in tables.items())
    texts = {name: labelled(made) if what == "headline" else made for name, made in tables.items()}
    return "\n".join(f"### {name}\n\n{markdown(made)}" for name, made in texts.items())


def check(
    experiments: ExperimentsArgument = None,
    results: ResultsOption = RESULTS,
    readme: Annotated[
        Path | None,
        typer.Option(help="Text whose quotes are re-derived; without names README*.md, docs/ and the answers."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the outcome as JUnit XML, into a folder there is.")] = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Re-check what is stored: certificates, the ladder, closed forms, tables, promises, quoted numbers.

    Exit status 0: all agree. 1: some disagree, each on a line. 2: some input cannot be read; the rest is checked.
    """
    from otbench.experiment.known import identified
    from otbench.report.check.junit import summary, violations, write_junit
    from otbench.report.check.rules import check_results
    from otbench.report.quotes import check_quotes
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    if junit and not junit.parent.is_dir():
        raise InputError(f"--junit {junit}: there is no folder {junit.parent}; make it, or name another file")
    marks = [identified(each).mark for each in plugin or []]
    read = {name: Stored(Results(results / name)) for name in chosen(experiments, results)}
    texts = [readme] if readme else []
    if readme is None and experiments is None and results == RESULTS:
        texts = texts_here()
    verdict, unreadable = {}, {}
    for name, stored in read.items():
        try:
            verdict[name] = check_results(stored, marks)
            if not marks:
                _say_what_plugins_would_tell(stored)
        except OtbenchError as error:
            unreadable[name] = str(error)
    for text in texts:
        try:
            verdict[str(text)] = {"quoted numbers": check_quotes(text, results, read)}
        except OtbenchError as error:
            unreadable[str(text)] = str(error)
    if junit:
        write_junit(verdict, unreadable, junit)
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(page, "a") as handle:
            handle.write(summary(verdict, unreadable))
    for reason in dict.fromkeys(unreadable.values()):
        print(f"otbench: {reason}", file=sys.stderr)
    _print_verdict(verdict, unreadable, json_)
    raise typer.Exit(2 if unreadable else 1 if violations(verdict) else 0)


def _say_what_plugins_would_tell(stored: "Stored") -> None:
    """A line on standard error per plugin that rows are of: without it nothing says that they are of its source."""
    from otbench.report.check.plugin_rules import marks_of

    for mark, count in ({} if stored.is_study else marks_of(stored.frame)).items():
        rows = many(count, "row")
        print(f"{stored.results.folder.name}: {rows} of plugin {mark}, which was not given: whether they are of its "
              "source was not checked, all else was; --plugin FILE.py checks it", file=sys.stderr)  # fmt: skip


def _print_verdict(verdict: dict[str, Any], unreadable: dict[str, str], as_json: bool) -> None:
    """The outcome in lines, or as JSON."""
    from dataclasses import asdict

    if as_json:
        told: dict[str, Any] = {
            name: {"rules": {rule: [asdict(v) for v in found] for rule, found in rules.items()}}
            for name, rules in verdict.items()
        }
        print(json.dumps(told | {name: {"unreadable": reason} for name, reason in unreadable.items()}, indent=1))
        return
    for name, rules in verdict.items():
        bad = sum(map(len, rules.values()))
        print(f"{name}: {many(len(rules), 'rule')}, {many(bad, 'violation')}")
        for violation in [v for found in rules.values() for v in found]:
            print(f"  {violation}")


def warn_of_missing(stored: "Stored") -> None:
    """A line on standard error where a folder lacks cells that its experiment declared."""
    if told := missing_in_words(stored):
        print(told, file=sys.stderr)
