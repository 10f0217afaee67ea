"""What the columns of rows, records and tables mean, in words: read by documents, pages and people."""

import tomllib
from functools import cache

from otbench.files import PACKAGE

#: The sections of the file that are no table of results.
COMMON = ("endings", "shares", "columns")


def meaning(column: str, table: str = "") -> str | None:
    """What a column holds, in one sentence with its unit; None where nothing is said of it.

    Endings are told from the left of what they end: ``slope_over_w1_median`` is the median of slope as a share of the
    exact W1. A parameter of the problem, the sampling or the method, as ``method.clip``, is told by ``otbench list``.

    Args:
        column: the column's name, as in a file or a frame.
        table: the table it stands in, for the few words that mean another thing there.
    """
    told = meanings()
    own = told["columns"] | told.get(table, {})
    if column in own:
        return own[column]
    rest, _, ending = column.rpartition("_")
    if ending in told["endings"] and (inner := meaning(rest, table)):
        return f"{inner} Here {told['endings'][ending]}."
    for share, words in told["shares"].items():
        rung = column.removesuffix(f"_{share}")
        if rung != column and (inner := meaning(rung, table)):
            return f"{inner} Here {words}."
    return None


@cache
def meanings() -> dict[str, dict[str, str]]:
    """The file ``meanings.toml`` by section."""
    return tomllib.loads((PACKAGE / "results" / "meanings.toml").read_text("utf-8"))
