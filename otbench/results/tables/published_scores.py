"""The W1 benchmark's published scores: where they lie beside its pairs, how they are read, and kept with the rows."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from otbench.errors import InputError
from otbench.files import DECLARATION_BYTES, read_bounded, write_atomically

#: The file of published scores in a results folder, with one line per pair and method.
SCORES_FILE = "published_scores.csv"

#: Its columns: the pair, the method, and the scores on 4096 points; the cost of the method "true" is E|T(Y) - Y|.
SCORE_COLUMNS = ["dim", "funnels", "method", "cos", "l2", "cost"]

#: The methods of that file that are no critics.
REFERENCES = ("true", "dot")

#: Where a folder has scores: it is one of these or holds one, as a clone of the benchmark's repository does.
SCORE_LAYOUTS = ("metrics/metrics_nd", "metrics_nd", ".")

#: How pandas calls the benchmark's column of methods, which has no name.
UNNAMED = "Unnamed: 0"

#: How many folders above its pairs a clone's scores may lie: five above benchmarks/nd/dim_2/width_4/FILE.pt.
_LEVELS = 5

_FOLDERS = re.compile(r"dim_([1-9]\d{0,7})/width_([1-9]\d{0,7})/metrics_deg_8_seed_\d+\.csv")


def scores_beside(pairs: Path) -> Path | None:
    """The scores that lie beside a file or folder of pairs: metrics.csv, or a clone's metrics/metrics_nd, if any."""
    place = pairs.resolve()
    own = (place if place.is_dir() else place.parent) / "metrics.csv"
    if own.is_file():
        return own
    above = [place, *place.parents[:_LEVELS]]
    return next((top / SCORE_LAYOUTS[0] for top in above if (top / SCORE_LAYOUTS[0]).is_dir()), None)


def keep_scores(folder: Path, scores: Path) -> None:
    """Copy published scores into the results folder, so that its tables need no other file.

    Raises:
        InputError: there is no table of scores (``read_scores``).
    """
    write_atomically(folder / SCORES_FILE, read_scores(scores).to_csv(index=False).encode())


def read_scores(place: Path) -> pd.DataFrame:
    """The table of published scores in a file, or in the benchmark's folder of scores, or a clone of its repository.

    The folder has, per pair, dim_DIM/width_FUNNELS/metrics_deg_8_seed_SEED.csv with cos, l2 and cost by method; other
    files are left alone.

    Raises:
        InputError: it holds none, holds two of a pair, or one that is no number.
    """
    if not place.is_dir():
        return _sound_scores(place, _table(place, SCORE_COLUMNS))
    top = next(place / layout for layout in SCORE_LAYOUTS if (place / layout).is_dir())
    parts: dict[tuple[int, int], pd.DataFrame] = {}
    for file in sorted(top.glob("dim_*/width_*/*.csv")):
        named = _FOLDERS.fullmatch(file.relative_to(top).as_posix())
        if named is None:
            continue
        pair = (int(named[1]), int(named[2]))
        if pair in parts:
            raise InputError(f"{file.parent} has the scores of two seeds; pass one table of all pairs with --scores")
        part = _table(file, [UNNAMED, *SCORE_COLUMNS[3:]]).rename(columns={UNNAMED: "method"})
        parts[pair] = _sound_scores(file, part.assign(dim=pair[0], funnels=pair[1]))
    if not parts:
        layout = f"{SCORE_LAYOUTS[0]}/dim_DIM/width_FUNNELS/metrics_deg_8_seed_SEED.csv"
        raise InputError(f"{place} has no published scores: a folder has them as {layout}")
    return pd.concat([parts[pair] for pair in sorted(parts)], ignore_index=True)[SCORE_COLUMNS]


def _table(file: Path, columns: list[str]) -> pd.DataFrame:
    """A CSV file with exactly these columns."""
    try:
        table: pd.DataFrame = pd.read_csv(io.BytesIO(read_bounded(file, DECLARATION_BYTES)))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a table of scores: {str(error).splitlines()[0]}") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes cells beyond the header's for names of rows
        raise InputError(f"{file} has a row with more cells than its header names")
    if list(table.columns) != columns:
        raise InputError(f"{file} must have the columns {', '.join(columns)}; it has {', '.join(table.columns)}")
    return table


def _sound_scores(file: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The scores, all of which must be finite, one line per pair and method."""
    numbers = table.drop(columns="method")
    numeric = all(pd.api.types.is_numeric_dtype(numbers[name]) for name in numbers)
    if not numeric or not np.isfinite(numbers.to_numpy()).all():
        raise InputError(f"{file} must hold finite numbers, the method apart")
    if table.duplicated(SCORE_COLUMNS[:3]).any():
        raise InputError(f"{file} has a method twice of one pair")
    return table
