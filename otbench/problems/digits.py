"""Handwritten digits: scikit-learn's 1797 images of 8 x 8 pixels, scaled to [0, 1]."""

from functools import cache
from typing import ClassVar, Literal

from pydantic import Field

from otbench.problems.handwriting import Handwriting
from otbench.types import Array, Indices

SMALL_IMAGE = 8 * 8


class Digits(Handwriting):
    """Small images of digits, drawn without replacement: two classes, halves of one, or a class and a noisy copy."""

    source: ClassVar[str] = "Alpaydin, Kaynak 1998 (UCI optical recognition of handwritten digits), as in scikit-learn"

    name: Literal["digits"] = "digits"
    dim: int = Field(SMALL_IMAGE, ge=SMALL_IMAGE, le=SMALL_IMAGE, description="8 x 8 pixels")

    @staticmethod
    @cache
    def _labelled() -> tuple[Array, Indices]:
        from sklearn.datasets import load_digits  # a second to import, and only this problem needs it

        images, labels = load_digits(return_X_y=True)
        return images / 16.0, labels
