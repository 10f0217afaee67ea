"""What every problem is: two laws on R^d, what is known of their distance, and how to draw from them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from pydantic import Field

from otbench.errors import InputError, UnknownNameError
from otbench.inputs import as_whole
from otbench.memory import free_memory
from otbench.spec import Scalar, Spec
from otbench.types import Array, SamplePair

Mode = Literal["coupled", "independent", "population"]

#: Bytes of points below which nobody asks whether they fit; arrays of a sample's size that drawing it holds at once.
ALWAYS_FITS, ARRAYS_OF_A_SAMPLE = 2**26, 4


class Problem(Spec):
    """Two laws P and Q on R^dim, of which samples can be drawn.

    A subclass gives ``coupling``, which draws pairs of an optimal coupling, and what is known of the laws:
    ``population_w1``, ``population_overlap`` and so on. Where no optimal coupling is known, ``has_coupling`` is False,
    and only one side of a pair is ever used. Behind coupled sampling stands a lemma: where T moves every point along a
    ray of one 1-Lipschitz f, f(x) - f(T(x)) = |x - T(x)|, the exact W1 of the samples x_i and T(x_i) is
    sum_i a_i |x_i - T(x_i)| for *any* weights a.
    """

    kind: ClassVar[str] = "problem"
    source: ClassVar[str]

    #: False of data without a law: samples of several seeds are then drawn from the same rows, and depend.
    has_law: ClassVar[bool] = True

    name: str
    dim: int = Field(ge=1, description="of the points")

    @classmethod
    def instances(cls, fields: Mapping[str, Any], pairs: str | None) -> Iterable[Mapping[str, Any]]:
        """The descriptions that one table of an experiment stands for: itself, or one per pair in the file ``pairs``.

        Raises:
            InputError: the table needs a file, and none was given.
        """
        return [fields]

    def columns(self, prefix: str) -> dict[str, Scalar]:
        """As of any description. A plugin's rows say where it has no law; tables know otbench's own by name."""
        told = {} if self.has_law or self.plugin is None else {f"{prefix}.has_law": False}
        return super().columns(prefix) | told

    @property
    def population_w1(self) -> float | None:
        """W1(P, Q) in the data's unit; None where no closed form is known."""
        return None

    @property
    def population_stderr(self) -> float | None:
        """Standard error of ``population_w1``: 0 of a closed form, else that of its Monte Carlo estimate."""
        return None if self.population_w1 is None else 0.0

    @property
    def population_overlap(self) -> float | None:
        """The overlap int min(p, q) = 1 - TV(P, Q), in [0, 1]; None where unknown."""
        return None

    @property
    def population_js(self) -> float | None:
        """Jensen-Shannon divergence JS(P, Q) in nats, in [0, log 2]; None where no formula is known."""
        return None

    @property
    def population_kl(self) -> float | None:
        """Kullback-Leibler divergence KL(P, Q) = int p log(p/q) in nats, may be infinite; None where unknown."""
        return None

    @property
    def has_coupling(self) -> bool:
        """Whether the pairs that ``coupling`` draws are known to be of an optimal coupling of the laws."""
        return True

    def velocity(self, y: Array) -> Array | None:
        """How the points y (m, dim) of Q move with the family's parameter theta: dy/dtheta (m, dim), or None.

        A generator whose only parameter is theta moves its points in this way.
        """
        return None

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, Array | None]:
        """n draws (x_i, y_i) of an optimal coupling as x (n, dim) and y (n, dim), with weights (n,) or None.

        Where ``has_coupling`` is False it is any coupling of the laws.
        """
        raise NotImplementedError

    def targets(self, rng: np.random.Generator, n: int) -> Array:
        """n draws (n, dim) of Q alone, for a problem that has no weights."""
        return self.coupling(rng, n)[1]

    def potential_gradient(self, x: Array) -> Array | None:
        """Unit gradients (n, dim) at points x of P of an optimal potential f; None where none is known.

        As f(x) - f(T(x)) = |x - T(x)|, they point from T(x) to x. They are 0 where f has no gradient.
        """
        return None

    def fresh(self, n: int, m: int, seed: int, step: int) -> tuple[Array, Array]:
        """Independent draws x (n, dim) of P and y (m, dim) of Q for one training step, the same in any order of calls.

        Every (problem, seed, step) has two random streams of its own, one for x and one for y; samples are drawn from
        others.

        Raises:
            InputError: the problem is data without a law, draws its points with weights, or more points are asked for
                than fit in memory.
        """
        self.sizes(n, n, "population")
        check_room(n, m, self.dim)
        key, seed, step = _stream_key(self), as_whole("seed", seed, 0), as_whole("step", step, 0)
        # a counter's lowest word counts the draws, the others are the stream's name
        of_x, of_y = (np.random.Philox(key=key, counter=[0, side, step, seed]) for side in (0, 1))
        return self.coupling(np.random.Generator(of_x), n)[0], self.targets(np.random.Generator(of_y), m)

    def sample(
        self, n: int | None = None, m: int | None = None, *, mode: Mode = "independent", seed: int = 0
    ) -> SamplePair:
        """Two samples, x (n, dim) of P and y (m, dim) of Q; the same arguments give the same points.

        Args:
            n: points of P; 1024 of a law and all rows of data where it is None.
            m: points of Q; n, or all rows of data, where it is None.
            mode: "coupled" samples have y_i = T(x_i), so that their W1 is known in closed form; "independent" ones
                draw y afresh, as a user's data are drawn; "population" ones are points on which a critic is read that
                was trained on ``fresh`` ones, coupled where an optimal coupling is known.
            seed: which of the random streams is used.

        Raises:
            InputError: sizes that the problem cannot give or memory cannot hold, n other than m where points are
                paired, or a mode in which the problem cannot be drawn.
        """
        seed, (n, m) = as_whole("seed", seed), self.sizes(n, m, mode)
        check_room(n, m, self.dim)
        x, images, a = self.coupling(self._rng(f"{mode} x", n, m, seed), n)
        rays = self.potential_gradient(x)
        if mode != "independent" and self.has_coupling:
            return SamplePair(x, images, a, a, images, rays)
        _, y, b = self.coupling(self._rng(f"{mode} y", n, m, seed), m)
        return SamplePair(x, y, a, b, images if self.has_coupling else None, rays)

    def held_out(
        self, count: int, n: int | None = None, m: int | None = None, *, mode: Mode = "independent", seed: int = 0
    ) -> SamplePair:
        """``count`` points of P and as many of Q, independent of each other and of what ``sample`` gives for the other
        arguments: a critic that was fitted to that sample is read on them to say something of the laws.

        Raises:
            InputError: as ``sample``, or data that the sample leaves too few rows of.
        """
        seed, (n, m) = as_whole("seed", seed), self.sizes(n, m, mode)
        self.check_fresh(count, n, m, mode)
        x, images, a = self.coupling(self._rng(f"{mode} held out x", n, m, count, seed), count)
        _, y, b = self.coupling(self._rng(f"{mode} held out y", n, m, count, seed), count)
        return SamplePair(x, y, a, b, images if self.has_coupling else None, self.potential_gradient(x))

    def check_fresh(self, count: int, n: int | None, m: int | None, mode: Mode) -> None:
        """InputError where ``count`` points of each law cannot be held out beside a sample of n and m."""
        check_room(as_whole("fresh", count, 2), count, self.dim)

    def sizes(self, n: int | None, m: int | None, mode: Mode) -> tuple[int, int]:
        """The sizes n and m that ``sample`` gives for these arguments, found without drawing.

        Raises:
            InputError: as ``sample``.
        """
        n, m = check_request(n, m, mode)
        n = 1024 if n is None else n
        m = n if m is None else m
        if mode != "independent" and n != m:
            raise InputError(f"{mode} sampling pairs the points, so n must equal m; got {n} and {m}")
        return n, m

    def _rng(self, *purpose: object) -> np.random.Generator:
        """A random stream that belongs to this description and purpose alone: no global state, no shared streams."""
        return np.random.default_rng(self._seed_of(*purpose))

    def _seed_of(self, *purpose: object) -> int:
        """128 bits of the hash of this description and purpose."""
        content = [self.model_dump(mode="json"), self.version, *purpose]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
        return int.from_bytes(digest[:16], "little")


