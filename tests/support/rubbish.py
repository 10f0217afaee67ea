"""Inputs no honest program writes: four formats, mutated from good ones, and what otbench makes of them."""

import gzip
import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from small import SMALL, lines

from otbench.errors import OtbenchError
from otbench.experiment.declaration import load_experiment
from otbench.files import dump
from otbench.problems import problem
from otbench.report.check.rules import check_results
from otbench.report.markdown import write_tables
from otbench.results.store import Results

#: What parsers trip over, as it would stand in a file.
TOKENS = [
    b"1e999", b"-1e999", b"nan", b"inf", b"NaN", b"-Infinity", b"9" * 400, b"-" + b"9" * 5000, b"1e-400", b"-0.0",
    b"[" * 5000, b"{" * 5000, b"[" * 100_000, b'{"a":' * 20_000, b"a." * 3000 + b"a = 1\n", b'"\\ud800"', b"\xff\xfe",
    b"\x00", b"null", b"true", b"[]", b"{}", b'""', b"'''", b'"""', b"../../../outside", b"/etc/passwd", b"<script>",
    b"18446744073709551616", b"9223372036854775807", b"2020-01-01", b"\r\n", b"\\", b"#", b",", b"=", b"1_000", b"0x1f",
    b"\xf0\x9f\x92\xa9", b"ok", b"failed", b"diverged", b"none", b"1x2x3", b"\x1b[2J",
]  # fmt: skip


class Boom:
    """Unpickled, it leaves a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.mark,)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four small accidents."""
    for _ in range(rng.integers(1, 5)):
        at, end = sorted(rng.integers(0, len(data) + 1, 2))
        end = min(end, at + rng.integers(1, 40))
        token = TOKENS[rng.integers(len(TOKENS))]
        kind = rng.integers(6)
        if kind == 0:
            data = data[:at] + bytes(rng.integers(0, 256, end - at, dtype=np.uint8)) + data[end:]
        elif kind == 1:
            data = data[:at] + data[end:]
        elif kind == 2:
            data = data[:at] + token + data[at:]
        elif kind == 3:
            data = data[:at] + token + data[end:]
        elif kind == 4:
            data = data[:at] + data[at:end] * 3 + data[end:]
        elif rng.random() < 0.2:
            data = data[:at]
    return data


def a_value_replaced(row: dict[str, object], rng: np.random.Generator) -> dict[str, object]:
    """A row that is JSON still, one of its values another."""
    values: list[object] = [
        None, True, 0, -1, 2**63, 1e308, -1e308, 5e-324, "", "x" * 300, "\ud800", "\x00\x1b[2J", "<b>",
        [], {}, [1], 10**400, "1x1x1", "ok", "failed", "refused",
    ]  # fmt: skip
    name = list(row)[rng.integers(len(row))]
    if rng.random() < 0.1:
        return {k: v for k, v in row.items() if k != name}
    if rng.random() < 0.1:
        return row | {f"problem.{name}": values[rng.integers(len(values))]}
    return row | {name: values[rng.integers(len(values))]}


def toml(folder: Path, rng: np.random.Generator) -> Callable[[], object]:
    """An experiment file, loaded."""
    file = folder / "rubbish.toml"
    file.write_bytes(mutated(SMALL.encode(), rng))
    return lambda: load_experiment(str(file))


def rows(folder: Path, rng: np.random.Generator) -> Callable[[], object]:
    """A results folder, checked and its tables written."""
    results, good = Results(folder / "results" / "small"), folder / "good"
    kept = lines(good / "rows.jsonl")
    some = [kept[k] for k in rng.choice(len(kept), 4, replace=False)]
    for name in ("rows.jsonl", "rows.jsonl.gz", "stale.jsonl", "measurements.jsonl"):
        (results.folder / name).unlink(missing_ok=True)
    for name in ("timing.jsonl", "meta.json"):
        shutil.copy(good / name, results.folder)
    text = b"".join(dump(row) + b"\n" for row in some)
    kind = rng.integers(8)
    if kind < 3:
        some[0] = a_value_replaced(some[0], rng)
        text = b"".join(json.dumps(row).encode() + b"\n" for row in some)
    elif kind < 5:
        text = mutated(text, rng)
    elif kind < 7:
        other = results.folder / ("timing.jsonl", "meta.json")[kind - 5]
        other.write_bytes(mutated(other.read_bytes(), rng))
    else:
        results.packed_file.write_bytes(mutated(gzip.compress(text), rng))
        text = b""
    results.rows_file.write_bytes(text)

    def read() -> None:
        list(check_results(results).values())
        write_tables(results, "csv")

    return read


def csv(folder: Path, rng: np.random.Generator) -> Callable[[], object]:
    """Points from a .csv file, drawn."""
    separator, decimal = [(",", "."), (";", "."), (";", ","), ("\t", ".")][rng.integers(4)]
    rows = [separator.join(f"{v:.4g}".replace(".", decimal) for v in row) for row in rng.normal(size=(5, 2))]
    names = [separator.join("ab")] * int(rng.integers(2))
    (folder / "x.csv").write_bytes(mutated("\n".join(names + rows).encode(), rng))
    return lambda: _arrays(folder, "x.csv")


def npy(folder: Path, rng: np.random.Generator) -> Callable[[], object]:
    """Points from a .npy file, drawn."""
    buffer = io.BytesIO()
    kind = rng.integers(5)
    if kind == 0:
        np.save(buffer, rng.normal(size=(5, 2)).astype(rng.choice(["f4", "i8", "c8", "S5", "?", "M8[s]"])))
        data = buffer.getvalue()
    elif kind == 1:
        data = pickle.dumps(Boom(folder / "exploded"))
        head = {"descr": "|O", "fortran_order": False, "shape": (1,)}
        np.lib.format.write_array_header_1_0(buffer, head)
        data = buffer.getvalue() + data
    elif kind == 2:  # a header that promises more than there is
        shape = tuple(int(n) for n in 10 ** rng.integers(0, 18, rng.integers(0, 4)))
        np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
        data = buffer.getvalue() + b"\x00" * 80
    else:
        np.save(buffer, rng.normal(size=(5, 2)))
        data = mutated(buffer.getvalue(), rng)
    (folder / "x.npy").write_bytes(data)
    return lambda: _arrays(folder, "x.npy")


def _arrays(folder: Path, name: str) -> object:
    return problem("arrays", x=str(folder / name), y=str(folder / "y.csv")).sample()


#: How a file of each format is spoilt and read.
FORMATS = {"toml": toml, "rows": rows, "csv": csv, "npy": npy}


def outcome(read: Callable[[], object]) -> str:
    """Whether an input was "accepted", or "refused" in one line; anything else is raised."""
    try:
        read()
    except OtbenchError as error:
        said = str(error)
    else:
        return "accepted"
    assert "\n" not in said
    return "refused"
