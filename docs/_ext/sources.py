"""What happens to a page before it is parsed: marks go, links lead to pages of the site, generated parts are put in.

A line ``<!--generated NAME-->`` stands for the text that ``PARTS[NAME]`` writes, from what the package itself holds.
"""

import re
from collections.abc import Callable
from typing import Any

import catalogue
import commands
import formats

#: The parts of pages that are written anew at every build.
PARTS: dict[str, Callable[[], str]] = {
    "commands": commands.reference,
    "problems": catalogue.problems,
    "methods": catalogue.methods,
    "experiments": catalogue.experiments,
    "rows": formats.rows,
    "records": formats.records,
    "tables": formats.tables,
}

#: The lines by which ``otbench quotes`` and the tests know what a text quotes, and what it trains.
MARK = re.compile(r"^<!--(?:quotes [^>]*|trained)-->\n", re.M)

#: Where a file beside docs/ is a page of the site.
ELSEWHERE = {"](../CONTRIBUTING.md": "](about/contributing.md"}

GENERATED = re.compile(r"^<!--generated (\w+)-->$", re.M)


def prepared(text: str) -> str:
    """The text of a page as it is parsed."""
    text = MARK.sub("", text)
    for there, here in ELSEWHERE.items():
        text = text.replace(there, here)
    return GENERATED.sub(lambda match: PARTS[match[1]](), text)


def _prepare(_app: Any, _name: str, source: list[str]) -> None:
    source[0] = prepared(source[0])


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
