"""Real data: scikit-learn's 1797 handwritten digits (8 x 8 pixels, scaled to [0, 1])."""

from functools import cache
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from otbench.errors import InputError
from otbench.problems.base import Mode, Problem
from otbench.types import Array, SamplePair

DIM = 64


class Digits(Problem):
    """Images of digits, without replacement; no closed form, the exact solver is the only truth.

    ``comparison="classes"``: ``digit`` against ``other``. ``"halves"``: two disjoint random halves of
    ``digit``: what sampling alone costs. ``"noisy"``: ``digit`` against its copy with Gaussian noise of
    deviation ``noise`` on all but a share ``shared`` of the rows, which is the overlap.
    """

    source: ClassVar[str] = "Alpaydin, Kaynak 1998 (UCI optical recognition of handwritten digits), as in scikit-learn"

    name: Literal["digits"] = "digits"
    dim: int = Field(DIM, ge=DIM, le=DIM)
    comparison: Literal["classes", "halves", "noisy"] = "classes"
    digit: int = Field(0, ge=0, le=9)
    other: int = Field(1, ge=0, le=9)
    noise: float = Field(0.1, gt=0)
    shared: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _two_classes(self) -> Self:
        if self.comparison == "classes" and self.digit == self.other:
            raise ValueError(f"two classes must differ; got {self.digit} twice: compare its halves instead")
        return self

    @property
    def population_overlap(self) -> float:
        return self.shared if self.comparison == "noisy" else 0.0

    def sample(
        self, n: int | None = None, m: int | None = None, *, mode: Mode = "independent", seed: int = 0
    ) -> SamplePair:
        """Rows of the data set, all there are where n or m is None."""
        if mode == "coupled":
            raise InputError('digits have no known optimal coupling; use mode = "independent"')
        rng = self._rng(mode, n, m, seed)
        first = rng.permutation(_rows(self.digit))
        if self.comparison == "halves":
            middle = len(first) // 2
            return SamplePair(_take("n", first[:middle], n), _take("m", first[middle:], m))
        x = _take("n", first, n)
        if self.comparison == "classes":
            return SamplePair(x, _take("m", rng.permutation(_rows(self.other)), m))
        if m not in (None, len(x)):
            raise InputError(f"a noisy copy has as many rows as the original; got m = {m} for n = {len(x)}")
        moves = np.arange(len(x)) >= round(self.shared * len(x))
        y = x + self.noise * moves[:, None] * rng.standard_normal(x.shape)
        return SamplePair(x, y)


@cache
def _load() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits  # a second to import, and only this problem needs it

    images, labels = load_digits(return_X_y=True)
    return images / 16.0, labels


def _rows(digit: int) -> Array:
    images, labels = _load()
    return images[labels == digit]


def _take(name: str, rows: Array, count: int | None) -> Array:
    if count is not None and not 1 <= count <= len(rows):
        raise InputError(f"digits: {name} must be between 1 and the {len(rows)} rows there are; got {count}")
    return rows[:count]
