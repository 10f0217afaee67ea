"""Commands on what is stored or declared: figures | merge | compare | quotes | advise | list."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from otbench.errors import InputError

ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the results folders.")]
ExperimentsArgument = Annotated[
    list[str] | None, typer.Argument(help="Names of results; all there are when left out.")
]
FolderArgument = Annotated[Path, typer.Argument(help="A results folder.")]

RESULTS = Path("results")


class Unit(StrEnum):
    """What a learning rate is in units of."""

    ABSOLUTE = "absolute"
    CLIP = "clip"


def figures(experiments: ExperimentsArgument = None, results: ResultsOption = RESULTS) -> None:
    """Draw the pictures of stored results, as SVG and PNG."""
    from otbench.report.figures.pictures import write_figures
    from otbench.report.figures.surfaces import write_portraits
    from otbench.results.store import Results

    for name in chosen(experiments, results):
        for file in [*write_figures(Results(results / name)), *write_portraits(Results(results / name))]:
            print(file)


def merge(
    a: FolderArgument,
    b: FolderArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of both; it must not be there yet.")],
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


def compare(a: FolderArgument, b: FolderArgument) -> None:
    """Say which numbers changed from A to B beyond rounding and beyond the spread of seeds.

    Exit status 0: none. 1: some, each on a line. 2: the folders cannot be compared.
    """
    from otbench.results.compare import compare_results
    from otbench.results.folder import Stored
    from otbench.results.store import Results

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
    from otbench.report.quotes import rewrite_quotes

    print(f"{text}: {many(rewrite_quotes(text, results), 'quote')} changed")


def advise(
    dim: Annotated[int, typer.Option(min=1, help="Dimension of the data.")],
    widths: Annotated[str, typer.Option(help="Hidden widths of the critic, as 512,512,512.")],
    lr: Annotated[float, typer.Option(min=0, help="Learning rate, in units of --lr-unit.")] = 5e-5,
    lr_unit: Annotated[Unit, typer.Option(help="clip: the rate is --lr times the clip value.")] = Unit.ABSOLUTE,
    steps: Annotated[int, typer.Option(min=1, help="Critic steps in all.")] = 10_000,
    data: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two samples, .npy, .csv, .tsv or .parquet: real, generated.")
    ] = None,
) -> None:
    """Say which clip value a critic should have, why, and what to print instead of its raw loss."""
    from otbench.problems import problem
    from otbench.report.advice import advise as advice_for
    from otbench.report.advice import exact_part, in_words

    try:
        sizes = [int(part) for part in widths.split(",")]
    except ValueError:
        raise InputError(f"--widths takes whole numbers with commas between, as 512,512,512; got {widths!r}") from None
    pair = w1 = None
    if data is not None:
        pair = problem("arrays", x=str(data[0]), y=str(data[1])).sample()
        if pair.dim != dim:
            raise InputError(f"--dim is {dim}, but the samples have dimension {pair.dim}")
        w1 = exact_part(pair)
    for line in in_words(advice_for(dim, sizes, lr=lr, lr_unit=lr_unit.value, steps=steps, pair=pair, w1=w1)):
        print(line)


def list_() -> None:
    """List the experiments, problems and methods by name, with their fields."""
    from otbench.experiment.locate import experiments
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


def chosen(names: list[str] | None, results: Path) -> list[str]:
    """The results folders asked for, or all there are."""
    from otbench.errors import UnknownNameError

    files = ("rows.jsonl", "rows.jsonl.gz", "measurements.jsonl")
    there = sorted({f.parent.name for name in files for f in results.glob(f"*/{name}")})
    for name in names or []:
        if name not in there:
            raise UnknownNameError("results", name, there, f"`otbench run {name}` makes them")
    if not there:
        raise InputError(f"no results in {results}: `otbench run` makes some, --results names another folder")
    return names or there
