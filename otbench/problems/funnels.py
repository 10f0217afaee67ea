"""Minima of funnels: pairs of laws in any dimension whose optimal potential and its gradient are known."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr, model_validator

from otbench.errors import InputError
from otbench.problems.base import Problem
from otbench.problems.funnel_files import digest, funnel_pairs, pair_bytes
from otbench.problems.funnel_map import FunnelMap
from otbench.types import Array

#: Points on which a map is certified when it is built.
CERTIFIED_POINTS = 4096

#: Largest error of the certificate.
CERTIFICATE = 1e-9

#: Points of the Monte Carlo integral E|Y - a_k(Y)|, drawn a block at a time.
POPULATION_POINTS, POPULATION_BLOCK = 2**16, 2**10


class Funnels(Problem):
    """Mass of a box that moves along the rays of u(z) = min_k |z - a_k| + b_k towards the centres a_k of the funnels.

    Q is uniform on [-half_width, half_width]^d and P the law of T(Y) for Y ~ Q. T moves Y towards the centre of its
    funnel, from the position t in [0, 1] on its ray to t^power.

    f = -u is an optimal potential, so that W1 = E|T(Y) - Y|. The part of the box in which funnel k is lowest is
    star-shaped about a_k, hence t^d is uniform on [0, 1] on any ray, and W1 = (power - 1)/(power + d) E|Y - a_k(Y)|.
    The mean is by Monte Carlo on 2^16 points, as |Y - a_k| varies much less than |T(Y) - Y|.

    ``origin`` says where centres and biases come from. With "own" the centres are uniform in the box and the biases
    ``bias_scale`` N(0, 1), drawn by numpy's ``default_rng([dim, funnels, pair_seed])``. With "file" they are a given
    pair (``from_file``), known by the SHA-256 of both (``otbench.problems.funnel_files.digest``).
    """

    source: ClassVar[str] = "Korotin, Kolesov, Burnaev 2022 (ray-monotone maps of MinFunnel potentials)"

    name: Literal["funnels"] = "funnels"
    funnels: int = Field(4, ge=1, le=4096, description="how many centres u has")
    pair_seed: int = Field(0, ge=0, lt=2**63, description="that the centres and biases are drawn with")
    half_width: float = Field(2.5, ge=1e-100, le=1e100, description="of the box that Q is uniform on")
    power: float = Field(8.0, ge=1, le=32, description="above, images meet centres to rounding")
    bias_scale: float = Field(0.1, ge=0, le=1e100, description="standard deviation of the b_k")
    origin: Literal["own", "file"] = Field("own", description="of a file: centres and biases come with --pairs")
    sha256: str = Field("", description="of a file's centres and biases as float64; filled in when left out")

    _pair: bytes = PrivateAttr(b"")

    @classmethod
    def parse(cls, fields: Mapping[str, Any], folder: str) -> Self:
        """The description, whose field ``pairs`` may name the file that holds the pair of ``dim`` and ``funnels``."""
        if "pairs" not in fields and fields.get("origin") != "file":
            return cls(**fields)
        path = fields.get("pairs")
        if not isinstance(path, str) or fields.get("origin", "file") != "file":
            raise InputError('problem \'funnels\': a pair from a file needs pairs = "FILE.npz" and origin = "file"')
        own = {name: value for name, value in fields.items() if name != "pairs"}
        described = cls(**{**own, "origin": "file"})
        return described._with_pair(Path(folder, path))

    @classmethod
    def instances(cls, fields: Mapping[str, Any], pairs: str | None) -> Iterable[Mapping[str, Any]]:
        """The table itself, or with ``origin = "file"`` one for each pair in the file that has the ``dim`` and the
        number of ``funnels`` that the table asks for, if it does."""
        if fields.get("origin") != "file":
            return [fields]
        path = fields.get("pairs", pairs)
        if not isinstance(path, str):
            what = "a FILE.npz, or a clone of the W1 benchmark"
            raise InputError(f"this experiment takes its pairs from a file: pass it with --pairs, {what}")
        found = funnel_pairs(Path(path), cls.model_fields["half_width"].default)
        asked = {name: fields.get(name) for name in ("dim", "funnels")}
        wanted = [place for place in found if all(a in (None, b) for a, b in zip(asked.values(), place, strict=True))]
        if not wanted:
            told = ", ".join(f"{name} {number}" for name, number in asked.items() if number is not None)
            raise InputError(f"{path} has no pair with {told}")
        return [{**fields, "pairs": path, "dim": dim, "funnels": funnels} for dim, funnels in wanted]

    @classmethod
    def from_file(cls, path: str | Path, dim: int, funnels: int, **fields: Any) -> Self:
        """The pair of that dimension and number of funnels in a file or folder that ``funnel_pairs`` reads.

        Raises:
            InputError: it is not what ``funnel_pairs`` reads, or lacks the pair.
        """
        return cls.parse({"pairs": str(path), "dim": dim, "funnels": funnels, **fields}, "")

    def _with_pair(self, path: Path) -> Self:
        place = (self.dim, self.funnels)
        pair = funnel_pairs(path, self.half_width, only=place)[place]
        found = digest(*pair)
        if self.sha256 not in ("", found):
            raise InputError(f"{path} changed; the sha256 of its pair is {found}")
        filled = self.model_copy(update={"sha256": found})
        filled._pair = pair_bytes(*pair)
        _geometry(filled)
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.origin == "own":
            if self.sha256:
                raise ValueError('sha256 names a pair from a file; own pairs have none: leave it out')
            _geometry(self)
        elif (self.pair_seed, self.bias_scale) != (0, 0.1):
            raise ValueError("pair_seed and bias_scale make own pairs; leave them out for a pair from a file")
        return self

    @property
    def population_w1(self) -> float:
        return _population(self)[0]

    @property
    def population_stderr(self) -> float:
        return _population(self)[1]

    def potential(self, z: Array) -> Array:
        """The optimal potential f(z) = -u(z) (n,) at points z (n, dim): f(T(y)) - f(y) = |T(y) - y|."""
        return -_geometry(self).potential(z)

    def potential_gradient(self, x: Array) -> Array:
        return -_geometry(self).gradient(x)

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, None]:
        y = self.targets(rng, n)
        return _geometry(self).move(y), y, None

    def targets(self, rng: np.random.Generator, n: int) -> Array:
        return rng.uniform(-self.half_width, self.half_width, (n, self.dim))


@lru_cache(maxsize=32)
def _geometry(problem: Funnels) -> FunnelMap:
    """The certified map of a pair, built once per process."""
    k, dim = problem.funnels, problem.dim
    if problem.origin == "own":
        rng = np.random.default_rng([dim, k, problem.pair_seed])
        centres = rng.uniform(-problem.half_width, problem.half_width, (k, dim))
        biases = problem.bias_scale * rng.standard_normal(k)
    elif problem._pair:
        numbers = np.frombuffer(problem._pair, "<f8").astype(np.float64)
        centres, biases = numbers[: k * dim].reshape(k, dim), numbers[k * dim :]
    else:
        raise InputError('funnels of origin "file" come with their file: use Funnels.from_file(path, dim, funnels)')
    built = FunnelMap(centres, biases, problem.half_width, problem.power)
    _certify(built)
    return built


def _certify(built: FunnelMap) -> None:
    """InputError unless, on points of the box, u(y) - u(T(y)) = |y - T(y)| and |u(y) - u(z)| <= |y - z|."""
    width = built.half_width
    y = np.random.default_rng(0).uniform(-width, width, (CERTIFIED_POINTS, built.centres.shape[1]))
    x, z = built.move(y), y[::-1]
    u, limit = built.potential(y), CERTIFICATE * min(1.0, width)
    off_ray = np.abs(u - built.potential(x) - np.linalg.norm(y - x, axis=1)).max()
    steeper = (np.abs(u - u[::-1]) - np.linalg.norm(y - z, axis=1)).max()
    for rule, error in (("the map leaves its rays", off_ray), ("the potential is steeper than 1", steeper)):
        if not error <= limit:
            raise InputError(f"{rule} by {error:.2g}, allowed are {limit:.2g}: bring half_width and biases nearer to 1")


@lru_cache(maxsize=1024)
def _population(problem: Funnels) -> tuple[float, float]:
    """W1 = (power - 1)/(power + d) E|Y - a_k(Y)| and its standard error, on points that are the same every time."""
    rng, geometry = problem._rng("population w1"), _geometry(problem)
    lengths = np.concatenate([
        np.linalg.norm(geometry.rays(problem.targets(rng, POPULATION_BLOCK))[1], axis=1)
        for _ in range(POPULATION_POINTS // POPULATION_BLOCK)
    ])
    share = (problem.power - 1) / (problem.power + problem.dim)
    return float(share * lengths.mean()), float(share * lengths.std() / POPULATION_POINTS**0.5)
