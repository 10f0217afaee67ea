"""Which of our methods was published under which name in the W1 benchmark, and how the two are told in tables."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class PublishedMethod:
    """A method of the W1 benchmark: its name there, ours, what ours was given there, and for how many steps it trained.

    ``recipe`` are fields of ours with the values that make it the published one, of which the name of the method alone
    does not tell.
    """

    name: str
    method: str
    steps: int
    recipe: tuple[tuple[str, float | bool | str], ...] = ()


#: The clip value with which the benchmark's critic was published.
PUBLISHED_CLIP = 0.04

#: The name under which weight clipping was published.
CLIPPED = "wgan"

#: The ten critics of the benchmark. What it calls wgan-qp is the one-sided c-transform of a minibatch, and not the loss
#: of Su 2018, which is our ``quadratic``. The scores of the reversed three-player method are of its mover, not of a
#: gradient of its critic. What has no line here was not published: "dot" of the scores, the exact plan of 4096 points,
#: goes to barycentres, which ``potential`` does not.
#:
#: Source: Korotin, Kolesov, Burnaev 2022; names and steps from notebooks/test_nd.ipynb of their repository.
PUBLISHED_METHODS = (
    PublishedMethod(CLIPPED, "weight_clip", 5000, (("clip", PUBLISHED_CLIP),)),
    PublishedMethod("wgan-gp", "gradient_penalty", 60000, (("one_sided", False),)),
    PublishedMethod("wgan-lp", "gradient_penalty", 60000, (("one_sided", True),)),
    PublishedMethod("sn-gan", "spectral_norm", 10000, (("derivative", "of_weights"),)),
    PublishedMethod("sort-out", "group_sort", 25000, (("orthonormalisation", "exponential"),)),
    PublishedMethod("cowgan", "c_transform", 25000, (("sides", "both"),)),
    PublishedMethod("wgan-qp", "c_transform", 25000, (("sides", "y"),)),
    PublishedMethod("lsot-f", "least_squares", 10000),
    PublishedMethod("3p-wgan", "three_player", 20000, (("reverse", False),)),
    PublishedMethod("3p-wgan_rev", "three_player", 20000, (("reverse", True), ("rays", "mover"))),
)


def published_names(frame: pd.DataFrame) -> "pd.Series[str]":
    """The published name of each row's critic, and "" of one that was published under none."""
    names = pd.Series("", frame.index, dtype=object)
    for known in PUBLISHED_METHODS:
        fits = frame["critic"] == known.method
        for field, value in known.recipe:
            fits &= _is(frame.get(f"method.{field}"), value, frame.index)
        names[fits] = known.name
    return names


def _is(column: "pd.Series[Any] | None", value: float | bool | str, index: pd.Index) -> "pd.Series[bool]":
    """Where a column has a value: flags and words exactly, numbers up to rounding; nowhere without such a column."""
    if column is None:
        return pd.Series(False, index)
    if isinstance(value, bool):
        return column.map(lambda entry: isinstance(entry, bool | np.bool_) and bool(entry) is value).astype(bool)
    if isinstance(value, str):
        return (column == value).astype(bool)
    return pd.Series(np.isclose(pd.to_numeric(column, errors="coerce").astype("float64"), value), index)
