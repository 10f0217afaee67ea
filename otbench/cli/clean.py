"""The command that removes what otbench keeps for speed alone: clean."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from otbench.cli.options import RESULTS, ResultsOption, many


def clean(
    results: ResultsOption = RESULTS,
    aside: Annotated[bool, typer.Option("--aside", help="Also results that --fresh has set aside.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")] = False,
) -> None:
    """Remove what is kept for speed alone: exact solutions, of these results and of this machine, and stacks of cells
    that were ended.

    No row is lost, and the next run solves again what it needs. An interval of W1 that a time limit made is another
    one then.
    """
    from otbench.transport.exact_cache import own_folder

    found = [results / ".exact", own_folder() / "exact", own_folder() / "stacks", *sorted(results.glob("*/stacks"))]
    found += [results / ".aside"] if aside else []
    there = [folder for folder in found if folder.is_dir()]
    for folder in there:
        files = [file for file in folder.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        print(f"{folder}: {many(len(files), 'file')}, {size / 2**20:.1f} MiB {'would be ' if dry_run else ''}removed")
        if not dry_run:
            _remove(folder)
    if not there:
        print("there is nothing to remove")


def _remove(folder: Path) -> None:
    """Remove a folder of which a run may take files away meanwhile."""
    shutil.rmtree(folder, ignore_errors=True)
