"""What README and CONTRIBUTING show works as shown."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from problems import test_problem_ranges as ranges
from problems import test_problems as laws
from small import lines, trained, write_lines
from typer.testing import CliRunner

from otbench.experiment.declaration import load_experiment
from otbench.methods import Job
from otbench.problems import PROBLEMS, Problem
from otbench.report.figures import pictures
from otbench.report.markdown import write_tables
from otbench.results.folder import TABLES, Stored

ROOT = Path(__file__).parent.parent

#: Tests whose laws are of all problems and methods, and which of them are of those that a recipe adds.
TOLD_OF_ALL = ("problems/test_problems", "problems/test_problem_ranges", "problems/test_problem_errors",
               "methods/test_methods", "methods/training/test_population", "test_words", "cli/test_cli")  # fmt: skip
ABOUT = "shear or nearest or every or test_list or no_two or names"
README, CHINESE, CONTRIBUTING = (ROOT / name for name in ("README.md", "README.zh.md", "CONTRIBUTING.md"))


def blocks(file: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", file.read_text(), re.S)


def examples(heading: str) -> list[str]:
    """The worked examples below a heading of CONTRIBUTING."""
    _, _, rest = CONTRIBUTING.read_text().partition(f"## {heading}\n")
    return re.findall(r"```python\n(.*?)```", rest.partition("\n## ")[0], re.S)


def example(heading: str) -> str:
    """The first of them: a file."""
    return examples(heading)[0]


def module(source: str, name: str, folder: Path):
    file = folder / f"{name}.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(name, file)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def test_the_example_of_the_readme_prints_a_ladder_in_order(tmp_path):
    (source,) = blocks(README, "python")
    shorter = source.replace('"group_sort")', '"group_sort", steps=200)').replace("sample(1024", "sample(128")
    done = subprocess.run([sys.executable, "-c", shorter], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    ladder, of_the_batches, of_the_laws = done.stdout.splitlines()
    raw, slope, c_transform, primal, skill, cosine = map(float, ladder.split())
    estimate, least = (float(word) for word in re.findall(r"-?[\d.]+(?:e-?\d+)?", of_the_laws)[:2])
    assert least < estimate < 1
    assert float(of_the_batches.split(",")[0]) == pytest.approx(slope, rel=1e-5)
    assert 0 < slope <= c_transform <= primal * (1 + 1e-12)
    assert raw < 1
    assert 0 <= skill <= 1 + 1e-12
    assert -1 <= cosine <= 1


def test_the_critic_of_images_of_the_documents_has_a_constant(tmp_path):
    (source,) = blocks(ROOT / "docs" / "running.md", "python")
    done = subprocess.run([sys.executable, "-W", "ignore::UserWarning:otbench", "-c", source],
                          capture_output=True, text=True, cwd=tmp_path)  # fmt: skip
    assert 0 < float(done.stdout) < 10, done.stderr


def test_the_experiment_of_the_readme_is_one(tmp_path):
    (text,) = blocks(README, "toml")
    np.save(tmp_path / "real.npy", np.zeros((5, 2)))
    (tmp_path / "generated.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "mine.toml").write_text(text)
    cells = load_experiment(str(tmp_path / "mine.toml")).cells
    assert len(cells) == 3 * (1 + 2 * 2)
    assert {cell.sizes() for cell in cells} == {(5, 2)}


def test_the_problem_of_contributing_keeps_the_laws_of_all_problems(tmp_path, monkeypatch):
    kind = module(example("Add a problem"), "shear", tmp_path).Shear
    assert issubclass(kind, Problem)
    told = {"FAMILIES": {}, "RANGES": {}}
    for line in examples("Add a problem")[1].splitlines():
        named, _, fields = line.partition(" = ")
        told[named.partition("[")[0]][named.split('"')[1]] = ast.literal_eval(fields)
    monkeypatch.setitem(PROBLEMS, "shear", kind)
    assert told["FAMILIES"].keys() == told["RANGES"].keys() == {"shear"}
    for fields in told["FAMILIES"]["shear"]:
        for law in (
            laws.test_any_closed_form_w1_is_the_mean_length_of_the_coupling,
            laws.test_any_closed_form_w1_is_the_dual_value_of_its_potential_on_independent_samples,
            laws.test_under_coupled_sampling_exact_w1_is_the_mean_length_of_the_coupling,
            laws.test_under_independent_sampling_exact_w1_obeys_the_triangle_through_the_images,
            laws.test_independent_samples_come_from_two_streams,
        ):
            law("shear", 3, fields)
    for fields in told["RANGES"]["shear"]:
        assert fields.keys() == set(kind.model_fields) - {"name", "dim"}
        ranges.the_coupling_keeps_its_laws(kind(dim=3, **fields))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_copy_to_which_both_recipes_were_applied_passes_as_written(tmp_path):
    for part in ("otbench", "tests", "experiments", "docs", ".ci", ".github"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "CONTRIBUTING.md", "README.md", "Makefile"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    for heading, room, registry, name in (("Add a problem", "problems", "PROBLEMS", "Shear"),
                                          ("Add a method", "methods", "METHODS", "Nearest")):  # fmt: skip
        own = name.lower()
        (tmp_path / "otbench" / room / f"{own}.py").write_text(example(heading))
        init = tmp_path / "otbench" / room / "__init__.py"
        text = init.read_text()
        opening = next(line for line in text.splitlines() if line.startswith(f"{registry}: "))
        text = text.replace(opening, f'{opening}\n    "{own}": {name},')
        init.write_text(text.replace("\nfrom otbench", f"\nfrom otbench.{room}.{own} import {name}\nfrom otbench", 1))
    for line, file in zip(examples("Add a problem")[1].splitlines(),
                          ("support/families.py", "problems/test_problem_ranges.py"), strict=True):  # fmt: skip
        with (tmp_path / "tests" / file).open("a") as handle:
            handle.write(f"\n{line}\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for command in (
        ["ruff", "check", "--ignore", "I001", "."],  # where a line of imports goes is ruff's own business: --fix
        ["mypy", "otbench/problems/shear.py", "otbench/methods/nearest.py"],
        ["pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}.py" for name in TOLD_OF_ALL), "-k", ABOUT],
    ):  # fmt: skip
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, env=environment, capture_output=True,
                              text=True)  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_method_of_contributing_is_one(tmp_path):
    import otbench

    nearest = module(example("Add a method"), "nearest", tmp_path).Nearest()
    pair = otbench.problem("spheres", dim=2).sample(32)
    exact = otbench.solve_exact(pair.x, pair.y)
    (fitted,) = type(nearest).fit([nearest], [Job(pair, 0, exact)], "cpu")
    assert otbench.audit(fitted, pair.x, pair.y).slope_constant <= 1 + 1e-12


def test_the_table_of_contributing_is_one(tmp_path, copy, monkeypatch):
    wins = module(example("Add a table"), "wins", tmp_path).wins
    monkeypatch.setitem(TABLES, "wins", lambda stored: wins(stored.frame))
    assert write_tables(copy, "csv") == 1
    line = next(text for text in (copy.tables / "wins.csv").read_text().splitlines() if text.startswith("potential,"))
    assert int(line.split(",")[1]) == 16  # the exact potential proves W1 on each of the samples it is fitted on


def test_the_rule_of_contributing_is_one(tmp_path, copy):
    rule = module(example("Add a rule"), "reach", tmp_path).raw_within_reach
    assert list(rule(Stored(copy).frame)) == []
    rows = lines(copy.rows_file)
    index = next(k for k, row in enumerate(rows) if trained(row))
    rows[index]["raw"] = 1.01 * rows[index]["spectral_constant"] * rows[index]["primal_upper"]
    write_lines(copy.rows_file, rows)
    (violation,) = rule(Stored(copy).frame)
    assert rows[index]["key"][:12] in violation.cell


def test_the_figure_of_contributing_is_one(tmp_path, copy, monkeypatch):
    skill = module(example("Add a figure"), "skill", tmp_path).skill
    monkeypatch.setattr(pictures, "PICTURES", {"skill": lambda stored: skill(stored.frame)})
    files = pictures.write_figures(Stored(copy))
    assert {file.name for file in files} == {"skill.svg", "skill.png"}
    assert skill(Stored(copy).frame.assign(skill=np.nan)) == "no row here has a skill"


def test_the_command_of_contributing_is_one(tmp_path, copy):
    commands = typer.Typer()
    commands.command()(module(example("Add a command"), "count", tmp_path).count)
    done = CliRunner().invoke(commands, ["--results", str(copy.folder.parent)])
    assert (done.exit_code, done.stdout) == (0, f"small: {len(copy.rows())} rows\n")


def test_every_command_of_the_readme_is_one():
    from otbench.cli.run import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    used = set(re.findall(r"^otbench (\w+)", "\n".join(blocks(README, "sh")), re.M))
    assert used <= known
    assert {"run", "tables", "check"} <= used


def test_the_readme_is_short_and_every_link_leads_somewhere():
    for text in (README, CHINESE):
        lines = text.read_text().splitlines()
        assert len(lines) <= 205
        assert [line for line in lines if len(line) > 120] == []
    for text in (README, CHINESE, *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text.read_text()):
            assert (text.parent / target).exists(), f"{text.name}: {target}"


def prose(file: Path) -> str:
    """A text without its code, its links' targets and its comments."""
    return re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|<!--.*?-->", " ", file.read_text(), flags=re.S)


