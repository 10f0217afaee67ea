"""Numbers quoted in a text are those of the rows, and a quote that cannot be read is an error, never passed over."""

import re
from pathlib import Path

import pandas as pd
import pytest
from small import declare, derive, lines

from otbench.errors import InputError, OtbenchError, ResultsError
from otbench.experiment.run.runner import run_experiment
from otbench.report.markdown import by_clip, markdown
from otbench.report.quotes import QUOTE, check_quotes, quoted_value, rewrite_quotes
from otbench.results.folder import load
from otbench.results.store import Results

NUMBER = "small/clip slope_over_w1_median where dim=2 clip=0.1 mode=coupled overlap=0.5 as .3f"
MANY = "small/matrix c_transform_over_w1 max where critic=potential as .2f"
COUNT = "small/matrix key count where method.name=potential as d"


def quote(what: str, text: str) -> str:
    return f"<!--quote {what}-->{text}<!--/-->"


@pytest.fixture
def values(small_results: Path) -> dict[str, str]:
    """The three numbers, computed from the tables another way."""
    results = Results(small_results)
    clip = derive(results.rows(), results.timings())["clip"]
    fits = (clip["problem.dim"] == 2) & (clip["method.clip"] == 0.1) & (clip["sampling.mode"] == "coupled")
    fits &= clip["problem.overlap"] == 0.5
    best = max(
        r["c_transform"] / r["primal"] for r in lines(results.rows_file) if r["method.name"] == "potential"
    )
    return {NUMBER: f"{clip.loc[fits, 'slope_over_w1_median'].item():.3f}", MANY: f"{best:.2f}", COUNT: "16"}


@pytest.fixture
def page(tmp_path: Path, values: dict[str, str], small_results: Path) -> Path:
    """A text that quotes the three numbers and the headline."""
    body = " and ".join(quote(what, text) for what, text in values.items())
    table = f"<!--table small-->\n{markdown(by_clip(load(small_results)))}<!--/table-->"
    (tmp_path / "README.md").write_text(f"# otbench\n\n{body}.\n\n{table}\nThe end.\n")
    return tmp_path / "README.md"


def test_right_quotes_pass(page: Path, small_results: Path) -> None:
    assert check_quotes(page, small_results.parent) == []
    before = page.read_text()
    assert rewrite_quotes(page, small_results.parent) == 0
    assert page.read_text() == before


@pytest.mark.parametrize("what", [NUMBER, MANY, COUNT])
def test_a_wrong_number_is_reported_with_its_line_and_repaired(
    what: str, page: Path, values: dict[str, str], small_results: Path
) -> None:
    right = page.read_text()
    page.write_text(right.replace(quote(what, values[what]), quote(what, "0.123")))
    (violation,) = check_quotes(page, small_results.parent)
    assert str(violation) == f"quoted number: README.md, line 3: observed 0.123, must be {values[what]}"
    assert rewrite_quotes(page, small_results.parent) == 1
    assert page.read_text() == right


def test_a_wrong_table_is_reported_and_repaired(page: Path, small_results: Path) -> None:
    right = page.read_text()
    page.write_text(right.replace("| 0.01 ", "| 0.02 ", 1))
    assert page.read_text() != right
    (violation,) = check_quotes(page, small_results.parent)
    assert violation.cell.startswith("README.md, line 6, its line 3 (coupled, 0, 0.01, ")
    assert (violation.column, violation.observed, violation.bound) == ("clip c", "0.02", "0.01")
    assert rewrite_quotes(page, small_results.parent) == 1
    assert page.read_text() == right


def test_every_wrong_quote_is_repaired_at_once(page: Path, small_results: Path) -> None:
    right = page.read_text()
    page.write_text(re.sub(r"-->[0-9.]+<!--/-->", "-->a much longer text<!--/-->", right))
    assert len(check_quotes(page, small_results.parent)) == 3
    assert rewrite_quotes(page, small_results.parent) == 3
    assert page.read_text() == right


