"""What the columns of rows and tables are, in words, from the one file that says so."""

import tomllib
from functools import cache

from otbench.files import PACKAGE

DEFINITIONS_FILE = PACKAGE / "results" / "definitions.toml"


@cache
def _definitions() -> dict[str, dict[str, str]]:
    return tomllib.loads(DEFINITIONS_FILE.read_text("utf-8"))


def definition(column: str) -> str:
    """What a column is, in a few words; empty where it is the field of a problem, a sampling or a method, or unknown.

    A column that is made of another, as ``slope_over_w1_low`` of ``slope``, is defined by what it is made of.
    """
    known, suffixes = _definitions()["columns"], _definitions()["suffixes"]
    if column in known:
        return known[column]
    for suffix, words in suffixes.items():
        if column.endswith(suffix) and (inner := definition(column.removesuffix(suffix))):
            return words.format(inner)
    return ""


def words() -> dict[str, str]:
    """What texts mean by their words: word → meaning."""
    return dict(_definitions()["words"])
