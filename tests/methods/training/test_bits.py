"""A critic's bits do not depend on the critics beside it, on any instruction set and in any mode of MKL."""

import json
import os
import subprocess
import sys
from pathlib import Path

import bits_of_a_batch
import numpy as np
import pytest
from bits_of_a_batch import in_company
from small import python

from otbench.methods.fitted import Fitted
from otbench.methods.mlp import Mlp
from otbench.methods.train import train_many
from otbench.results.rounding import TRAINED

SCRIPT = Path(__file__).parent.parent.parent / "support" / "bits_of_a_batch.py"

#: Whether this processor has AVX-512; torch takes an instruction set it is told to without asking.
WIDE = "avx512f" in Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else False

PLACES = [
    {"ATEN_CPU_CAPABILITY": "default"}, {"ATEN_CPU_CAPABILITY": "avx2"}, {"ATEN_CPU_CAPABILITY": "avx512"},
    {"MKL_CBWR": "COMPATIBLE"}, {"MKL_CBWR": "AVX2,STRICT"}, {"MKL_CBWR": "AVX512,STRICT"},
    {"MKL_CBWR": "AUTO,STRICT"}, {},
]  # fmt: skip


def tried(environment: dict[str, str], shapes: int, seed: int) -> list[str]:
    """What the script prints in a process whose environment differs from ours in these two variables only."""
    clean = {name: value for name, value in os.environ.items() if name not in {"ATEN_CPU_CAPABILITY", "MKL_CBWR"}}
    done = subprocess.run(
        [sys.executable, SCRIPT, str(shapes), str(seed)], env=clean | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def skip_unless_there(environment: dict[str, str]) -> None:
    if any("512" in value for value in environment.values()) and not WIDE:
        pytest.skip("this processor has no AVX-512")


@pytest.mark.parametrize(("seed", "environment"), [(0, PLACES[0]), (3, PLACES[3]), (7, {})], ids=str)
def test_a_critic_has_the_same_bits_alone_and_in_any_company(seed: int, environment: dict[str, str]) -> None:
    skip_unless_there(environment)
    assert tried(environment, 5, seed) == ["5 shapes tried"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("environment", PLACES, ids=str)
def test_the_same_over_many_more_shapes(environment: dict[str, str]) -> None:
    skip_unless_there(environment)
    assert tried(environment, 500, 100) == ["500 shapes tried"]


def test_the_law_sees_one_last_bit_that_company_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(pairs: list[object], *arguments: object, **keywords: object) -> list[Fitted]:
        fitted = train_many(pairs, *arguments, **keywords)  # type: ignore[arg-type]
        if len(pairs) == 3:
            critic = fitted[0].critic
            assert isinstance(critic, Mlp)
            critic.weights[0][0, 0] = np.nextafter(critic.weights[0][0, 0], np.inf)
        return fitted

    fields = {"widths": (9, 5), "batch": 17}
    assert in_company(fields, 3, 20, 30, 1)
    monkeypatch.setattr(bits_of_a_batch, "train_many", faulty)
    assert not in_company(fields, 3, 20, 30, 1)


TRAINED_CRITICS = """
import json
import numpy as np
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix
from otbench.methods.functions import on_union
import otbench
found = []
for name, dim in (("shared_mass", 2), ("shared_mass", 32), ("spheres", 8), ("spheres", 128)):
    pairs = [otbench.problem(name, dim=dim).sample(256, mode="independent", seed=seed) for seed in range(3)]
    clips = [0.001, 0.01, 0.1, 1.0]
    for widths in ((64, 64), (33,), (128, 128)):
        recipes = [otbench.WeightClip(clip=c, lr=0.01, lr_unit="clip", widths=widths, steps=1000) for c in clips]
        jobs = [(pair, recipe, seed) for seed, pair in enumerate(pairs) for recipe in recipes]
        fitted = otbench.train_many(*map(list, zip(*jobs)))
        for (pair, _, _), fit in zip(jobs, fitted):
            ladder = Ladder(cost_matrix(pair.x, pair.y), pair.a, pair.b)
            fx, fy, _, _ = on_union(fit.critic, pair.x, pair.y)
            found.append(ladder.slope(fx, fy)[1])
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_between_two_instruction_sets_what_critics_prove_differs_less_than_a_merge_allows() -> None:
    vector, plain = (
        np.array(json.loads(python(TRAINED_CRITICS, ATEN_CPU_CAPABILITY=name).stdout)) for name in ("avx2", "default")
    )
    difference = np.abs(vector - plain) / np.maximum(vector, plain)
    median, ninth, most = np.quantile(difference, [0.5, 0.9, 1.0])
    print(f"\nslope of {len(vector)} critics: {median:.1g} apart in the median, {ninth:.1g} in nine of ten, ", end="")
    print(f"{most:.1g} at most")
    assert len(vector) == 144
    assert most <= TRAINED / 2
