"""Experiment files that are refused: one line that names the file, the rule, and the nearest name."""

from pathlib import Path

import pytest
from small import BLOCK

from otbench.errors import InputError, UnknownNameError
from otbench.experiment.declaration import load_experiment

GOOD = {
    "problem": '{ name = "shared_mass", dim = 2 }',
    "sampling": "{ n = 16 }",
    "method": '{ name = "weight_clip" }',
    "seeds": "[0]",
}

#: What one table is replaced by, and what the error says.
TABLES = [
    ("problem", '{ name = "shared_mas", dim = 2 }', "unknown problem 'shared_mas': did you mean 'shared_mass'"),
    ("problem", '{ name = "qqqqqqq", dim = 2 }', "unknown problem 'qqqqqqq': known: arrays, balls, "),
    ("problem", "{ name = 3 }", "unknown problem 3"),
    ("problem", "{ dim = 2 }", "a problem table needs a name; known: arrays, balls"),
    ("problem", '{ name = "shared_mass", dims = 2 }', "unknown field of problem .*'dims': did you mean 'dim'"),
    ("problem", '{ name = "shared_mass", dim = 2.5 }', "dim: input should be a valid integer; got 2.5"),
    ("problem", '{ name = "shared_mass", dim = "2" }', "dim: input should be a valid integer; got '2'"),
    ("problem", '{ name = "shared_mass", dim = true }', "dim: input should be a valid integer; got True"),
    ("problem", '{ name = "shared_mass", dim = 0 }', "dim: input should be greater than or equal to 1; got 0"),
    ("problem", '{ name = "shared_mass" }', "dim: field required"),
    ("problem", '{ name = "shared_mass", dim = [] }', "problem field 'dim' is an empty list"),
    ("problem", '{ name = "shared_mass", dim = [[2]] }', "dim: input should be a valid integer"),
    ("problem", '{ name = ["shared_mass"], dim = 2 }', r"unknown problem \['shared_mass'\]"),
    ("problem", '{ name = "shared_mass", dim = 2, overlap = 1.5 }', "overlap: .*less than or equal to 1; got 1.5"),
    ("problem", '{ name = "shared_mass", dim = 2, overlap = nan }', "overlap: .*got nan"),
    ("problem", '{ name = "shared_mass", dim = 2, w1 = inf }', "w1: .*finite.*got inf"),
    ("problem", '{ name = "spheres", dim = 2, inner = 3.0 }', "inner must be below outer; got 3 and 2"),
    ("problem", '{ name = "digits", comparison = "class" }', "comparison: .*'classes'.*got 'class'"),
    ("problem", '{ name = "digits", other = 0 }', "two classes must differ; got 0 twice"),
    ("problem", '{ name = "arrays", x = "x.npy", y = "y.npy" }', "no such file: .*x.npy"),
    ("problem", '{ name = "arrays", x = "x.txt", y = "y.npy" }', ".parquet files; got x.txt"),
    ("problem", '{ name = "arrays", x = 3, y = "y.npy" }', "no such file: .*y.npy"),
    ("problem", '"shared_mass"', "problem.*: input should be a valid dictionary"),
    ("problem", "[]", "problem"),
    ("method", "[]", "method"),
    ("sampling", "[]", "sampling"),
    ("sampling", "{ k = 3 }", "unknown field of sampling 'k'"),
    ("sampling", "{ n = 0 }", "n: input should be greater than or equal to 1; got 0"),
    ("sampling", "{ n = [] }", "field 'n' is an empty list; give at least one value"),
    ("sampling", '{ mode = "couple" }', "mode: .*'coupled', 'independent' or 'population'; got 'couple'"),
    ("sampling", "3", "sampling.*valid"),
    ("method", '{ name = "weight_clp" }', "unknown method 'weight_clp': did you mean 'weight_clip'"),
    ("method", "{ clip = 1.0 }", "a method table needs a name; known: c_transform, consistency"),
    ("method", '{ name = "weight_clip", clp = 1.0 }', "method 'weight_clip' 'clp': did you mean 'clip'"),
    ("method", '{ name = "zero", clip = 1.0 }', "unknown field of method 'zero' 'clip'"),
    ("method", '{ name = "weight_clip", clip = 0.0 }', "clip: input should be greater than 0; got 0.0"),
    ("method", '{ name = "weight_clip", clip = "0.1" }', "clip: input should be a valid number; got '0.1'"),
    ("method", '{ name = "weight_clip", clip = [] }', "method field 'clip' is an empty list; give at least one value"),
    ("method", '{ name = "weight_clip", widths = [8, 0] }', r"widths must be at least 1; got \[8, 0\]"),
    ("method", '{ name = "weight_clip", widths = ["8"] }', "widths.*valid integer; got '8'"),
    ("method", '{ name = "weight_clip", widths = [8, 8], depth = 3 }', r"depth 3 does not fit widths \[8, 8\]"),
    ("method", '{ name = "weight_clip", betas = [0.9, 1.0] }', r"betas must lie in \[0, 1\); got \[0.9, 1.0\]"),
    ("method", '{ name = "weight_clip", betas = [0.9] }', "betas"),
    ("method", '{ name = "weight_clip", batch = "all" }', "batch.*"),
    ("method", '{ name = "weight_clip", batch = 0 }', "batch must be at least 1"),
    ("method", '{ name = "weight_clip", optimiser = "sdg" }', "optimiser: .*'sgd'.*got 'sdg'"),
    ("method", '{ name = "weight_clip", steps = -1 }', "steps: input should be greater than or equal to 0; got -1"),
    ("seeds", "[]", "seeds: list should have at least 1 item"),
    ("seeds", "0", "seeds: input should be a valid list; got 0"),
    ("seeds", "[0.5]", "seeds.0: input should be a valid integer; got 0.5"),
    ("seeds", "[true]", "seeds.0: input should be a valid integer; got True"),
]

