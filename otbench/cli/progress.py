"""Live progress of a run: a bar with time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

OnProgress = Callable[[int, int, int], None]

#: Seconds between lines where there is no terminal.
INTERVAL = 15.0


@contextmanager
def progress(name: str) -> Iterator[OnProgress]:
    """A function of (cells done before this run, done now, all) that shows how far a run is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name)
        return
    columns = (
        TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("cells"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, speed_estimate_period=120) as bars:
        bar = bars.add_task(name, total=None)

        def on_progress(before: int, now: int, total: int) -> None:
            bars.update(bar, total=total - before, completed=now)

        yield on_progress


def _lines(name: str) -> OnProgress:
    start = shown = time.monotonic()

    def on_progress(before: int, now: int, total: int) -> None:
        nonlocal shown
        elapsed = time.monotonic() - start
        if now and (time.monotonic() - shown > INTERVAL or before + now == total):
            shown = time.monotonic()
            left = elapsed / now * (total - before - now)
            print(f"{name}: {before + now} of {total} cells, {elapsed:.0f} s, {left:.0f} s left", file=sys.stderr)

    return on_progress
