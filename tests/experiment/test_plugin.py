"""Plugins: named on purpose, part of the keys, sent to workers, and refused in one line."""

import contextlib
import io
import json
import pickle
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Otbench, assert_one_line
from small import lines, python, write_block

import otbench as package
from otbench.errors import InputError
from otbench.experiment.declaration import load_experiment
from otbench.experiment.known import identified, known, plugin
from otbench.methods import METHODS
from otbench.problems import PROBLEMS
from otbench.results.store import Results, is_cell_column
from otbench.results.tables.cells import WITHOUT_LAW

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "plugins.md").read_text()
SOURCE, PYTHON = re.findall(r"```python\n(.*?)```", DOCUMENT, re.S)
EXPERIMENT, PROJECT = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.S)

#: What a class of a plugin is without what it computes.
METHOD = """
from typing import Literal
from otbench.methods.base import Method
class {cls}(Method):
    name: Literal["{name}"] = "{name}"
    @classmethod
    def fit(cls, methods, jobs, device):
        {body}
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    return file


def write(folder: Path, text: str, name: str = "other.py") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_plugin_of_the_document_runs_as_written(otbench: Otbench, mine: Path) -> None:
    Path("mine.toml").write_text(EXPERIMENT)
    done = otbench("run", "mine.toml", "--plugin", mine, "--engine", "inline")
    assert done.code == 0, done.err
    frame = package.load("results/mine")
    assert len(frame) == 2 * 2 * 2 * 3
    assert (frame["status"] == "ok").all()
    assert np.allclose(frame["primal"], frame["coupled_w1"], rtol=1e-9)
    assert np.allclose(frame[frame["critic"] == "potential"]["slope_over_w1"], 1, rtol=1e-9)
    checked = otbench("check", "--plugin", mine)
    assert (checked.code, checked.err) == (0, "")
    again = otbench("run", "mine.toml", "--plugin", mine, "--dry-run")
    assert "mine: 24 cells, 24 done, 0 to do\n" in again.out


@pytest.mark.slow
def test_workers_are_given_the_plugin_and_come_to_the_same_bytes(otbench: Otbench, mine: Path) -> None:
    write_block(Path(), '{ name = "shear", dim = [2, 3] }', "{ n = 8 }", '{ name = "nearest" }', "[0, 1]")
    for place in (("--engine", "inline"), ("--workers", 2)):
        done = otbench("run", "tiny.toml", "--plugin", mine, "--results", place[0].strip("-"), *place)
        assert done.code == 0, done.err
    here, there = (Results(f"{place}/tiny") for place in ("engine", "workers"))
    assert here.rows_file.read_bytes() == there.rows_file.read_bytes()


@pytest.mark.slow
def test_workers_that_lack_what_a_plugin_imports_are_told_before_anything_runs(
    otbench: Otbench, tmp_path: Path
) -> None:
    elsewhere = "import multiprocessing\nif multiprocessing.parent_process():\n    import only_where_it_began\n"
    file = write(tmp_path, SOURCE.replace("import numpy", f"{elsewhere}import numpy"))
    write_block(Path(), '{ name = "shear", dim = 2 }', "{ n = 8 }")
    done = otbench("run", "tiny.toml", "--plugin", file, "--engine", "local", "--workers", 1)
    assert_one_line(done, "a worker cannot be used: InputError: plugin other.py does not import: ModuleNotFoundError")


def test_the_content_of_a_plugin_is_part_of_its_rows_keys_and_of_no_others(otbench: Otbench, tmp_path: Path) -> None:
    write_block(Path(), problem='[{ name = "shear", dim = 2 }, { name = "spheres", dim = 2 }]', method="[{ name = "
                '"nearest" }, { name = "zero" }]', sampling="{ n = 8 }")  # fmt: skip
    files = [write(tmp_path, SOURCE), write(tmp_path, SOURCE + "# read again\n", "edited.py"),
             write(tmp_path, SOURCE, "renamed.py")]  # fmt: skip
    found = []
    for file in files:
        cells = load_experiment("tiny.toml", plugins=[plugin(file)]).cells
        found.append({(cell.problem.name, cell.method.name): cell for cell in cells})
    for names, cell in found[0].items():
        own = names == ("spheres", "zero")
        columns = [name for name in cell.columns() if name.endswith(".plugin")]
        assert len(columns) == (names[0] == "shear") + (names[1] == "nearest")
        assert (cell.key == found[1][names].key) == own  # an edit makes other cells
        assert cell.key == found[2][names].key  # another name does not
        drawn, edited = (each[names].sample() for each in found[:2])
        assert drawn.x.tobytes() == edited.x.tobytes()  # and neither moves a point
    write_block(Path(), problem='{ name = "spheres", dim = 2 }', sampling="{ n = 8 }", name="own")
    (alone,) = load_experiment("own.toml").cells
    assert alone.key == found[0]["spheres", "zero"].key


def test_without_the_plugin_rows_are_read_and_checked_but_for_their_source(
    otbench: Otbench, mine: Path, tmp_path: Path
) -> None:
    write_block(Path(), problem='{ name = "shear", dim = 2 }', sampling='{ n = 8, mode = "coupled" }')
    assert otbench("run", "tiny.toml", "--plugin", mine, "--engine", "inline").code == 0
    mine.rename(tmp_path / "gone.py")
    for command in ("show", "tables --verify", "list"):
        done = otbench(*command.split())
        assert (done.code, done.err) == (0, "")
    checked = otbench("check")
    assert (checked.code, "0 violations" in checked.out) == (0, True)
    mark = identified(tmp_path / "gone.py").mark
    assert checked.err == (f"tiny: 1 row of plugin {mark}, which was not given: whether they are of its source was not "
                           "checked, all else was; --plugin FILE.py checks it\n")  # fmt: skip
    assert_one_line(otbench("run", "tiny.toml"), "unknown problem 'shear': ")
    edited = write(tmp_path, SOURCE + "\n")
    planted = otbench("check", "--plugin", edited)
    assert (planted.code, planted.err) == (1, "")
    assert f"column problem.plugin: observed {mark}, must be that of a plugin given" in planted.out
    assert otbench("check", "--plugin", edited, "--plugin", tmp_path / "gone.py").code == 0


@pytest.mark.parametrize(("text", "said"), [
    ("import numpy\ndef f(:\n", "does not import: SyntaxError: invalid syntax (line 2 of it)"),
    ("\n\nimport nothing_there\n", "does not import: ModuleNotFoundError: No module named 'nothing_there' (line 3"),
    ("raise SystemExit(0)\n", "does not import: SystemExit: 0 (line 1 of it)"),
    ("class Bad:\n    1 / 0\n", "does not import: ZeroDivisionError: division by zero (line 2 of it)"),
    ("from otbench.methods import WeightClip\n", "defines nothing: it needs a subclass of otbench.problems.Problem or"),
    (METHOD.format(cls="Zero", name="zero", body="pass"), "class Zero: 'zero' is a method of otbench's own; give it"),
    (METHOD.format(cls="A", name="a", body="0") + METHOD.format(cls="B", name="a", body="0"),
     "class B: the method 'a' is defined twice, in A too"),
    (METHOD.format(cls="A", name="a", body="0").replace("def fit", "def fits"), "class A: a method must give fit; "),
    (SOURCE.replace("def coupling", "def couple"), "class Shear: a problem must give coupling or sample; see"),
    (METHOD.format(cls="A", name="a", body="0") + "    plugin: int = 0\n", "class A: a field may not be called plugin"),
    ("\0", "does not import: SyntaxError: "),
    ("x = '\udcff'", "does not import: "),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:Field name")
def test_a_plugin_that_is_none_is_refused_in_one_line(
    text: str, said: str, otbench: Otbench, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_bytes(text.encode(errors="surrogateescape"))
    before = set(sys.modules)
    done = otbench("list", "--plugin", tmp_path / "bad.py")
    assert_one_line(done, "plugin bad.py")
    assert said in done.err
    if "import" in said:
        assert not {name for name in set(sys.modules) - before if name.startswith("otbench_plugin")}


@pytest.mark.parametrize(("name", "said"), [
    ("not_there.py", "plugin not_there.py cannot be read: No such file or directory"),
    ("otbench-nothing", "unknown plugin 'otbench-nothing': "),
    ("numpy", "or pass a path ending in .py"),
    ("", "unknown plugin '': "),
])  # fmt: skip
def test_a_plugin_that_is_not_there_is_refused_in_one_line(name: str, said: str, otbench: Otbench) -> None:
    assert_one_line(otbench("list", "--plugin", name), said)


def test_two_plugins_with_one_name_are_refused(otbench: Otbench, mine: Path, tmp_path: Path) -> None:
    second = write(tmp_path, METHOD.format(cls="A", name="nearest", body="0"))
    done = otbench("list", "--plugin", mine, "--plugin", second)
    assert_one_line(done, "plugins mine.py and other.py both define the method 'nearest': give one of them")
    assert otbench("list", "--plugin", mine, "--plugin", mine).code == 0


def test_a_cell_whose_plugin_raises_is_a_failed_row_and_the_others_go_on(otbench: Otbench, tmp_path: Path) -> None:
    write(tmp_path, METHOD.format(cls="Broken", name="broken", body='raise KeyError("a\\nb")'))
    write_block(Path(), method='[{ name = "broken" }, { name = "zero" }]', sampling="{ n = 8 }")
    done = otbench("run", "tiny.toml", "--plugin", tmp_path / "other.py", "--engine", "inline")
    assert done.code == 3
    failed, fine = lines(Path("results/tiny/rows.jsonl"))
    assert (fine["status"], failed["status"]) == ("ok", "failed")
    assert failed["reason"].startswith("KeyError: 'a\\nb' (other.py, line 8); alone: otbench run tiny.toml --plugin ")
    alone = failed["reason"].partition("alone: otbench ")[2].split()
    assert otbench(*alone, "--engine", "inline").code == 3


@pytest.mark.parametrize("where", ["at", "work", "__init__"])
def test_a_plugin_that_raises_before_there_is_a_cell_is_one_line(where: str, otbench: Otbench, tmp_path: Path) -> None:
    broken = METHOD.format(cls="Broken", name="broken", body="return []")
    trained = "    @property\n    def trained(self):\n        return True\n"
    raises = f"{trained}    def {where}(self, *a, **k):\n        return {{}}[0]\n"
    write(tmp_path, broken + raises)
    write_block(Path(), method='{ name = "broken" }', sampling="{ n = 8 }")
    done = otbench("run", "tiny.toml", "--plugin", tmp_path / "other.py", "--engine", "inline")
    assert_one_line(done, "plugin other.py failed: KeyError: 0 (line 13 of it)")


def test_what_is_no_plugins_fault_is_not_told_as_one(
    otbench: Otbench, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(mine).load()
    monkeypatch.setattr("otbench.cli.fields.summary", lambda spec: 1 / 0)
    monkeypatch.setattr("otbench.cli.names.summary", lambda spec: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        otbench("list", "--plugin", mine)


def test_a_description_of_a_plugin_is_there_in_a_process_that_never_saw_its_file(mine: Path, tmp_path: Path) -> None:
    mine.write_text(f"{mine.read_text()}# a source that no other test has read under another name\n")
    shear = plugin(mine).problem("shear", dim=3, amount=2.0)
    (tmp_path / "shear.pickle").write_bytes(pickle.dumps([shear, shear.columns("p")]))
    mine.unlink()
    code = """