PROMISE = '\n[[agree]]\nratio = "slope_over_w1"\nat_least = 0.9\nwhere = { seed = 0 }\n'

#: Whole files by what they say, given a good one.
FILES = [
    ("blok = 3\n{good}", "unknown field of experiment file 'blok': did you mean 'block'"),
    ("{good}\nseed = [3]", "unknown field of block 'seed': did you mean 'seeds'"),
    ('question = "?"', "give either .* \\[generator\\], .* table"),
    ("block = 3\n" + 'question = "?"', "block: input should be a valid list; got 3"),
    ("block = []\n" + 'question = "?"', "give either .* \\[generator\\], .* table"),
    ("[[block]]\nseeds = [0]", "field required"),
    ('question = "?"\n[[block]]\nseeds = [0]', "problem: field required"),
    ("", "question: field required|give either \\[\\[block\\]\\] tables or one \\[timing\\], "),
    ("question = 3\n[[block]]", "question"),
    ("question = ", "is not TOML: "),
    ('question = "?"\nquestion = "?"', "is not TOML"),
    ("{good}" + PROMISE.replace("ratio", "ration"), "unknown field of agree table 'ration': did you mean 'ratio'"),
    ("{good}" + PROMISE.replace("0.9", "1.5"), "at_least: input should be less than or equal to 1; got 1.5"),
    ("{good}" + PROMISE.replace("0.9", '"0.9"'), "at_least: input should be a valid number; got '0.9'"),
    ("{good}" + PROMISE.replace("{ seed = 0 }", "3"), "where: input should be a valid dictionary; got 3"),
    ("{good}" + PROMISE.replace("{ seed = 0 }", "{ seed = [0] }"), "where"),
    ("{good}" + PROMISE.replace("where = { seed = 0 }", ""), "where: field required"),
]


def assert_refused(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        load_experiment(str(file))
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(str(file))


@pytest.mark.parametrize(("table", "value", "said"), TABLES)
def test_a_table_that_is_not_understood_is_one_line_with_the_file_and_the_rule(
    table: str, value: str, said: str, tmp_path: Path
) -> None:
    assert_refused(tmp_path / "bad.toml", BLOCK.format(**GOOD | {table: value}), said)


@pytest.mark.parametrize(("form", "said"), FILES)
def test_a_file_that_is_not_understood_is_one_line_with_the_file_and_the_rule(
    form: str, said: str, tmp_path: Path
) -> None:
    assert_refused(tmp_path / "bad.toml", form.replace("{good}", BLOCK.format(**GOOD)), said)


def test_the_good_file_is_good(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(BLOCK.format(**GOOD) + PROMISE)
    assert len(load_experiment(str(tmp_path / "good.toml")).cells) == 1


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(b"question = '\xff\xfe'")
    with pytest.raises(InputError, match=f"{file} is not TOML") as refused:
        load_experiment(str(file))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["nowhere.toml", ".", "folder.toml"])
def test_what_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"no such experiment file: |unknown experiment '"):
        load_experiment(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "said"),
    [("quik", "did you mean 'quick'?"), ("zzzz", "known: "), ("quick.tml", "pass a path ending in .toml")],
)
def test_an_unknown_experiment_is_offered_the_nearest(name: str, said: str) -> None:
    with pytest.raises(UnknownNameError) as refused:
        load_experiment(name)
    assert str(refused.value).startswith(f"unknown experiment {name!r}: ")
    assert said in str(refused.value)


def test_arrays_that_are_no_numbers_are_refused_with_their_path(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n3,red\n")
    (tmp_path / "y.csv").write_text("1,2\n")
    problem = '{ name = "arrays", x = "x.csv", y = "y.csv" }'
    said = f"{tmp_path / 'x.csv'} is not a readable array of numbers: "
    assert_refused(tmp_path / "bad.toml", BLOCK.format(**GOOD | {"problem": problem}), said)
