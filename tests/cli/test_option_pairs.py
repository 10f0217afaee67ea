"""Every pair of options of every command: both are honoured, or the command is refused in one line."""

import itertools
import json
import re
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from command_line import Done, Otbench, assert_one_line
from small import lines, write_block, write_lines

from otbench.cli.run import app
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.runner import run_experiment
from otbench.report.markdown import write_tables
from otbench.results.store import Results

#: What an option is called with, and how one sees that it was honoured.
Told = tuple[list[str], Callable[[Done], bool]]


def says(text: str) -> Callable[[Done], bool]:
    return lambda done: text in done.out


def is_json(done: Done) -> bool:
    return bool(json.loads(done.out))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished experiment, of which one cell failed, and one that takes pairs from a file."""
    folder = tmp_path_factory.mktemp("pairs")
    methods = '[{ name = "zero" }, { name = "linear" }]'
    write_block(folder, method=methods, sampling="{ n = 8 }")
    write_block(folder, problem='{ name = "funnels", origin = "file" }', sampling="{ n = 8 }", name="funnel")
    for results in ("results", "other"):
        run_experiment(load_experiment(str(folder / "tiny.toml")), folder / results / "tiny")
        file = folder / results / "tiny" / "rows.jsonl"
        rows = lines(file)
        write_lines(file, [rows[0], rows[1] | {"status": "failed", "reason": "why"}])
        write_tables(Results(folder / results / "tiny"), "csv")
    np.savez(folder / "pairs.npz", centers_2_2=np.array([[-1.0, 0.0], [1.0, 0.5]]), bias_2_2=np.zeros(2))
    (folder / "scores.csv").write_text("dim,funnels,method,cos,l2,cost\n2,2,wgan,0.5,0.9,0.1\n")
    (folder / "mine.py").write_text(
        "from typing import Literal\nfrom otbench.methods.baselines import Zero\n"
        'class Mine(Zero):\n    """Nothing."""\n    name: Literal["mine"] = "mine"\n'
    )
    (folder / "text.md").write_text("Nothing is quoted.\n")
    for name in "xy":
        np.save(folder / f"{name}.npy", np.random.default_rng(ord(name)).normal(size=(9, 16)) * ord(name))
    for k, name in enumerate("pq"):  # whole numbers, of which some come twice
        np.save(folder / f"{name}.npy", k + np.random.default_rng(k).integers(0, 9, (60, 3)))
        np.save(folder / f"{name}_weights.npy", np.arange(1, 61) / 1830)
    return folder


@pytest.fixture
def here(place: Path, otbench: Otbench, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    monkeypatch.setattr(webbrowser, "_tryorder", ["true"])  # a browser that shows nothing, and says that it did
    monkeypatch.setattr(webbrowser, "_browsers", {"true": [None, webbrowser.GenericBrowser("true")]})
    return place


def keys() -> list[str]:
    return [row["key"][:12] for row in lines(Path("results/tiny/rows.jsonl"))]


def a_gpu(done: Done) -> bool:
    """The GPUs asked for, or that there are none."""
    return "with 2 GPUs" in done.out if torch.cuda.is_available() else "device 'cuda' cannot be used" in done.err


def run_options() -> dict[str, Told]:
    """The options of run, each seen in what a dry run says would be done."""
    done, failed = keys()
    return {
        "--results": (["other"], says("other/")),
        "--workers": (["3"], says("3 workers")),
        "--device": (["cpu"], says(" on cpu")),
        "--engine": (["inline"], says("with this process")),
        "--gpus": (["2"], a_gpu),
        "--timeout": (["7"], says("7 s per cell at most")),
        "--only": ([done], says(f"  {done} shared_mass dim 2, zero, seed 0\n")),
        "--retry-failed": ([], says(f"  {failed} shared_mass dim 2, linear, seed 0\n")),
        "--fresh": ([], says("are set aside first")),
        "--pairs": (["pairs.npz"], says("funnel: 1 cells")),
        "--scores": (["scores.csv"], says("the published scores in scores.csv are kept")),
        "--plugin": (["mine.py"], says(" cells, ")),
    }


#: Pairs of run's options that are refused, and what is said.
CLASHES = {
    ("--workers", "--engine"): "--workers and --gpus are for --engine local",
    ("--workers", "--gpus"): "there is one process per GPU; leave --workers out",
    ("--device", "--gpus"): "--gpus gives every process its own device; leave --device cpu out",
    ("--engine", "--gpus"): "--workers and --gpus are for --engine local",
    ("--only", "--retry-failed"): "--only with --retry-failed: --only runs its cell whatever became of it",
    ("--retry-failed", "--fresh"): "--fresh with --retry-failed: --fresh runs every cell, failed or not",
}

RUN = ("--results", "--workers", "--device", "--engine", "--gpus", "--timeout", "--only", "--retry-failed", "--fresh",
       "--pairs", "--scores", "--plugin")  # fmt: skip


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(RUN, 2)))
def test_a_pair_of_options_of_run(one: str, other: str, otbench: Otbench, here: Path) -> None:
    known = run_options()
    takes_pairs = bool({"--pairs", "--scores"} & {one, other})
    data = ["--pairs", "pairs.npz"] if "--scores" in (one, other) and "--pairs" not in (one, other) else []
    arguments = [*(word for name in (one, other) for word in (name, *known[name][0])), *data, "--dry-run"]
    before = sorted(here.rglob("*"))
    done = otbench("run", "funnel.toml" if takes_pairs else "tiny.toml", *arguments)
    assert sorted(here.rglob("*")) == before
    if (one, other) in CLASHES:
        assert_one_line(done, CLASHES[one, other])
    elif takes_pairs and "--only" in (one, other):  # the key is of another experiment's cell
        assert_one_line(done, "0 of the 1 cells have a key that starts so")
    elif "--gpus" in (one, other):
        assert a_gpu(done)
    elif (one, other) == ("--only", "--fresh"):  # that cell alone is made anew
        assert "tiny: 2 cells, 1 done, 1 to do\n" in done.out
        assert known[one][1](done)
        assert "set aside" not in done.out
    else:
        assert done.code == 0, done.err
        for name in (one, other):
            if takes_pairs and name in ("--retry-failed", "--fresh"):  # of which nothing was run
                assert "funnel: 1 cells, 0 done, 1 to do\n" in done.out
            else:
                assert known[name][1](done), f"{name} is ignored: {done.out}"


@pytest.mark.parametrize(("options", "said"), [
    (["--scores", "scores.csv"], "--scores are those of --pairs; give both"),
    (["--pairs", "pairs.npz"], "no problem here takes its pairs from a file; leave --pairs out"),
    (["--engine", "tcp://127.0.0.1:1", "--workers", "2"], "tcp://127.0.0.1:1 has the workers it has"),
    (["--engine", "tcp://127.0.0.1:1", "--gpus", "2"], "tcp://127.0.0.1:1 has the workers it has"),
    (["--gpus", "1", "--device", "cuda:1"], "leave --device cuda:1 out"),
])  # fmt: skip
def test_an_option_that_would_be_ignored_is_refused(
    options: list[str], said: str, otbench: Otbench, here: Path
) -> None:
    assert_one_line(otbench("run", "tiny.toml", *options), said)


@pytest.mark.parametrize("option", [name for name in RUN if name not in ("--results", "--workers", "--device")])
@pytest.mark.parametrize("table", ["timing", "generator", "growth", "convergence"])
def test_an_experiment_without_cells_refuses_what_is_of_cells(
    table: str, option: str, otbench: Otbench, here: Path
) -> None:
    data = ["--pairs", "pairs.npz"] if option == "--scores" else []
    done = otbench("run", table, option, *run_options()[option][0], *data)
    if data or option == "--pairs":
        assert_one_line(done, "no problem here takes its pairs from a file")
    else:
        assert_one_line(done, f"{table} has no cells, so {option} would be ignored; ")


def test_a_timing_experiment_takes_no_workers_and_a_generator_s_does(otbench: Otbench, here: Path) -> None:
    assert_one_line(otbench("run", "timing", "--workers", "2", "--dry-run"), "one at a time, here; leave --workers out")
    done = otbench("run", "generator", "--workers", "3", "--dry-run", "--results", "other")
    assert (done.code, "with 3 workers on cpu; they go to other/generator\n" in done.out) == (0, True)


#: The options of the other commands, after the arguments they are called with.
OTHERS: dict[str, tuple[list[str], dict[str, Told]]] = {
    "tables": (["tiny"], {
        "--results": (["other"], says("tiny: ")),
        "--verify": ([], says("tiny: tables are what the rows give")),
        "--format": (["latex"], lambda _: bool(list(Path().glob("*/tiny/tables/clip.tex")))),
    }),
    "show": (["tiny"], {
        "--results": (["other"], says("zero")),
        "--format": (["csv"], says("experiment,problem.dim,")),
        "--columns": (["nearest"], lambda done: "nearest" in done.out and "slope" not in done.out),
        "--table": (["matrix"], says("sampling.mode")),
        "--json": ([], is_json),
    }),
    "check": (["tiny"], {
        "--results": (["other"], says("tiny")),
        "--readme": (["text.md"], says("text.md")),
        "--junit": (["junit.xml"], lambda _: Path("junit.xml").is_file()),
        "--plugin": (["mine.py"], says("tiny")),
        "--json": ([], is_json),
    }),
    "advise": (["--dim", "16", "--widths", "64,64"], {
        "--lr": (["3e-7"], bool),
        "--lr-unit": (["clip"], bool),
        "--steps": (["300"], bool),
        "--critic": (["{ optimiser = \"adam\" }"], bool),
        "--data": (["x.npy", "y.npy"], bool),
        "--json": ([], is_json),
    }),
    "estimate": (["p.npy", "q.npy", "--discrete"], {
        "--a": (["p_weights.npy"], bool),
        "--b": (["q_weights.npy"], bool),
        "--method": (["linear"], bool),
        "--level": (["0.5"], bool),
        "--seed": (["7"], bool),
        "--json": ([], is_json),
    }),
    "compare": (["results/tiny", "other/tiny"], {"--json": ([], is_json)}),
    "figures": (["tiny"], {"--results": (["other"], bool)}),
    "list": ([], {"--plugin": (["mine.py"], says("mine")), "--json": ([], is_json)}),
    "report": (["tiny"], {
        "--output": (["page.html"], lambda _: Path("page.html").is_file()),
        "--results": (["other"], says("tiny: ")),
        "--open": ([], says("with or without a network")),
    }),
    "clean": (["--dry-run"], {"--results": (["other"], bool), "--aside": ([], bool)}),
    "merge": (["results/tiny", "other/tiny", "-o", "both"], {}),
    "quotes": (["text.md"], {"--results": (["other"], bool)}),
}  # fmt: skip

REFUSED = {
    ("tables", "--verify", "--format"): "--verify compares CSV files; leave --format latex out",
    ("show", "--format", "--json"): "--json and --format csv ask for two formats; leave one of them out",
}

#: Commands that compute an answer, which every option changes.
ANSWERS = ("advise", "estimate")

PAIRS = [(c, *pair) for c, (_, options) in OTHERS.items() for pair in itertools.combinations(options, 2)]


@pytest.mark.parametrize(("command", "one", "other"), [pair for pair in PAIRS if pair[0] not in ANSWERS])
def test_a_pair_of_options_of_a_command_that_reads(
    command: str, one: str, other: str, otbench: Otbench, here: Path
) -> None:
    arguments, known = OTHERS[command]
    options = [word for name in (one, other) for word in (name, *known[name][0])]
    done = otbench(command, *arguments, *options)
    if (command, one, other) in REFUSED:
        assert_one_line(done, REFUSED[command, one, other])
        return
    assert done.code == (1 if command == "check" else 0), done.err
    assert known[one][1](done)
    assert known[other][1](done)
    for file in (here / "junit.xml", *here.glob("*.html"), *here.glob("*/tiny/tables/*.tex")):
        file.unlink(missing_ok=True)


@pytest.mark.parametrize(("command", "one", "other"), [pair for pair in PAIRS if pair[0] in ANSWERS])
def test_a_pair_of_options_of_a_command_that_answers(
    command: str, one: str, other: str, otbench: Otbench, here: Path
) -> None:
    """The answer differs from that with either option alone, in more than the time it took."""
    arguments, known = OTHERS[command]

    def answered(*names: str) -> str:
        options = [word for name in names for word in (name, *known[name][0])]
        fast = [] if command == "advise" or "--method" in names else ["--method", "potential"]
        done = otbench(command, *arguments, *options, *fast)
        assert done.code == 0, done.err
        return re.sub(r"[\d.]+ s$|.*seconds.*", "", done.out, flags=re.M)

    both = answered(one, other)
    assert both not in (answered(one), answered(other), answered())
    assert other != "--json" or json.loads(both) != json.loads(answered("--json"))


def options_of(command: str) -> Iterator[str]:
    """The options a command has, as it says itself."""
    for parameter in typer.main.get_command(app).commands[command].params:  # type: ignore[attr-defined]
        if parameter.param_type_name == "option" and parameter.name != "help":
            yield max(parameter.opts, key=len)


def test_no_option_of_any_command_is_forgotten_here() -> None:
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert commands == {"run", *OTHERS}
    assert set(options_of("run")) == {*RUN, "--dry-run"}
    for command, (arguments, known) in OTHERS.items():
        given = {word.replace("-o", "--output") if word == "-o" else word for word in arguments if word[0] == "-"}
        assert set(options_of(command)) == {*known, *given}, command
