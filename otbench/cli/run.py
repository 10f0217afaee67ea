"""The command line: run, and every other command brought together. Imports wait until a command needs them."""

import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otbench.cli.clean import clean
from otbench.cli.estimate import estimate
from otbench.cli.names import advise, list_
from otbench.cli.options import RESULTS, PluginOption, ResultsOption, complete_experiment, many
from otbench.cli.reading import check, draw_headline, show, tables, warn_of_missing
from otbench.cli.report import report
from otbench.cli.results import compare, figures, merge, quotes
from otbench.errors import InputError, OtbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otbench.experiment.cell import Cell
    from otbench.experiment.declaration import Experiment
    from otbench.experiment.run.runner import Place, Summary
    from otbench.results.store import Results

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=True)

ExperimentArgument = Annotated[
    str,
    typer.Argument(help="Name of an experiment, or path of a .toml file.", autocompletion=complete_experiment),
]

#: Failed cells a run lists; their rows have the rest.
FAILURES_SHOWN = 10

#: Cells that a dry run of chosen cells lists.
CELLS_SHOWN = 20

#: Lines of the headline after a run; ``otbench show`` prints all.
LINES_SHOWN = 40

#: Pairs of options of which one would be ignored, and what to do.
CLASHES = {
    ("--only", "--retry-failed"): "--only runs its cell whatever became of it; leave one of them out",
    ("--fresh", "--retry-failed"): "--fresh runs every cell, failed or not; leave one of them out",
    ("--workers", "--gpus"): "there is one process per GPU; leave --workers out",
}


def main() -> None:
    """Run the command line; every error a user can cause is one line on stderr and exit status 2."""
    try:
        app(prog_name="otbench")
    except OtbenchError as error:
        print(f"otbench: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a file we may not write, a full disk
        what = f"{error.strerror}: {error.filename}" if error.filename else str(error) or type(error).__name__
        print(f"otbench: {what}; what was written before is kept", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        plugins = sys.modules.get("otbench.experiment.plugin")
        if plugins is None or (told := plugins.blamed(error)) is None:
            raise
        print(f"otbench: {told}", file=sys.stderr)
        sys.exit(2)


def _print_version(asked: bool) -> None:
    if asked:
        import platform
        from importlib.metadata import version

        from otbench.results.schema import SCHEMA

        own, torch, pot = map(version, ("otbench", "torch", "POT"))
        print(f"otbench {own} (row schema {SCHEMA}), Python {platform.python_version()}, torch {torch}, POT {pot}")
        raise typer.Exit


@app.callback()
def _otbench(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True,
                     help="Print the versions of otbench, its rows, Python, torch and POT."),
    ] = False,
) -> None:  # fmt: skip
    """How far is a weight-clipped WGAN critic from the exact Wasserstein distance?"""


@app.command()
def run(
    experiment: ExperimentArgument = "quick",
    results: ResultsOption = RESULTS,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes at most; as many as there are cores when left out.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where critics train and exact solvers look for pairs: cpu, cuda, cuda:1.")
    ] = None,
    engine: Annotated[str, typer.Option(help="inline, local, tcp://HOST:PORT, or a cluster's FILE.toml.")] = "local",
    gpus: Annotated[
        int | None, typer.Option(min=1, help="One process per GPU, this many, of those the environment shows.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds a cell may take; each trains alone.")] = None,
    only: Annotated[
        str | None, typer.Option(metavar="KEY", help="Run the cell whose key starts so again, alone.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again too.")] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Set the results there are aside and start anew; with --only, that cell alone."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and how long; run nothing.")] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Funnel pairs for an experiment that takes them: an .npz file, or a clone of the benchmark."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="Published scores of the --pairs, a .csv file or folder; those beside them when left out."),
    ] = None,
    plugin: PluginOption = None,
) -> None:
    """Run what is missing of an experiment, write its tables, and show the headline.

    Exit status 0: all is there. 2: a mistake in what was asked, or a file that cannot be read or written.

    3: a cell failed or was refused. 130: interrupted; the same command goes on.
    """
    from otbench.experiment.declaration import load_experiment
    from otbench.experiment.known import plugin as read_plugin
    from otbench.experiment.run.rerun import chosen_cells, set_aside
    from otbench.experiment.run.runner import missing_cells, preflight
    from otbench.results.store import Results
    from otbench.results.tables.published_scores import read_scores, scores_beside

    given: dict[str, object] = {
        "--only": only, "--retry-failed": retry_failed, "--fresh": fresh, "--workers": workers, "--gpus": gpus,
        "--timeout": timeout, "--pairs": pairs, "--scores": scores, "--plugin": plugin,
        "--engine": None if engine == "local" else engine,
    }  # fmt: skip
    _refuse_clashes(given)
    plugins = [read_plugin(each) for each in plugin or []]
    declared, place = load_experiment(experiment, pairs, plugins), _place(engine, workers, gpus, device, timeout)
    folder = Results(results / declared.name)
    if declared.plan:
        _refuse_for_a_plan(declared, given)
        _run_plan(declared, folder, place, dry_run)
        return
    scores = scores or (scores_beside(pairs) if pairs else None)
    if scores:
        read_scores(scores)  # nothing is run for a table that could not be made
    anew = fresh and only is None
    cells = list(declared.cells) if anew else chosen_cells(declared, folder, only, retry_failed)
    todo = missing_cells(declared, folder) if cells is None else cells
    if dry_run:
        preflight(todo, place)
        _say_what_would_run(declared, folder, todo, place, anew)
        if cells is not None and not anew:
            _list_cells(cells)
        if scores:
            print(f"the published scores in {scores} are kept with them")
            _say_what_was_not_published(declared)
        return
    if anew:
        preflight(todo, place)  # nothing is set aside for a run that cannot begin
        if moved := set_aside(folder):
            print(f"the results there were are in {moved}", file=sys.stderr)
    command = _again(experiment, results, pairs, plugin or [])
    done = _run_cells(declared, folder, place, cells, command)
    _report(declared, folder, done, scores, command)


