"""Numbers quoted in a text are those of the rows, and a quote that cannot be read is an error, never passed over."""

import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from small import declare, derive, lines

from otbench.errors import InputError, OtbenchError, ResultsError
from otbench.experiment.run.runner import run_experiment
from otbench.report.check.violation import Violation
from otbench.report.markdown import by_clip, markdown
from otbench.report.quotes import NUMBER_SOURCE, _phrases, check_quotes, quoted_value, rewrite_quotes
from otbench.results.folder import Stored, load
from otbench.results.store import Results

ROOT = Path(__file__).parent.parent.parent

NUMBER = "small/clip slope_over_w1_median where dim=2 clip=0.1 mode=coupled overlap=0.5 as .3f"
MANY = "small/matrix c_transform_over_w1 max where critic=potential as .2f"
COUNT = "small/matrix key count where method.name=potential as d"


SAYS = {NUMBER: "It proves {} of W1", MANY: "the potential {},", COUNT: "on {} samples"}


@cache
def stored(folder: Path) -> Stored:
    """The folder, whose tables are derived once for all tests."""
    return Stored(Results(folder))


def read(results: Path) -> dict[str, Stored]:
    return {"small": stored(results / "small")} if (results / "small").is_dir() else {}


def checked(file: Path, results: Path) -> list[Violation]:
    return check_quotes(file, results, read(results))


def rewritten(file: Path, results: Path) -> int:
    return rewrite_quotes(file, results, read(results))


def quoting(folder: Path, text: str, quotes: str) -> Path:
    """A text, and the file of its quotes beside it."""
    (folder / "quotes.txt").write_text(quotes)
    (folder / "README.md").write_text(f"{text}\n<!--quotes quotes.txt-->\n")
    return folder / "README.md"


def one(folder: Path, what: str, value: str) -> Path:
    """A text with one quote."""
    return quoting(folder, f"It is {value}.", f"It is {{}}\n    {what}\n")


@pytest.fixture(scope="module")
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
    body = " ".join(words.format(values[what]) for what, words in SAYS.items())
    table = f"The headline:\n\n{markdown(by_clip(load(small_results)))}"
    quotes = "".join(f"{words}\n    {what}\n\n" for what, words in SAYS.items())
    quotes = f"# Of this page.\n{quotes}The headline: {{}}\n    table small\n"
    return quoting(tmp_path, f"# otbench\n\n{body}.\n\n{table}\nThe end.", quotes)


def test_right_quotes_pass(page: Path, small_results: Path) -> None:
    assert check_quotes(page, small_results.parent) == []
    before = page.read_text()
    assert rewritten(page, small_results.parent) == 0
    assert page.read_text() == before


@pytest.mark.parametrize(
    ("what", "wrong"),
    [(NUMBER, "0.123"), (NUMBER, "0.93 [0.92, 0.94]"), (MANY, "-7e-05"), (MANY, "?"), (COUNT, "98%"), (COUNT, "1,234")],
)
def test_a_wrong_number_is_reported_with_its_line_and_repaired(
    what: str, wrong: str, page: Path, values: dict[str, str], small_results: Path
) -> None:
    right, words = page.read_text(), SAYS[what]
    page.write_text(right.replace(words.format(values[what]), words.format(wrong)))
    (violation,) = checked(page, small_results.parent)
    assert str(violation) == f"quoted number: README.md, line 3: observed {wrong}, must be {values[what]}"
    assert rewritten(page, small_results.parent) == 1
    assert page.read_text() == right


def test_words_that_changed_are_reported_and_nothing_is_written(page: Path, small_results: Path) -> None:
    """A number of which the words are gone would go unchecked; the others are checked all the same."""
    changed = page.read_text().replace("It proves ", "It has ").replace("on 16", "on 17")
    page.write_text(changed)
    gone, wrong = checked(page, small_results.parent)
    said = "quoted number: README.md: observed no such words, must be 'It proves {} of W1', as quotes.txt, line 2"
    assert str(gone) == said
    assert (wrong.observed, wrong.bound) == ("17", "16")
    with pytest.raises(InputError, match=r"quotes.txt, line 2: README.md does not say 'It proves {} of W1'"):
        rewritten(page, small_results.parent)
    assert page.read_text() == changed