import pickle, sys
shear, columns = pickle.load(open(sys.argv[1], "rb"))
assert shear.columns("p") == columns and shear.population_w1 > 1
assert pickle.loads(pickle.dumps(shear)) == shear
print(shear.coupling.__code__.co_filename, shear.sample(4).x.sum())
"""
    done = python(code, str(tmp_path / "shear.pickle"), cwd=tmp_path)
    assert done.stdout.split() == ["mine.py", str(shear.sample(4).x.sum())], done.stderr


def test_a_plugins_method_trains_as_one_of_otbenchs_own(tmp_path: Path) -> None:
    write(tmp_path, "from typing import Literal\nfrom otbench.methods.weight_clip import WeightClip\n"
          'class Mine(WeightClip):\n    name: Literal["mine"] = "mine"\n    steps: int = 30\n')  # fmt: skip
    recipe = package.plugin(tmp_path / "other.py").method("mine", widths=(8,))
    pair = package.problem("spheres", dim=2).sample(32)
    own = package.method("weight_clip", widths=(8,), steps=30)
    one, other = (package.train(pair, each, seed=1) for each in (recipe, own))
    assert one.values(pair.x).tobytes() == other.values(pair.x).tobytes()
    assert recipe.columns("method") != own.columns("method")


def test_a_plugin_tells_the_nearest_name(mine: Path) -> None:
    with pytest.raises(InputError, match=r"unknown problem of plugin mine.py 'sheer': did you mean 'shear'"):
        plugin(mine).problem("sheer")
    with pytest.raises(InputError, match=r"unknown method of plugin mine.py 'near': did you mean 'nearest'"):
        plugin(mine).method("near")


def test_reading_a_plugin_changes_nothing_that_otbench_has(mine: Path) -> None:
    before = dict(PROBLEMS), dict(METHODS)
    there = known([plugin(mine)])
    assert (dict(PROBLEMS), dict(METHODS)) == before == (dict(known().problems), dict(known().methods))
    assert set(there.problems) - set(PROBLEMS) == {"shear"}
    assert set(there.methods) - set(METHODS) == {"nearest"}


def test_data_of_a_plugin_have_no_upper_bound_of_their_laws(otbench: Otbench, tmp_path: Path) -> None:
    data = SOURCE.replace("    source: ClassVar", "    has_law: ClassVar[bool] = False\n    source: ClassVar")
    for name, text in (("law", SOURCE), ("data", data)):
        file = write(tmp_path, text, f"{name}.py")
        problem, sampling = '{ name = "shear", dim = 2 }', "{ n = 8, fresh = 8 }"
        write_block(Path(), problem, sampling, '{ name = "linear" }', "[0, 1]", name)
        assert otbench("run", f"{name}.toml", "--plugin", file, "--engine", "inline").code == 0
    uppers = {name: package.load(f"results/{name}") for name in ("law", "data")}
    assert "problem.has_law" not in uppers["law"]
    assert ("upper," in Path("results/law/tables/laws.csv").read_text().partition("\n")[0])
    held = {name: Path(f"results/{name}/tables/laws.csv").read_text().splitlines() for name in ("law", "data")}
    column = held["law"][0].split(",").index("upper")
    assert held["law"][1].split(",")[column] != ""
    assert held["data"][1].split(",")[held["data"][0].split(",").index("upper")] == ""


def test_problems_without_a_law_are_those_that_tables_know_by_name() -> None:
    assert {name for name, described in PROBLEMS.items() if not described.has_law} == WITHOUT_LAW


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The document's distribution as pip leaves it, on the path of this process."""
    site = tmp_path / "site"
    (site / "otbench_shear").mkdir(parents=True)
    (site / "otbench_shear" / "__init__.py").write_text(SOURCE)
    about = site / "otbench_shear-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: otbench-shear\nVersion: 1.0\n")
    groups = re.findall(r'entry-points\."([\w.]+)"\]\n(.*?)(?=\n\[|\Z)', PROJECT, re.S)
    (about / "entry_points.txt").write_text("".join(f"[{g}]\n{t.replace(chr(34), '')}\n" for g, t in groups))
    monkeypatch.syspath_prepend(str(site))
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] == "otbench_shear"]:
        del sys.modules[name]


