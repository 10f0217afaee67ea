"""Handwritten digits: scikit-learn's 1797 images of 8 x 8 pixels, scaled to [0, 1]."""

from functools import cache
from typing import ClassVar, Literal

from pydantic import Field

from otbench.problems.handwriting import Handwriting
from otbench.types import Array, Indices

SMALL_IMAGE = 8 * 8


class Digits(Handwriting):
    """Images of digits of scikit-learn, drawn without replacement; no closed form is known (``Handwriting``)."""

    source: ClassVar[str] = "Alpaydin, Kaynak 1998 (UCI optical recognition of handwritten digits), as in scikit-learn"

    name: Literal["digits"] = "digits"
    dim: int = Field(SMALL_IMAGE, ge=SMALL_IMAGE, le=SMALL_IMAGE)

    @staticmethod
    @cache
    def _labelled() -> tuple[Array, Indices]:
        from sklearn.datasets import load_digits  # a second to import, and only this problem needs it

        images, labels = load_digits(return_X_y=True)
        return images / 16.0, labels
