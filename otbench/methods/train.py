"""Training of critics by hand: one on a pair of samples, or many of one shape at once."""

from collections.abc import Sequence

from otbench.errors import InputError
from otbench.inputs import as_whole
from otbench.methods.base import Job, Method
from otbench.methods.fitted import Fitted
from otbench.methods.fitting import fit_together
from otbench.types import Law, SamplePair


def train(pair: SamplePair, method: Method, *, seed: int = 0, device: str = "cpu", law: Law | None = None) -> Fitted:
    """Train one critic f on one pair of samples; the same arguments give the same critic.

    f becomes large on x and small on y.

    Args:
        pair: the samples x (n, d) and y (m, d).
        method: a recipe that trains a network, such as ``WeightClip()`` or ``method("group_sort")``.
        seed: what first weights, minibatches and chance follow from.
        device: "cpu", "cuda" or "cuda:N".
        law: a problem of which every step sees fresh draws; ``pair`` then gives the dimension alone.

    Returns:
        Fitted: a float64 function of points (k, d), with ``status`` "diverged" and no function where a parameter is
        not finite.

    Raises:
        InputError: a recipe that trains nothing, a device that is not there, or a dtype that it does not have.

    Source: the recipe's.
    """
    return train_many([pair], [method], [seed], device=device, laws=None if law is None else [law])[0]


def train_many(
    pairs: Sequence[SamplePair],
    methods: Sequence[Method],
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    laws: Sequence[Law] | None = None,
) -> list[Fitted]:
    """Train many critics in batched calls: critic k on pairs[k] by methods[k] with seeds[k].

    On a CPU no bit of a critic's parameters depends on the critics with which it shares a batch.

    Args:
        pairs: the samples of each critic, all of the same sizes n and m and of one dimension d.
        methods: the recipe of each critic; they may differ in what their ``batch_key()`` leaves out alone, as clipped
            critics do in clip value, learning rate and eps.
        seeds: the seed of each critic's first weights, minibatches and chance.
        device: "cpu", "cuda" or "cuda:N".
        laws: the problem of which each critic sees fresh draws at every step; None trains on the samples.

    Returns:
        The critics in their order, as ``train`` returns them.

    Raises:
        InputError: critics that cannot be trained together, a recipe that trains nothing, or a device that is not
            there.

    Source: the recipes'.
    """
    parts = (pairs, methods, seeds, *([] if laws is None else [laws]))
    if not all(hasattr(part, "__len__") for part in parts):
        raise InputError("train_many takes lists, one pair, method, seed (and law) per critic; "
                         f"got {', '.join(type(part).__name__ for part in parts)}")  # fmt: skip
    counts = [len(part) for part in parts]
    if len(set(counts)) > 1:
        raise InputError(f"train_many takes one pair, method, seed (and law) per critic; got {counts}")
    if not pairs:
        return []
    seeds = [as_whole("seed", seed, 0) for seed in seeds]
    for method in methods:
        if not isinstance(method, Method):
            raise InputError(f"train takes a recipe, as WeightClip() or method(NAME) make it; got {_named(method)}")
        if not hasattr(method, "shapes"):
            raise InputError(f"train takes a recipe that trains a network; {method.name} has none: experiments run it")
    for pair in pairs:
        if not isinstance(pair, SamplePair):
            raise InputError(f"train takes a SamplePair(x, y); got {_named(pair)}")
    for law in laws or []:
        if not hasattr(law, "fresh"):
            raise InputError(f"law must be a problem, of which fresh points are drawn; got {_named(law)}")
    if len({(type(m), m.at(p.dim).batch_key(), p.dim) for m, p in zip(methods, pairs, strict=True)}) > 1:
        raise InputError(
            "critics trained together must agree in dimension and in all but clip, lr, lr_unit and eps, or what else "
            "their batch_key() leaves out: group them by batch_key()"
        )
    given: Sequence[Law | None] = laws or [None] * len(pairs)
    jobs = [Job(pair, seed, None, law) for pair, seed, law in zip(pairs, seeds, given, strict=True)]
    return fit_together(methods, jobs, str(device))


def _named(thing: object) -> str:
    return type(thing).__name__