def undefined(text: str, terms: list[str]) -> list[str]:
    """The terms of which the first use is not their definition, which is in bold face."""
    bold = [match.span() for match in re.finditer(r"\*\*.+?\*\*", text, re.S)]
    first = {term: re.search(rf"(?<![A-Za-z0-9_^/]){term}(?![A-Za-z0-9_/])", text) for term in terms}
    return [term for term, use in first.items()
            if use is None or not any(start == use.start() - 2 for start, _ in bold)]  # fmt: skip


#: What a reader need not know beforehand: each is in bold face where it first stands, and told there what it is.
TERMS = ["W1", "critic", "WGAN", "d", "n", "sample", "law", "held-out", "independent", "coupled", "raw", "slope",
         "Lipschitz constant", "slope/W1", "raw/W1", "cosine", "[wW]eight clipping", "c", "rate", "L", "h", r"K\(c\)",
         r"c\\\*", "potential", "seed", "eps"]  # fmt: skip


def test_every_term_of_the_readme_is_defined_where_it_first_stands():
    assert undefined(prose(README), TERMS) == []


def test_every_symbol_of_the_chinese_readme_is_defined_where_it_first_stands():
    symbols = ["W1", "WGAN", "d", "n", "slope/W1", "raw/W1", "c", "L", "h", r"K\(c\)", "eps"]
    assert undefined(prose(CHINESE), symbols) == []


