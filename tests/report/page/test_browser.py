"""The page in a real browser without a network: it sorts, filters, downloads, hovers, and serves everybody."""

import csv
import io
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from hostile_page import FOLDER, HOSTILE, SCREENSHOTS

from otbench.report.page.render import visible
from otbench.results.folder import Stored
from otbench.results.store import Results

Page = Any

#: A section whose picture and table are drawn.
READY = "[data-ready=yes]"

#: The weight of a fault of accessibility that is not let pass.
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the pages asked of the network or complained of."""
    return []


@pytest.fixture(scope="module")
def page(chromium: Any, page_file: Path, told: list[str]) -> Iterator[Page]:
    """The page, opened once, on a wide screen."""
    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: told.append(request.url) if request.url != page_file.as_uri() else None)
    page.goto(page_file.as_uri())
    page.wait_for_selector("html" + READY)
    yield page
    context.close()


@pytest.fixture
def small(page: Page) -> Page:
    """The section of the small experiment, as it is at first."""
    page.keyboard.press("Escape")
    page.evaluate("main.sections[1].set(main.sections[1].defaults())")
    return page.locator(f"#small{READY}")


@pytest.fixture(scope="module")
def frame(small_results: Path) -> pd.DataFrame:
    return Stored(Results(small_results)).frame


def screenshot(page: Page, name: str, **options: Any) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True, **options)


def cells(section: Page, column: str) -> list[str]:
    """What the table shows in a column, from its first row on."""
    place = int(section.locator(f"[role=columnheader]:has(button:text-is('{column}'))").get_attribute("aria-colindex"))
    return section.locator(f".body [role=gridcell][aria-colindex='{place}']").all_text_contents()


def type_filter(section: Page, column: str, text: str) -> None:
    section.get_by_label(f"Filter {column}", exact=True).fill(text)


def shown_rows(section: Page) -> int:
    return int(section.locator("[role=grid]").get_attribute("aria-rowcount")) - 2


def settled(page: Page) -> None:
    """Wait until what was typed is in the picture and the address too."""
    page.wait_for_timeout(350)


def test_it_loads_without_a_request_and_without_a_word_of_complaint(page: Page, told: list[str]) -> None:
    assert page.locator(f"section{READY}").count() == 2
    assert page.locator(".plot .scatterlayer .trace").count() >= 2
    assert told == []
    screenshot(page, "light")


def test_names_from_files_are_shown_as_they_are_and_run_nowhere(page: Page, told: list[str]) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    hostile = page.locator("section.experiment").first
    assert hostile.get_attribute("id") == FOLDER
    assert hostile.locator(".question").text_content() == visible(HOSTILE)
    page.evaluate("main.sections[0].set({view: null, table: 'rows', x: 'problem.dim', y: 'slope_over_w1', "
                  "colour: 'method.name', log: '', filters: new Map(), sort: ''})")  # fmt: skip
    names = hostile.locator(".legendtext").all_text_contents()
    assert any(name.startswith("</script><script>window.hacked=1</script><img") for name in names)
    assert visible(HOSTILE) in cells(hostile, "method.name")
    page.evaluate("main.sections[0].open(0)")
    assert visible(HOSTILE) in page.locator("dialog td").all_text_contents()
    page.keyboard.press("Escape")
    assert page.evaluate("window.hacked") is None
    assert told == []


def test_a_heading_sorts_down_and_up_and_back(small: Page, frame: pd.DataFrame) -> None:
    small.get_by_role("button", name="Show all rows").click()
    heading = small.locator("[role=columnheader] button", has_text="slope_over_w1")
    known = frame["slope_over_w1"].dropna().sort_values()
    heading.click()
    assert small.locator("[aria-sort=ascending]").count() == 1
    assert [float(text) for text in cells(small, "slope_over_w1")[:5]] == pytest.approx(list(known[:5]), rel=1e-3)
    heading.click()
    assert [float(text) for text in cells(small, "slope_over_w1")[:5]] == pytest.approx(list(known[::-1][:5]), rel=1e-3)
    heading.click()
    assert small.locator("[aria-sort=ascending], [aria-sort=descending]").count() == 0


@pytest.mark.parametrize(
    ("column", "text", "passes"),
    [
        ("critic", "weight", lambda f: f["critic"].str.contains("weight")),
        ("critic", "=zero, =linear", lambda f: f["critic"].isin(["zero", "linear"])),
        ("critic", "!=zero", lambda f: f["critic"] != "zero"),
        ("method.clip", "=", lambda f: f["method.clip"].isna()),
        ("method.clip", "0.01", lambda f: f["method.clip"] == 0.01),
        ("slope_over_w1", "0.5..0.9", lambda f: f["slope_over_w1"].between(0.5, 0.9)),
        ("slope_over_w1", ">= 0.7", lambda f: f["slope_over_w1"] >= 0.7),
        ("slope_over_w1", "<0.1, >0.99", lambda f: (f["slope_over_w1"] < 0.1) | (f["slope_over_w1"] > 0.99)),
    ],
)
def test_a_column_filters(
    small: Page, frame: pd.DataFrame, column: str, text: str, passes: Callable[[pd.DataFrame], "pd.Series[bool]"]
) -> None:
    small.get_by_role("button", name="Show all rows").click()
    assert shown_rows(small) == len(frame)
    type_filter(small, column, text)
    assert shown_rows(small) == int(passes(frame).sum()) > 0


def test_the_download_is_the_rows_that_pass_to_seven_digits(page: Page, small: Page, frame: pd.DataFrame) -> None:
    small.get_by_role("button", name="Show all rows").click()
    type_filter(small, "critic", "=weight_clip")
    with page.expect_download() as waited:
        small.get_by_role("button", name="Download CSV").click()
    assert waited.value.suggested_filename == "small-rows.csv"
    rows = list(csv.DictReader(io.StringIO(Path(waited.value.path()).read_text("utf-8"))))
    passing = frame[frame["critic"] == "weight_clip"]
    assert [float(row["raw_over_w1"]) for row in rows] == pytest.approx(list(passing["raw_over_w1"]), rel=5e-7)
    assert [row["key"] for row in rows] == [key[:12] for key in passing["key"]]
    assert [row["problem.name"] for row in rows] == list(passing["problem.name"])


def median_of(frame: pd.DataFrame, dim: int, clip: float) -> "pd.Series[float]":
    """slope/W1 of the seeds that the first point of the first view stands for."""
    rows = frame[(frame["critic"] == "weight_clip") & (frame["problem.dim"] == dim) & (frame["method.clip"] == clip)]
    rows = rows[(rows["problem.overlap"] == 0.5) & (rows["sampling.mode"] == "independent")]
    return rows["slope_over_w1"]


def test_the_pointer_on_a_point_tells_its_numbers_and_a_click_shows_its_rows(
    page: Page, small: Page, frame: pd.DataFrame
) -> None:
    small.scroll_into_view_if_needed()
    point = small.locator(".scatterlayer .trace").first.locator(".points path").first
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#tip:not([hidden])")
    text = page.locator("#tip").inner_text()
    values = median_of(frame, 2, 0.01)
    assert f"slope_over_w1: {float(f'{values.median():.4g}'):g}" in text
    assert "problem.dim: 2" in text
    assert f"{len(values)}, median and range" in text
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("main.sections[1].rows.length == 2")
    assert [float(t) for t in cells(small, "slope_over_w1")] == pytest.approx(list(values), rel=1e-3)
    assert page.evaluate("location.hash").startswith("#small?view=0&")


def test_an_address_brings_back_what_was_seen(chromium: Any, page_file: Path, frame: pd.DataFrame) -> None:
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto(page_file.as_uri() + "#small?view=1&sort=-raw&columns=raw+critic&is.critic=%3Dlinear")
    page.wait_for_selector(f"#small{READY}")
    small = page.locator("#small")
    known = frame[frame["critic"] == "linear"]["raw"].sort_values(ascending=False)
    assert [float(text) for text in cells(small, "raw")[:4]] == pytest.approx(list(known[:4]), rel=1e-3)
    assert small.locator("[role=columnheader]").count() == 2
    page.evaluate("location.hash = '#" + quote(FOLDER) + "?is.critic=nothing'")
    page.wait_for_function("main.sections[0].rows && main.sections[0].rows.length == 0")
    page.evaluate("location.hash = '#%E0%A4%A'")  # an address that was cut
    assert small.locator("[role=columnheader]").count() == 2
    context.close()


def test_the_keyboard_goes_through_the_table_and_opens_a_row(page: Page, small: Page, frame: pd.DataFrame) -> None:
    small.get_by_role("button", name="Show all rows").click()
    grid = small.locator("[role=grid]")
    grid.focus()
    page.keyboard.press("Control+End")
    at = page.locator(f"[id='{grid.get_attribute('aria-activedescendant')}']")
    assert int(at.locator("..").get_attribute("aria-rowindex")) == len(frame) + 2
    assert at.is_visible()
    for key in ("Home", "PageUp", "ArrowDown", "ArrowRight", "ArrowLeft", "Control+Home", "ArrowDown"):
        page.keyboard.press(key)
    at = page.locator(f"[id='{grid.get_attribute('aria-activedescendant')}']")
    assert at.locator("..").get_attribute("aria-rowindex") == "4"
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1
    assert f"otbench run small --only {frame['key'].iloc[1][:12]}" in page.locator("dialog").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_the_keyboard_goes_through_the_picture_zooms_and_chooses(page: Page, small: Page) -> None:
    plot = small.locator(".plot")
    span = "(() => { const [a, b] = main.sections[1].picture.box._fullLayout.yaxis.range; return b - a })()"
    plot.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#say").text_content()
    page.keyboard.press("ArrowRight")
    assert "slope_over_w1" in first
    assert page.locator("#say").text_content() != first
    assert small.locator(".ringed").count() == 1
    before = page.evaluate(span)
    page.keyboard.press("+")
    assert page.evaluate(span) == pytest.approx(0.7 * before)
    page.keyboard.press("0")
    assert page.evaluate(span) == pytest.approx(before)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_function("main.sections[1].rows.length == 2")


def test_columns_are_chosen_and_explained(page: Page, small: Page) -> None:
    small.locator(".chooser summary").click()
    small.get_by_label("Find a column").fill("slope_constant")
    small.locator(".panel label:visible input").check()
    assert "slope_constant" in small.locator("[role=columnheader]").last.inner_text() or small.locator(
        "[role=columnheader] button", has_text="slope_constant"
    ).count() == 1  # fmt: skip
    small.locator(".chooser summary").click()
    small.locator("[role=columnheader] button", has_text="slope_constant").focus()
    assert "argest slope of the critic" in page.locator("#tip").inner_text()
    page.locator(".term").first.focus()
    assert page.locator("#tip").is_visible()


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_nothing_serious_stands_in_the_way_of_anybody(page: Page, small: Page, theme: str) -> None:
    if page.evaluate("typeof axe") == "undefined":
        axe = resources.files("axe_playwright_python") / "axe.min.js"
        page.add_script_tag(content=axe.read_text("utf-8"))
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    page.evaluate("document.querySelectorAll('.experiment details, .reading details').forEach(d => d.open = true)")
    small.locator("[role=grid]").focus()
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = {v["id"]: [node["html"][:200] for node in v["nodes"]][:3]
               for v in found["violations"] if v["impact"] in SERIOUS}  # fmt: skip
    assert serious == {}
    assert len(found["passes"]) > 20
    page.evaluate("main.sections[1].drawn()")
    screenshot(page, f"open-{theme}")
    page.evaluate("document.documentElement.dataset.theme = ''")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = false)")


def test_a_fault_of_accessibility_would_be_found(page: Page) -> None:
    page.evaluate("document.body.append(Object.assign(document.createElement('button'), {id: 'nameless'}))")
    found = page.evaluate("axe.run('#nameless', {resultTypes: ['violations']})")
    page.evaluate("document.getElementById('nameless').remove()")
    assert SERIOUS & {violation["impact"] for violation in found["violations"]}


def test_a_telephone_shows_it_without_scrolling_sideways(page: Page, small: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    page.wait_for_function("main.sections[1].picture.wide <= 375")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert small.locator(".plot .main-svg").first.bounding_box()["width"] <= 375
    screenshot(page, "telephone")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_on_paper_it_is_light_and_has_its_rows(page: Page, small: Page, frame: pd.DataFrame) -> None:
    small.get_by_role("button", name="Show all rows").click()
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()") == "#1c2024"
    assert len(cells(small, "critic")) == 25
    assert not page.locator("header").is_visible()
    screenshot(page, "paper")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    page.evaluate("document.documentElement.dataset.theme = ''")


def test_nothing_was_asked_or_complained_of_to_the_end(page: Page, told: list[str]) -> None:
    settled(page)
    assert [line for line in told if not line.startswith("blob:")] == []
