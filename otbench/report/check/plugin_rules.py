"""Rows of plugins: by the digests in them, whether they are of the plugins that were given."""

from collections.abc import Collection, Iterator

import pandas as pd

from otbench.report.check.violation import Violation, place

#: The columns that tell of which plugin a row's problem and method are; rows of otbench's own have none.
PLUGIN_COLUMNS = ("problem.plugin", "method.plugin")


def marks_of(frame: pd.DataFrame) -> dict[str, int]:
    """Every plugin that rows need, by what tells its content from any other, with the number of these rows."""
    there = [frame[name].dropna() for name in PLUGIN_COLUMNS if name in frame]
    needed: dict[str, set[object]] = {}
    for column in there:
        for mark, rows in column.groupby(column).groups.items():
            needed.setdefault(str(mark), set()).update(rows)
    return {mark: len(rows) for mark, rows in sorted(needed.items())}


def of_given_plugins(frame: pd.DataFrame, given: Collection[str]) -> Iterator[Violation]:
    """Every row that needs a plugin is of the content of one that was given."""
    for name in (name for name in PLUGIN_COLUMNS if name in frame):
        for _, row in frame[frame[name].notna() & ~frame[name].isin(given)].iterrows():
            due = f"that of a plugin given, {' or '.join(given)}: run again with it, or give the one the rows are of"
            yield Violation("rows are of the plugins given", place(row), str(row[name]), due, name)
