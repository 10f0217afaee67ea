"""The page's file: sections, style, scripts and plotly.js brought into one HTML text that needs nothing else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from otbench.files import PACKAGE
from otbench.report.page.answers import Answer, Piece
from otbench.report.page.columns import compressed
from otbench.report.page.sections import Section
from otbench.results.meanings import words

HERE = PACKAGE / "report" / "page"

#: The scripts in the order in which they stand in the page.
SCRIPTS = ("columns", "filters", "link", "tip", "grid", "csv", "series", "plot", "section", "main")

PLOTLY = HERE / "vendor" / "plotly-basic.min.js"

#: Characters that have no picture of their own, and those that turn the direction of text.
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def page(sections: Sequence[Section]) -> str:
    """The page of some sections as HTML; the same sections give the same text."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=visible,
    )  # fmt: skip
    environment.filters["marked"] = marked
    return environment.get_template("page.html").render(
        sections=sections,
        facts=[_facts(section) for section in sections],
        style=(HERE / "style.css").read_text("utf-8"),
        script="\n".join((HERE / "scripts" / f"{name}.js").read_text("utf-8") for name in SCRIPTS),
        plotly=_plotly(),
        words=words(),
        version=version("otbench"),
    )


@cache
def _plotly() -> str:
    return compressed(PLOTLY.read_bytes())


def _facts(section: Section) -> dict[str, Any]:
    """What the scripts must know of a section before its tables are unpacked."""
    tables = [
        {"name": t.name, "lines": t.lines, "identity": t.identity, "shown": t.shown, "definitions": t.definitions}
        for t in section.tables
    ]
    return {"name": section.name, "tables": tables, "views": section.views}


def visible(value: Any) -> Any:
    """Text in which characters that cannot be seen are written as their numbers; any other value as it is."""
    if type(value) is not str:
        return value
    return UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", value)


@dataclass(frozen=True)
class Word:
    """A part of a text as it is shown: a ``kind`` of words, and what is told of it where it stands."""

    text: str
    kind: Literal["plain", "term", "quoted", "code"] = "plain"
    told: str = ""


def marked(text: str | Answer) -> list[list[Word]]:
    """The paragraphs of a text in parts; every word that has a meaning is explained where it stands first."""
    paragraphs = text.paragraphs if isinstance(text, Answer) else ((Piece(text),),)
    meanings = dict(words())
    return [[word for piece in paragraph for word in _marked(piece, meanings)] for paragraph in paragraphs]


def _marked(piece: Piece, meanings: dict[str, str]) -> list[Word]:
    """A piece in parts; the words that it explains are taken out of ``meanings``."""
    if piece.source:
        return [Word(piece.text, "quoted", piece.source)]
    if piece.is_code:
        return [Word(piece.text, "code")]
    found, end = [], 0
    for match in _pattern().finditer(piece.text):
        if meaning := meanings.pop(match[0], ""):
            found += [Word(piece.text[end : match.start()]), Word(match[0], "term", meaning)]
            end = match.end()
    return [*found, Word(piece.text[end:])]


@cache
def _pattern() -> re.Pattern[str]:
    longest = sorted(words(), key=len, reverse=True)
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest)) + r")(?!\w)")