def _run_cells(
    declared: "Experiment", folder: "Results", place: "Place", cells: "list[Cell] | None", command: str
) -> "Summary":
    """Run the cells with progress shown."""
    from otbench.experiment.run import runner

    with _watched(declared.name) as on_progress:
        return runner.run_experiment(
            declared, folder.folder, place, cells=cells, command=command, on_progress=on_progress
        )


@contextmanager
def _watched(name: str) -> "Iterator[Callable[[int, int, int], None]]":
    """Progress shown while a run goes on; an interrupted one ends in one line and exit status 130."""
    from otbench.cli.progress import progress

    try:
        with progress(name) as on_progress:
            yield on_progress
    except KeyboardInterrupt:
        print("otbench: stopped; what was done is kept, the same command goes on from there", file=sys.stderr)
        raise typer.Exit(130) from None


def _report(declared: "Experiment", folder: "Results", done: "Summary", scores: Path | None, command: str) -> None:
    """What a run came to: its tables written, its headline, its failures, and its exit status."""
    from otbench.report.markdown import write_tables
    from otbench.results.folder import Stored
    from otbench.results.tables.published_scores import keep_scores

    if done.torn:
        print("a torn last line of an interrupted run was dropped; its cell was run again", file=sys.stderr)
    if done.stale:
        print(f"{done.stale} rows of cells no longer declared were set aside in stale.jsonl", file=sys.stderr)
    if scores:
        keep_scores(folder.folder, scores)
        _say_what_was_not_published(declared)
    stored = Stored(folder)
    changed = write_tables(stored, "csv")
    print(f"{declared.name}: {done.now} cells run, {done.before} were done; {changed} tables changed")
    for bad, what in ((done.diverged, "diverged"), (done.refused, "refused")):
        if bad:
            print(f"{many(bad, 'cell')} {what}: see the status and reason columns")
    draw_headline(stored, [], LINES_SHOWN)
    warn_of_missing(stored)
    for reason in done.failed[:FAILURES_SHOWN]:
        print(f"failed: {reason}", file=sys.stderr)
    if done.failed:
        print(f"{many(len(done.failed), 'cell')} failed; all again: {command} --retry-failed", file=sys.stderr)
    if done.refused or done.failed:  # rows without a number; divergence is a result
        raise typer.Exit(3)


def _say_what_would_run(
    declared: "Experiment", folder: "Results", todo: "list[Cell]", place: "Place", anew: bool
) -> None:
    """How many cells a run would do, how many it would leave as they are, how long it would take, and where."""
    from otbench.experiment.run.estimate import expected_seconds, in_words

    asked = {cell.key for cell in todo}
    there = set() if anew else folder.known_keys()
    done = sum(cell.key in there and cell.key not in asked for cell in declared.cells)
    print(f"{declared.name}: {len(declared.cells)} cells, {done} done, {len(todo)} to do")
    workers = many(place.workers, "GPU" if place.gpus else "worker") if place.engine != "inline" else "this process"
    long = "0 s"
    if not place.here:
        workers, long = f"the workers of {place.engine}", "a time that depends on them"
    elif todo:
        long = in_words(expected_seconds(todo, place.workers, place.device))
    limit = "" if place.limit is None else f", {place.limit:g} s per cell at most"
    print(f"expected {long} with {workers} on {place.device}{limit}; rows go to {folder.folder}")
    if anew and folder.folder.is_dir():
        print(f"the results there are in {folder.folder} are set aside first")


