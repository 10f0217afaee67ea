"""One page of two experiments, one of which is as hostile as files can be, and one browser to look at it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import called
from hostile_page import FOLDER, HOSTILE
from small import lines, write_lines

from otbench.results.store import Results

#: Names of the browser that plays the reader.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

@pytest.fixture(scope="session")
def two_results(small_results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two results: the small ones, and the same with hostile text wherever a file has text."""
    both = tmp_path_factory.mktemp("two")
    shutil.copytree(small_results, both / "small")
    shutil.copytree(small_results, both / FOLDER)
    hostile = Results(both / FOLDER)
    rows = lines(hostile.rows_file)
    for row in rows:
        row["method.name"] = HOSTILE if row["method.name"] == "linear" else row["method.name"]
        row["reason"] = HOSTILE
    write_lines(hostile.rows_file, rows)
    meta = hostile.meta()
    meta |= {"question": HOSTILE, "machines": {HOSTILE: {HOSTILE: HOSTILE}}}
    (both / FOLDER / "meta.json").write_text(json.dumps(meta))
    return both


@pytest.fixture(scope="session")
def page_file(two_results: Path) -> Path:
    """The page of both results, as the command writes it."""
    done = called("report", "-o", "page.html", "--results", two_results, cwd=two_results)
    assert done.code == 0, done.err
    return two_results / "page.html"


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A browser without a window; the tests that need it are skipped where there is none."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