def test_words_that_stand_twice_are_an_error(page: Path, small_results: Path) -> None:
    page.write_text(page.read_text() + "We trained on 3 samples.\n")
    for use in (checked, rewritten):
        with pytest.raises(InputError, match=r"line 8: the text says 'on {} samples' 2 times; write more of its words"):
            use(page, small_results.parent)


def test_words_are_found_however_the_lines_break(page: Path, small_results: Path) -> None:
    page.write_text(page.read_text().replace("It proves ", "It\n  proves\n  ").replace("16 samples", "16\nsamples"))
    assert checked(page, small_results.parent) == []
    quotes = page.with_name("quotes.txt")
    quotes.write_text(quotes.read_text().replace("It proves {} of", "It\nproves {}\nof"))
    assert checked(page, small_results.parent) == []


def test_a_wrong_table_is_reported_and_repaired(page: Path, small_results: Path) -> None:
    right = page.read_text()
    page.write_text(right.replace("| 0.01 ", "| 0.02 ", 1))
    assert page.read_text() != right
    (violation,) = checked(page, small_results.parent)
    assert violation.cell.startswith("README.md, line 7, its line 3 (coupled, 0, 0.01, ")
    assert (violation.column, violation.observed, violation.bound) == ("clip c", "0.02", "0.01")
    assert rewritten(page, small_results.parent) == 1
    assert page.read_text() == right


def test_columns_of_a_table_are_quoted_whole(tmp_path: Path, small_results: Path) -> None:
    what = "table small/clip dim,raw_over_w1_median where mode=coupled overlap=0.5"
    text = quoting(tmp_path, "Here:\n\n| ? |\n", f"Here: {{}}\n    {what}\n")
    assert rewritten(text, small_results.parent) == 1
    assert checked(text, small_results.parent) == []
    clip = stored(small_results).tables["clip"]
    lines_of_it = clip[(clip["sampling.mode"] == "coupled") & (clip["problem.overlap"] == 0.5)]
    shown = lines_of_it[["problem.dim", "raw_over_w1_median"]].set_axis(["problem.dim", "raw over w1 median"], axis=1)
    assert markdown(shown) in text.read_text()
    with pytest.raises(InputError, match="no table 'clap'; known: "):
        checked(one(tmp_path, "table small/clap dim", "| 1 |"), small_results.parent)


def test_every_wrong_quote_is_repaired_at_once(page: Path, small_results: Path) -> None:
    right = page.read_text()
    page.write_text(re.sub(r"(proves|potential|on) [0-9.]+\d", r"\1 -1234567.8e-90", right))
    assert len(checked(page, small_results.parent)) == 3
    assert rewritten(page, small_results.parent) == 3
    assert page.read_text() == right


def test_a_text_without_quotes_needs_no_results(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing\n")
    assert checked(tmp_path / "README.md", tmp_path) == []


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
        ("small/clip slope_over_w1_median average as .2f", "is no source of a quote"),
        ("small/clip slope_over_w1_median where dim=2", "is no source of a quote"),
        ("small slope_over_w1_median as .2f", "is no source of a quote"),
        ("small/clip as .2f", "is no source of a quote"),
        ("table", "is no source of a quote"),
    ],
)
def test_a_malformed_quote_is_an_error_that_shows_it(
    what: str, said: str, tmp_path: Path, small_results: Path
) -> None:
    text = one(tmp_path, what, "0.5")
    for use in (checked, rewritten):
        with pytest.raises(InputError, match=re.escape(said)) as refused:
            use(text, small_results.parent)
        assert what in str(refused.value)
        assert "quotes.txt, line " in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("quotes", "said"),
    [
        (f"It is {{}}\n    {NUMBER}\n    {COUNT}\n", "line 1: 'It is {}' has 1 places {} and 2 sources below them"),
        (f"It is {{}} and {{}}\n    {NUMBER}\n", "2 places {} and 1 sources"),
        ("It is {}\n", "1 places {} and 0 sources"),
        (f"It is\n    {NUMBER}\n", "0 places {} and 1 sources"),
        (f"    {NUMBER}\n", "line 1: 'small/clip"),
    ],
)
def test_words_and_sources_that_do_not_fit_are_an_error(
    quotes: str, said: str, tmp_path: Path, small_results: Path
) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        checked(quoting(tmp_path, "It is 0.5", quotes), small_results.parent)