def _say_what_was_not_published(declared: "Experiment") -> None:
    """A line where some pairs are not those whose scores were published, whatever their dimension and funnels are."""
    import pandas as pd

    from otbench.results.tables.published_pairs import is_published

    taken = {cell.problem for cell in declared.cells if getattr(cell.problem, "origin", "") == "file"}
    known = is_published(pd.DataFrame([problem.columns("problem") for problem in taken]))
    if others := int((~known).sum()):
        print(f"pairs other than the published ones, which have no scores beside them: {others} of {len(known)}")


def _list_cells(cells: "list[Cell]") -> None:
    """The first of some cells by the start of their keys, in words."""
    for cell in cells[:CELLS_SHOWN]:
        print(f"  {cell.key[:12]} {cell.problem.name} dim {cell.problem.dim}, {cell.method.name}, seed {cell.seed}")
    if len(cells) > CELLS_SHOWN:
        print(f"  ... and {many(len(cells) - CELLS_SHOWN, 'cell')} more")


def _run_plan(declared: "Experiment", folder: "Results", place: "Place", dry_run: bool) -> None:
    """The run command for an experiment whose plan is no matrix of cells."""
    from otbench.experiment.run.study_runner import missing_jobs, run_plan
    from otbench.report.markdown import write_tables

    if dry_run:
        todo, jobs = missing_jobs(declared, folder, place.device)
        on = f"{many(place.workers, 'worker')} on {place.device}"
        print(f"{declared.name}: {many(jobs, 'measurement')}, {jobs - todo} done, {todo} to do")
        print(f"with {on}; they go to {folder.folder}")
        return
    with _watched(declared.name) as on_progress:
        count = run_plan(declared, folder.folder, workers=place.workers, device=place.device, on_progress=on_progress)
    print(f"{declared.name}: {many(count, 'measurement')} made; {write_tables(folder, 'csv')} tables changed")


def _refuse_clashes(given: dict[str, object]) -> None:
    """InputError for options of which one would be ignored."""
    for (one, other), why in CLASHES.items():
        if given[one] not in (None, False) and given[other] not in (None, False):
            raise InputError(f"{one} with {other}: {why}")
    if given["--scores"] and not given["--pairs"]:
        raise InputError("--scores are those of --pairs; give both")


def _refuse_for_a_plan(declared: "Experiment", given: dict[str, object]) -> None:
    """InputError for options that mean nothing where there are no cells."""
    assert declared.plan is not None
    ignored = [name for name, value in given.items() if name != "--workers" and value not in (None, False)]
    if ignored:
        raise InputError(
            f"{declared.name} has no cells, so {', '.join(ignored)} would be ignored; an experiment without cells "
            "takes --workers, --device, --results and --dry-run alone"
        )
    if declared.plan.timed and given["--workers"] is not None:
        raise InputError(f"{declared.name} makes its measurements one at a time, here; leave --workers out")


def _place(engine: str, workers: int | None, gpus: int | None, device: str | None, timeout: float | None) -> "Place":
    """Where to run, from the options of a run that fit together."""
    from otbench.experiment.run.clusters import check_engine
    from otbench.experiment.run.runner import Place, default_workers

    check_engine(engine)
    if engine != "local" and (workers or gpus):
        raise InputError(f"--workers and --gpus are for --engine local; {engine} has the workers it has")
    if gpus and device not in {None, "cuda"}:
        raise InputError(f"--gpus gives every process its own device; leave --device {device} out")
    count = gpus or workers or (default_workers() if device in {None, "cpu"} and engine == "local" else 1)
    return Place(engine, count, gpus or 0, "cuda" if gpus else device or "cpu", timeout)


def _again(experiment: str, results: Path, pairs: Path | None, plugins: list[str]) -> str:
    """The command of a run, to which options can be added."""
    where = [] if results == RESULTS else ["--results", str(results)]
    data = [] if pairs is None else ["--pairs", str(pairs)]
    own = [word for each in plugins for word in ("--plugin", each)]
    return shlex.join(["otbench", "run", experiment, *where, *data, *own])


for command in (tables, show, report, check, figures, quotes, estimate, advise, clean):
    app.command()(command)
app.command("list")(list_)
app.command()(merge)
app.command()(compare)
