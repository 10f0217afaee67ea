"""Commands on what is stored or declared: merge | compare | quotes | list."""

from pathlib import Path
from typing import Annotated

import typer

from otbench.errors import InputError

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the results folders.")]
FolderArgument = Annotated[Path, typer.Argument(help="A results folder.")]

RESULTS = Path("results")


def merge(
    a: FolderArgument,
    b: FolderArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of both; it must not be there yet.")],
) -> None:
    """Put the rows of one experiment, run on two machines, into one folder.

    Exit status 0: merged. 1: some cell has two results that differ; both are shown and nothing is written.
    """
    from otbench.merge import merge_results
    from otbench.render import write_tables
    from otbench.rows import Results

    merged = merge_results(Results(existing(a)), Results(existing(b)), Results(output))
    for conflict in merged.conflicts:
        print(conflict)
    if merged.conflicts:
        print(f"{many(len(merged.conflicts), 'number')} of the cells in both differ; nothing was written")
        raise typer.Exit(1)
    write_tables(Results(output), "csv")
    print(f"{output}: {merged.rows} of {merged.cells} cells, {merged.both} of them in both and in agreement")


def compare(a: FolderArgument, b: FolderArgument) -> None:
    """Say which numbers changed from A to B beyond rounding and beyond the spread of seeds.

    Exit status 0: none. 1: some, each on a line. 2: the folders cannot be compared.
    """
    from otbench.compare import compare_results
    from otbench.rows import Results
    from otbench.stored import Stored

    found = compare_results(*(Stored(Results(existing(folder))) for folder in (a, b)))
    for line in found.lines():
        print(line)
    raise typer.Exit(1 if found.changed else 0)


def quotes(
    text: Annotated[Path, typer.Argument(help="The text whose quoted numbers are brought up to date.")] = Path(
        "README.md"
    ),
    results: ResultsOption = RESULTS,
) -> None:
    """Write the numbers and tables a text quotes anew from the rows."""
    from otbench.quotes import rewrite_quotes

    print(f"{text}: {many(rewrite_quotes(text, results), 'quote')} changed")


def list_() -> None:
    """List the experiments, problems and methods by name, with their fields."""
    from otbench.declared import experiments
    from otbench.methods import METHODS
    from otbench.problems import PROBLEMS

    for name, file in experiments().items():
        print(f"experiment {name:12} {file}")
    for kind, known in (("problem", PROBLEMS), ("method", METHODS)):
        for name, described in known.items():
            summary = (described.__doc__ or "").strip().splitlines()[0]
            print(f"{kind:10} {name:12} {summary}")
            print(f"{'':24}{', '.join(f for f in described.model_fields if f != 'name')}")


def many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def existing(folder: Path) -> Path:
    """The folder, InputError where it is none."""
    if not folder.is_dir():
        raise InputError(f"no such results folder: {folder}")
    return folder
