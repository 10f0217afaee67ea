"""A user's own two samples, read from .npy or .csv files."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr

from otbench.bounded import POINTS_BYTES, parse_npy, read_bounded
from otbench.errors import InputError
from otbench.problems.base import Mode, Problem, check_request, data_size
from otbench.types import SamplePair, as_points, as_weights


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
        digest = _fingerprint(folder, paths)
        if fields.get("sha256") not in (None, "", digest):
            raise InputError(f"arrays: {', '.join(paths)} changed; their sha256 is {digest}")
        columns = {}
        if isinstance(fields.get("x"), str):
            columns = {"dim": as_points(fields["x"], _read(folder, fields["x"])).shape[1]}
        parsed = cls(**{**columns, **fields, "sha256": digest})
        parsed._folder = folder
        return parsed

    def sizes(self, n: int | None, m: int | None, mode: Mode) -> tuple[int, int]:
        """All rows where n or m is None."""
        check_request(n, m, mode)
        if mode == "coupled":
            raise InputError('arrays have no known optimal coupling; use mode = "independent"')
        if mode == "population":
            raise InputError('arrays are data, with no law to draw fresh points from; use mode = "independent"')
        if (n or m) and (self.a or self.b):
            raise InputError("weighted arrays are used whole; leave n and m out")
        return data_size("n", n, len(self._pair.x)), data_size("m", m, len(self._pair.y))

    def sample(
        self, n: int | None = None, m: int | None = None, *, mode: Mode = "independent", seed: int = 0
    ) -> SamplePair:
        """The rows in their order, or n and m of them drawn without replacement."""
        sizes = self.sizes(n, m, mode)
        if (n, m) == (None, None):
            return self._pair
        rng, pair = self._rng(*sizes, seed), self._pair
        return SamplePair(rng.permutation(pair.x)[: sizes[0]], rng.permutation(pair.y)[: sizes[1]])

    @cached_property
    def _pair(self) -> SamplePair:
        paths = [path for path in (self.x, self.y, self.a, self.b) if path]
        if _fingerprint(self._folder, paths) != self.sha256:
            raise InputError(f"arrays: {', '.join(paths)} changed since they were described; describe them anew")
        x, y = (as_points(path, _read(self._folder, path)) for path in (self.x, self.y))
        if self.dim != x.shape[1]:
            raise InputError(f"dim is {self.dim}, but {self.x} has {x.shape[1]} columns; leave dim out")
        a = as_weights(self.a, np.ravel(_read(self._folder, self.a)), len(x)) if self.a else None
        b = as_weights(self.b, np.ravel(_read(self._folder, self.b)), len(y)) if self.b else None
        return SamplePair(x, y, a, b)


def _existing(folder: str, path: str) -> Path:
    full = Path(folder, path)
    if full.suffix not in {".npy", ".csv"}:
        raise InputError(f"arrays are read from .npy or .csv files; got {path}")
    if not full.is_file():
        raise InputError(f"no such file: {full}")
    return full


def _fingerprint(folder: str, paths: list[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(read_bounded(_existing(folder, path), POINTS_BYTES)).digest())
    return digest.hexdigest()


def _read(folder: str, path: str) -> Any:
    full = _existing(folder, path)
    data = read_bounded(full, POINTS_BYTES)
    try:
        if full.suffix == ".npy":
            return parse_npy(data)
        text = data.decode("utf-8-sig")
        first = text.split("\n", 1)[0].split(",")
        header = not any(_is_number(word) for word in first)
        lines = [line for line in text.splitlines()[int(header) :] if line.strip()]
        if not lines:
            raise ValueError("it has no rows of numbers")
        return np.loadtxt(lines, delimiter=",", ndmin=2, comments=None)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{full} is not a readable array of numbers: {reason}") from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