def test_an_installed_plugin_is_read_where_it_is_named_and_not_before(otbench: Otbench, installed: Path) -> None:
    Path("mine.toml").write_text(EXPERIMENT)
    assert_one_line(otbench("run", "mine.toml"), "unknown problem 'shear'")
    assert "otbench_shear" not in sys.modules
    assert_one_line(otbench("list", "--plugin", "otbench-sheer"), "did you mean 'otbench-shear'?")
    assert otbench("run", "mine.toml", "--plugin", "otbench-shear", "--engine", "inline").code == 0
    (row, *_) = lines(Path("results/mine/rows.jsonl"))
    mark = identified("otbench-shear").mark
    assert row["problem.plugin"] == mark
    assert mark.startswith("otbench-shear==1.0 sha256:")
    assert (otbench("check", "--plugin", "otbench-shear").code, otbench("check").code) == (0, 0)
    with (installed / "otbench_shear" / "__init__.py").open("a") as file:
        file.write("# read again\n")
    assert otbench("check", "--plugin", "otbench-shear").code == 1


def test_a_worker_with_another_content_of_an_installed_plugin_is_refused(installed: Path) -> None:
    sent = pickle.dumps(plugin("otbench-shear").problem("shear", dim=2))
    (installed / "otbench_shear" / "more.py").write_text("")
    code = "import pickle, sys; sys.path.insert(0, sys.argv[1]); pickle.loads(bytes.fromhex(sys.argv[2]))"
    done = python(code, str(installed), sent.hex())
    assert "this machine has otbench-shear==1.0 sha256:" in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].endswith("is needed: install the same everywhere")


