"""What the page says in words: answers that are true of the rows, words that are explained, and escaped names."""

import webbrowser
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command_line import Otbench, assert_one_line
from committed import committed
from hostile_page import FOLDER, HOSTILE

from otbench.experiment.locate import experiments
from otbench.report.page.answers import Answer, Piece, answer_of
from otbench.report.page.fields import defined
from otbench.report.page.render import PLOTLY, marked, visible
from otbench.report.page.sections import section
from otbench.report.page.views import offered
from otbench.report.quotes import quotes_of
from otbench.results.folder import Stored
from otbench.results.meanings import meaning, words
from otbench.results.store import Results

REPOSITORY = Path(__file__).parents[3]
ANSWERS = REPOSITORY / "experiments" / "answers.md"


def test_every_experiment_with_committed_results_has_an_answer_with_numbers() -> None:
    text = ANSWERS.read_text()
    told = {line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")}
    assert set(committed()) & set(experiments()) <= told
    quoted = {quote.source["experiment"] for quote in quotes_of(ANSWERS)}
    assert quoted == told


@pytest.fixture
def answered(copy: Results, otbench: Otbench) -> Stored:
    """The small results where an answer to them is written down, with a number that is wrong."""
    Path("experiments").mkdir()
    Path("experiments/answers.md").write_text(
        "# Answers\n\n## other\n\nNo.\n\n## small\n\nIt is\n0.000 of W1, times c\\*.\n\nMore: `otbench list`.\n\n"
        "<!--quotes quotes.txt-->\n"
    )
    Path("experiments/quotes.txt").write_text(
        "It is {} of W1\n"
        "    small/clip slope_over_w1_median where dim=2 clip=0.1 mode=coupled overlap=0.5 as .3f\n"
    )
    return Stored(copy)


def test_an_answer_is_shown_where_its_numbers_are_the_rows_and_only_there(answered: Stored, otbench: Otbench) -> None:
    file = Path("experiments/answers.md")
    wrong = answer_of(answered)
    assert otbench("quotes", file, "--results", "../results").code == 0
    right = answer_of(answered)
    assert wrong is not None
    assert right is not None
    assert (wrong.differing, right.differing) == (1, 0)
    assert right.paragraphs[1] == (Piece("More: "), Piece("otbench list", is_code=True), Piece("."))
    words, number, rest = right.paragraphs[0]
    assert (words.text, rest.text) == ("It is ", " of W1, times c*.")
    assert number.text == quotes_of(file)[0].text
    assert number.source == (
        "slope_over_w1_median in small/tables/clip.csv, where dim=2, clip=0.1, mode=coupled, overlap=0.5"
    )
    file = Path("experiments/quotes.txt")
    text = file.read_text()
    for mistake in ("small/clip", "matrix/clip"), ("dim=2", "dim=77"), ("slope_over", "slop_over"):
        file.write_text(text.replace(*mistake))
        found = answer_of(answered)
        assert found is not None
        assert found.differing == 1


def test_an_experiment_without_an_answer_has_none(copy: Results) -> None:
    assert answer_of(Stored(copy)) is None


class Elements(HTMLParser):
    """The elements of a page, the text that is shown, and what is inside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_hostile_names_are_text_and_nothing_else(page_file: Path, two_results: Path) -> None:
    page = Elements(page_file.read_text("utf-8"))
    tables = sum(1 for name in page.ids if name.startswith("table-"))
    assert page.tags.count("script") == 2 + tables + 1
    assert page.tags.count("img") == 0
    assert len(page.ids) == len(set(page.ids))
    assert FOLDER in page.ids
    assert visible(HOSTILE) in page.text
    assert not set("\u202e\u0007") & set(page_file.read_text("utf-8"))


def test_the_page_loads_nothing_and_asks_for_nothing(page_file: Path) -> None:
    text = page_file.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not {"link", "iframe", "img", "object"} & set(Elements(text).tags)


def test_a_violation_and_what_it_is_of_are_told(copy: Results) -> None:
    rows = copy.rows_file.read_text().replace('"status":"ok"', '"status":"failed"', 1)
    copy.rows_file.write_text(rows)
    found = section(Stored(copy), "")
    assert found.violations >= 1
    broken = next(rule for rule in found.rules if rule.name == "failures")
    assert (broken.violations, len(broken.shown)) == (1, 1)
    assert broken.asks.startswith("No cell failed")
    assert all(rule.asks for rule in found.rules)


def test_rows_that_cannot_be_read_are_one_line(copy: Results, otbench: Otbench) -> None:
    copy.rows_file.write_text(copy.rows_file.read_text().replace('"clip_constant"', '"clip_konstant"'))
    assert_one_line(otbench("report", "--results", "../results"), "clip_constant")
    assert not Path("report.html").exists()


def test_views_pin_what_would_be_pooled(small_results: Path) -> None:
    frame = Stored(Results(small_results)).frame
    view = next(v for v in offered({"rows": frame}) if (v["x"], v["y"]) == ("method.clip", "slope_over_w1"))
    rows = frame
    for name, text in view["filters"].items():
        rows = rows[rows[name].map(str) == text.removeprefix("=")]
    told = rows.groupby(["method.clip", "problem.dim"])["seed"].agg(["size", "nunique"])
    assert len(told) == 4
    assert (told["size"] == told["nunique"]).all()


def test_a_view_of_what_is_not_there_is_not_offered(small_results: Path) -> None:
    frame = Stored(Results(small_results)).frame
    titles = {view["title"] for view in offered({"rows": frame})}
    assert "Clip values: what is proved" in titles
    for part in frame[frame["critic"] == "zero"], frame[frame["method.clip"] == 0.1], frame.drop(columns="method.clip"):
        assert "Clip values: what is proved" not in {view["title"] for view in offered({"rows": part})}


def test_words_are_marked_where_they_stand_first() -> None:
    (parts,) = marked("A critic, another critic, and W1.")
    assert [part.text for part in parts if part.kind == "term"] == ["critic", "W1"]
    assert "".join(part.text for part in parts) == "A critic, another critic, and W1."
    assert {part.kind for part in marked("criticism of W12")[0]} == {"plain"}
    first, second = (Piece("the critic"), Piece("0.5", "here")), (Piece("critic"), Piece("otbench", is_code=True))
    answer = Answer((first, second), differing=0)
    assert [[part.kind for part in parts if part.text] for parts in marked(answer)] == [
        ["plain", "term", "quoted"], ["plain", "code"],
    ]  # fmt: skip
    assert all(words().values())


def test_fields_of_problems_and_methods_are_explained(small_results: Path) -> None:
    frame = Stored(Results(small_results)).frame
    assert defined("method.clip", frame, "matrix") == "c, the half side of the box"
    assert defined("problem.nothing", frame, "matrix") == "the problem's field nothing"


def test_a_column_is_explained_as_it_is_in_its_table() -> None:
    """The rows of a study by its kind: one solve's gap is not the largest of several."""
    tables = {t.name: t.definitions for t in section(Stored(Results(REPOSITORY / "results" / "growth")), "").tables}
    for name, known_as in ("rows", "growth"), ("solvers", "solvers"):
        assert tables[name]["gap"] == meaning("gap", known_as) != meaning("gap")
    assert meaning("gap", "growth") != meaning("gap", "solvers")


def test_plotly_is_the_published_bundle_with_its_licence() -> None:
    text = PLOTLY.read_text("utf-8")
    assert text.startswith("/**\n* plotly.js (basic - minified) v4.1.1")
    assert "</script" not in text
    assert "MIT License" in (PLOTLY.parent / "plotly-LICENSE").read_text()


def test_mistakes_are_one_line(otbench: Otbench, two_results: Path) -> None:
    assert_one_line(otbench("report", "-o", "none/page.html", "--results", two_results), "there is no folder none")
    assert_one_line(otbench("report", "smal", "--results", two_results), "did you mean 'small'")
    assert_one_line(otbench("report", "--results", "nowhere"), "no results in nowhere")


class Kept(webbrowser.BaseBrowser):
    """A browser that keeps what it is to show."""

    def __init__(self) -> None:
        super().__init__("kept")
        self.works = True
        self.shown: list[str] = []

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.shown.append(url)
        return self.works


def test_open_shows_the_page_and_says_where_there_is_no_browser(
    otbench: Otbench, two_results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    monkeypatch.setattr(webbrowser, "_tryorder", ["kept"])
    monkeypatch.setattr(webbrowser, "_browsers", {"kept": [None, kept]})
    for name, works in ("a.html", True), ("b.html", False):
        kept.works = works
        done = otbench("report", "small", "-o", name, "--results", two_results, "--open")
        assert done.code == (0 if works else 2)
        assert ("--open found no browser" in done.err) != works
        assert kept.shown[-1] == Path(name).resolve().as_uri()
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()
