"""Patches of photographs: laws as large as images, of which samples and fresh points are drawn without end."""

from functools import cache
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from otbench.errors import InputError
from otbench.problems.base import Mode, Problem, direction
from otbench.types import Array, Indices

#: Pixels of either photograph from top to bottom and from left to right, and the colours of a pixel.
HEIGHT, WIDTH, CHANNELS = 427, 640, 3

#: The level of a pixel that is as bright as can be.
WHITE = 255.0


class Patches(Problem):
    """Square patches of scikit-learn's two photographs, in colour, with pixels scaled to [0, 1].

    ``dim`` is side * side * 3 for patches of 8, 16 or 32 pixels a side. P is the law of a patch of ``photograph`` at a
    position drawn uniformly from all there are, one pixel apart. Positions are drawn independently, with replacement:
    points are independent of each other, although patches at near positions overlap, and a patch may come twice. All
    that is said is of this law, that of one photograph.

    ``comparison`` says what Q is:

    - "photographs": the law of patches of the other photograph.
    - "sides": P is of patches within the left half of the photograph, and Q of those within its right half.
    - "same": P itself, so that two independent samples are two random parts of one photograph, and W1 = 0.
    - "brighter": x + ``brightness`` in every pixel, not clipped to [0, 1]. It is a translation, so that
      W1 = |brightness| sqrt(dim), and the pairs (x, x + brightness) are an optimal coupling.
    - "blurred": x blurred within itself by a Gaussian of deviation ``blur`` pixels, which keeps the mean of every
      colour. No theorem makes this map optimal for W1.
    - "moved": the patch that lies ``pixels`` further to the right in the photograph. The positions of P and Q are the
      same but for ``pixels`` columns at either end: nearly equal laws, whose overlap is 1 - pixels/columns at least.
    - "noisy": x with Gaussian noise of deviation ``noise`` added to every pixel. P has atoms and Q a density, so that
      their overlap is 0.

    W1 is known of "same", of "brighter", and of "moved" by 0 pixels, which is "same". These alone can be coupled.
    """

    source: ClassVar[str] = "china.jpg (danielbuechele), flower.jpg (vultilion), both CC BY 2.0, as in scikit-learn"

    name: Literal["patches"] = "patches"
    dim: Literal[192, 768, 3072] = Field(192, description="8, 16 or 32 pixels a side, three colours")
    photograph: Literal["china", "flower"] = Field("china", description="that P is of")
    comparison: Literal["photographs", "sides", "same", "brighter", "blurred", "moved", "noisy"] = Field(
        "photographs", description="what Q is"
    )
    brightness: float = Field(0.1, ge=-1, le=1, description="what brighter adds to every pixel")
    blur: float = Field(1.0, ge=0.25, le=16, description="below, no neighbour counts")
    pixels: int = Field(4, ge=0, le=WIDTH // 2, description="how far moved goes")
    noise: float = Field(0.1, gt=0, le=1, description="standard deviation of what noisy adds")

    @property
    def side(self) -> int:
        """The pixels of a side of a patch."""
        return {192: 8, 768: 16, 3072: 32}[self.dim]

    @property
    def has_coupling(self) -> bool:
        return self.comparison == "brighter" or self._equal

    @property
    def population_w1(self) -> float | None:
        if self.comparison == "brighter":
            return abs(self.brightness) * float(np.sqrt(self.dim))
        return 0.0 if self._equal else None

    @property
    def population_overlap(self) -> float | None:
        if self.comparison == "noisy":
            return 0.0
        return 1.0 if self.population_w1 == 0 else None

    @property
    def _equal(self) -> bool:
        """Whether Q is P itself, whatever was done to get it."""
        return self.comparison == "same" or (self.comparison == "moved" and self.pixels == 0)

    def sizes(self, n: int | None, m: int | None, mode: Mode) -> tuple[int, int]:
        if mode == "coupled" and not self.has_coupling:
            raise InputError(
                f'patches compared as "{self.comparison}" have no known optimal coupling; use mode = "independent" or '
                '"population"'
            )
        return super().sizes(n, m, mode)

    def potential_gradient(self, x: Array) -> Array | None:
        """That of a translation along the diagonal; None where nothing moves, or nobody knows how."""
        if self.comparison != "brighter" or self.brightness == 0:
            return None
        return np.tile(-np.sign(self.brightness) * direction("diagonal", self.dim), (len(x), 1))

    def coupling(self, rng: np.random.Generator, n: int) -> tuple[Array, Array, None]:
        """n patches, and what each is compared with: an optimal coupling where ``has_coupling``, else just one."""
        step = {"sides": WIDTH // 2, "moved": self.pixels}.get(self.comparison, 0)
        rows = rng.integers(0, HEIGHT - self.side + 1, n)
        columns = rng.integers(0, WIDTH - self.side + 1 - step, n)
        x = _patches(self.photograph, self.side, rows, columns)
        if self.comparison == "photographs":
            other = "flower" if self.photograph == "china" else "china"
            return x, _patches(other, self.side, rows, columns), None
        if self.comparison == "brighter":
            return x, x + self.brightness, None
        if self.comparison == "blurred":
            return x, _blurred(x, self.side, self.blur), None
        if self.comparison == "noisy":
            return x, x + self.noise * rng.standard_normal(x.shape), None
        return x, _patches(self.photograph, self.side, rows, columns + step), None


@cache
def _photographs() -> dict[str, NDArray[np.uint8]]:
    """Both photographs, each (HEIGHT, WIDTH, CHANNELS)."""
    from sklearn.datasets import load_sample_images  # a second to import, and only this problem needs it

    china, flower = load_sample_images().images
    return {"china": china, "flower": flower}


def _patches(photograph: str, side: int, rows: Indices, columns: Indices) -> Array:
    """The patches (n, dim) whose upper left corners are at the pixels (rows, columns): pixel by pixel, colours last."""
    windows = np.lib.stride_tricks.sliding_window_view(_photographs()[photograph], (side, side), axis=(0, 1))
    chosen = windows[rows, columns].transpose(0, 2, 3, 1)  # (n, side, side, CHANNELS)
    levels: Array = chosen.reshape(len(rows), -1) / WHITE
    return levels


def _blurred(x: Array, side: int, deviation: float) -> Array:
    """Patches blurred within themselves, as if mirrored at their edges."""
    from scipy.ndimage import gaussian_filter  # half a second to import

    images = x.reshape(-1, side, side, CHANNELS)
    blurred: Array = gaussian_filter(images, (0, deviation, deviation, 0), mode="reflect")
    return blurred.reshape(x.shape)
