"""Every block of code in the tutorials runs, and prints what the page says it prints."""

import re
import socket
from pathlib import Path

import pytest
import torch
from pages import Block, difference, run_page
from public_benchmark import clone

TUTORIALS = Path(__file__).parent.parent / "docs" / "tutorials"

#: Pages that take more than three seconds, or start processes of their own.
SLOW = {"agreement", "clip-value", "cluster", "own-benchmark", "reproduce", "standing"}

LONG = (pytest.mark.slow, pytest.mark.timeout(600))

PAGES = [pytest.param(file, id=file.stem, marks=LONG if file.stem in SLOW else ())
         for file in sorted(TUTORIALS.glob("*.md"))]  # fmt: skip


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def prepared(page: str, folder: Path) -> str:
    """The page with a port that is free here, and with a stand-in where it has a repository cloned."""
    if "git clone" in page:
        clone(folder, dims=(2,))
        page = re.sub(r"^git clone .*\n", "", page, flags=re.M)
    return page.replace("8786", free_port())


@pytest.mark.parametrize("file", PAGES)
def test_a_tutorial_runs_and_prints_what_it_shows(file: Path, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        found = run_page(prepared(file.read_text(), tmp_path), tmp_path)
    assert found, "a tutorial shows something"
    assert [told for block, printed in found if (told := difference(block, printed))] == []


@pytest.mark.parametrize(
    ("told", "trained", "printed", "agrees"),
    [
        ("W1 is 1.23", False, "W1 is 1.23\n", True),
        ("W1 is 1.23", False, "W1 is 1.2345", True),
        ("W1 is 1.23", False, "W1 is 1.25", False),
        ("W1 is 1.23", True, "W1 is 1.3", True),
        ("W1 is 1.23", True, "W1 is 1.5", False),
        ("W1 is 1.23", False, "J1 is 1.23", False),
        ("W1 is 1.23", False, "", False),
        ("a ... b 2", False, "a\nx y\nb 2", True),
        ("a ... b 2", False, "a\nx y\nb 3", False),
        ("...\nb", False, "c", False),
        ("-1e-05 and 3", False, "-1.004e-05 and 3", True),
        ("-1e-05 and 3", False, "1e-05 and 3", False),
    ],
)
def test_what_is_printed_is_compared(told: str, trained: bool, printed: str, agrees: bool) -> None:
    assert (difference(Block("text", told, 1, trained), printed) is None) == agrees
