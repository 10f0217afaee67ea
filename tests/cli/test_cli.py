"""The command line: what every command prints, writes and returns."""

import json
import platform
import shutil
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import Otbench, assert_one_line
from small import change, declare, lines, python

from otbench.methods import METHODS
from otbench.problems import PROBLEMS
from otbench.results.schema import SCHEMA
from otbench.results.store import Results

ZERO = '{ name = "zero" }'

EXPERIMENTS = sorted((Path(__file__).parent.parent.parent / "experiments").glob("*.toml"))


def test_a_run_writes_rows_and_tables_and_shows_the_headline(otbench: Otbench) -> None:
    methods = f'[{ZERO}, {{ name = "weight_clip", widths = [4], steps = 4, batch = 4 }}]'
    declare(Path(), method=methods)
    done = otbench("run", "tiny.toml", "--engine", "inline")
    assert (done.code, done.err.count("Traceback")) == (0, 0)
    assert "tiny: 2 cells run, 0 were done; 5 tables changed\n" in done.out
    assert "slope/W1" in done.out
    before = Path("results/tiny/rows.jsonl").stat().st_mtime_ns
    again = otbench("run", "tiny.toml", "--engine", "inline")
    assert "tiny: 0 cells run, 2 were done; 0 tables changed\n" in again.out
    assert Path("results/tiny/rows.jsonl").stat().st_mtime_ns == before
    declare(Path())
    third = otbench("run", "tiny.toml", "--engine", "inline")
    assert "1 rows of cells no longer declared were set aside in stale.jsonl\n" in third.err
    assert "zero" in third.out.splitlines()[-1]
    assert "weight_clip" not in third.out


def test_a_run_tells_of_a_torn_line_and_of_bad_ends(otbench: Otbench) -> None:
    bad = '{ name = "weight_clip", optimiser = "sgd", lr = 1e300, clip = 1e30, clip_parameters = "weights", steps = 9 }'
    declare(Path(), method=f"[{ZERO}, {bad}]")
    done = otbench("run", "tiny.toml", "--engine", "inline")
    assert (done.code, "1 cell diverged: see the status and reason columns\n" in done.out) == (0, True)
    file = Path("results/tiny/rows.jsonl")
    file.write_bytes(file.read_bytes()[:-9])
    done = otbench("run", "tiny.toml", "--engine", "inline")
    assert "a torn last line of an interrupted run was dropped; its cell was run again\n" in done.err
    assert "tiny: 1 cells run, 1 were done" in done.out


def test_a_dry_run_counts_and_runs_nothing(otbench: Otbench, small_results: Path, copy: Results) -> None:
    declare(Path(), seeds="[0, 1, 2]", method='{ name = "weight_clip", steps = 200 }')
    done = otbench("run", "tiny.toml", "--dry-run", "--workers", 3)
    first, second = done.out.splitlines()
    assert (done.code, first) == (0, "tiny: 3 cells, 0 done, 3 to do")
    assert second.startswith("expected ")
    assert second.endswith(" s with 3 workers on cpu; rows go to results/tiny")
    assert {file.name for file in Path().rglob("*")} == {"tiny.toml"}
    write = copy.rows_file
    write.write_text("".join(line + "\n" for line in write.read_text().splitlines()[:100]))
    target = small_results.parent.parent / "small.toml"
    done = otbench("run", target, "--dry-run", "--results", copy.folder.parent)
    assert done.out.startswith("small: 113 cells, 100 done, 13 to do\n")
    assert len(lines(write)) == 100


def test_check_says_yes_with_0_and_no_with_1(otbench: Otbench, copy: Results) -> None:
    done = otbench("check", "small", "--results", copy.folder.parent)
    assert done == (0, "small: 18 rules, 0 violations\n", "")
    change(copy, lambda row: row["method.name"] == "potential", cosine=1.5)
    done = otbench("check", "small", "--results", copy.folder.parent)
    assert done.code == 1
    assert done.out.startswith("small: 18 rules, 4 violations\n  cosine <= 1: problem shared_mass, dim 2, method pot")
    assert ", column cosine: observed 1.5, must be <= 1" in done.out
    assert "  tables re-derive: matrix.csv, line " in done.out


