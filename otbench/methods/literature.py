"""The critics of the literature trained on one pair of samples: equal networks, and each at the rate that suits it."""

import math
from collections.abc import Sequence

import numpy as np

from otbench.methods import Method, method
from otbench.methods.audit import ladders
from otbench.methods.base import Job
from otbench.methods.fitted import Fitted
from otbench.methods.fitting import fit_together
from otbench.methods.reading import Reader
from otbench.types import Bounds, ExactSolution

#: Learning rates among which that of a trained method is chosen; those of clipped critics are ten times these, in units
#: of the clip value. They are the grid of ``experiments/critics.toml``, as is the clip value.
RATES = (1e-4, 1e-3, 1e-2)
CLIP = 0.1

#: The seed on which rates are chosen; critics are those of the seeds 0, 1, ...
CHOOSING_SEED = 100


def literature(steps: int, widths: Sequence[int], batch: int) -> dict[str, list[Method]]:
    """The critics by their names, each as the recipes among which its rate is chosen.

    Raises:
        InputError: a setting out of range.
    """
    network = {"steps": steps, "widths": widths, "batch": batch}
    smooth = [network | {"lr": rate, "decay": "linear"} for rate in RATES]
    clipped = [network | {"lr": 10 * rate, "lr_unit": "clip", "clip": CLIP} for rate in RATES]
    return {
        "orthonormal": [method("group_sort", **fields) for fields in smooth],
        "spectral norm": [method("spectral_norm", **fields) for fields in smooth],
        "gradient penalty": [method("gradient_penalty", one_sided=True, **fields) for fields in smooth],
        "weight clipping": [method("weight_clip", **fields) for fields in clipped],
        "c-transform": [method("c_transform", **fields) for fields in smooth],
        "sliced W1": [method("sliced")],
        "potential": [method("potential")],
        "linear": [method("linear")],
    }


def trained(
    options: Sequence[Method], reader: Reader, exact: ExactSolution, seeds: int, device: str
) -> tuple[Method, list[Fitted]]:
    """Of several recipes the one that proves most of W1 of the samples on a seed of its own, and its critics.

    Args:
        options: recipes of one method that may be fitted in one batch.
        reader: the two samples, as vectors.
        exact: their exact solution.
        seeds: how many critics there are of a recipe that depends on chance; of others there is one.
        device: where they are trained.
    """
    options = [option.at(reader.pair.dim) for option in options]
    best = options[0]
    if len(options) > 1:
        tried = read_fitted(_fit(options, [CHOOSING_SEED] * len(options), reader, exact, device), reader, exact)
        best = options[int(np.argmax([-math.inf if bounds is None else bounds.slope for bounds in tried]))]
    chance = range(seeds if best.chance else 1)
    return best, _fit([best] * len(chance), chance, reader, exact, device)


def read_fitted(fitted: Sequence[Fitted], reader: Reader, exact: ExactSolution) -> list[Bounds | None]:
    """What each critic proves of the samples; None where it has diverged."""
    sound = [k for k, fit in enumerate(fitted) if fit.critic is not None]
    found = ladders(reader.pair, exact, [reader.read(fitted[k], None) for k in sound], "cpu")
    told = dict(zip(sound, found, strict=True))
    return [told.get(k) for k in range(len(fitted))]


def _fit(
    recipes: Sequence[Method], seeds: Sequence[int], reader: Reader, exact: ExactSolution, device: str
) -> list[Fitted]:
    return fit_together(recipes, [Job(reader.pair, seed, exact) for seed in seeds], device)
