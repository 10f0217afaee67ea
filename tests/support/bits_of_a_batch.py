"""Train critics of random shapes alone and in company, and print every shape whose bits depend on the company.

Run as a script, in a process of its own, so that ATEN_CPU_CAPABILITY and MKL_CBWR are read before torch computes.
"""

import sys
from itertools import chain
from typing import Any

import numpy as np

from otbench.methods import Discriminator, WeightClip
from otbench.methods.fitted import Fitted
from otbench.methods.train import train_many
from otbench.methods.training.logistic import train_discriminators
from otbench.problems import problem
from otbench.types import Array, SamplePair

CRITICS = 5
STEPS = 7


def flat(fitted: Fitted) -> Array:
    """Every parameter of a critic, float64 (P,)."""
    critic: Any = fitted.critic
    return np.concatenate([part.ravel() for part in chain(critic.weights, critic.biases)])


def random_recipe(rng: np.random.Generator) -> tuple[dict[str, Any], int, int, int]:
    """Fields of a clipped critic, the dimension, and the sizes of two samples; most are no powers of two."""
    depth = int(rng.integers(0, 5))
    widths = tuple(int(rng.choice([1, 3, 5, 9, 16, 31, 33, 64, 100, 129])) for _ in range(depth))
    batch = rng.choice(["full", "1", "3", "17", "64", "100", "150"])
    fields = {
        "widths": widths,
        "batch": "full" if batch == "full" else int(batch),
        "activation": str(rng.choice(["relu", "leaky_relu", "tanh"])),
        "optimiser": str(rng.choice(["rmsprop", "adam", "sgd"])),
        "dtype": str(rng.choice(["float32", "float32", "float64", "bfloat16"])),
        "biases": bool(rng.random() < 0.8),
        "clip_when": str(rng.choice(["after", "before"])),
    }
    return fields, int(rng.choice([1, 2, 3, 7, 16, 33, 128])), int(rng.integers(1, 200)), int(rng.integers(1, 200))


def in_company(fields: dict[str, Any], dim: int, n: int, m: int, seed: int) -> bool:
    """Whether each of CRITICS critics has the same bits together, backwards, in a part of the batch, and alone."""
    rng = np.random.default_rng(seed)
    pairs = [
        SamplePair(rng.standard_normal((n, dim)), rng.standard_normal((m, dim)) + 0.5) for _ in range(CRITICS)
    ]
    recipes = [
        WeightClip(**fields, clip=0.02 * (k + 1), lr=1e-2 / (k + 1), eps=1e-6, steps=STEPS) for k in range(CRITICS)
    ]
    laws = [problem("translation", dim=dim, shift=float(k)) for k in range(CRITICS)]
    fresh = fields["batch"] != "full" and seed % 4 == 0

    def trained(which: list[int]) -> dict[int, Array]:
        some = [pairs[k] for k in which], [recipes[k] for k in which], [100 + k for k in which]
        fitted = train_many(*some, laws=[laws[k] for k in which] if fresh else None)
        return {k: flat(fit) for k, fit in zip(which, fitted, strict=True)}

    everyone = list(range(CRITICS))
    together = trained(everyone)
    companies = [trained(everyone[::-1]), trained([1, 2, 3]), trained([4, 0]), *(trained([k]) for k in everyone)]
    return all((found == together[k]).all() for company in companies for k, found in company.items())


def discriminators_in_company(widths: tuple[int, ...], dim: int, seed: int) -> bool:
    """The same of discriminators, together and alone."""
    rng = np.random.default_rng(seed)
    pairs = [SamplePair(rng.standard_normal((40, dim)), rng.standard_normal((30, dim))) for _ in range(3)]
    method = Discriminator(widths=widths, batch=int(rng.integers(1, 70)), steps=STEPS)
    together = [flat(fit) for fit in train_discriminators(pairs, method, [0, 1, 2])]
    alone = [flat(train_discriminators([pairs[k]], method, [k])[0]) for k in range(3)]
    return all((a == b).all() for a, b in zip(together, alone, strict=True))


if __name__ == "__main__":
    count = int(sys.argv[1])
    rng = np.random.default_rng(int(sys.argv[2]))
    for seed in range(count):
        fields, dim, n, m = random_recipe(rng)
        if not in_company(fields, dim, n, m, seed):
            print(f"depends on its company: {fields}, dim {dim}, n {n}, m {m}")
    for seed, widths in enumerate([(9, 5), (33,), (64, 64), (7, 7, 7)]):
        if not discriminators_in_company(widths, 3 + seed, seed):
            print(f"depends on its company: discriminator {widths}")
    print(f"{count} shapes tried")
