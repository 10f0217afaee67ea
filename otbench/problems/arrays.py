"""A user's own two samples, read from files."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr

from otbench.errors import InputError
from otbench.inputs import as_points, as_weights, as_whole
from otbench.problems.base import Mode, Problem, check_left, check_request, data_size
from otbench.problems.point_files import fingerprint, read_points
from otbench.types import Array, SamplePair


class Arrays(Problem):
    """Two samples x and y from files, with weights a and b from files or uniform ones.

    Relative paths start at the experiment file. The files' SHA-256 is part of the description, so that a file that
    changed makes a new cell and never serves an old one.
    """

    source: ClassVar[str] = "the user's own data"
    has_law: ClassVar[bool] = False

    name: Literal["arrays"] = "arrays"
    dim: int = Field(1, ge=1, description="as many columns as the files have, filled in when left out")
    x: str = Field(description="file of the points of P, a row each")
    y: str = Field(description="file of the points of Q")
    a: str | None = Field(None, description="file of the weights of x; uniform without")
    b: str | None = Field(None, description="file of the weights of y; uniform without")
    sha256: str = Field("", description="of the files in the order x, y, a, b; filled in when left out")

    _folder: str = PrivateAttr(".")

    @classmethod
    def parse(cls, fields: Mapping[str, Any], folder: str) -> Self:
        paths = [fields[k] for k in ("x", "y", "a", "b") if isinstance(fields.get(k), str)]
        digest = fingerprint(Path(folder, path) for path in paths)
        if fields.get("sha256") not in (None, "", digest):
            raise InputError(f"arrays: {', '.join(paths)} changed; their sha256 is {digest}")
        columns = {}
        if isinstance(fields.get("x"), str):
            columns = {"dim": as_points(fields["x"], read_points(Path(folder, fields["x"]))).shape[1]}
        parsed = cls(**{**columns, **fields, "sha256": digest})
        parsed._folder = folder
        return parsed

    def sizes(self, n: int | None, m: int | None, mode: Mode) -> tuple[int, int]:
        """All rows where n or m is None."""
        n, m = check_request(n, m, mode)
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
        """All rows in their order, or n and m of them drawn without replacement."""
        seed, sizes = as_whole("seed", seed), self.sizes(n, m, mode)
        if (n, m) == (None, None):
            return self._pair
        rng, pair = self._rng(*sizes, seed), self._pair
        return SamplePair(rng.permutation(pair.x)[: sizes[0]], rng.permutation(pair.y)[: sizes[1]])

    def held_out(
        self, count: int, n: int | None = None, m: int | None = None, *, mode: Mode = "independent", seed: int = 0
    ) -> SamplePair:
        """Rows that the sample leaves over."""
        self.check_fresh(count, n, m, mode)
        seed, sizes = as_whole("seed", seed), self.sizes(n, m, mode)
        rng, pair = self._rng(*sizes, seed), self._pair
        x, y = rng.permutation(pair.x), rng.permutation(pair.y)
        return SamplePair(x[sizes[0] :][:count], y[sizes[1] :][:count])

    def check_fresh(self, count: int, n: int | None, m: int | None, mode: Mode) -> None:
        sizes = self.sizes(n, m, mode)
        check_left(count, len(self._pair.x) - sizes[0], len(self._pair.y) - sizes[1])

    @cached_property
    def _pair(self) -> SamplePair:
        paths = [path for path in (self.x, self.y, self.a, self.b) if path]
        if fingerprint(Path(self._folder, path) for path in paths) != self.sha256:
            raise InputError(f"arrays: {', '.join(paths)} changed since they were described; describe them anew")
        x, y = (as_points(path, read_points(Path(self._folder, path))) for path in (self.x, self.y))
        if self.dim != x.shape[1]:
            raise InputError(f"dim is {self.dim}, but {self.x} has {x.shape[1]} columns; leave dim out")
        a, b = (_weights(path, self._folder, len(z)) for path, z in ((self.a, x), (self.b, y)))
        return SamplePair(x, y, a, b)


def _weights(path: str | None, folder: str, count: int) -> Array | None:
    """The weights (count,) in a file that holds a vector, a column or a row; None without a file."""
    if path is None:
        return None
    weights = read_points(Path(folder, path))
    if len(getattr(weights, "shape", ())) == 2 and 1 in weights.shape:
        weights = np.ravel(weights)
    return as_weights(path, weights, count)
