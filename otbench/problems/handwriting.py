"""Images of handwritten digits with their labels, whatever collection they come from: real data, without a law."""

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from otbench.errors import InputError
from otbench.inputs import as_whole
from otbench.problems.base import Mode, Problem, check_left, check_request, data_size
from otbench.types import Array, Indices, SamplePair


class Handwriting(Problem):
    """Images of digits, drawn without replacement from a collection that a subclass names.

    No closed form is known: the exact solver is the only truth.

    ``comparison`` says what is compared. With "classes" it is images of ``digit`` with images of ``other``. With
    "halves" it is two disjoint random halves of ``digit``, which shows what sampling alone costs. With "noisy" it is
    ``digit`` with its copy to which Gaussian noise of deviation ``noise`` was added, on all but a share ``shared`` of
    the rows, which is the overlap.
    """

    has_law: ClassVar[bool] = False

    comparison: Literal["classes", "halves", "noisy"] = Field(
        "classes", description="what Q is: another class, the class's other half, its noisy copy"
    )
    digit: int = Field(0, ge=0, le=9, description="the class of P")
    other: int = Field(1, ge=0, le=9, description="the class of Q in comparison classes")
    noise: float = Field(0.1, gt=0, description="standard deviation of what noisy adds")
    shared: float = Field(
        0.0, ge=0, le=1, description="of a noisy copy: the share of rows without noise, which is the overlap"
    )

    @model_validator(mode="after")
    def _two_classes(self) -> Self:
        if self.comparison == "classes" and self.digit == self.other:
            raise ValueError(f"two classes must differ; got {self.digit} twice: compare its halves instead")
        return self

    @property
    def population_w1(self) -> float | None:
        """0 of two halves of one class, which are of one law; else it is not known."""
        return 0.0 if self.comparison == "halves" else None

    @property
    def population_overlap(self) -> float | None:
        """1 of two halves of one class, which are of one law; of two classes it is not known."""
        return {"noisy": self.shared, "halves": 1.0, "classes": None}[self.comparison]

    def sizes(self, n: int | None, m: int | None, mode: Mode) -> tuple[int, int]:
        """n and m, or all the rows there are where they are None."""
        n, m = check_request(n, m, mode)
        if mode == "coupled":
            raise InputError(f'images of {self.name} have no known optimal coupling; use mode = "independent"')
        if mode == "population":
            raise InputError(
                f'images of {self.name} are data, with no law to draw fresh points from; use mode = "independent"'
            )
        first, second = self._available()
        n = data_size("n", n, first)
        if self.comparison == "noisy":
            if m not in (None, n):
                raise InputError(f"a noisy copy has as many rows as the original; got m = {m} for n = {n}")
            return n, n
        return n, data_size("m", m, second)

    def sample(
        self, n: int | None = None, m: int | None = None, *, mode: Mode = "independent", seed: int = 0
    ) -> SamplePair:
        """n and m images drawn without replacement, or all of them; the same arguments give the same images."""
        seed, (n, m) = as_whole("seed", seed), self.sizes(n, m, mode)
        rng = self._rng(n, m, seed)
        x, y = self._shuffled(rng)
        if self.comparison != "noisy":
            return SamplePair(x[:n], y[:m])
        moves = np.arange(n) >= round(self.shared * n)
        return SamplePair(x[:n], x[:n] + self.noise * moves[:, None] * rng.standard_normal((n, self.dim)))

    def held_out(
        self, count: int, n: int | None = None, m: int | None = None, *, mode: Mode = "independent", seed: int = 0
    ) -> SamplePair:
        """Images that the sample leaves over, from the same classes or halves."""
        seed, (n, m) = as_whole("seed", seed), self.sizes(n, m, mode)
        self.check_fresh(count, n, m, mode)
        x, y = self._shuffled(self._rng(n, m, seed))
        return SamplePair(x[n : n + count], y[m : m + count])

    def check_fresh(self, count: int, n: int | None, m: int | None, mode: Mode) -> None:
        n, m = self.sizes(n, m, mode)
        if self.comparison == "noisy":
            raise InputError("a noisy copy moves with its original, so nothing can be held out; leave fresh out")
        first, second = self._available()
        check_left(count, first - n, second - m)

    def _shuffled(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """All images that x and y are drawn from, in random order; those of a noisy copy are the same."""
        x = rng.permutation(self._rows(self.digit))
        if self.comparison == "classes":
            return x, rng.permutation(self._rows(self.other))
        return (x[: len(x) // 2], x[len(x) // 2 :]) if self.comparison == "halves" else (x, x)

    def _available(self) -> tuple[int, int]:
        """How many images there are for x and for y."""
        first, second = len(self._rows(self.digit)), len(self._rows(self.other))
        return (first // 2, first - first // 2) if self.comparison == "halves" else (first, second)

    def _rows(self, digit: int) -> Array:
        """All images of a digit, a row each."""
        images, labels = self._labelled()
        rows: Array = images[labels == digit]
        return rows

    @staticmethod
    def _labelled() -> tuple[Array, Indices]:
        """All images (., dim), scaled to [0, 1], and what digit each of them shows."""
        raise NotImplementedError
