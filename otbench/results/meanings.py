"""What the columns of rows, records and tables mean, in words: read by documents, the page of results and people."""

import tomllib
from functools import cache

from otbench.files import PACKAGE

#: The sections of the file that are of no table or study alone.
COMMON = ("endings", "columns", "words")


def meaning(column: str, table: str = "") -> str | None:
    """What a column holds, in one sentence with its unit; None where nothing is said of it.

    Endings are told after the sentence, in the order of the name: ``slope_over_w1_median`` is slope, "Here as a share
    of the exact W1 of the samples, the median." A parameter of the problem, the sampling or the method, as
    ``method.clip``, is told by ``otbench list``.

    Args:
        column: the column's name, as in a file or a frame.
        table: the table, or the kind of the study's records, for the few words that mean another thing there.
    """
    own = meanings()["columns"] | meanings().get(table, {})
    rest, endings = column, list[str]()
    while rest not in own:
        found = _without_ending(rest)
        if not found:
            return None
        rest, ending = found
        endings.insert(0, ending)
    return f"{own[rest]} Here {', '.join(endings)}." if endings else own[rest]


def words() -> dict[str, str]:
    """What texts mean by their words: word → meaning."""
    return dict(meanings()["words"])


@cache
def meanings() -> dict[str, dict[str, str]]:
    """The file ``meanings.toml`` by section."""
    return tomllib.loads((PACKAGE / "results" / "meanings.toml").read_text("utf-8"))


def _without_ending(column: str) -> tuple[str, str] | None:
    """A column without its last ending, and what that ending means; None where it has none."""
    for ending, told in meanings()["endings"].items():
        if column.endswith(f"_{ending}"):
            return column.removesuffix(f"_{ending}"), told
    return None