@pytest.mark.parametrize("comment", ["<!--quote small/matrix raw as d-->", "<!--quotes-->", "<!-- quotes a.txt -->",
                                     "<!--quotes a b-->", "<!--table small-->"])  # fmt: skip
def test_a_comment_that_only_looks_like_the_file_of_quotes_is_an_error(
    comment: str, tmp_path: Path, small_results: Path
) -> None:
    (tmp_path / "README.md").write_text(f"It is 0.5.\n{comment}\n")
    with pytest.raises(InputError, match=re.escape(f"line 2: {comment!r} should be <!--quotes FILE-->")):
        checked(tmp_path / "README.md", small_results.parent)


def test_a_table_of_results_without_trained_critics_is_one_line_or_empty(tmp_path: Path) -> None:
    run_experiment(declare(tmp_path), tmp_path / "tiny")
    text = quoting(tmp_path, "Here:\n\n| ? |", "Here: {}\n    table tiny\n")
    try:
        checked(text, tmp_path)
        said = ""
    except OtbenchError as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize("what", ["nowhere/clip raw as .2f", "table nowhere"])
def test_a_quote_of_results_that_are_not_there_is_one_line(what: str, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"no rows in .*nowhere"):
        checked(one(tmp_path, what, "| 1 |" if what.startswith("table") else "1"), tmp_path)


@pytest.mark.parametrize("data", [None, b"\xff\xfe\x00"])
@pytest.mark.parametrize("name", ["README.md", "quotes.txt"])
def test_a_text_that_cannot_be_read_is_one_line(name: str, data: bytes | None, tmp_path: Path) -> None:
    text = quoting(tmp_path, "", "")
    (tmp_path / name).unlink()
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(OtbenchError, match=rf"{name} cannot be read: ") as refused:
        checked(text, tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["README.md", "README.zh.md", "docs/findings.md", "docs/speed.md"])
def test_every_quote_of_the_documents_is_found_in_them(text: str) -> None:
    """That their numbers are right ``otbench check`` tells; here only the words are looked for, which is quick."""
    file = ROOT / text
    found = [(phrase.words, phrase.find(file.read_text())) for phrase in _phrases(file, file.read_text())]
    assert len(found) >= 3
    assert [words for words, match in found if match is None] == []


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
    (found,) = checked(page, small_results.parent)
    assert found.rule == "quoted table"
    assert found.cell.startswith("README.md, line 7, its line 4 (coupled, 0, 0.1, ")
    assert (found.observed, found.bound, found.column) == ("7.77", value[1], "raw/W1, d=2")


def test_a_number_is_quoted_with_its_interval(tmp_path: Path, small_results: Path) -> None:
    what = "small/clip slope_over_w1_median where dim=2 clip=0.1 mode=coupled overlap=0.5 as .3f []"
    assert rewritten(one(tmp_path, what, "?"), small_results.parent) == 1
    rows = [r for r in lines(small_results / "rows.jsonl") if r["method.name"] == "weight_clip"]
    rows = [r for r in rows if (r["problem.dim"], r["method.clip"], r["method.steps"]) == (2, 0.1, 40)]
    rows = [r for r in rows if r["sampling.mode"] == "coupled"]
    values = sorted(r["raw"] / r["slope_constant"] / r["primal"] for r in rows if r["problem.overlap"] == 0.5)
    assert len(values) == 2
    expected = f"{sum(values) / 2:.3f} [{values[0]:.3f}, {values[1]:.3f}]"
    assert (tmp_path / "README.md").read_text().startswith(f"It is {expected}.\n")
    one(tmp_path, what.replace("_median where", "_median max where"), "?")
    with pytest.raises(InputError, match=r"a max over lines has no interval; leave \[\] out"):
        checked(tmp_path / "README.md", small_results.parent)


def test_a_measured_time_is_quoted_with_its_quartiles(tmp_path: Path) -> None:
    line = pd.DataFrame({"kind": ["exact"], "seconds_median": [2.0], "seconds_q1": [1.5], "seconds_q3": [2.25]})
    match = NUMBER_SOURCE.fullmatch("t/timing seconds_median where kind=exact as .2f []")
    assert match is not None
    assert quoted_value(match, {"timing": line}) == "2.00 [1.50, 2.25]"
    both = line.assign(seconds_low=1.8, seconds_high=2.1)
    assert quoted_value(match, {"timing": both}) == "2.00 [1.80, 2.10]"