@pytest.mark.parametrize(("line", "said"), [
    ("[otbench.methods]\nnearest = otbench_shear:Shear\n", "otbench_shear:Shear is no method, as otbench.methods says"),
    ("[otbench.methods]\nclosest = otbench_shear:Nearest\n", "its entry point is 'closest', so it needs name: Literal"),
    ("[otbench.problems]\nx = otbench_shear:Gone\n", "does not import: AttributeError: "),
    ("[otbench.problems]\nx = otbench_gone:X\n", "does not import: ModuleNotFoundError: No module named"),
])  # fmt: skip
def test_an_entry_point_that_is_none_is_refused_in_one_line(
    line: str, said: str, otbench: Otbench, installed: Path
) -> None:
    (installed / "otbench_shear-1.0.dist-info" / "entry_points.txt").write_text(line)
    assert_one_line(otbench("list", "--plugin", "otbench-shear"), said)


def test_list_tells_a_plugins_fields_to_a_program(otbench: Otbench, mine: Path) -> None:
    told = json.loads(otbench("list", "--plugin", mine, "--json").out)
    assert told["problem"]["shear"]["fields"]["amount"]["default"] == 1.0
    assert {name for name in load_columns(mine) if not is_cell_column(name)} == set()


def load_columns(mine: Path) -> set[str]:
    return set(plugin(mine).problem("shear").columns("problem"))


def test_the_python_of_the_document_prints_one_number_twice(mine: Path) -> None:
    write(mine.parent, PYTHON)
    with contextlib.chdir(mine.parent), contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path("other.py")
    exact, coupled = map(float, out.getvalue().split())
    assert exact == pytest.approx(coupled, rel=1e-9)
