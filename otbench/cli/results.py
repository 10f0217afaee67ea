"""Commands on stored results and what they are quoted in: figures | merge | compare | quotes."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from otbench.cli.options import (
    RESULTS,
    ExperimentsArgument,
    FolderArgument,
    JsonOption,
    ResultsOption,
    chosen,
    existing,
    many,
)
from otbench.cli.reading import texts_here, warn_of_missing
from otbench.errors import InputError


def figures(experiments: ExperimentsArgument = None, results: ResultsOption = RESULTS) -> None:
    """Draw the pictures of stored results, as SVG and PNG, and name the files."""
    from otbench.report.figures.pictures import write_figures
    from otbench.report.figures.surfaces import write_portraits
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    for name in chosen(experiments, results):
        stored = Stored(Results(results / name))
        warn_of_missing(stored)
        for line in [*write_figures(stored, say=print), *write_portraits(stored)]:
            print(line)


def merge(
    a: FolderArgument,
    b: FolderArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of both: a new one, or empty.")],
) -> None:
    """Put the rows of one experiment, run on two machines, into one folder.

    Exit status 0: merged. 1: some cell has two results that differ; both are shown and nothing is written.
    """
    from otbench.report.markdown import write_tables
    from otbench.results.merge import merge_results
    from otbench.results.store import Results

    merged = merge_results(Results(existing(a)), Results(existing(b)), Results(output))
    for conflict in merged.conflicts:
        print(conflict)
    if merged.conflicts:
        print(f"{many(len(merged.conflicts), 'number')} of the cells in both differ; nothing was written")
        raise typer.Exit(1)
    write_tables(Results(output), "csv")
    print(f"{output}: {merged.rows} of {merged.cells} cells, {merged.both} of them in both and in agreement")


def compare(a: FolderArgument, b: FolderArgument, json_: JsonOption = False) -> None:
    """Say which numbers changed from A to B beyond rounding and beyond the spread of seeds.

    Exit status 0: none. 1: some; the first 40 are listed. 2: there is nothing to compare, and why.
    """
    from otbench.results.compare import compare_results
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    found = compare_results(*(Stored(Results(existing(folder))) for folder in (a, b)))
    if json_:
        print(json.dumps(asdict(found), indent=1))
    else:
        print("\n".join(found.lines()))
    raise typer.Exit(1 if found.changed else 0)


def quotes(
    texts: Annotated[
        list[Path] | None,
        typer.Argument(help="Texts to bring up to date; README*.md, docs/ and the answers when left out."),
    ] = None,
    results: ResultsOption = RESULTS,
) -> None:
    """Write the numbers and tables that texts quote anew from the rows."""
    from otbench.report.quotes import rewrite_quotes
    from otbench.results.folder import Stored

    if not (known := texts or texts_here()):
        raise InputError("no README*.md here and no text in docs/ quotes results; name a text that does")
    read: dict[str, Stored] = {}
    for text in known:
        print(f"{text}: {many(rewrite_quotes(text, results, read), 'quote')} changed")
