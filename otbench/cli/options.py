"""What several commands share: their arguments, and which results folders they mean."""

import tomllib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otbench.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from otbench.results.folder import Stored

RESULTS = Path("results")

#: A results folder has one of these, or several numbered files of rows.
ROWS_FILES = ("rows.jsonl", "rows.jsonl.gz", "rows-*.jsonl*", "measurements.jsonl", "measurements.jsonl.gz")


class Format(StrEnum):
    """What tables are written as."""

    CSV = "csv"
    MARKDOWN = "markdown"
    JSON = "json"
    LATEX = "latex"


def stored_names(results: Path) -> list[str]:
    """The names of the results folders there are."""
    return sorted({file.parent.name for name in ROWS_FILES for file in results.glob(f"*/{name}")})


def complete_experiment(incomplete: str) -> Iterator[str]:
    """Names of experiments that begin so, for a shell's completion."""
    from otbench.experiment.locate import experiments

    yield from (name for name in experiments() if name.startswith(incomplete))


def complete_stored(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Names of results that begin so, for a shell's completion."""
    results = Path(context.params.get("results") or RESULTS)
    yield from (name for name in stored_names(results) if name.startswith(incomplete))


ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the results folders.")]
ExperimentsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Names of results, or their experiments' .toml files; all there are when left out.",
                   autocompletion=complete_stored),
]  # fmt: skip
FolderArgument = Annotated[Path, typer.Argument(help="A results folder.")]
PluginOption = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE.py", help="Problems and methods of yours: a file, or an installed distribution's name."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def many(count: int, what: str) -> str:
    """A number of things in words."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def toml_table(takes: str, text: str) -> dict[str, Any]:
    """The table that an option's text is, as ``{ clip = 0.1 }``; ``takes`` begins the error of one that is none."""
    try:
        table = tomllib.loads(f"table = {text}")["table"]
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{takes} a TOML table; {text!r} is none: {error}") from None
    if not isinstance(table, dict):
        raise InputError(f"{takes} a TOML table, as '{{ name = \"...\" }}'; got {text!r}")
    return table


def existing(folder: Path) -> Path:
    """The folder, InputError where it is none."""
    if not folder.is_dir():
        raise InputError(f"no such results folder: {folder}")
    return folder


def chosen(names: list[str] | None, results: Path) -> list[str]:
    """The results folders asked for, or all there are; an experiment's file stands for the results of its name."""
    there = stored_names(results)
    asked = [Path(name).stem if name.endswith(".toml") else name for name in names or []]
    for name in asked:
        if name not in there:
            raise UnknownNameError("results", name, there, f"`otbench run {name}` makes them")
    if not there:
        raise InputError(f"no results in {results}: `otbench run` makes some, --results names another folder")
    return list(dict.fromkeys(asked)) or there


def missing_in_words(stored: "Stored") -> str:
    """What a folder lacks of what its experiment declared, as a sentence; empty where it lacks nothing."""
    name, missing = stored.results.folder.name, stored.missing
    if missing is None:
        return f"{name}: not all planned measurements are there; `otbench run {name}` makes the others"
    if not missing:
        return ""
    return f"{name}: {missing} of {stored.meta['cells']} cells are missing; `otbench run {name}` does them"