def test_check_writes_junit_and_a_page_for_ci(
    otbench: Otbench, copy: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("page.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "page.md")
    change(copy, lambda row: row["method.name"] == "potential", cosine=1.5)
    assert otbench("check", "--results", copy.folder.parent, "--junit", "junit.xml").code == 1
    suite = ElementTree.parse("junit.xml").getroot().find("testsuite")
    assert suite is not None
    cases = {case.get("name"): case.find("failure") for case in suite.findall("testcase")}
    failed = {name: case.text for name, case in cases.items() if case is not None}
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("small", str(len(cases)), "3")
    assert set(failed) == {"ranges", "seal", "tables"}
    assert "cosine <= 1: " in str(failed["ranges"])
    page = Path("page.md").read_text()
    assert page.startswith("before\n## otbench check\n")
    assert "| small | 18 | 4 |" in page
    assert "cosine &lt;= 1" in page


def two_more(copy: Results) -> Path:
    """Three copies of results in one folder; the first has a line that is no row."""
    folder = copy.folder.parent
    for name in ("b", "c"):
        shutil.copytree(copy.folder, folder / name)
    change(Results(folder / "b"), lambda row: row["method.name"] == "potential", cosine=1.5)
    copy.folder.rename(folder / "a")
    with (folder / "a" / "rows.jsonl").open("a") as handle:
        handle.write("no row\n")
    return folder


def test_a_folder_that_cannot_be_read_hides_no_other_s_verdict(otbench: Otbench, copy: Results) -> None:
    folder = two_more(copy)
    done = otbench("check", "--results", folder, "--junit", "junit.xml")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"otbench: {folder}/a/rows.jsonl, line 114, is not a row")
    assert [line.partition(":")[0] for line in done.out.splitlines() if line[0] != " "] == ["b", "c"]
    assert "  cosine <= 1: " in done.out
    suites = {suite.get("name"): suite for suite in ElementTree.parse("junit.xml").getroot()}
    assert [suites["a"].get("errors"), suites["b"].get("failures"), suites["c"].get("failures")] == ["1", "3", "0"]
    (error,) = suites["a"].iter("error")
    assert "line 114, is not a row" in str(error.get("message"))
    told = json.loads(otbench("check", "--results", folder, "--json").out)
    assert "line 114, is not a row" in told["a"]["unreadable"]
    (found,) = told["b"]["rules"]["ranges"]
    assert (found["column"], found["observed"], found["bound"]) == ("cosine", "1.5", "<= 1.000000001")


def test_a_quote_from_a_folder_that_cannot_be_read_is_named_and_the_others_are_checked(
    otbench: Otbench, copy: Results
) -> None:
    folder = two_more(copy)
    Path("text.md").write_text("first 113\nthen 113\nlast 112\n<!--quotes text.txt-->\n")
    places = {"first": "a", "then": "c", "last": "c"}
    quotes = [f"{words} {{}}\n    {name}/matrix key count as d\n" for words, name in places.items()]
    Path("text.txt").write_text("".join(quotes))
    done = otbench("check", "c", "a", "--results", folder, "--readme", "text.md")
    assert done.code == 2
    assert f"quoted number: text.md, line 1: observed 113, must be re-derived from {folder}/a, which can" in done.out
    assert "quoted number: text.md, line 3: observed 112, must be 113" in done.out
    assert "text.md: 1 rule, 2 violations\n" in done.out


@pytest.mark.parametrize("file", ["nowhere/junit.xml", "/nowhere/at/all.xml"])
def test_junit_goes_into_a_folder_that_is_there_or_nowhere(file: str, otbench: Otbench, copy: Results) -> None:
    done = otbench("check", "--results", copy.folder.parent, "--junit", file)
    assert_one_line(done, f"--junit {file}: there is no folder {Path(file).parent}; make it, or name another file")
    assert not Path(file).parent.exists()


def test_check_without_names_reads_the_quotes_of_the_readme(otbench: Otbench, copy: Results) -> None:
    Path("README.md").write_text("Of 112 rows.\n<!--quotes quotes.txt-->\n")
    Path("quotes.txt").write_text("Of {} rows\n    small/matrix key count as d\n")
    done = otbench("check", "--results", copy.folder.parent, "--readme", "README.md")
    assert (done.code, "quoted number: README.md, line 1: observed 112, must be 113" in done.out) == (1, True)
    assert otbench("quotes", "--results", copy.folder.parent).out == "README.md: 1 quote changed\n"
    assert otbench("check", "--results", copy.folder.parent, "--readme", "README.md").code == 0


def test_quotes_without_names_writes_every_readme_and_page_that_quotes(otbench: Otbench, copy: Results) -> None:
    Path("docs/deep").mkdir(parents=True)
    for text, pointer in (("README.zh.md", "q.txt"), ("docs/deep/page.md", "../../q.txt"), ("NEWS.md", "q.txt")):
        Path(text).write_text(f"Of ? rows.\n<!--quotes {pointer}-->\n")
    Path("README.md").write_text("Of ? rows.\n")
    assert_one_line(otbench("quotes", "--results", copy.folder.parent), "q.txt cannot be read: No such file")
    Path("q.txt").write_text("Of {} rows\n    small/matrix key count as d\n")
    done = otbench("quotes", "--results", copy.folder.parent)
    assert done.out == "README.zh.md: 1 quote changed\ndocs/deep/page.md: 1 quote changed\n"
    assert Path("docs/deep/page.md").read_text().startswith("Of 113 rows.\n")


def test_tables_verifies_and_repairs(otbench: Otbench, copy: Results) -> None:
    where = ("--results", copy.folder.parent)
    assert otbench("tables", "--verify", *where) == (0, "small: tables are what the rows give\n", "")
    (copy.tables / "clip.csv").write_text("tampered")
    done = otbench("tables", "--verify", *where)
    assert (done.code, done.out.splitlines()[-1]) == (1, "small: differs")
    assert "clip.csv, line 1 (problem.name, problem.dim, " in done.out
    assert "): observed tampered, must be problem.name" in done.out
    assert (copy.tables / "clip.csv").read_text() == "tampered"
    assert otbench("tables", *where) == (0, "small: 1 table changed\n", "")
    assert otbench("tables", "--format", "latex", *where).code == 0
    assert otbench("tables", "--format", "markdwn", *where).code == 2


def test_list_names_every_experiment_problem_and_method_with_their_fields(otbench: Otbench) -> None:
    done = otbench("list")
    assert done.code == 0
    for kind, known in (("problem", PROBLEMS), ("method", METHODS)):
        for name, described in known.items():
            assert f"{kind:10} {name:12} " in done.out
            assert all(field in done.out for field in described.model_fields if field != "name")
    assert "experiment quick" in done.out
    told = json.loads(otbench("list", "--json").out)
    every = [*told["problem"].values(), *told["method"].values(), told["sampling"]]
    assert [name for spec in every for name, field in spec["fields"].items() if not field["meaning"]] == []


def test_without_a_command_the_help_is_shown(otbench: Otbench) -> None:
    done = otbench()
    assert done.code == 2
    assert all(word in done.out + done.err for word in ("run", "tables", "show", "check", "quotes", "list"))
    assert otbench("chek").code == 2


def test_being_stopped_is_one_line(otbench: Otbench, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    declare(Path())
    monkeypatch.setattr("otbench.experiment.run.runner.run_experiment", stopped)
    done = otbench("run", "tiny.toml")
    assert (done.code, done.out) == (130, "")
    assert "what was done is kept" in done.err


#: What takes long to load, and which of it a command needs: nothing for its help; no torch, POT or pictures to read.
SLOW = (
    "numpy", "pandas", "pydantic", "scipy", "scipy.stats", "matplotlib", "torch", "ot", "sklearn", "distributed",
    "rich.progress",
)  # fmt: skip

LOADED = """
import sys
from otbench.cli.run import main
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
print(*sorted(set(sys.modules) & set({slow})), file=sys.stderr)
"""


@pytest.mark.parametrize(("command", "needed"), [
    ("--help", []),
    ("check --json", ["numpy", "pandas", "pydantic", "scipy", "scipy.stats"]),
    ("show", ["numpy", "pandas", "pydantic", "scipy"]),
])  # fmt: skip
def test_a_command_loads_only_what_it_needs(
    command: str, needed: list[str], tmp_path: Path, small_results: Path
) -> None:
    where = [] if command == "--help" else ["--results", str(small_results.parent)]
    done = python(LOADED.format(slow=SLOW), *command.split(), *where, cwd=tmp_path)
    assert (done.returncode, done.stderr.split()) == (0, needed)


def test_a_file_here_is_run_and_shown_by_its_name_and_by_its_path(otbench: Otbench) -> None:
    declare(Path(), name="mine")
    assert otbench("run", "mine", "--engine", "inline").code == 0
    assert "mine: 0 cells run, 1 were done" in otbench("run", "mine.toml", "--engine", "inline").out
    for command in ("show", "tables", "check", "figures"):
        by_name, by_file = otbench(command, "mine"), otbench(command, "mine.toml")
        assert by_name == by_file
        assert by_name.code == 0
    assert_one_line(otbench("run", "theirs"), "unknown experiment 'theirs'")


def test_an_experiment_s_file_may_have_a_space_in_its_name(otbench: Otbench) -> None:
    declare(Path(), name="my data", method='{ name = "weight_clip", steps = 2, batch = 4 }')
    done = otbench("run", "my data.toml", "--engine", "inline", "--timeout", "60")
    assert (done.code, "my data: 1 cells run" in done.out) == (0, True)
    for command in ("show", "tables --verify", "check", "figures"):
        word, *options = command.split()
        assert otbench(word, "my data", *options).code == 0
    key = lines(Path("results/my data/rows.jsonl"))[0]["key"]
    assert otbench("run", "my data", "--engine", "inline", "--only", key).code == 0
    for name in (" spaced", "spaced ", "a/b", "..", "a\nb"):
        assert otbench("run", f"{name}.toml").code == 2


def test_version_names_what_numbers_depend_on(otbench: Otbench) -> None:
    done = otbench("--version")
    assert done.code == 0
    numbers = [metadata.version(name) for name in ("otbench", "torch", "POT")]
    own, torch, pot = numbers
    python_version = platform.python_version()
    assert done.out == f"otbench {own} (row schema {SCHEMA}), Python {python_version}, torch {torch}, POT {pot}\n"


def test_list_tells_types_defaults_and_choices(otbench: Otbench) -> None:
    text = otbench("list").out
    for line in ("clip: number > 0 = 0.01  c, the half side of the box",
                 "widths: list of whole numbers = [64, 64]  hidden widths",
                 'optimiser: "rmsprop" | "adam" | "sgd" = "rmsprop"',
                 'batch: whole number or "full" = 64',
                 "dim: whole number >= 1 (must be given)",
                 "biases: true or false = true"):  # fmt: skip
        assert f"           {line}" in text
    told = json.loads(otbench("list", "--json").out)
    assert told["experiment"].keys() >= {"quick", "matrix"}
    for kind, known in (("problem", PROBLEMS), ("method", METHODS)):
        assert told[kind].keys() == known.keys()
        for name, described in known.items():
            fields = told[kind][name]["fields"]
            assert fields.keys() == described.model_fields.keys() - {"name"}
            given = {"name": name} | {k: 64 if k == "dim" else "x.npy" for k, f in fields.items() if f["required"]}
            if name != "arrays":  # the others can be made of what is said of them
                made = described(**given)
                for field, about in fields.items():
                    value = getattr(made, field)
                    assert about["required"] or list(value) == about["default"] if isinstance(value, tuple) else True
                    assert not about["choices"] or value in about["choices"] or isinstance(value, int)


@pytest.mark.parametrize(("words", "incomplete", "found"), [
    (["run"], "mat", ["matrix"]),
    (["run"], "", sorted(file.stem for file in EXPERIMENTS)),
    (["show"], "ti", ["tiny"]),
    (["check", "tiny"], "o", ["other"]),
    (["show", "--results", "there"], "", ["far"]),
])  # fmt: skip
def test_a_shell_completes_names_of_experiments_and_of_results(
    words: list[str], incomplete: str, found: list[str], otbench: Otbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("results/tiny", "results/other", "there/far"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "rows.jsonl").touch()
    monkeypatch.setenv("_OTBENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(["otbench", *words, incomplete]))
    monkeypatch.setenv("COMP_CWORD", str(1 + len(words)))
    assert sorted(otbench().out.split()) == found


def test_advice_for_a_program_is_the_advice_in_words(otbench: Otbench) -> None:
    options = ("advise", "--dim", "16", "--widths", "64,64")
    told = json.loads(otbench(*options, "--json").out)
    assert f"c* = {told['c_star']:.3g}: " in otbench(*options).out
    assert f"best {told['best']:.2g}: " in otbench(*options).out
