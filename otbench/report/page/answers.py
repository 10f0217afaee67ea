"""The answers: what came out of each experiment in plain words, shown only beside rows that give every number in them.

They stand in ``answers.md`` beside the experiments, a section per experiment, their numbers written as quotes
(``otbench.report.quotes``), so that ``otbench check`` re-derives them.
"""

import re
from dataclasses import dataclass

from otbench.errors import InputError
from otbench.experiment.locate import FOLDERS
from otbench.report.quotes import QUOTE, quoted_value
from otbench.results.folder import Stored

ANSWERS = "answers.md"

HEADING = re.compile(r"^## (?P<name>.+)$", re.M)


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
    text = _sections().get(stored.results.folder.name)
    if text is None:
        return None
    differing = sum(not _agrees(match, stored) for match in QUOTE.finditer(text))
    blocks = [" ".join(block.split()) for block in text.split("\n\n") if block.strip()]
    return Answer(tuple(tuple(_pieces(block)) for block in blocks), differing)


def _sections() -> dict[str, str]:
    """The text of every experiment's section in the first file of answers there is."""
    file = next((folder / ANSWERS for folder in FOLDERS if (folder / ANSWERS).is_file()), None)
    if file is None:
        return {}
    parts = HEADING.split(file.read_text("utf-8"))
    return {name.strip(): text for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _agrees(match: re.Match[str], stored: Stored) -> bool:
    """Whether the rows give a quoted number; a quote of another experiment or that fits no line is not given."""
    try:
        of_it = match["experiment"] == stored.results.folder.name
        return of_it and quoted_value(match, stored.tables) == match["text"]
    except InputError:
        return False


def _pieces(block: str) -> list[Piece]:
    """A paragraph as words and numbers in turn."""
    found, end = [], 0
    for match in QUOTE.finditer(block):
        where = f", where {match['where'].replace(' ', ', ')}" if match["where"] else ""
        statistic = f"{match['statistic']} of " if match["statistic"] else ""
        source = f"{statistic}{match['column']} in {match['experiment']}/tables/{match['table']}.csv{where}"
        found += [*_plain(block[end : match.start()]), Piece(match["text"], source)]
        end = match.end()
    return [*found, *_plain(block[end:])]


def _plain(text: str) -> list[Piece]:
    """Words of Markdown in which code and escaped asterisks are all that is marked."""
    parts = text.replace("\\*", "*").split("`")
    return [Piece(part, is_code=place % 2 == 1) for place, part in enumerate(parts) if part]
