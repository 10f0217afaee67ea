"""The command line on bad input: exit status 2 and one line, never a traceback."""

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Done, Otbench, assert_one_line, run_alone
from small import BLOCK, declare

from otbench.results.store import Results

ZERO = '{ name = "zero" }'


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"problem": '{ name = "shard_mass", dim = 2 }'}, "unknown problem 'shard_mass': did you mean 'shared_mass'?"),
        ({"problem": '{ name = "spheres", dmi = 2 }'}, "'dmi': did you mean 'dim'?"),
        ({"method": '{ name = "weight_clp" }'}, "unknown method 'weight_clp': did you mean 'weight_clip'?"),
        ({"method": '{ name = "weight_clip", clpi = 0.1 }'}, "'clpi': did you mean 'clip'?"),
        ({"problem": '{ name = "spheres", dim = "2" }'}, "dim: input should be a valid integer; got '2'"),
        ({"seeds": '["a"]'}, "seeds.0: input should be a valid integer; got 'a'"),
        ({"problem": '{ name = "digits" }', "sampling": "{ n = 5000 }"}, "between 1 and the 178 rows there are"),
        ({"sampling": "{ n = 10000000 }"}, "use smaller samples"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_file_that_is_wrong_is_one_line(
    tables: dict[str, str], said: str, dry: tuple[str, ...], otbench: Otbench
) -> None:
    good = {"problem": '{ name = "spheres", dim = 2 }', "sampling": "{ n = 8 }", "method": ZERO, "seeds": "[0]"}
    Path("bad.toml").write_text(BLOCK.format(**good | tables))
    assert_one_line(otbench("run", "bad.toml", *dry), said)
    assert not list(Path().glob("results/*/rows.jsonl"))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run nowhere", "unknown experiment 'nowhere': known: "),
        ("run quik", "unknown experiment 'quik': did you mean 'quick'?"),
        ("run nowhere.toml", "no such experiment file: nowhere.toml"),
        ("show nowhere", "unknown results 'nowhere': known: none; `otbench run nowhere` makes them"),
        ("check nowhere", "unknown results 'nowhere'"),
        ("tables nowhere", "unknown results 'nowhere'"),
        ("check", "no results in results: `otbench run` makes some, --results names another folder"),
        ("show", "no results in results"),
        ("tables --results there", "no results in there"),
        ("quotes NOTHING.md", "NOTHING.md cannot be read: No such file or directory"),
    ],
)
def test_what_is_not_there_is_one_line(command: str, said: str, otbench: Otbench) -> None:
    assert_one_line(otbench(*command.split()), said)


@pytest.mark.parametrize("device", ["cuda", "cuda:99", "gpu"])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_device_that_is_not_there_is_one_line(device: str, dry: tuple[str, ...], otbench: Otbench) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    declare(Path(), method='{ name = "weight_clip", steps = 4 }')
    assert_one_line(otbench("run", "tiny.toml", "--device", device, *dry), f"device {device!r} cannot be used: ")


@pytest.mark.parametrize("text", ["nan,1\n2,3\n", "inf,1\n", "a,b\nc,d\n", "", "1,2\n3\n"])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_file_of_bad_points_is_one_line_with_its_name(text: str, dry: tuple[str, ...], otbench: Otbench) -> None:
    Path("x.csv").write_text(text)
    np.save("y.npy", np.ones((2, 2)))
    problem = f'{{ name = "arrays", x = "x.csv", y = "y.npy" }}\nsampling = {{}}\nmethod = {ZERO}'
    Path("bad.toml").write_text(f'question = "?"\n[[block]]\nseeds = [0]\nproblem = {problem}\n')
    assert_one_line(otbench("run", "bad.toml", *dry), "x.csv")


@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_a_number_of_workers_that_cannot_be_is_a_usage_error(workers: str, otbench: Otbench) -> None:
    done = otbench("run", "quick", "--workers", workers)
    assert done.code == 2
    assert "--workers" in done.err


def test_results_in_use_are_one_line(otbench: Otbench) -> None:
    declare(Path())
    with Results("results/tiny").locked():
        assert_one_line(otbench("run", "tiny.toml"), "results folder results/tiny is in use by another run; wait")


def test_a_results_path_that_is_a_file_is_one_line(otbench: Otbench) -> None:
    declare(Path())
    Path("file").write_text("")
    assert_one_line(otbench("run", "tiny.toml", "--results", "file"), "cannot write to file/tiny: ")


@pytest.mark.parametrize("command", ["check", "show", "tables", "tables --verify", "run"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"schema":3', '"schema":1', "has schema 1, this otbench reads 3"),
        ('{"c_transform"', '{c_transform"', "line 1, is not a row"),
        ('"seed":0', '"seed":"zero"', "seed: input should be a valid integer"),
        ('"gap":', '"gap":NaN,"_":', "gap: input should be a finite number; got nan"),
    ],
)
def test_damaged_rows_are_one_line_to_every_command(
    command: str, old: str, new: str, said: str, otbench: Otbench, copy: Results, small_results: Path
) -> None:
    text = copy.rows_file.read_text()
    assert old in text.splitlines()[0]
    copy.rows_file.write_text(text.replace(old, new, 1))
    word, *options = command.split()
    target = small_results.parent.parent / "small.toml" if word == "run" else "small"
    assert_one_line(otbench(word, target, *options, "--results", copy.folder.parent), said)


@pytest.mark.parametrize("command", ["check", "show", "tables"])
def test_rows_of_which_only_a_torn_line_is_left_are_one_line(command: str, otbench: Otbench, copy: Results) -> None:
    copy.rows_file.write_text('{"schema":3,')
    assert_one_line(otbench(command, "small", "--results", copy.folder.parent), "no rows in ")


def test_a_mistake_in_a_process_of_its_own_is_one_line_too(tmp_path: Path) -> None:
    done = run_alone("run", "nowhere", cwd=tmp_path)
    assert_one_line(Done(done.returncode, done.stdout, done.stderr), "unknown experiment 'nowhere'")
