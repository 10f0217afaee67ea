"""Damaged files for every reader, each with what an accepted one must be read as."""

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rubbish
import torch
from disguises import Rng, pick
from public_functions import Case

from otbench.problems.funnel_files import funnel_pairs
from otbench.results.tables.published_scores import SCORE_COLUMNS, read_scores


def csv(rng: Rng, folder: Path) -> Case:
    read = rubbish.FORMATS["csv"](folder, rng)

    def look(pair: Any) -> str:
        text = (folder / "x.csv").read_bytes().decode("utf-8-sig")
        separator = next((s for s in "\t;" if s in text), ",")
        lines = [line.replace(",", ".") if separator == ";" else line for line in text.splitlines() if line.strip()]
        table = [line.split(separator) for line in lines]
        try:
            numbers = numbers_of(table)
        except ValueError:
            try:
                numbers = numbers_of(table[1:])  # the first is a header
            except ValueError:
                return f"read {pair.x.ravel()[:4]} of what is no table of numbers, {text[:60]!r}"
        return "" if np.array_equal(numbers, pair.x) else f"read {pair.x.ravel()[:4]} of {table[:2]}"

    return read, look


def numbers_of(table: list[list[str]]) -> np.ndarray:
    """Cells as numbers in Python's spelling without its underscores; ValueError where one is none."""
    if any("_" in cell for row in table for cell in row):
        raise ValueError
    return np.array([[float(cell) for cell in row] for row in table])


def npy(rng: Rng, folder: Path) -> Case:
    read = rubbish.FORMATS["npy"](folder, rng)

    def look(pair: Any) -> str:
        whole = np.load(folder / "x.npy", allow_pickle=False)
        return "" if np.array_equal(whole.astype(np.float64), pair.x) else f"read {pair.x.shape} of {whole.shape}"

    return read, look


def toml(rng: Rng, folder: Path) -> Case:
    """What an experiment file is read as has an own test; here it is read or refused."""
    return rubbish.FORMATS["toml"](folder, rng), lambda found: ""


def results(function: Callable[[Any], Any], kind: Callable[[Path], Any]) -> Callable[[Rng, Path], Case]:
    """A function of a results folder, damaged most of the time or not one at all; it finds something or refuses."""

    def case(rng: Rng, folder: Path) -> Case:
        where = folder / "results" / "small"
        rubbish.FORMATS["rows"](folder, rng)
        if rng.random() < 0.2:
            shutil.copytree(folder / "good", where, dirs_exist_ok=True)
        odd = [kind(folder / "nowhere"), kind(folder / "y.csv"), "small", None, 3]
        handed = kind(where) if rng.random() < 0.9 else pick(rng, odd)
        return lambda: function(handed), lambda found: "" if len(found) else "found nothing and did not say so"

    return case


def spoilt_file(data: bytes, rng: Rng) -> bytes:
    return rubbish.mutated(data, rng) if rng.random() < 0.8 else data


def npz(rng: Rng, folder: Path) -> Case:
    file = folder / "pairs.npz"
    np.savez(file, centers_2_3=rng.uniform(-2, 2, (3, 2)), bias_2_3=rng.standard_normal(3))
    file.write_bytes(spoilt_file(file.read_bytes(), rng))

    def look(found: Any) -> str:
        with zipfile.ZipFile(file) as archive:  # np.load takes none with bytes in front, which the format allows
            for (dim, funnels), parts in found.items():
                for name, part in zip(("centers", "bias"), parts, strict=True):
                    member = io.BytesIO(archive.read(f"{name}_{dim}_{funnels}.npy"))
                    if not np.array_equal(np.lib.format.read_array(member, allow_pickle=False), part):
                        return f"another {name}_{dim}_{funnels} than the file's"
        return ""

    return lambda: funnel_pairs(file), look


def pt(rng: Rng, folder: Path) -> Case:
    file = folder / "pair.pt"
    state = {"net.centers": torch.tensor(rng.uniform(-2, 2, (3, 2))), "net.bias": torch.tensor(rng.standard_normal(3))}
    torch.save(state, file)
    file.write_bytes(spoilt_file(file.read_bytes(), rng))

    def look(found: Any) -> str:
        same = [np.array_equal(part, tensor) for part, tensor in zip(found[2, 3], state.values(), strict=True)]
        return "" if all(same) else "another pair than was saved, and its checksums fit"

    return lambda: funnel_pairs(file), look


def scores(rng: Rng, folder: Path) -> Case:
    file = folder / "scores.csv"
    rows = [[2, 4 + k, "QC", *rng.standard_normal(len(SCORE_COLUMNS) - 3).round(3)] for k in range(2)]
    place = SCORE_COLUMNS.index("method")
    rows = [[*(v for v in row[:2]), *row[3:]] for row in rows]
    lines = [",".join(map(str, [*row[:place], "QC", *row[place:]])) for row in rows]
    file.write_bytes(spoilt_file("\n".join([",".join(SCORE_COLUMNS), *lines, ""]).encode(), rng))

    def look(found: pd.DataFrame) -> str:
        table = [line.split(",") for line in file.read_bytes().decode("utf-8-sig").splitlines() if line.strip()]
        numbers = numbers_of([[c for k, c in enumerate(row) if k != place] for row in table[1:]])
        return "" if np.array_equal(numbers, found.drop(columns="method").to_numpy()) else f"another table than {table}"

    return lambda: read_scores(file), look
