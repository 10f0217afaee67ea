"""The command line: run | tables | show | check, and those of `cli_results`. Imports wait until one needs them."""

import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otbench.cli.results import (
    RESULTS,
    ExperimentsArgument,
    ResultsOption,
    advise,
    chosen,
    compare,
    figures,
    list_,
    many,
    merge,
    quotes,
)
from otbench.errors import InputError, OtbenchError

if TYPE_CHECKING:
    from otbench.experiment.declaration import Experiment
    from otbench.experiment.run.runner import Place

app = typer.Typer(
    help="How far is a weight-clipped WGAN critic from the exact Wasserstein distance?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

ExperimentArgument = Annotated[str, typer.Argument(help="Name of an experiment, or path of a .toml file.")]

#: Failed cells a run lists; their rows have the rest.
FAILURES_SHOWN = 10


#: Texts whose quoted numbers are re-derived with all results.
TEXTS = (Path("README.md"), Path("docs/findings.md"))


class Format(StrEnum):
    """What tables are written as."""

    CSV = "csv"
    MARKDOWN = "markdown"
    LATEX = "latex"


def main() -> None:
    """Run the command line; every error a user can cause is one line on stderr and exit status 2."""
    try:
        app()
    except OtbenchError as error:
        print(f"otbench: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a file we may not write, a full disk
        what = f"{error.strerror}: {error.filename}" if error.filename else str(error) or type(error).__name__
        print(f"otbench: {what}; what was written before is kept", file=sys.stderr)
        sys.exit(2)


@app.command()
def run(
    experiment: ExperimentArgument = "quick",
    results: ResultsOption = RESULTS,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the cores there are when left out.")] = None,
    device: Annotated[str, typer.Option(help="Where critics train: cpu, cuda, cuda:1.")] = "cpu",
    engine: Annotated[str, typer.Option(help="inline, local, tcp://HOST:PORT, or a cluster's FILE.toml.")] = "local",
    gpus: Annotated[int, typer.Option(min=0, help="One process a GPU, this many, of those the environment shows.")] = 0,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds a cell may take; each runs alone.")] = None,
    only: Annotated[str | None, typer.Option(metavar="KEY", help="Run this cell again, alone.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set the results there are aside, and start anew.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and how long; run nothing.")] = False,
    pairs: Annotated[Path | None, typer.Option(help="Funnel pairs (.npz) for an experiment that takes them.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Published scores (.csv) of the pairs; metrics.csv beside them when left out.")
    ] = None,
) -> None:
    """Run an experiment's missing cells, write its tables, and show the headline.

    Exit status 0: every cell has a row with numbers. 2: nothing was run. 3: a cell failed or was refused.
    """
    from otbench.cli.progress import progress
    from otbench.experiment.declaration import load_experiment
    from otbench.experiment.run.rerun import chosen_cells, set_aside
    from otbench.experiment.run.runner import missing_cells, preflight, run_experiment
    from otbench.report.markdown import write_tables
    from otbench.results.store import Results
    from otbench.results.tables.published import keep_scores

    declared, place = load_experiment(experiment, pairs), _place(engine, workers, gpus, device, timeout)
    folder, count = results / declared.name, place.workers
    command = _again(experiment, results, pairs)
    if declared.plan:
        if engine != "local" or gpus or timeout or only is not None or retry_failed or fresh:
            raise InputError("an experiment without cells takes --workers, --device, --results and --dry-run alone")
        _run_plan(declared, folder, count, device, dry_run)
        return
    if dry_run:
        from otbench.experiment.run.estimate import expected_seconds, in_words

        todo = missing_cells(declared, Results(folder))
        preflight(todo, place)
        done = len(declared.cells) - len(todo)
        seconds = in_words(expected_seconds(todo, count, device)) if todo else "0 s"
        print(f"{declared.name}: {len(declared.cells)} cells, {done} done, {len(todo)} to do")
        print(f"expected {seconds} with {many(count, 'worker')} on {device}; rows go to {folder}")
        return
    if fresh and (moved := set_aside(Results(folder))):
        print(f"the results there were are in {moved}", file=sys.stderr)
    cells = chosen_cells(declared, Results(folder), only, retry_failed)
    try:
        with progress(declared.name) as on_progress:
            done_now = run_experiment(
                declared, folder, place, cells=cells, command=command, on_progress=on_progress
            )
    except KeyboardInterrupt:
        print("otbench: stopped; what was done is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    if done_now.torn:
        print("a torn last line of an interrupted run was dropped; its cell was run again", file=sys.stderr)
    if done_now.stale:
        print(f"{done_now.stale} rows of cells no longer declared were set aside in stale.jsonl", file=sys.stderr)
    if pairs:
        keep_scores(folder, pairs, scores)
    changed = write_tables(Results(folder), "csv")
    print(f"{declared.name}: {done_now.now} cells run, {done_now.before} were done; {changed} tables changed")
    for bad, what in ((done_now.diverged, "diverged"), (done_now.refused, "refused")):
        if bad:
            print(f"{many(bad, 'cell')} {what}: see the status and reason columns")
    show([declared.name], results)
    for reason in done_now.failed[:FAILURES_SHOWN]:
        print(f"failed: {reason}", file=sys.stderr)
    if done_now.failed:
        print(f"{many(len(done_now.failed), 'cell')} failed; all again: {command} --retry-failed", file=sys.stderr)
    if done_now.refused or done_now.failed:  # rows without a number; divergence is a result
        raise typer.Exit(3)


@app.command()
def tables(
    experiments: ExperimentsArgument = None,
    results: ResultsOption = RESULTS,
    verify: Annotated[bool, typer.Option("--verify", help="Compare with the files there; write nothing.")] = False,
    format: Annotated[Format, typer.Option(help="Of the files written.")] = Format.CSV,
) -> None:
    """Regenerate the tables from the rows: the same rows give the same bytes."""
    from otbench.report.check.rules import tables as differing
    from otbench.report.markdown import write_tables
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    bad = 0
    for name in chosen(experiments, results):
        folder = Results(results / name)
        if verify:
            found = list(differing(Stored(folder)))
            bad += len(found)
            for violation in found:
                print(f"{name}: {violation}")
            print(f"{name}: {'differs' if found else 'tables are what the rows give'}")
        else:
            print(f"{name}: {many(write_tables(folder, format.value), 'table')} changed")
    raise typer.Exit(1 if bad else 0)


@app.command()
def show(experiments: ExperimentsArgument = None, results: ResultsOption = RESULTS) -> None:
    """Print the headline table: what a clipped critic prints, and what it is worth."""
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from otbench.report.markdown import headline
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    console = Console(width=None if sys.stdout.isatty() else 120)
    for name in chosen(experiments, results):
        stored = Stored(Results(results / name))
        table = pd.DataFrame() if stored.is_study else headline(stored.frame)
        if table.empty:
            print(f"{name}: no trained critics to show; see {stored.results.tables}")
            continue
        drawn = Table(title=f"{name}: medians over overlaps and seeds; W1 is exact")
        for column in table.columns:
            drawn.add_column(column, justify="right")
        for line in table.itertuples(index=False):
            drawn.add_row(*map(str, line))
        console.print(drawn)


@app.command()
def check(
    experiments: ExperimentsArgument = None,
    results: ResultsOption = RESULTS,
    readme: Annotated[
        Path | None, typer.Option(help="Text whose quoted numbers are re-derived; README.md and docs/ for all.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the outcome as JUnit XML.")] = None,
) -> None:
    """Re-check what is stored: certificates, the ladder, closed forms, tables, promises, quoted numbers.

    Exit status 0: all agree. 1: some disagree, each on a line. 2: the input cannot be read.
    """
    from otbench.report.check.junit import summary, violations, write_junit
    from otbench.report.check.rules import check_results
    from otbench.report.quotes import check_quotes
    from otbench.results.folder import Stored
    from otbench.results.store import Results

    names = chosen(experiments, results)
    read = {name: Stored(Results(results / name)) for name in names}
    verdict = {name: check_results(stored) for name, stored in read.items()}
    texts = [readme] if readme else []
    if readme is None and experiments is None and results == RESULTS:
        texts = [text for text in TEXTS if text.is_file()]
    for text in texts:
        verdict[text.name] = {"quoted numbers": check_quotes(text, results, read)}
    if junit:
        write_junit(verdict, junit)
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(page, "a") as handle:
            handle.write(summary(verdict))
    for name, rules in verdict.items():
        bad = sum(map(len, rules.values()))
        print(f"{name}: {len(rules)} rules, {many(bad, 'violation')}")
        for violation in [v for found in rules.values() for v in found]:
            print(f"  {violation}")
    raise typer.Exit(1 if violations(verdict) else 0)


app.command()(figures)
app.command()(quotes)
app.command()(advise)
app.command("list")(list_)
app.command()(merge)
app.command()(compare)


def _run_plan(declared: "Experiment", folder: Path, workers: int, device: str, dry_run: bool) -> None:
    """The run command for an experiment whose plan is no matrix of cells."""
    from otbench.cli.progress import progress
    from otbench.experiment.run.study_runner import run_plan
    from otbench.report.markdown import write_tables
    from otbench.results.store import Results

    assert declared.plan is not None
    if dry_run:
        jobs, each = len(declared.plan.records(device)), " a machine" if declared.plan.timed else ""
        print(f"{declared.name}: {jobs} measurements{each}; they go to {folder}")
        return
    try:
        with progress(declared.name) as on_progress:
            count = run_plan(declared, folder, workers=workers, device=device, on_progress=on_progress)
    except KeyboardInterrupt:
        print("otbench: stopped; what was done is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"{declared.name}: {many(count, 'measurement')} made; {write_tables(Results(folder), 'csv')} tables changed")


def _place(engine: str, workers: int | None, gpus: int, device: str, timeout: float | None) -> "Place":
    """Where to run, from the options of a run that fit together."""
    from otbench.experiment.run.clusters import check_engine
    from otbench.experiment.run.runner import Place, default_workers

    check_engine(engine)
    if engine != "local" and (workers or gpus):
        raise InputError(f"--workers and --gpus are for --engine local; {engine} has the workers it has")
    if gpus and device not in {"cpu", "cuda"}:
        raise InputError(f"--gpus gives every process its own device; leave --device {device} out")
    count = gpus or workers or (default_workers() if device == "cpu" and engine == "local" else 1)
    return Place(engine, count, gpus, "cuda" if gpus else device, timeout)


def _again(experiment: str, results: Path, pairs: Path | None) -> str:
    """The command of a run, to which options can be added."""
    where = [] if results == RESULTS else ["--results", str(results)]
    data = [] if pairs is None else ["--pairs", str(pairs)]
    return shlex.join(["otbench", "run", experiment, *where, *data])