def test_a_text_without_quotes_needs_no_results(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing\n")
    assert check_quotes(tmp_path / "README.md", tmp_path) == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("small/clap slope_over_w1_median as .2f", "no table 'clap'; known: matrix, agreement, clip, laws, paired, e"),
        ("small/clip slope_median where dim=2 as .2f", "'slope_median' fits 0 columns; write it with its prefix"),
        ("small/clip slope_over_w1_median where dimm=2 as .2f", "'dimm' fits 0 columns"),
        ("small/matrix raw where name=zero as .2f", "'name' fits 2 columns; write it with its prefix"),
        ("small/clip slope_over_w1_median where dim=2 as .2f", "fits 8 entries; narrow it to one, or name a statistic"),
        ("small/clip slope_over_w1_median where dim=7 as .2f", "fits 0 entries"),
        ("small/matrix raw max where method.name=nobody as .2f", "nobody"),
        ("small/clip slope_over_w1_median median as .2q", ".2q"),
        ("small/matrix method.name where key=nothing as .2f", "fits 0 entries"),
        ("small/matrix method.name max as .2f", "method.name"),
        ("small/matrix status median as .2f", "status"),
        ("small/clip slope_over_w1_median average as .2f", "average"),
        ("small/clip slope_over_w1_median where dim=2", "quote"),
        ("small slope_over_w1_median as .2f", "quote"),
        ("small/clip as .2f", "quote"),
        ("", "quote"),
    ],
)
def test_a_malformed_quote_is_an_error_that_shows_it(
    what: str, said: str, tmp_path: Path, small_results: Path
) -> None:
    (tmp_path / "README.md").write_text(f"It is {quote(what, '0.5')}.\n")
    for use in (check_quotes, rewrite_quotes):
        with pytest.raises(InputError, match=re.escape(said)) as refused:
            use(tmp_path / "README.md", small_results.parent)
        assert what in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        f"<!--quote {NUMBER}-->0.5",
        "<!--quote small/clip-->\n0.5<!--/-->",
        "<!--table small-->\n| a |\n",
        "<!--table small--><!--/table-->",
        "<!--table-->\n<!--/table-->",
    ],
)
def test_a_quote_that_is_cut_short_is_an_error(text: str, tmp_path: Path, small_results: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(InputError):
        check_quotes(tmp_path / "README.md", small_results.parent)


def test_a_table_of_results_without_trained_critics_is_one_line_or_empty(tmp_path: Path) -> None:
    run_experiment(declare(tmp_path), tmp_path / "tiny")
    (tmp_path / "README.md").write_text("<!--table tiny-->\n<!--/table-->")
    try:
        check_quotes(tmp_path / "README.md", tmp_path)
        said = ""
    except OtbenchError as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize("text", [quote("nowhere/clip raw as .2f", "1"), "<!--table nowhere-->\n<!--/table-->"])
def test_a_quote_of_results_that_are_not_there_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(ResultsError, match=r"no rows in .*nowhere"):
        check_quotes(tmp_path / "README.md", tmp_path)


@pytest.mark.parametrize("data", [None, b"\xff\xfe\x00"])
def test_a_text_that_cannot_be_read_is_one_line(data: bytes | None, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / "README.md").write_bytes(data)
    with pytest.raises(OtbenchError, match=r"README.md cannot be read: ") as refused:
        check_quotes(tmp_path / "README.md", tmp_path)
    assert "\n" not in str(refused.value)


def test_a_table_of_clip_values_that_would_pool_networks_is_refused(small_results: Path) -> None:
    frame = load(small_results)
    widths = frame["method.widths"].where(frame["seed"] == 0, "9x9").where(frame["critic"] == "weight_clip")
    with pytest.raises(InputError, match=r"would pool cells that differ in method\.widths; quote their numbers"):
        by_clip(frame.assign(**{"method.widths": widths}))


def test_a_quoted_table_that_changed_names_the_row_and_the_column(page: Path, small_results: Path) -> None:
    text = page.read_text()
    value = re.search(r"\| 0\.1 +\| ([^ |]+)", text)
    assert value is not None
    page.write_text(text[: value.start(1)] + "7.77" + text[value.end(1) :])
    (found,) = check_quotes(page, small_results.parent)
    assert found.rule == "quoted table"
    assert found.cell.startswith("README.md, line 6, its line 4 (coupled, 0, 0.1, ")
    assert (found.observed, found.bound, found.column) == ("7.77", value[1], "raw/W1, d=2")


def test_a_number_is_quoted_with_its_interval(tmp_path: Path, small_results: Path) -> None:
    what = "small/clip slope_over_w1_median where dim=2 clip=0.1 mode=coupled overlap=0.5 as .3f []"
    (tmp_path / "README.md").write_text(f"It is {quote(what, '?')}.\n")
    assert rewrite_quotes(tmp_path / "README.md", small_results.parent) == 1
    rows = [r for r in lines(small_results / "rows.jsonl") if r["method.name"] == "weight_clip"]
    rows = [r for r in rows if (r["problem.dim"], r["method.clip"], r["method.steps"]) == (2, 0.1, 40)]
    rows = [r for r in rows if r["sampling.mode"] == "coupled"]
    values = sorted(r["raw"] / r["slope_constant"] / r["primal"] for r in rows if r["problem.overlap"] == 0.5)
    assert len(values) == 2
    expected = f"{sum(values) / 2:.3f} [{values[0]:.3f}, {values[1]:.3f}]"
    assert (tmp_path / "README.md").read_text() == f"It is {quote(what, expected)}.\n"
    (tmp_path / "README.md").write_text(f"It is {quote(what.replace('_median where', '_median max where'), '?')}.\n")
    with pytest.raises(InputError, match=r"a max over lines has no interval; leave \[\] out"):
        check_quotes(tmp_path / "README.md", small_results.parent)


def test_a_measured_time_is_quoted_with_its_quartiles(tmp_path: Path) -> None:
    line = pd.DataFrame({"kind": ["exact"], "seconds_median": [2.0], "seconds_q1": [1.5], "seconds_q3": [2.25]})
    match = QUOTE.fullmatch("<!--quote t/timing seconds_median where kind=exact as .2f []-->?<!--/-->")
    assert match is not None
    assert quoted_value(match, {"timing": line}) == "2.00 [1.50, 2.25]"
    both = line.assign(seconds_low=1.8, seconds_high=2.1)
    assert quoted_value(match, {"timing": both}) == "2.00 [1.80, 2.10]"
