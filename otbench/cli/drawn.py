"""A table on a terminal, no wider than it; plain text where there is none."""

import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Columns wide enough for every table, where no terminal sets a limit.
UNLIMITED = 10_000


def draw(table: pd.DataFrame, kept: int, console: Console | None = None) -> list[str]:
    """Print a table of texts.

    Args:
        table: the texts, a heading per column.
        kept: how many columns on the left are always shown; those after them are left out from the right, all but one,
            where the terminal is too narrow.
        console: where to print; standard output when left out.

    Returns:
        The columns that were left out. A file or a pipe gets all of them, without lines between.
    """
    console = console or Console()
    if not console.is_terminal:
        plain = Console(file=console.file, width=UNLIMITED, color_system=None)
        plain.print(_drawn(table, lines=False), soft_wrap=True)
        return []
    widest, count = _widest(table), len(table.columns)
    while not fits(widest.iloc[:, :count], console) and count > kept + 1:
        count -= 1
    console.print(_drawn(table.iloc[:, :count], lines=True))
    return [str(name) for name in table.columns[count:]]


def fits(table: pd.DataFrame, console: Console | None = None) -> bool:
    """Whether the terminal is wide enough for a table of texts."""
    console = console or Console()
    return _width(_widest(table), console) <= console.width


def _widest(table: pd.DataFrame) -> pd.DataFrame:
    """One line as wide as the table, column by column: what is measured, for every measurement builds a table."""
    texts = [max(map(str, column), key=cell_len, default="") for _, column in table.items()]
    return pd.DataFrame([texts], columns=table.columns)


def _drawn(table: pd.DataFrame, lines: bool) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD if lines else None, padding=(0, 1 if lines else 2, 0, 0), pad_edge=False)
    for name in table.columns:
        drawn.add_column(Text(str(name)), justify="right")
    for line in table.itertuples(index=False):
        drawn.add_row(*(Text(str(text)) for text in line))
    return drawn


def _width(table: pd.DataFrame, console: Console) -> int:
    """How wide the table is when no cell is broken."""
    unlimited = console.options.update(max_width=UNLIMITED)
    return console.measure(_drawn(table, lines=True), options=unlimited).maximum
