"""The site of the documents: what is written from the code is all there, and what is shown is what is so."""

import ast
import inspect
import re
import textwrap
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import formats
import matplotlib as mpl
import numpy as np
import pictures
import pytest
import sources
import yaml

import otbench
from otbench.results import schema
from otbench.results.folder import Stored
from otbench.results.meanings import COMMON, meaning, meanings
from otbench.results.store import Results
from otbench.results.tables.bracketed import ratio_ends
from otbench.results.tables.roofline import roofline
from otbench.studies.device_state import DeviceState
from otbench.studies.timed_training import Training

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"

SCHEMAS = (
    schema.RowColumns, schema.TimingColumns, schema.GeneratorColumns, schema.GrowthColumns, schema.PricingColumns,
    schema.ConvergenceColumns, schema.MeasurementColumns,
)  # fmt: skip


@pytest.fixture(scope="module")
def columns() -> set[tuple[str, str]]:
    """Every column that is stored or derived: of the schemas; of the frame of every study, with the study's kind; of
    every committed table, with the table's name; and of trainings timed on a GPU, of which no rows may be there."""
    found = {(name, "") for kind in SCHEMAS for name in schema.names_of(kind)}
    written_for_gpus = (Training.measure, Training._prepared, DeviceState.columns, roofline)
    found |= {(name, "timing") for function in written_for_gpus for name in named(function)}
    for stored in (Stored(Results(file.parent)) for file in RESULTS.glob("*/meta.json")):
        if stored.is_study:
            found |= {(str(name), stored.kind) for name in stored.frame}
    return found | {(name, table) for table, names in formats.headers().items() for name in names}


