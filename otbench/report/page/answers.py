"""The answers: what came out of each experiment in plain words, shown only beside rows that give every number in them.

They stand in ``answers.md`` beside the experiments, a section per experiment, their numbers written as quotes
(``otbench.report.quotes``), so that ``otbench check`` re-derives them.
"""

import re
from dataclasses import dataclass

from otbench.errors import InputError
from otbench.experiment.locate import FOLDERS
from otbench.report.quotes import Quote, quoted_value, quotes_of
from otbench.results.folder import Stored

ANSWERS = "answers.md"

PARAGRAPH = re.compile(r"\S(?:(?!\n\s*\n).)*\S", re.S)


@dataclass(frozen=True)
class Piece:
    """A part of an answer: words, code, or a number, of which ``source`` says where it stands."""

    text: str
    source: str = ""
    is_code: bool = False


@dataclass(frozen=True)
class Answer:
    """An answer in paragraphs of pieces; ``differing`` is how many of its numbers the rows do not give."""

    paragraphs: tuple[tuple[Piece, ...], ...]
    differing: int


def answer_of(stored: Stored) -> Answer | None:
    """The answer of a results folder's experiment, None where none is written down."""
    name = stored.results.folder.name
    file = next((folder / ANSWERS for folder in FOLDERS if (folder / ANSWERS).is_file()), None)
    if file is None:
        return None
    text = file.read_text("utf-8")
    section = re.search(rf"^## {re.escape(name)}\n(?P<text>.*?)(?=^## |^<!--|\Z)", text, re.M | re.S)
    if section is None:
        return None
    start, end = section.span("text")
    quotes = [quote for quote in quotes_of(file) if start <= quote.span[0] < end]
    blocks = [block.span() for block in PARAGRAPH.finditer(text, start, end)]
    paragraphs = tuple(tuple(_pieces(text, block, quotes)) for block in blocks)
    return Answer(paragraphs, sum(not _agrees(quote, stored) for quote in quotes))


def _agrees(quote: Quote, stored: Stored) -> bool:
    """Whether the rows give a quoted number; a quote of another experiment or that fits no line is not given."""
    try:
        of_it = quote.source["experiment"] == stored.results.folder.name
        return of_it and quoted_value(quote.source, stored.tables) == quote.text
    except InputError:
        return False


def _pieces(text: str, block: tuple[int, int], quotes: list[Quote]) -> list[Piece]:
    """A paragraph, from place to place of the text, as words and numbers in turn."""
    found, at = [], block[0]
    for quote in quotes:
        if block[0] <= quote.span[0] < block[1]:
            found += [*_plain(text[at : quote.span[0]]), Piece(quote.text, _whence(quote.source))]
            at = quote.span[1]
    return [*found, *_plain(text[at : block[1]])]


def _whence(source: re.Match[str]) -> str:
    """Where a number comes from, in words."""
    where = f", where {source['where'].replace(' ', ', ')}" if source["where"] else ""
    statistic = f"{source['statistic']} of " if source["statistic"] else ""
    return f"{statistic}{source['column']} in {source['experiment']}/tables/{source['table']}.csv{where}"


def _plain(text: str) -> list[Piece]:
    """Words of Markdown in which code and escaped asterisks are all that is marked."""
    parts = re.sub(r"\s+", " ", text).replace("\\*", "*").split("`")
    return [Piece(part, is_code=place % 2 == 1) for place, part in enumerate(parts) if part]
