"""A user's own two samples, read from .npy or .csv files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr

from otbench.errors import InputError
from otbench.problems.base import Mode, Problem
from otbench.types import Array, SamplePair, as_points, as_weights


class Arrays(Problem):
    """x and y (and optional weights a and b) from files; relative paths start at the experiment file.

    The files' SHA-256 is part of the description, so a changed file is a new cell, never a stale one.
    """

    source: ClassVar[str] = "the user's own data"

    name: Literal["arrays"] = "arrays"
    dim: int = Field(1, ge=1, description="as many columns as the files have, filled in when left out")
    x: str
    y: str
    a: str | None = None
    b: str | None = None
    sha256: str = Field("", description="of the files in the order x, y, a, b; filled in when left out")

    _folder: str = PrivateAttr(".")

    @classmethod
    def parse(cls, fields: Mapping[str, Any], folder: str) -> Self:
        paths = [fields[k] for k in ("x", "y", "a", "b") if isinstance(fields.get(k), str)]
        digest = hashlib.sha256()
        for path in paths:
            digest.update(hashlib.sha256(_existing(folder, path).read_bytes()).digest())
        if fields.get("sha256") not in (None, "", digest.hexdigest()):
            raise InputError(f"arrays: {', '.join(paths)} changed; their sha256 is {digest.hexdigest()}")
        columns = _read(folder, fields["x"]).shape[-1] if isinstance(fields.get("x"), str) else 0
        parsed = cls(**{"dim": columns, **fields, "sha256": digest.hexdigest()})
        parsed._folder = folder
        return parsed

    def sample(
        self, n: int | None = None, m: int | None = None, *, mode: Mode = "independent", seed: int = 0
    ) -> SamplePair:
        """All rows, or n and m of them without replacement (unweighted files only)."""
        if mode == "coupled":
            raise InputError('arrays have no known optimal coupling; use mode = "independent"')
        x, y = (as_points(path, _read(self._folder, path)) for path in (self.x, self.y))
        if self.dim != x.shape[1]:
            raise InputError(f"dim is {self.dim}, but {self.x} has {x.shape[1]} columns; leave dim out")
        a = as_weights(self.a, _read(self._folder, self.a).ravel(), len(x)) if self.a else None
        b = as_weights(self.b, _read(self._folder, self.b).ravel(), len(y)) if self.b else None
        if (n or m) and (self.a or self.b):
            raise InputError("weighted arrays are used whole; leave n and m out")
        rng = self._rng(mode, n, m, seed)
        return SamplePair(_subset(rng, self.x, x, n), _subset(rng, self.y, y, m), a, b)


def _existing(folder: str, path: str) -> Path:
    full = Path(folder, path)
    if full.suffix not in {".npy", ".csv"}:
        raise InputError(f"arrays are read from .npy or .csv files; got {path}")
    if not full.is_file():
        raise InputError(f"no such file: {full}")
    return full


def _read(folder: str, path: str) -> Array:
    full = _existing(folder, path)
    try:
        if full.suffix == ".npy":
            return np.load(full, allow_pickle=False)  # type: ignore[no-any-return]
        with full.open() as lines:
            header = not all(_is_number(word) for word in lines.readline().split(","))
        return np.loadtxt(full, delimiter=",", skiprows=int(header), ndmin=2)
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{full} is not a readable array of numbers: {reason}") from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _subset(rng: np.random.Generator, path: str, rows: Array, count: int | None) -> Array:
    if count is None:
        return rows
    if not 1 <= count <= len(rows):
        raise InputError(f"{path} has {len(rows)} rows; a sample size must be between 1 and that; got {count}")
    return rows[rng.permutation(len(rows))[:count]]
