"""Two results folders of one experiment made one that has every cell once, unless two results of a cell differ."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from otbench.errors import InputError, ResultsError
from otbench.files import dump, write_atomically
from otbench.results.lines import Row, append_lines
from otbench.results.rounding import differences, round_alike
from otbench.results.seal import seal
from otbench.results.store import Results
from otbench.spec import Scalar


@dataclass(frozen=True)
class Merged:
    """What a merge came to: how many rows there are now, how many cells were declared and how many were in both, and
    every difference between two results; a single difference keeps the merge from being written."""

    rows: int
    cells: int
    both: int
    conflicts: list[str]


def merge_results(a: Results, b: Results, output: Results) -> Merged:
    """Write every row of ``a`` and ``b`` to ``output``, that of ``a`` where both have a cell.

    Nothing is written where two results of a cell differ by more than ``differences`` allows. A cell that failed in one
    folder and not in the other is taken from the other.

    Raises:
        ResultsError: a folder cannot be read, or the two are of different experiments.
        InputError: ``output`` is not empty.
    """
    if output.folder.exists() and any(output.folder.iterdir()):
        raise InputError(f"{output.folder} is not empty; merge writes a new folder")
    meta = _one_declaration(a, b)
    differ = partial(differences, alike=round_alike(a.meta(), b.meta()))
    rows, of_rows, both = _united(a.rows_so_far(), b.rows_so_far(), ("key",), differ)
    measured, of_measured, again = _united(a.measurements(), b.measurements(), ("machine", "key"), differ)
    merged = Merged(len(rows) + len(measured), meta.get("cells") or len(measured), both + again, of_rows + of_measured)
    if not merged.conflicts:
        with output.locked():
            output.append(rows, list({dump(line): line for line in [*a.timings(), *b.timings()]}.values()))
            if measured:
                append_lines(output.measurements_file, measured)
            write_atomically(output.meta_file, dump(meta) + b"\n")
            output.settle([str(row["key"]) for row in rows])
            seal(output)
    return merged


def _one_declaration(a: Results, b: Results) -> dict[str, Any]:
    """The meta.json of both folders together; ResultsError where they are of different experiments."""
    left, right = a.meta(), b.meta()
    for name in ("schema", "experiment", "declaration", "keys"):
        if not left or not right or left.get(name) != right.get(name):
            there = f"{left.get(name)!r:.20} and {right.get(name)!r:.20}" if left and right else "no meta.json"
            raise ResultsError(
                f"{a.folder} and {b.folder} are not runs of one experiment ({name}: {there}); "
                "run the same file with the same otbench on both machines"
            )
    return left | {part: right.get(part, {}) | left.get(part, {}) for part in ("machines", "planned")}


def _united(
    a: Sequence[Row], b: Sequence[Row], columns: tuple[str, ...], differ: Callable[[Row, Row], Iterable[str]]
) -> tuple[list[Row], list[str], int]:
    """The rows of both, what differs between two rows with equal ``columns``, and how many were in both."""

    def identity(row: Row) -> tuple[Scalar, ...]:
        return tuple(row[name] for name in columns)

    united = {identity(row): row for row in a}
    conflicts, both = [], 0
    for row in b:
        there = united.setdefault(identity(row), row)
        if there is row:
            continue
        both += 1
        if there.get("status") == "failed":
            united[identity(row)] = row
        elif row.get("status") != "failed":
            conflicts += [f"{str(row['key'])[:12]}: {text}" for text in differ(there, row)]
    return list(united.values()), conflicts, both