@lru_cache(maxsize=256)
def _stream_key(problem: Problem) -> int:
    """The key of a problem's fresh draws, hashed once and not once per step."""
    return problem._seed_of("fresh")


def check_request(n: object, m: object, mode: str) -> tuple[int | None, int | None]:
    """n and m as Python's whole numbers of at least 1, or None; InputError for anything else and for unknown modes."""
    if mode not in get_args(Mode):
        raise UnknownNameError("sampling mode", mode, get_args(Mode))
    n, m = (None if k is None else as_whole(f"sample size {name}", k, 1) for name, k in (("n", n), ("m", m)))
    return n, m


def check_room(n: int, m: int, dim: int) -> None:
    """InputError when n + m points in R^dim, and what drawing them takes, would not fit in memory."""
    needed = 8 * dim * (n + m) * ARRAYS_OF_A_SAMPLE
    if needed > ALWAYS_FITS and needed > (available := free_memory()):
        raise InputError(
            f"a sample of {n} + {m} points in {dim} dimensions takes {needed / 2**30:.1f} GiB to draw, "
            f"{available / 2**30:.1f} GiB are free: use smaller samples"
        )


def check_left(count: int, *left: int) -> None:
    """InputError where a sample leaves fewer than ``count`` rows of data over on a side."""
    if as_whole("fresh", count, 2) > min(left):
        raise InputError(
            f"fresh = {count} rows are held out of those that the sample leaves over, of which there are {min(left)}: "
            "give smaller n and m"
        )


def data_size(name: str, asked: int | None, available: int) -> int:
    """How many of ``available`` rows a sample takes: all, unless fewer are asked for."""
    if asked is not None and not 1 <= asked <= available:
        raise InputError(f"{name} must be between 1 and the {available} rows there are; got {asked}")
    return available if asked is None else asked


def direction(kind: Literal["axis", "diagonal"], dim: int) -> Array:
    """The unit vector e_1, or (1, ..., 1)/sqrt(dim)."""
    unit: Array = np.eye(1, dim)[0] if kind == "axis" else np.full(dim, dim**-0.5)
    return unit


def uniform_sphere(rng: np.random.Generator, n: int, dim: int) -> Array:
    """n uniform points on the unit sphere of R^dim (Muller 1959: normalised Gaussians)."""
    z = rng.standard_normal((n, dim))
    unit: Array = z / np.linalg.norm(z, axis=1, keepdims=True)
    return unit


def uniform_ball(rng: np.random.Generator, n: int, dim: int) -> Array:
    """n uniform points in the unit ball of R^dim: a point of the sphere at radius U^(1/dim), U ~ U[0, 1]."""
    points: Array = uniform_sphere(rng, n, dim) * rng.random((n, 1)) ** (1.0 / dim)
    return points