def test_the_chinese_readme_quotes_the_numbers_of_the_english_one():
    """In its own order, and none that the other has not; the two numbers on speed are in English alone."""
    english, chinese = ({line for line in (ROOT / "docs" / "quotes" / name).read_text().splitlines()
                         if line.startswith("    ")} for name in ("readme.txt", "readme.zh.txt"))  # fmt: skip
    assert chinese < english
    assert {source.split("/")[0].strip() for source in english - chinese} == {"timing", "growth"}


def test_a_term_that_is_used_before_it_is_defined_would_be_found():
    assert undefined("The raw is 1. **raw** is what is printed, and **slope** less.", ["raw", "slope", "eps"]) == [
        "raw", "eps"
    ]  # fmt: skip


def test_every_test_and_experiment_that_is_named_is_there():
    """A file moves, its name in the documents, the Makefile and what continuous integration runs does not."""
    files = [README, CONTRIBUTING, ROOT / "Makefile", *ROOT.glob("docs/*.md"), *ROOT.glob(".github/workflows/*.yml")]
    texts = [file.read_text() for file in [*files, ROOT / ".ci/run"] if file.exists()]
    named = {name for text in texts for name in re.findall(r"\b(?:tests|experiments)/[\w/]+\.?\w*", text)}
    assert len(named) > 10
    assert {name for name in named if not (ROOT / name.rstrip("./")).exists()} == set()