def named(function: Callable[..., object]) -> set[str]:
    """The columns that a function names: its texts that are words joined as columns are."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"[a-z]+(_[a-z]+)+|driver|dtype", text)}


def test_every_column_that_is_stored_or_derived_has_a_meaning(columns: set[tuple[str, str]]) -> None:
    cell = (*formats.CELL, "sampling.n")
    assert len({name for name, _ in columns}) > 200
    assert {which for which in columns if not which[0].startswith(cell) and not meaning(*which)} == set()


def test_nothing_is_told_of_a_column_that_is_nowhere(columns: set[tuple[str, str]]) -> None:
    told = meanings()
    known = {(formats.base(name, table), table) for name, table in columns} | columns
    shared, endings = {name for name, _ in known}, "|".join(told["endings"])
    shared |= {re.sub(f"_({endings})$", "", name) for name in shared} | {"truth", "intervals", "failed"}
    assert set(told["columns"]) - shared == set()
    for table in set(told) - set(COMMON):
        assert {name for name in told[table] if (name, table) not in known} == set(), table


def test_a_meaning_is_a_short_sentence_that_stands_alone() -> None:
    """It is read where a heading is pointed at, without what stands above it in the file."""
    for section in set(meanings()) - {"endings", "words"}:
        for column, text in meanings()[section].items():
            assert text.endswith("."), column
            assert len(text) <= 140, column
            assert not re.match(r"(The same|That|This|Its?|These|Likewise)\b", text), column


def test_a_column_that_nobody_knows_has_no_meaning() -> None:
    for unknown in ("slope_of_nothing", "nothing_median", "_median", ""):
        assert meaning(unknown) is None
    assert meaning("diverged", "critics") != meaning("diverged", "agreement")
    assert "interval" in meaning("truth")
    assert ratio_ends.__doc__ is not None


def test_endings_are_told_after_what_they_end_in_the_order_of_the_name() -> None:
    ends = "as a share of the exact W1 of the samples, the lower end of the 95 % interval"
    assert meaning("slope_over_w1_low") == f"{meaning('slope')} Here {ends}."
    assert meaning("skill_median") == f"{meaning('skill')} Here the median."


def test_the_page_of_definitions_tells_what_the_columns_mean() -> None:
    lines = re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs/definitions.md").read_text(), re.M)
    assert {"primal", "slope", "held_out", "plan_cosine"} <= {name for name, _ in lines}
    assert lines == [(name, formats.told(name)) for name, _ in lines]


def test_every_table_is_explained_by_the_function_that_makes_it() -> None:
    text = formats.tables()
    assert set(re.findall(r"^## (\w+)$", text, re.M)) == set(formats.headers())
    assert "``" not in text


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    told = re.findall(r"auto(?:function|class|exception):: otbench\.(\w+)$", page, re.M)
    assert sorted(told) == sorted(otbench.__all__)


@pytest.mark.parametrize("name", [name for name in otbench.__all__ if inspect.isfunction(getattr(otbench, name))])
def test_the_docstring_of_a_function_tells_its_arguments_errors_and_source(name: str) -> None:
    function = getattr(otbench, name)
    text = inspect.getdoc(function)
    for argument in inspect.signature(function).parameters:
        assert re.search(rf"^    {argument}: |\b{argument} \(", text, re.M), argument
    assert "Raises:" in text
    assert "Source: " in text or name in {"cost_matrix", "load", "plugin"}


def test_marks_of_quotes_are_not_shown() -> None:
    page = (ROOT / "docs" / "findings.md").read_text()
    shown = sources.prepared(page)
    assert "<!--quotes" in page
    assert "<!--" not in shown
    assert len(re.findall(r"^\|", shown, re.M)) == len(re.findall(r"^\|", page, re.M))


def test_generated_parts_are_put_in_and_unknown_ones_refused() -> None:
    assert "otbench estimate" in sources.prepared("<!--generated commands-->")
    assert "clip_parameters" in sources.prepared("<!--generated methods-->")
    assert "`population_overlap`" in sources.prepared("<!--generated rows-->")
    lines = [line for line in sources.prepared("<!--generated experiments-->").splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}, "a question with a bar stays in its cell"
    with pytest.raises(KeyError):
        sources.prepared("<!--generated nothing-->")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(pictures.DRAWN))
def test_a_picture_is_what_its_command_draws(name: str) -> None:
    """To a thousandth of a point, as processors and versions of the plotting library round."""
    mpl.use("agg")
    there, drawn = ((ROOT / "docs/pictures" / f"{name}.svg").read_text(), pictures.svg(name).decode())
    number = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
    if mpl.__version__ in there:  # another version may place a text otherwise
        assert number.sub("0", there) == number.sub("0", drawn)
        found = [np.array(number.findall(text), float) for text in (there, drawn)]
        np.testing.assert_allclose(*found, atol=2e-3)
    assert drawn == pictures.svg(name).decode(), "the same bytes every time"


@pytest.mark.slow
def test_the_pictures_show_the_ladder_in_its_order_and_the_bracket_around_the_truth() -> None:
    shares = pictures.of_ladder()
    rungs = [0.0, *(shares[rung] for rung in pictures.RUNGS if rung != "primal"), 1.0]
    assert rungs == sorted(rungs)
    assert shares["raw"] > 1, "the picture is of a critic that prints more than W1"
    table = pictures.of_laws()
    assert (table["held_out_lower_median"] <= table["population_w1"]).all()
    assert (table["population_w1"] <= table["upper_bound"]).all()


def test_the_steepest_pair_of_the_picture_is_the_one_that_the_bound_divides_by() -> None:
    bounds, (i, j) = pictures.on_the_line()
    assert 0 < bounds.slope < bounds.primal
    steepest = pictures.critic(pictures.X[i]) - pictures.critic(pictures.Y[j])
    assert steepest / abs(pictures.X[i] - pictures.Y[j]) == pytest.approx(bounds.slope_constant, rel=1e-12)


def test_the_version_stands_in_one_place() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert otbench.__version__ == version("otbench")
    assert cited["version"] == declared, "CITATION.cff has the version to be cited"
    assert f"## {declared}" in (ROOT / "CHANGELOG.md").read_text()
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


def test_forms_for_issues_ask_for_what_is_needed() -> None:
    forms = [yaml.safe_load(file.read_text()) for file in (ROOT / ".github/ISSUE_TEMPLATE").glob("*_*.yml")]
    assert len(forms) == 2
    for form in forms:
        asked = [part["attributes"]["label"] for part in form["body"] if part["type"] != "markdown"]
        assert len(set(asked)) == len(asked) > 1
